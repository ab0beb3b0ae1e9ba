//! Describes the machine and the tools, for the page.

use std::path::Path;
use std::process::{Command, Stdio};

use super::environment::Scene;
use super::tool::Tool;
use xtask::peers;

/// Returns one line for each known fact.
pub(super) fn describe(scene: &Scene) -> Vec<String> {
    let mut facts = Vec::new();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let cpu = value_in("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.into());
    facts.push(format!("CPU: {cpu}, {cores} cores"));
    facts.extend(value_in("/proc/meminfo", "MemTotal").and_then(|text| gib(&text)));
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    facts.push(format!("kernel: {} {}", std::env::consts::OS, kernel.trim()));
    let file_system = said(Path::new("stat"), &["-f", "-c", "%T", &scene.path("data").to_string_lossy()]);
    facts.extend(file_system.map(|name| format!("file system of data, results and registries: {name}")));
    for tool in Tool::ALL {
        let flag = if tool == Tool::Skopeo { "--version" } else { "version" };
        let version =
            scene.program(tool).and_then(|program| said(&program, &[flag])).map(|text| number(&text));
        facts.extend(version.map(|version| format!("{}: {version}", tool.name())));
    }
    let registry = peers::find("registry").and_then(|program| said(&program, &["--version"]));
    facts.extend(registry.map(|text| format!("registry: distribution {}", number(&text))));
    facts
}

fn value_in(file: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn gib(meminfo: &str) -> Option<String> {
    let kib: f64 = meminfo.split_whitespace().next()?.parse().ok()?;
    Some(format!("memory: {:.0} GiB", kib / f64::from(1 << 20)))
}

fn said(program: &Path, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned()).filter(|text| !text.is_empty())
}

/// Returns the first word that looks like a version.
fn number(text: &str) -> String {
    let looks_so = |word: &&str| {
        let digits = word.strip_prefix('v').unwrap_or(word);
        digits.starts_with(|c: char| c.is_ascii_digit()) && digits.contains('.')
    };
    text.split_whitespace().find(looks_so).unwrap_or_default().trim_end_matches("+unknown").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_tool_versions() {
        assert_eq!(number("Version:    1.3.6\nGo version: go1.26.8"), "1.3.6");
        assert_eq!(number("registry github.com/distribution/distribution/v3 v3.1.2+unknown"), "v3.1.2");
        assert_eq!(number("nothing"), "");
        assert_eq!(gib("24689764 kB").unwrap(), "memory: 24 GiB");
    }
}
