//! Docker's configuration: read or refused, never written over unread, no secret in an error.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use oras_remote::{Credential, CredentialStore, DockerConfig};

static DIRECTORY: OnceLock<tempfile::TempDir> = OnceLock::new();

fuzz_target!(|bytes: &[u8]| {
    let directory = DIRECTORY.get_or_init(|| tempfile::tempdir().expect("a directory")).path();
    let path = directory.join("config.json");
    std::fs::write(&path, bytes).expect("the file is written");
    // No helper is ever found there.
    let config = DockerConfig::open(vec![path.clone()]).with_helper_directory(directory.join("none"));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        drop(config.get("localhost:5000", None).await);
        let credential = Credential::Basic { username: "u".to_owned(), password: "p".to_owned().into() };
        if config.put("b", &credential).await.is_err() {
            assert_eq!(std::fs::read(&path).expect("the file is there"), bytes);
        } else {
            assert!(config.get("b", None).await.expect("what was written can be read").is_some());
        }
    });
});
