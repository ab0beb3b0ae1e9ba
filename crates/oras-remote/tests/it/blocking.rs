//! The repository without async code.

use oras_remote::blocking::Repository;
use oras_spec::MediaType;
use oras_store::ErrorKind;
use oras_testkit::registry::Process;

use crate::{manifest, options};

#[test]
fn pushes_and_reads_without_async_code() {
    let registry = Process::ours(&[]);
    let name = format!("{}/a", registry.host());
    let repository = Repository::open(options(), &name).unwrap();
    assert_eq!(repository.tags().unwrap_err().kind(), ErrorKind::NotFound);
    let empty = repository.push_blob(MediaType::EMPTY_JSON, "{}").unwrap();
    assert_eq!(repository.blob(&empty).unwrap(), "{}");
    let content = manifest("one", None);
    let bytes = content.in_memory().unwrap().clone();
    let pushed = repository.push_manifest(MediaType::IMAGE_MANIFEST, bytes.clone(), Some("v1")).unwrap();
    assert_eq!((&pushed, repository.tags().unwrap()), (content.descriptor(), vec!["v1".to_owned()]));
    // Clones work on several threads, and a sibling shares the runtime.
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let clone = repository.clone();
            let digest = pushed.digest.to_string();
            let bytes = &bytes;
            scope.spawn(move || assert_eq!(clone.manifest(&digest).unwrap().bytes(), bytes));
        }
    });
    let sibling = repository.sibling(&name).unwrap();
    drop(repository);
    assert_eq!(sibling.resolve("v1").unwrap(), pushed);
    assert_eq!(sibling.resolve("v2").unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn blocking_calls_fail_in_a_runtime() {
    let repository = Repository::open(options(), "localhost:1/a").unwrap();
    let error = repository.tags().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    // The drop must not panic either.
    drop(repository);
}

#[test]
fn blocking_calls_work_under_another_executor() {
    let repository = Repository::open(options(), "localhost:1/a").unwrap();
    let error = futures_executor::block_on(async { repository.tags() }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
}
