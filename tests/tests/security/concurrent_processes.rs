//! Points 19 and 26: concurrent processes on one registry, layout, directory or cache.

use std::process::{Child, Stdio};

use oras_testkit::random;
use oras_testkit::registry::{Flavor, Options, Process};

use crate::case_sandbox::{Stage, check};
use crate::fixtures::holds;
use crate::security_case::{Case, honest, hostile};

/// The number of concurrent processes.
const MANY: usize = 4;

pub(crate) fn cases() -> Vec<Case> {
    let cases = vec![
        hostile(
            19,
            "attach_by_four_at_once",
            "Of four attaches at once to a registry without the referrers API none is lost.",
            |stage| attached(stage, &Process::ours(&["--no-referrers"])),
        ),
        hostile(19, "attach_by_four_at_once_distribution", "The same with a real registry.", |stage| {
            match stage.registry(Flavor::Distribution, &Options::default()) {
                Some(registry) => attached(stage, &registry),
                None => Ok(()),
            }
        }),
        honest(19, "attach_one_after_the_other", "Attaches one after the other are all listed.", |stage| {
            let registry = Process::ours(&["--no-referrers"]);
            let name = subject(stage, &registry)?;
            for number in 0..MANY {
                let kind = format!("kind/{number}");
                stage.oras(&["attach", "--artifact-type", &kind, &name, "file"]).works()?;
            }
            listed(stage, &name)
        }),
        hostile(
            26,
            "four_pulls_into_one_directory",
            "Four pulls into one directory leave whole files and nothing else.",
            |stage| {
                let (registry, name, files) = stocked(stage)?;
                all(stage, |_| words(&["pull", &name, "-o", "out"]))?;
                drop(registry);
                whole(stage, &files)
            },
        ),
        hostile(
            26,
            "four_copies_into_one_layout",
            "Four copies into one layout all get their tag.",
            |stage| {
                let (registry, name, files) = stocked(stage)?;
                all(stage, |number| words(&["cp", &name, "--to-oci-layout", &format!("layout:t{number}")]))?;
                drop(registry);
                for number in 0..MANY {
                    let out = stage.path("out");
                    drop(std::fs::remove_dir_all(&out));
                    let from = format!("layout:t{number}");
                    stage.oras(&["pull", "--oci-layout", &from, "-o", "out"]).works()?;
                    whole(stage, &files)?;
                }
                Ok(())
            },
        ),
        hostile(26, "four_pulls_through_one_cache", "Four pulls through one cold cache all work.", |stage| {
            let (registry, name, files) = stocked(stage)?;
            all(stage, |number| words(&["pull", &name, "-o", &format!("out{number}")]))?;
            drop(registry);
            for number in 0..MANY {
                drop(std::fs::remove_dir_all(stage.path("out")));
                std::fs::rename(stage.path(&format!("out{number}")), stage.path("out")).unwrap();
                whole(stage, &files)?;
            }
            Ok(())
        }),
        hostile(26, "poisoned_cache", "What was spoilt in a cache is not believed.", poisoned_cache),
    ];
    let by_chance = |case: Case| if case.honest { case } else { case.by_chance() };
    cases.into_iter().map(by_chance).collect()
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

/// Runs [`MANY`] commands concurrently with a shared cache. All must succeed.
fn all(stage: &Stage, line: impl Fn(usize) -> Vec<String>) -> Result<(), String> {
    let children: Vec<Child> = (0..MANY)
        .map(|number| {
            let line = line(number);
            let line: Vec<&str> = line.iter().map(String::as_str).collect();
            let mut command = stage.command(stage.tool(), &line);
            command.env("ORAS_CACHE", stage.root().join("cache"));
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let mut wrong = Vec::new();
    for child in children {
        let output = child.wait_with_output().unwrap();
        if !output.status.success() {
            wrong.push(String::from_utf8_lossy(&output.stderr).into_owned());
        }
    }
    check(wrong.is_empty(), || wrong.join("; "))
}

fn subject(stage: &Stage, registry: &Process) -> Result<String, String> {
    let name = format!("{}/a:v1", registry.host());
    stage.file("file", "content");
    stage.oras(&["push", &name, "file"]).works()?;
    Ok(name)
}

fn attached(stage: &Stage, registry: &Process) -> Result<(), String> {
    let name = subject(stage, registry)?;
    all(stage, |number| words(&["attach", "--artifact-type", &format!("kind/{number}"), &name, "file"]))?;
    listed(stage, &name)
}

fn listed(stage: &Stage, name: &str) -> Result<(), String> {
    let shown = stage.oras(&["discover", name]);
    let lost: Vec<_> = (0..MANY).filter(|number| !shown.stdout.contains(&format!("kind/{number}"))).collect();
    check(lost.is_empty(), || format!("loses {lost:?}"))
}

type Files = Vec<(String, Vec<u8>)>;

/// Starts a registry with three files under `a:v1`.
fn stocked(stage: &Stage) -> Result<(Process, String, Files), String> {
    let registry = Process::ours(&[]);
    let name = format!("{}/a:v1", registry.host());
    let files: Files =
        (1..4).map(|number| (format!("file{number}"), random::bytes(number, 700_000))).collect();
    let mut line = vec!["push", &name];
    for (file, content) in &files {
        stage.file(file, content);
        line.push(file);
    }
    stage.oras(&line).works()?;
    for (file, _) in &files {
        std::fs::remove_file(stage.path(file)).unwrap();
    }
    Ok((registry, name, files))
}

/// Checks that `out` has these files and no others.
fn whole(stage: &Stage, files: &Files) -> Result<(), String> {
    for (file, content) in files {
        holds(&stage.path("out").join(file), content)?;
    }
    let found = stage.files(&stage.path("out"));
    check(found.len() == files.len(), || format!("leaves {found:?}"))
}

fn poisoned_cache(stage: &Stage) -> Result<(), String> {
    let (registry, name, files) = stocked(stage)?;
    let cache = stage.root().join("cache");
    let environment = [("ORAS_CACHE", cache.to_str().unwrap())];
    stage.oras_with(&environment, &["pull", &name, "-o", "out"]).works()?;
    let mut spoilt = 0;
    for file in stage.files(&cache).iter().filter(|file| file.contains("blobs/")) {
        let path = cache.join(file);
        let length = path.metadata().unwrap().len();
        // Smaller blobs are the manifest and the config.
        if length > 10_000 {
            std::fs::remove_file(&path).unwrap();
            oras_testkit::files::write_file(&path, vec![b'x'; usize::try_from(length).unwrap()]);
            spoilt += 1;
        }
    }
    check(spoilt == files.len(), || format!("the cache has {spoilt} files"))?;
    std::fs::remove_dir_all(stage.path("out")).unwrap();
    let said = stage.oras_with(&environment, &["pull", &name, "-o", "out"]);
    drop(registry);
    if said.status == Some(0) {
        return whole(stage, &files);
    }
    let found = stage.files(&stage.path("out"));
    check(found.is_empty(), || format!("leaves {found:?}"))
}
