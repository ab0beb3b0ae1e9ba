//! Documents above the size limit of readers are not written.

use oras_testkit::files::write_file;
use oras_testkit::registry::Process;

use crate::sandbox::{Sandbox, ours, texts};

#[test]
fn does_not_write_index_above_size_limit() {
    let (registry, sandbox) = (Process::ours(&[]), Sandbox::new());
    sandbox.file("hi.txt", "hello world\n");
    let source = format!("{}/a:v1", registry.host());
    sandbox.oras(&["push", &source, "hi.txt"]);
    sandbox.oras(&["cp", &source, "--to-oci-layout", "layout:v1"]);
    // An entry has more than 150 bytes, and an index at most 4 MiB.
    let many = vec!["v1"; 30_000];
    let mut words = vec!["manifest", "index", "create", "--oci-layout", "layout:all"];
    words.extend(&many);
    let (_, err) = texts(&sandbox.run(&ours(), &words));
    assert!(err.contains("at most 4194304 are read"), "{err}");
    sandbox.oras(&["manifest", "index", "create", "--oci-layout", "layout:few", "v1"]);
    let mut words = vec!["manifest", "index", "update", "--oci-layout", "layout:few"];
    words.extend(many.iter().flat_map(|name| ["--add", *name]));
    let before = sandbox.oras(&["manifest", "fetch", "--oci-layout", "layout:few"]);
    let (_, err) = texts(&sandbox.run(&ours(), &words));
    assert!(err.contains("at most 4194304 are read"), "{err}");
    assert_eq!(sandbox.oras(&["manifest", "fetch", "--oci-layout", "layout:few"]), before);
    assert_eq!(sandbox.oras(&["repo", "tags", "--oci-layout", "layout"]), "few\nv1\n");
}

#[test]
fn login_respects_size_limit_of_credentials_file() {
    let (registry, sandbox) = (Process::ours(&[]), Sandbox::new());
    let (config, host) = (sandbox.path("config.json"), registry.host());
    // Readers accept up to 16 MiB. The entry of the command exceeds this limit.
    let text = format!(r#"{{"auths":{{}},"unknown":"{}"}}"#, "x".repeat((16 << 20) - 60));
    write_file(&config, &text);
    let path = config.to_str().unwrap();
    let words = ["login", "-u", "me", "-p", "secret", "--registry-config", path, &host];
    let output = sandbox.run(&ours(), &words);
    let (_, err) = texts(&output);
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(err.contains("at most 16777216 are read"), "{err}");
    assert!(std::fs::read_to_string(&config).unwrap() == text, "the file changed");
}
