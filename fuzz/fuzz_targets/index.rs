//! Indexes: one that is edited stays one, with the same children.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oras_spec::{IndexDocument, Manifest, MediaType, json};

fuzz_target!(|bytes: &[u8]| {
    drop(json::indent(bytes));
    for media_type in [MediaType::IMAGE_INDEX, MediaType::DOCKER_MANIFEST_LIST] {
        let Ok(manifest) = Manifest::parse(&media_type, bytes.to_vec().into()) else { continue };
        let Ok(Some(mut document)) = IndexDocument::of(&manifest) else { continue };
        document.annotate("k".to_owned(), "v".to_owned());
        let again = Manifest::parse(&media_type, document.to_bytes().into()).expect("it stays an index");
        assert_eq!(again.children(), manifest.children());
    }
});
