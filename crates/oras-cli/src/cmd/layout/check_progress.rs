//! Shows the steps of a check like those of a transfer.

use std::collections::BTreeMap;
use std::sync::Arc;

use oras::spec::{Descriptor, Digest, MediaType, annotation};
use oras::store::Pushed;
use oras::{CheckProgress, Event, Listener, Step};

/// Returns a function that forwards the steps of a check to a listener.
pub(super) fn forward(listener: Arc<dyn Listener>) -> impl Fn(CheckProgress<'_>) + Send + Sync + 'static {
    move |step| match step {
        CheckProgress::Planned { blobs, bytes } => {
            let count = usize::try_from(blobs).unwrap_or(usize::MAX);
            listener.step(Step::Files { count, bytes: Some(bytes) });
        }
        CheckProgress::Started(digest, size) => {
            listener.step(Step::Node(Event::Started(&described(digest, size))));
        }
        CheckProgress::Hashed(digest, bytes) => {
            listener.step(Step::Node(Event::Progress(&described(digest, 0), bytes)));
        }
        CheckProgress::Finished(digest, size) => {
            let node = described(digest, size);
            listener.step(Step::Node(Event::Finished {
                node: &node,
                outcome: Pushed::Copied,
                children: &[],
            }));
        }
        _ => {}
    }
}

/// Describes a blob whose row shows its digest.
fn described(digest: &Digest, size: u64) -> Descriptor {
    let title = (annotation::TITLE.to_owned(), digest.to_string());
    let node = Descriptor::new(MediaType::OCTET_STREAM, digest.clone(), size);
    Descriptor { annotations: BTreeMap::from([title]), ..node }
}
