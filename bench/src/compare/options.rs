//! The options of the bench.

use std::path::PathBuf;

use super::data_files::Sizes;
use super::tool::Tool;
use super::workload::{WORKLOADS, Workload};
use crate::command_line::{Given, read_options};
use xtask::process::Result;

const HELP: &str = "\
usage: cargo xtask bench [options]

Measures `oras`, the Go oras, crane, regctl and skopeo. Each round runs all tools that support the workload on the
same data and registries, in memory. Each run begins with empty caches. Its result is checked and removed. A last
run of each tool goes through a proxy that counts bytes and requests.

  --only NAME       only this workload, or those whose name begins with NAME and a hyphen; may be repeated
  --tools A,B       only these tools: ours, oras, crane, regctl, skopeo
  --runs N          measured runs of each tool, after one to warm up (default 5); workloads of more than 20 s, with a
                    slow link or with interrupted transfers run once
  --quick           little data and one run, to check that everything works; the times mean nothing
  --size MIB        size of the big file (default 1024)
  --tls             also run some workloads over TLS
  --flat-size MIB   an additional file size for the workload `flat`; the file must fit into the directory twice
  --dir DIR         directory for data, registries and results (default: in memory)
  --ours FILE       measure this program as ours, instead of a new release build
  --json FILE       write all samples to this file
  --publish         write docs/benchmarks.md and docs/benchmarks.svg; also run the big file over TLS

`flat` measures only the peak memory of ours, with files of 100 MiB and of the size of the big file. Workloads:
";

/// The workloads that are published over TLS, too.
const PUBLISHED_TLS: [&str; 2] = ["b1-push", "b2-pull"];

/// The last workload, which only our tool runs.
pub(super) const FLAT: &str = "flat";

/// The options of `cargo xtask bench`.
#[derive(Debug)]
pub(super) struct Options {
    only: Vec<String>,
    tools: Vec<Tool>,
    pub(super) runs: usize,
    pub(super) quick: bool,
    pub(super) sizes: Sizes,
    pub(super) tls: bool,
    pub(super) flat_mib: Option<u64>,
    pub(super) dir: Option<PathBuf>,
    pub(super) json: Option<PathBuf>,
    pub(super) ours: Option<PathBuf>,
    pub(super) publish: bool,
}

impl Options {
    /// Reads the command line. Returns `None` if help is requested.
    pub(super) fn parse(args: &[String]) -> Result<Option<Self>> {
        let mut options = Self {
            only: Vec::new(),
            tools: Tool::ALL.to_vec(),
            runs: 5,
            quick: false,
            sizes: Sizes::FULL,
            tls: false,
            flat_mib: None,
            dir: None,
            json: None,
            ours: None,
            publish: false,
        };
        // `--quick` sets defaults that other options override, regardless of their order.
        if args.iter().any(|arg| arg == "--quick") {
            (options.quick, options.runs, options.sizes) = (true, 1, Sizes::QUICK);
        }
        let flags = ["--quick", "--tls", "--publish"];
        let is_complete = read_options(args, &flags, &help(), |option| options.set(option))?;
        Ok(is_complete.then_some(options))
    }

    fn set(&mut self, option: Given<'_>) -> Result {
        let Given { name, value } = option;
        let number = || option.number();
        match name {
            "--quick" => {}
            "--tls" => self.tls = true,
            "--publish" => self.publish = true,
            "--only" if value == FLAT || WORKLOADS.iter().any(|workload| workload.is_meant_by(value)) => {
                self.only.push(value.into());
            }
            "--only" => {
                let names: Vec<&str> = WORKLOADS.iter().map(|workload| workload.name).collect();
                return Err(format!("no workload {value}; there are: {}, {FLAT}", names.join(", ")).into());
            }
            "--tools" => {
                let tool = |name: &str| Tool::named(name).ok_or(format!("no tool {name}\n\n{}", help()));
                self.tools = value.split(',').map(tool).collect::<std::result::Result<_, _>>()?;
            }
            "--runs" => self.runs = usize::try_from(number()?)?,
            "--size" => self.sizes.big_mib = number()?,
            "--flat-size" => self.flat_mib = Some(number()?),
            "--dir" => self.dir = Some(value.into()),
            "--json" => self.json = Some(value.into()),
            "--ours" => self.ours = Some(value.into()),
            _ => return Err(format!("unknown option {name}\n\n{}", help()).into()),
        }
        Ok(())
    }

    /// Returns true if a workload is selected.
    pub(super) fn wants(&self, is_meant_by: impl Fn(&str) -> bool) -> bool {
        self.only.is_empty() || self.only.iter().any(|word| is_meant_by(word))
    }

    /// Returns true if any workload may run over TLS.
    pub(super) fn may_use_tls(&self) -> bool {
        self.tls || self.publish
    }

    /// Returns true if a workload also runs over TLS. The published page has two such workloads, which show
    /// the cost of TLS.
    pub(super) fn wants_tls(&self, workload: &Workload) -> bool {
        workload.tls && (self.tls || (self.publish && PUBLISHED_TLS.contains(&workload.name)))
    }

    /// Returns true if a tool is selected.
    pub(super) fn wants_tool(&self, tool: Tool) -> bool {
        self.tools.contains(&tool)
    }

    /// Returns the maximum size of the files in MiB: the big file as data, in a layout, in both registries,
    /// as a result and as a temporary file; the file of `flat` twice.
    pub(super) fn room_mib(&self) -> u64 {
        let flat = self.flat_mib.unwrap_or(0);
        (self.sizes.big_mib * 6).max(flat * 2 + flat / 4) + 1024
    }
}

/// The text of `--help`.
pub(super) fn help() -> String {
    let line = |(name, what): (&str, &str)| format!("  {name:<22} {what}\n");
    HELP.to_owned()
        + &WORKLOADS.iter().map(|workload| line((workload.name, workload.what))).collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Option<Options>> {
        Options::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn reads_the_command_line() {
        let options = parse("--only b7 --runs 7 --size 64 --json out.json --quick").unwrap().unwrap();
        assert_eq!(
            (options.runs, options.sizes.big_mib, options.json.clone()),
            (7, 64, Some("out.json".into()))
        );
        assert_eq!(options.sizes.small_files, Sizes::QUICK.small_files);
        let wants = |name: &str| options.wants(|word| name.starts_with(word));
        assert!(wants("b7-to-layout") && !wants("version"));
        assert!(parse("--help").unwrap().is_none());
        let options = parse("--tools ours,crane --flat-size 10240").unwrap().unwrap();
        assert!(options.wants_tool(Tool::Crane) && !options.wants_tool(Tool::Skopeo));
        assert_eq!(options.room_mib(), 10240 * 9 / 4 + 1024);
    }

    #[test]
    fn publishes_two_workloads_over_tls() {
        let over_tls = |line: &str| {
            let options = parse(line).unwrap().unwrap();
            let names = WORKLOADS.iter().filter(|workload| options.wants_tls(workload));
            (options.may_use_tls(), names.map(|workload| workload.name).collect::<Vec<_>>())
        };
        assert_eq!(over_tls("--runs 3"), (false, vec![]));
        assert_eq!(over_tls("--publish"), (true, PUBLISHED_TLS.to_vec()));
        assert_eq!(over_tls("--tls --publish"), over_tls("--tls"));
        assert!(over_tls("--tls").1.len() > PUBLISHED_TLS.len());
    }

    #[test]
    fn reports_invalid_options() {
        assert!(parse("--only nothing").unwrap_err().to_string().contains("there are: "));
        assert!(parse("--only b").unwrap_err().to_string().contains("no workload b;"));
        assert!(parse("--runs 0").unwrap_err().to_string().contains("above 0"));
        assert!(parse("--runs").unwrap_err().to_string().starts_with("--runs needs a value"));
        assert!(parse("--fast 1").unwrap_err().to_string().starts_with("unknown option --fast"));
        assert!(parse("--tools ours,docker").unwrap_err().to_string().starts_with("no tool docker"));
    }
}
