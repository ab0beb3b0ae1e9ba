//! `cargo xtask demo`: a round trip of real files that needs only cargo.
//!
//! The demo starts a registry in memory on loopback, pushes files to it, and attaches documents. It lists the
//! referrers and copies all of this to an OCI layout on disk. Then it stops the registry, pulls everything
//! from the layout, and compares the files byte for byte. It prints each `oras` command line, so that a
//! reader can repeat it.

mod compare;
mod session;
mod tree;

use std::fs::File;
use std::path::PathBuf;

use session::Session;
use xtask::files::ScratchDir;
use xtask::process::{Result, cargo, run as run_command};
use xtask::workspace::Workspace;

pub(crate) use session::Registry;

const HELP: &str = "\
usage: cargo xtask demo [--keep] [--oras FILE]

  --keep       leave the directory with the files and the layout
  --oras FILE  use this oras program instead of building one";

#[derive(Default)]
struct Options {
    keep: bool,
    oras: Option<PathBuf>,
}

/// Runs the demo. Fails unless every file is restored unchanged.
pub(crate) fn run(args: &[String]) -> Result {
    let Some(options) = parse(args)? else {
        println!("{HELP}");
        return Ok(());
    };
    let oras = program(&options)?;
    let mut scratch = ScratchDir::new(&std::env::temp_dir(), "oras-demo")?;
    if options.keep {
        scratch.keep();
    }
    tree::create(scratch.path())?;
    let session = Session::new(oras.clone(), scratch.path().to_path_buf());
    println!("\n# The files");
    println!("$ cd {}", scratch.path().display());
    print!("{}", tree::listing(scratch.path())?);
    println!("\n# A registry in memory, on a free port of loopback");
    println!("$ {} serve --memory --addr 127.0.0.1:0 2>registry.log &", oras.display());
    let log = File::create(scratch.path().join("registry.log"))?;
    let registry = Registry::start(&oras, &["serve".into(), "--memory".into()], log.into())?;
    println!("listening on {}", registry.host());
    let outcome = tell(&session, registry);
    if options.keep {
        println!("\nKept: {}", scratch.path().display());
    }
    outcome
}

fn parse(args: &[String]) -> Result<Option<Options>> {
    let mut options = Options::default();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--keep" => options.keep = true,
            "--oras" => {
                let file = args.next().ok_or(format!("{arg} needs a file\n\n{HELP}"))?;
                options.oras = Some(PathBuf::from(file));
            }
            "--help" | "-h" => return Ok(None),
            _ => return Err(format!("unknown option {arg}\n\n{HELP}").into()),
        }
    }
    Ok(Some(options))
}

/// Returns the program, and builds it if necessary. Shows the output of cargo, because the first build takes minutes.
fn program(options: &Options) -> Result<PathBuf> {
    match &options.oras {
        Some(file) => {
            file.canonicalize().map_err(|error| format!("cannot find {}: {error}", file.display()).into())
        }
        None => {
            run_command(&mut cargo(&["build", "-p", "oras-cli"]))?;
            Ok(Workspace::load()?.target_dir.join("debug/oras"))
        }
    }
}

/// Runs all steps of the demo.
fn tell(session: &Session, registry: Registry) -> Result {
    let repository = format!("{}/demo/app", registry.host());
    let app = format!("{repository}:v1");

    println!("\n# Push a file and a directory as one artifact");
    let artifact_type = "application/vnd.example.app";
    session.oras(&["push", &app, "--artifact-type", artifact_type, "readme.txt:text/plain", "assets"])?;
    println!("\n# Attach an SBOM to it, and a signature to the SBOM");
    let sbom_type = "application/spdx+json";
    let sbom_file = format!("sbom.spdx.json:{sbom_type}");
    let attached = session.oras(&["attach", &app, "--artifact-type", sbom_type, &sbom_file])?;
    let sbom = digest_in(&attached)?;
    let on_sbom = format!("{repository}@{sbom}");
    let signature_type = "application/vnd.example.signature";
    let attached =
        session.oras(&["attach", &on_sbom, "--artifact-type", signature_type, "sbom.sig:text/plain"])?;
    let signature = digest_in(&attached)?;
    println!("\n# See what refers to it");
    expect_in(&session.oras(&["discover", &app])?, &[&sbom, &signature])?;
    println!("\n# Copy it with all that refers to it into an OCI layout on disk");
    session.oras(&["cp", "-r", &app, "--to-oci-layout", "layout:v1"])?;
    let pushed = session.oras(&["resolve", &app])?;

    drop(registry);
    println!("\n# The registry is stopped: from here on there is no network");
    let kept = session.oras(&["resolve", "--oci-layout", "layout:v1"])?;
    if kept != pushed {
        return Err(format!("the layout holds {}, the registry held {}", kept.trim(), pushed.trim()).into());
    }
    expect_in(&session.oras(&["discover", "--oci-layout", "layout:v1"])?, &[&sbom, &signature])?;
    session.oras(&["pull", "--oci-layout", "layout:v1", "-o", "restored"])?;
    for digest in [sbom, signature] {
        session.oras(&["pull", "--oci-layout", &format!("layout@{digest}"), "-o", "restored"])?;
    }
    println!("\n# Compare what was pushed with what came back");
    let compared = compare::same(session.dir(), &session.dir().join("restored"), &tree::TOP_LEVEL)?;
    println!("{compared}");
    println!("Everything is equal.");
    Ok(())
}

/// Returns the digest in the line `Digest: sha256:…`, which `push` and `attach` print last.
fn digest_in(output: &str) -> Result<String> {
    let digest = output.lines().rev().find_map(|line| line.strip_prefix("Digest: "));
    digest.map(str::to_owned).ok_or_else(|| "no line `Digest: …` in the output above".into())
}

fn expect_in(output: &str, digests: &[&String]) -> Result {
    match digests.iter().find(|digest| !output.contains(digest.as_str())) {
        Some(digest) => Err(format!("{digest} is missing in the output above").into()),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_digest() {
        assert_eq!(digest_in("Pushed x\nDigest: sha256:ab\n").unwrap(), "sha256:ab");
        assert!(digest_in("Pushed x\n").is_err());
    }

    #[test]
    fn reads_options() {
        let options = parse(&["--keep".into(), "--oras".into(), "x".into()]).unwrap().unwrap();
        assert!(options.keep);
        assert_eq!(options.oras, Some(PathBuf::from("x")));
        assert!(parse(&["--oras".into()]).is_err());
        assert!(parse(&["-h".into()]).unwrap().is_none());
    }
}
