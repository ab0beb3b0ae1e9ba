//! Simulates old kernels and simple file systems: strace injects errors into system calls.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Output;

use oras_testkit::peers;
use oras_testkit::scripted::{Asked, Reply, Scripted};

use crate::sandbox::{Sandbox, ours, snapshot, texts};

/// Runs our tool with faults such as `linkat:error=EPERM`. Returns `None` if the system does not permit
/// tracing.
pub(crate) fn traced(
    sandbox: &Sandbox,
    strace: &Path,
    faults: &[&str],
    arguments: &[&str],
) -> Option<(Output, String)> {
    let log = sandbox.path("../trace");
    drop(std::fs::remove_file(&log));
    let mut command = sandbox.command(strace, &["-f", "-o"]);
    command.arg(&log);
    for fault in faults {
        command.args(["-e", &format!("inject={fault}")]);
    }
    let calls: Vec<_> = faults.iter().filter_map(|fault| fault.split(':').next()).collect();
    command.args(["-e", &format!("trace=execve,{}", calls.join(","))]).arg(ours()).args(arguments);
    let output = command.output().unwrap();
    let trace = std::fs::read_to_string(&log).unwrap_or_default();
    trace.contains("execve(").then_some((output, trace))
}

/// Returns the files of a snapshot whose content is `text`.
fn holders<'a>(found: &'a BTreeMap<String, String>, text: &str) -> Vec<&'a str> {
    let text = format!("{:?}", text.as_bytes());
    found.iter().filter(|(_, what)| what.ends_with(&text)).map(|(name, _)| &**name).collect()
}

/// Asserts that the earlier content `old` is still at `place`, or in a file that the error `told` names.
fn assert_kept_or_named(found: &BTreeMap<String, String>, told: &str, place: &str, old: &str, case: &str) {
    let names = holders(found, old);
    assert!(
        names.iter().any(|name| *name == place || told.contains(name)),
        "{case}: {place} is at {names:?}; {told}"
    );
}

pub(crate) fn strace(sandbox: &Sandbox, test: &str) -> Option<std::path::PathBuf> {
    let found = peers::system_or_skip("strace", test)?;
    if traced(sandbox, &found, &["openat2:error=ENOSYS"], &["version"]).is_none() {
        peers::skipped("permission to trace", test);
        return None;
    }
    Some(found)
}

#[test]
fn pull_unpacks_directories_without_openat2() {
    let sandbox = Sandbox::new();
    let Some(strace) = strace(&sandbox, "pull_unpacks_directories_without_openat2") else { return };
    sandbox.tree();
    sandbox.oras(&["push", "--oci-layout", "layout:v1", "hi.txt", "d"]);
    sandbox.oras(&["pull", "--oci-layout", "layout:v1", "-o", "right"]);
    for error in ["ENOSYS", "EPERM"] {
        let fault = format!("openat2:error={error}");
        // The second pull replaces a file that was changed by hand.
        for _ in 0..2 {
            let words = ["pull", "--oci-layout", "layout:v1", "-o", "out"];
            let (output, trace) = traced(&sandbox, &strace, &[&fault], &words).unwrap();
            assert!(output.status.success(), "{error}: {}", texts(&output).1);
            assert!(trace.contains("INJECTED"), "{trace}");
            assert_eq!(snapshot(&sandbox.path("out")), snapshot(&sandbox.path("right")), "{error}");
            sandbox.file("out/d/a.txt", "changed\n");
        }
        // The command does not follow a link out of the output directory.
        std::fs::remove_dir_all(sandbox.path("out")).unwrap();
        std::fs::create_dir_all(sandbox.path("out")).unwrap();
        std::fs::create_dir_all(sandbox.path("elsewhere")).unwrap();
        std::os::unix::fs::symlink("../elsewhere", sandbox.path("out/d")).unwrap();
        let words = ["pull", "--oci-layout", "layout:v1", "-o", "out"];
        drop(traced(&sandbox, &strace, &[&fault], &words));
        assert_eq!(std::fs::read_dir(sandbox.path("elsewhere")).unwrap().count(), 0, "{error}");
        std::fs::remove_dir_all(sandbox.path("out")).unwrap();
    }
}

#[test]
fn failed_rename_keeps_earlier_files() {
    let sandbox = Sandbox::new();
    let Some(strace) = strace(&sandbox, "failed_rename_keeps_earlier_files") else { return };
    for number in 1..=3 {
        sandbox.file(&format!("f{number}"), format!("new{number}"));
    }
    sandbox.oras(&["push", "--oci-layout", "layout:v1", "f1", "f2", "f3"]);
    for error in ["EIO", "ENOSPC", "EACCES"] {
        for links in ["", "linkat:error=EPERM"] {
            let mut failed = 0;
            for first in 1..=7 {
                drop(std::fs::remove_dir_all(sandbox.path("out")));
                for number in 1..=3 {
                    sandbox.file(&format!("out/f{number}"), format!("old{number}"));
                }
                let renames = format!("renameat:error={error}:when={first}+");
                let faults: Vec<_> =
                    [&*renames, links].into_iter().filter(|fault| !fault.is_empty()).collect();
                let words = ["pull", "--oci-layout", "layout:v1", "-o", "out"];
                let (output, _) = traced(&sandbox, &strace, &faults, &words).unwrap();
                if output.status.success() {
                    break;
                }
                failed += 1;
                let told = texts(&output).1;
                let found = snapshot(&sandbox.path("out"));
                for number in 1..=3 {
                    let (place, old) = (format!("f{number}"), format!("old{number}"));
                    let case = format!("{error} from {first}, {links}");
                    assert_kept_or_named(&found, &told, &place, &old, &case);
                }
            }
            assert!(failed >= 3, "{error}, {links}: {failed} pulls failed");
        }
    }
}

#[test]
fn writes_layouts_without_links_or_modes() {
    let sandbox = Sandbox::new();
    let Some(strace) = strace(&sandbox, "writes_layouts_without_links_or_modes") else {
        return;
    };
    sandbox.file("f", "content\n");
    sandbox.file("d/sub/g", "more\n");
    sandbox.oras(&["push", "--oci-layout", "from:v1", "f", "d"]);
    let simple =
        ["renameat2:error=EINVAL", "linkat:error=EPERM", "fchmod:error=EPERM", "utimensat:error=EPERM"];
    let old =
        ["renameat2:error=ENOSYS", "linkat:error=EOPNOTSUPP", "statx:error=ENOSYS", "preadv2:error=ENOSYS"];
    let strict =
        ["renameat2:error=EPERM", "linkat:error=EPERM", "fchmod:error=EOPNOTSUPP", "preadv2:error=EPERM"];
    let copying = [
        "copy_file_range:error=ENOSYS",
        "fallocate:error=EOPNOTSUPP",
        "sync_file_range:error=ENOSYS",
        "ioctl:error=EOPNOTSUPP",
    ];
    let unlocked =
        ["flock:error=ENOLCK", "fsync:error=EINVAL", "fdatasync:error=EINVAL", "utimensat:error=ENOSYS"];
    let locks =
        ["flock:error=ENOSYS", "fsync:error=EOPNOTSUPP", "fdatasync:error=EPERM", "sendfile:error=EINVAL"];
    for (number, faults) in [&simple, &old, &strict, &copying, &unlocked, &locks].into_iter().enumerate() {
        let (copied, pushed, out) = (format!("c{number}:v1"), format!("p{number}:v1"), format!("o{number}"));
        let lines: [&[&str]; 4] = [
            &["cp", "--from-oci-layout", "from:v1", "--to-oci-layout", &copied],
            &["push", "--oci-layout", &pushed, "f", "d"],
            &["push", "--oci-layout", &pushed, "f"],
            &["pull", "--oci-layout", &copied, "-o", &out],
        ];
        for line in lines {
            let (output, trace) = traced(&sandbox, &strace, faults, line).unwrap();
            assert!(output.status.success(), "{faults:?} {line:?}: {}", texts(&output).1);
            assert!(
                trace.contains("INJECTED") || line[0] == "push" || faults == &copying,
                "{faults:?} {line:?}"
            );
        }
        assert_eq!(std::fs::read(sandbox.path(&format!("{out}/d/sub/g"))).unwrap(), b"more\n");
        sandbox.oras(&["pull", "--oci-layout", &copied, "-o", "plain"]);
        sandbox.oras(&["pull", "--oci-layout", &pushed, "-o", "plain"]);
    }
}

#[test]
fn backs_up_and_restores_without_rare_system_calls() {
    let sandbox = Sandbox::new();
    let Some(strace) = strace(&sandbox, "backs_up_and_restores_without_rare_system_calls") else { return };
    let registry = oras_testkit::registry::Process::ours(&[]);
    sandbox.file("f", "content\n");
    sandbox.file("big", vec![7; 5 << 20]);
    let source = format!("{}/a:v1", registry.host());
    sandbox.oras(&["push", &source, "f", "big"]);
    let simple =
        ["renameat2:error=EINVAL", "linkat:error=EPERM", "fchmod:error=EPERM", "utimensat:error=EPERM"];
    let unlocked =
        ["flock:error=ENOLCK", "fsync:error=EINVAL", "fdatasync:error=EINVAL", "preadv2:error=ENOSYS"];
    for (number, faults) in [&simple, &unlocked].into_iter().enumerate() {
        for kind in ["layout", "archive.tar"] {
            let output = format!("{number}-{kind}");
            let target = format!("{}/b{number}:v1", registry.host());
            let lines: [&[&str]; 2] =
                [&["backup", "-o", &output, &source], &["restore", "--input", &output, &target]];
            for line in lines {
                let (output, _) = traced(&sandbox, &strace, faults, line).unwrap();
                assert!(output.status.success(), "{faults:?} {line:?}: {}", texts(&output).1);
            }
            sandbox.oras(&["pull", &target, "-o", &format!("out-{output}")]);
        }
    }
}

#[test]
fn reports_missing_locks_and_modes_once() {
    let sandbox = Sandbox::new();
    let Some(strace) = strace(&sandbox, "reports_missing_locks_and_modes_once") else { return };
    sandbox.file("f", "content\n");
    sandbox.file("g", "more\n");
    let faults = ["flock:error=ENOLCK", "fchmod:error=EPERM", "fsync:error=EINVAL"];
    let words = ["push", "--oci-layout", "layout:v1", "f", "g"];
    let (output, _) = traced(&sandbox, &strace, &faults, &words).unwrap();
    let told = texts(&output).1;
    assert!(output.status.success(), "{told}");
    for what in ["has no locks", "keeps no file modes", "cannot flush files"] {
        assert_eq!(told.matches(what).count(), 1, "{told}");
    }
}

#[test]
fn pull_killed_between_renames_keeps_earlier_files() {
    let sandbox = Sandbox::new();
    let test = "pull_killed_between_renames_keeps_earlier_files";
    let Some(strace) = strace(&sandbox, test) else { return };
    for number in 1..=3 {
        sandbox.file(&format!("f{number}"), format!("new{number}"));
    }
    sandbox.file("other", "other");
    sandbox.oras(&["push", "--oci-layout", "layout:v1", "f1", "f2", "f3"]);
    sandbox.oras(&["push", "--oci-layout", "layout:v2", "other"]);
    for links in ["", "linkat:error=EPERM"] {
        let mut killed = 0;
        for first in 1..=7 {
            drop(std::fs::remove_dir_all(sandbox.path("out")));
            for number in 1..=3 {
                sandbox.file(&format!("out/f{number}"), format!("old{number}"));
            }
            let kill = format!("renameat:signal=KILL:when={first}");
            let faults: Vec<_> = [&*kill, links].into_iter().filter(|fault| !fault.is_empty()).collect();
            let words = ["pull", "--oci-layout", "layout:v1", "-o", "out"];
            let (output, _) = traced(&sandbox, &strace, &faults, &words).unwrap();
            if output.status.success() {
                break;
            }
            killed += 1;
            let output = sandbox.run(&ours(), &["pull", "--oci-layout", "layout:v2", "-o", "out"]);
            let told = texts(&output).1;
            assert!(output.status.success(), "{told}");
            let found = snapshot(&sandbox.path("out"));
            assert!(!found.keys().any(|name| name.starts_with(".oras-pull")), "{links} {first}: {found:?}");
            for number in 1..=3 {
                let (place, old) = (format!("f{number}"), format!("old{number}"));
                assert!(found.contains_key(&place), "{links} {first}: {found:?}");
                let case = format!("{links}, killed at {first}");
                assert_kept_or_named(&found, &told, &place, &old, &case);
            }
        }
        assert!(killed >= 3, "{links}: {killed} pulls were killed");
    }
}

/// Runs our tool with a fault only in the calls that name `path`.
pub(crate) fn faulty_at(
    sandbox: &Sandbox,
    strace: &Path,
    path: &str,
    fault: &str,
    arguments: &[&str],
) -> Output {
    let call = fault.split(':').next().unwrap();
    let mut command = sandbox.command(strace, &["-f", "-o"]);
    command.arg(sandbox.path("../trace")).arg("-P").arg(path);
    command.args(["-e", &format!("trace={call}"), "-e", &format!("inject={fault}")]);
    command.arg(ours()).args(arguments).output().unwrap()
}

#[test]
fn system_errors_are_not_reported_as_not_found() {
    let sandbox = Sandbox::new();
    let Some(strace) = strace(&sandbox, "system_errors_are_not_reported_as_not_found") else { return };
    sandbox.file("f", "content\n");
    sandbox.oras(&["push", "--oci-layout", "layout:v1", "f"]);
    let digest = oras_spec::Digest::sha256(b"content\n");
    let blob = format!("layout/blobs/sha256/{}", digest.encoded());
    for error in ["EIO", "EACCES", "EMFILE"] {
        // The existing blob cannot be opened, so the command cannot verify it and must fail.
        let fault = format!("openat:error={error}");
        for words in [["push", "--oci-layout", "layout:v2", "f"], ["push", "--oci-layout", "layout:v1", "f"]]
        {
            let output = faulty_at(&sandbox, &strace, &blob, &fault, &words);
            let told = texts(&output).1;
            assert_eq!(output.status.code(), Some(1), "{error}: {told}");
            assert!(told.contains(&digest.encoded().to_string()), "{error}: {told}");
        }
    }
    std::fs::create_dir(sandbox.path("out")).unwrap();
    for (error, flags) in [("EIO", None), ("EACCES", None), ("ELOOP", Some("-k"))] {
        let mut words = vec!["pull", "--oci-layout", "layout:v1", "-o", "out"];
        words.extend(flags);
        let out = sandbox.path("out").canonicalize().unwrap();
        let output =
            faulty_at(&sandbox, &strace, out.to_str().unwrap(), &format!("statx:error={error}"), &words);
        let told = texts(&output).1;
        assert_eq!(output.status.code(), Some(1), "{error}: {told}");
        assert!(told.contains("failed to look at"), "{error}: {told}");
    }
}

#[test]
fn failure_while_publishing_keeps_earlier_files() {
    let sandbox = Sandbox::new();
    let test = "failure_while_publishing_keeps_earlier_files";
    let Some(strace) = strace(&sandbox, test) else { return };
    let names = ["f", "d/g", "d/sub/h"];
    for name in names {
        sandbox.file(name, format!("new {name}"));
    }
    sandbox.oras(&["push", "--oci-layout", "layout:v1", "f", "d"]);
    for fault in [
        "renameat:error=EROFS",
        "linkat:error=EIO",
        "unlinkat:error=EIO",
        "mkdirat:error=ENOSPC",
        "utimensat:error=EIO",
    ] {
        for first in 1..=8 {
            drop(std::fs::remove_dir_all(sandbox.path("out")));
            for name in names {
                sandbox.file(&format!("out/{name}"), format!("old {name}"));
            }
            let fault = format!("{fault}:when={first}+");
            let words = ["pull", "--oci-layout", "layout:v1", "-o", "out"];
            let (output, trace) = traced(&sandbox, &strace, &[&fault], &words).unwrap();
            if !trace.contains("INJECTED") {
                break;
            }
            let told = texts(&output).1;
            let found = snapshot(&sandbox.path("out"));
            for name in names {
                if output.status.success() {
                    assert!(holders(&found, &format!("new {name}")).contains(&name), "{fault}: {found:?}");
                    continue;
                }
                assert_kept_or_named(&found, &told, name, &format!("old {name}"), &fault);
            }
        }
    }
}

#[test]
fn exhausted_descriptors_are_not_reported_as_not_found() {
    let sandbox = Sandbox::new();
    sandbox.file("f", "content\n");
    sandbox.file("d/g", "more\n");
    sandbox.oras(&["push", "--oci-layout", "from:v1", "f", "d"]);
    sandbox.oras(&["cp", "--from-oci-layout", "from:v1", "--to-oci-layout", "to:v1"]);
    let mut failed = 0;
    for limit in 4..=24 {
        let pulled = format!("out{limit}");
        let lines: [&[&str]; 3] = [
            &["cp", "--from-oci-layout", "from:v1", "--to-oci-layout", "to:v2"],
            &["pull", "--oci-layout", "from:v1", "-o", &pulled],
            &["push", "--oci-layout", "to:v3", "f", "d"],
        ];
        for line in lines {
            let script = format!("ulimit -n {limit}; exec \"$0\" \"$@\"");
            let mut command = sandbox.command(Path::new("/bin/sh"), &["-c", &script]);
            let output = command.arg(ours()).args(line).output().unwrap();
            let told = texts(&output).1;
            if output.status.success() {
                continue;
            }
            failed += 1;
            let is_told = ["Too many open files", "cannot open shared object", "failed to start"];
            assert!(is_told.iter().any(|why| told.contains(why)), "{limit} {line:?}: {told}");
        }
        if sandbox.path(&pulled).join("f").exists() {
            assert_eq!(std::fs::read(sandbox.path(&pulled).join("d/g")).unwrap(), b"more\n", "{limit}");
        }
    }
    assert!(failed > 0);
    sandbox.oras(&["pull", "--oci-layout", "to:v1", "-o", "last"]);
}

#[test]
fn rejects_malformed_references_before_any_request() {
    let server = Scripted::start(|_: &Asked| Reply::new(500));
    let sandbox = Sandbox::new();
    sandbox.file("hi.txt", "{}");
    sandbox.oras(&["push", "--oci-layout", "L:v1", "hi.txt"]);
    let host = server.host();
    for name in ["a:a:b", "A:v1", "a:v1,bad:tag", "a:v1,.x", "a@sha256:0", "a//b:v1"] {
        let reference = format!("{host}/{name}");
        let right = format!("{host}/a:v1");
        for command in [
            "push {} hi.txt",
            "attach --artifact-type a/b {} hi.txt",
            "cp --from-oci-layout L:v1 {}",
            "manifest push {} hi.txt",
            "manifest index create {} v1",
            "restore --input L {}",
            "backup --output bundle {}",
            "pull {}",
            "resolve {}",
            "discover {}",
            "manifest fetch {}",
            "manifest delete -f {}",
            "untag {}",
        ] {
            let command = command.replace("{}", &reference);
            sandbox.fails(&command.split(' ').collect::<Vec<_>>());
            assert!(server.lines().is_empty(), "{command}: {:?}", server.lines());
        }
        sandbox.fails(&["tag", &right, name.split_once(':').map_or(name, |(_, tag)| tag), "x:y"]);
    }
    assert!(server.lines().is_empty(), "{:?}", server.lines());
}
