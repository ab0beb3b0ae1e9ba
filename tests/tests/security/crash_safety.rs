//! Point 25: a kill at any time, a full disk, a directory that is not writable.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use oras_testkit::random;
use oras_testkit::registry::Process;

use crate::case_sandbox::{Said, Stage, check};
use crate::fixtures::{Handmade, holds, limited};
use crate::security_case::{Case, honest, hostile};

/// The number of kills of each command, at times that are spread over its duration.
const ROUNDS: u32 = 20;
const SIZE: usize = 1_500_000;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = killed();
    cases.extend(full());
    cases
}

fn killed() -> Vec<Case> {
    let cases = vec![
        hostile(
            25,
            "killed_pull",
            "A pull that is killed leaves no half file; run again it works.",
            |stage| {
                let (_registry, name) = stocked(stage)?;
                let files = [("out/one", 1), ("out/two", 2)];
                kill(stage, &["pull", &name, "-o", "out"], |stage| whole(stage, &files), &["out"])
            },
        ),
        hostile(
            25,
            "killed_pull_over_old_files",
            "A pull that is killed leaves each old file, or the new one whole.",
            |stage| {
                let (_registry, name) = stocked(stage)?;
                kill(
                    stage,
                    &["pull", &name, "-o", "out"],
                    |stage| {
                        for (file, seed) in [("out/one", 1), ("out/two", 2)] {
                            let found = std::fs::read(stage.path(file)).unwrap_or_default();
                            let known =
                                found.is_empty() || found == b"old" || found == random::bytes(seed, SIZE);
                            check(known, || format!("{file} has {} bytes", found.len()))?;
                            stage.file(file, "old");
                        }
                        Ok(())
                    },
                    &[],
                )
            },
        ),
        hostile(
            25,
            "killed_copy_to_layout",
            "A killed copy into a layout leaves no wrong blob and a readable layout.",
            |stage| {
                let (_registry, name) = stocked(stage)?;
                let words = ["cp", &name, "--to-oci-layout", "layout:v1"];
                kill(stage, &words, |stage| sound(stage, "layout"), &["layout"])
            },
        ),
        hostile(
            25,
            "killed_push_to_layout",
            "A killed push into a layout leaves no wrong blob and a readable layout.",
            |stage| {
                stage.file("one", random::bytes(1, SIZE));
                stage.file("two", random::bytes(2, SIZE));
                let words = ["push", "--oci-layout", "layout:v1", "one", "two"];
                kill(stage, &words, |stage| sound(stage, "layout"), &["layout"])
            },
        ),
        hostile(25, "killed_blob_fetch", "A fetch that is killed leaves no half blob.", |stage| {
            let (_registry, name) = stocked(stage)?;
            let digest = oras_spec::Digest::sha256(&random::bytes(1, SIZE));
            let blob = format!("{}@{digest}", name.trim_end_matches(":v1"));
            let words = ["blob", "fetch", &blob, "-o", "out/one"];
            std::fs::create_dir(stage.path("out")).unwrap();
            kill(stage, &words, |stage| whole(stage, &[("out/one", 1)]), &["out/one"])
        }),
        hostile(25, "killed_backup", "A backup that is killed leaves no half archive.", |stage| {
            let (_registry, name) = stocked(stage)?;
            let words = ["backup", "-o", "all.tar", &name];
            let readable = |stage: &Stage| {
                if !stage.path("all.tar").exists() {
                    return Ok(());
                }
                stage.oras(&["manifest", "fetch", "--oci-layout", "all.tar:v1"]).works().map(drop)
            };
            kill(stage, &words, readable, &["all.tar"])
        }),
    ];
    cases.into_iter().map(Case::by_chance).collect()
}

fn full() -> Vec<Case> {
    vec![
        hostile(25, "full_disk_pull", "A pull onto a full disk fails and leaves no file.", |stage| {
            let (_registry, name) = stocked(stage)?;
            on_small_disk(stage, &["pull", &name, "-o", "disk/out"], "disk/out")
        }),
        hostile(25, "full_disk_blob_fetch", "A fetch onto a full disk fails and leaves no file.", |stage| {
            let (_registry, name) = stocked(stage)?;
            let digest = oras_spec::Digest::sha256(&random::bytes(1, SIZE));
            let blob = format!("{}@{digest}", name.trim_end_matches(":v1"));
            on_small_disk(stage, &["blob", "fetch", &blob, "-o", "disk/blob"], "disk")
        }),
        hostile(25, "full_disk_copy", "A copy onto a full disk fails and leaves no blob.", |stage| {
            let (_registry, name) = stocked(stage)?;
            let words = ["cp", &name, "--to-oci-layout", "disk/layout:v1"];
            on_small_disk(stage, &words, "disk/layout/blobs/sha256/*")
        }),
        hostile(
            25,
            "file_too_large",
            "A file above the limit of the system fails and leaves nothing.",
            |stage| {
                let (_registry, name) = stocked(stage)?;
                let said = limited(stage, "trap '' XFSZ; ulimit -f 500", &["pull", &name, "-o", "out"]);
                said.fails()?;
                let found = stage.files(&stage.path("out"));
                check(found.is_empty(), || format!("leaves {found:?}"))
            },
        ),
        hostile(25, "read_only_directory", "What can't be written is said, with the path.", |stage| {
            let (_registry, name) = stocked(stage)?;
            let Some(said) = mounted(stage, "-o ro", &["pull", &name, "-o", "disk/out"], "true") else {
                return Ok(());
            };
            check(said.stdout.contains("status=1"), || format!("ends with {}", said.text()))?;
            check(said.stderr.contains("/disk"), || format!("says {}", said.stderr))
        }),
        honest(25, "read_only_layout", "A layout that can't be written can be read.", |stage| {
            let layout = Handmade::new(stage, "disk");
            layout.artifact("file", b"content");
            let Some(unshare) = stage.needs("unshare") else { return Ok(()) };
            let script = "mount --bind disk disk && mount -o remount,ro,bind disk && exec \"$@\"";
            let mut command =
                stage.command(&unshare, &["--map-root-user", "--mount", "sh", "-c", script, "sh"]);
            command.arg(stage.tool()).args(["pull", "--oci-layout", "disk:v1", "-o", "out"]);
            let said = stage.run(command, b"");
            if said.stderr.contains("unshare:") || said.stderr.contains("mount:") {
                stage.lacks("mounts of its own");
                return Ok(());
            }
            said.works()?;
            holds(&stage.path("out/file"), "content")
        }),
        honest(25, "disk_large_enough", "A pull onto a disk that is just large enough works.", |stage| {
            let (_registry, name) = stocked(stage)?;
            let words = ["pull", &name, "-o", "disk/out"];
            let Some(said) = mounted(stage, "-o size=4m", &words, "wc -c disk/out/one disk/out/two") else {
                return Ok(());
            };
            check(said.stdout.contains("status=0") && said.stdout.contains("3000000 total"), || said.text())
        }),
    ]
}

/// Starts a registry with two files under `a:v1`.
fn stocked(stage: &Stage) -> Result<(Process, String), String> {
    let registry = Process::ours(&[]);
    let name = format!("{}/a:v1", registry.host());
    for (file, seed) in [("one", 1), ("two", 2)] {
        stage.file(file, random::bytes(seed, SIZE));
    }
    stage.oras(&["push", &name, "one", "two"]).works()?;
    for file in ["one", "two"] {
        std::fs::remove_file(stage.path(file)).unwrap();
    }
    Ok((registry, name))
}

/// Checks that each of these files is either missing or complete.
fn whole(stage: &Stage, files: &[(&str, u64)]) -> Result<(), String> {
    let mut present = files.iter().filter(|(file, _)| stage.path(file).exists());
    present.try_for_each(|(file, seed)| holds(&stage.path(file), random::bytes(*seed, SIZE)))
}

/// Checks that every blob of the layout matches its digest, and that the index is readable.
fn sound(stage: &Stage, layout: &str) -> Result<(), String> {
    let blobs = stage.path(layout).join("blobs/sha256");
    for entry in std::fs::read_dir(&blobs).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let bytes = std::fs::read(entry.path()).unwrap();
        let is_digest = name.len() == 64;
        check(!is_digest || oras_spec::Digest::sha256(&bytes).encoded() == name, || {
            format!("blob {name} has {} bytes", bytes.len())
        })?;
    }
    match std::fs::read(stage.path(layout).join("index.json")) {
        Ok(bytes) => serde_json::from_slice::<serde_json::Value>(&bytes)
            .map(drop)
            .map_err(|error| format!("index.json: {error}")),
        Err(_) => Ok(()),
    }
}

/// Kills the command at times that are spread over its duration. After each kill, `holds` must succeed. After
/// some kills, the command runs again on the existing files and must succeed. `clean` is deleted between
/// rounds.
fn kill(
    stage: &Stage,
    words: &[&str],
    holds: impl Fn(&Stage) -> Result<(), String>,
    clean: &[&str],
) -> Result<(), String> {
    let remove = || {
        for name in clean {
            drop(std::fs::remove_dir_all(stage.path(name)));
            drop(std::fs::remove_file(stage.path(name)));
        }
        if words.contains(&"out/one") {
            std::fs::create_dir_all(stage.path("out")).unwrap();
        }
    };
    let took = stage.oras(words).works()?.took;
    for round in 0..ROUNDS {
        remove();
        let mut command = stage.command(stage.tool(), words);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let begun = Instant::now();
        let mut child = command.spawn().unwrap();
        let moment = took * round / ROUNDS;
        std::thread::sleep(moment.saturating_sub(begun.elapsed()).max(Duration::from_millis(1)));
        child.kill().unwrap();
        child.wait().unwrap();
        holds(stage).map_err(|why| format!("killed after {moment:?}: {why}"))?;
        if round % 4 == 0 {
            stage.oras(words).works().map_err(|why| format!("after a kill at {moment:?}: {why}"))?;
            holds(stage)?;
        }
    }
    stage.oras(words).works()?;
    holds(stage)
}

/// Runs the tool with a separate file system at `disk`, then `after`. Returns `None` if the system does not
/// permit mounts.
fn mounted(stage: &Stage, options: &str, words: &[&str], after: &str) -> Option<Said> {
    let unshare = stage.needs("unshare")?;
    std::fs::create_dir_all(stage.path("disk")).unwrap();
    let script =
        format!("mount -t tmpfs {options} none disk || exit 9; \"$@\"; echo status=$?; {after}; exit 0");
    let mut command =
        stage.command(Path::new(&unshare), &["--map-root-user", "--mount", "sh", "-c", &script]);
    command.arg("sh").arg(stage.tool()).args(words);
    let said = stage.run(command, b"");
    if said.status != Some(0) {
        stage.lacks("mounts of its own");
        return None;
    }
    Some(said)
}

/// Checks that the command fails on a disk of 1 MiB without a crash, and leaves nothing at `place`.
fn on_small_disk(stage: &Stage, words: &[&str], place: &str) -> Result<(), String> {
    let after = format!("find {place} -type f -size +5k 2>/dev/null | sed s/^/left=/");
    let Some(said) = mounted(stage, "-o size=1m", words, &after) else { return Ok(()) };
    check(said.stdout.contains("status=1"), || format!("ends with {}", said.text()))?;
    check(said.stderr.contains("No space") || said.stderr.contains("no space"), || {
        format!("doesn't say why: {}", said.stderr)
    })?;
    check(!said.stdout.contains("left="), || format!("leaves {}", said.stdout))
}
