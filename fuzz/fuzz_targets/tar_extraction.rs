//! Archives that are unpacked by a pull: nothing is written outside the output directory.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oras_files::{FileTarget, PullOptions, UnpackLimits};
use oras_spec::{Descriptor, MediaType, annotation};
use oras_store::{Content, PushMode, Target};

fuzz_target!(|bytes: &[u8]| {
    let root = tempfile::tempdir().expect("a directory");
    let output = root.path().join("out");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let unpack = UnpackLimits::default().size(1 << 20);
    let options = PullOptions::default().unpack(unpack);
    let mut descriptor = Descriptor::of(MediaType::LAYER_TAR, bytes);
    descriptor.annotations.insert(annotation::TITLE.to_owned(), "directory".to_owned());
    descriptor.annotations.insert(annotation::UNPACK.to_owned(), "true".to_owned());
    let Ok(content) = Content::from_bytes(descriptor, bytes.to_vec()) else { return };
    runtime.block_on(async {
        let target = FileTarget::new(output.clone(), options);
        if target.push(&content, PushMode::Untagged).await.is_ok() {
            drop(target.commit().await);
        }
    });
    let names = std::fs::read_dir(root.path()).expect("it is there").flatten().map(|entry| entry.file_name());
    assert!(names.into_iter().all(|name| name == "out"));
});
