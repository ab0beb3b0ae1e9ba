//! Referrers are found by their subject.

use oras_spec::{Descriptor, ImageIndex, MediaType};
use oras_store::{Content, PushMode};

use super::Fresh;
use crate::nodes::{index, manifest, push_all, referrer};

const SIGNATURE: &str = "application/vnd.test.signature";
const SBOM: &str = "application/vnd.test.sbom";

async fn predecessors(store: &Fresh, node: &Content, artifact_type: Option<&str>) -> Vec<Descriptor> {
    let artifact_type = artifact_type.map(MediaType::new);
    let mut found = store
        .predecessors(node.descriptor(), artifact_type.as_ref())
        .await
        .unwrap_or_else(|error| panic!("predecessors: {error:?}"));
    found.sort_by_key(|descriptor| descriptor.digest.clone());
    found
}

/// Returns the expected descriptor of a referrer: plain, with the artifact type and the manifest's annotations.
fn described(node: &Content, artifact_type: &str, name: &str) -> Descriptor {
    let mut descriptor = node.descriptor().plain();
    descriptor.artifact_type = Some(MediaType::new(artifact_type));
    descriptor.annotations.insert("name".into(), name.into());
    descriptor
}

fn sorted(mut descriptors: Vec<Descriptor>) -> Vec<Descriptor> {
    descriptors.sort_by_key(|descriptor| descriptor.digest.clone());
    descriptors
}

pub(super) async fn found_by_subject(store: &Fresh) {
    let subject = manifest("subject", &[]);
    assert!(predecessors(store, &subject, None).await.is_empty(), "unknown subject");
    push_all(store.as_ref(), &[&subject]).await;
    assert!(predecessors(store, &subject, None).await.is_empty());
    let signature = referrer("signature", SIGNATURE, &subject);
    let sbom = referrer("sbom", SBOM, &subject);
    store.push(&signature, PushMode::Untagged).await.expect("push");
    assert_eq!(predecessors(store, &subject, None).await, [described(&signature, SIGNATURE, "signature")]);
    store.push(&sbom, PushMode::Untagged).await.expect("push");
    store.push(&sbom, PushMode::Untagged).await.expect("push again");
    store.push(&signature, PushMode::Tagged("signed")).await.expect("tag");

    let both = sorted(vec![described(&signature, SIGNATURE, "signature"), described(&sbom, SBOM, "sbom")]);
    assert_eq!(predecessors(store, &subject, None).await, both);
    assert_eq!(predecessors(store, &subject, Some(SBOM)).await, [described(&sbom, SBOM, "sbom")]);
    assert!(predecessors(store, &subject, Some("application/vnd.test.other")).await.is_empty());
    assert!(predecessors(store, &sbom, None).await.is_empty());
}

pub(super) async fn chains_and_indexes(store: &Fresh) {
    let subject = manifest("subject", &[]);
    let first = referrer("first", SBOM, &subject);
    let second = referrer("second", SIGNATURE, &first);
    let mut document = ImageIndex::new(vec![subject.descriptor().clone()]);
    document.subject = Some(subject.descriptor().plain());
    document.artifact_type = Some(MediaType::new(SIGNATURE));
    document.annotations.insert("name".into(), "index".into());
    let pointing = Content::of(MediaType::IMAGE_INDEX, document.to_bytes());
    // An index that lists the manifest is not a referrer of it.
    let listing = index(&[&subject]);
    push_all(store.as_ref(), &[&subject, &first, &second, &pointing, &listing]).await;

    let of_subject = sorted(vec![described(&first, SBOM, "first"), described(&pointing, SIGNATURE, "index")]);
    assert_eq!(predecessors(store, &subject, None).await, of_subject);
    assert_eq!(predecessors(store, &first, None).await, [described(&second, SIGNATURE, "second")]);
    assert!(predecessors(store, &second, None).await.is_empty());
}
