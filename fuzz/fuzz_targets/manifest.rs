//! Manifests of every media type: the bytes stay unchanged, and a manifest that is serialized again is parsed
//! to the same value.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oras_spec::{ImageManifest, Manifest, MediaType, View};

fuzz_target!(|bytes: &[u8]| {
    for media_type in [MediaType::IMAGE_MANIFEST, MediaType::DOCKER_MANIFEST, MediaType::ARTIFACT_MANIFEST] {
        let Ok(manifest) = Manifest::parse(&media_type, bytes.to_vec().into()) else { continue };
        assert_eq!(manifest.bytes(), bytes);
        assert!(manifest.children().len() <= bytes.len());
        if let View::Image(view) = manifest.view() {
            let again: ImageManifest = serde_json::from_slice(&view.to_bytes()).expect("it is read again");
            assert_eq!(**view, again);
        }
    }
});
