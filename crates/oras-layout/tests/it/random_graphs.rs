//! Garbage collection on random graphs, with cycles and content that lies about itself: it always ends, removes no
//! reachable blob, and removes every unreachable one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use oras_layout::{GarbageOptions, LayoutUsage};
use oras_spec::{Descriptor, Digest, ImageIndex, ImageManifest, MediaType, annotation};
use oras_testkit::random::Random;
use oras_testkit::repetitions::repetitions;

use crate::blob_path;
use crate::check::overwrite;
use crate::garbage_collection::{age, fresh};

const HOUR: Duration = Duration::from_secs(3600);

/// A node of a graph. Later nodes may name earlier ones, and any node may name digests that do not exist.
struct Node {
    descriptor: Descriptor,
    children: Vec<usize>,
    subject: Option<usize>,
}

fn random_graph(random: &mut Random) -> (Vec<Node>, Vec<Vec<u8>>) {
    let (mut nodes, mut bytes) = (Vec::<Node>::new(), Vec::new());
    for number in 0..random.below(40) + 1 {
        let earlier = |random: &mut Random| (number > 0).then(|| random.below(number));
        let mut children: Vec<_> = (0..random.below(4)).filter_map(|_| earlier(random)).collect();
        let subject = if random.below(3) == 0 { earlier(random) } else { None };
        let of = |id: usize| nodes[id].descriptor.clone();
        let absent = Descriptor::of(MediaType::IMAGE_MANIFEST, format!("absent {number}").as_bytes());
        let (media_type, text) = match random.below(3) {
            0 => {
                children.clear();
                (MediaType::OCTET_STREAM, format!("blob {number}").into_bytes())
            }
            1 => {
                let mut manifest =
                    ImageManifest::new(Descriptor::empty_json(), children.iter().map(|id| of(*id)).collect());
                manifest.subject = subject.map(of);
                manifest.annotations.insert("n".into(), number.to_string());
                (MediaType::IMAGE_MANIFEST, manifest.to_bytes().into())
            }
            _ => {
                let mut listed: Vec<_> = children.iter().map(|id| of(*id)).collect();
                listed.extend((random.below(5) == 0).then_some(absent));
                let mut index = ImageIndex::new(listed);
                index.subject = subject.map(of);
                index.annotations.insert("n".into(), number.to_string());
                (MediaType::IMAGE_INDEX, index.to_bytes().into())
            }
        };
        let subject = subject.filter(|_| media_type.is_manifest());
        nodes.push(Node { descriptor: Descriptor::of(media_type, &text), children, subject });
        bytes.push(text);
    }
    (nodes, bytes)
}

/// Returns what must stay: everything that the entries reach, and what refers to it if it has an entry.
fn reachable(nodes: &[Node], tagged: &[usize], listed: &[usize], untagged: bool) -> BTreeSet<usize> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<usize> = tagged.to_vec();
    if !untagged {
        next.extend(listed);
    }
    loop {
        while let Some(id) = next.pop() {
            if reached.insert(id) {
                next.extend(nodes[id].children.iter().chain(&nodes[id].subject));
            }
        }
        let refers = |id: &&usize| {
            !reached.contains(*id) && nodes[**id].subject.is_some_and(|subject| reached.contains(&subject))
        };
        next.extend(listed.iter().filter(refers));
        if next.is_empty() {
            return reached;
        }
    }
}

#[tokio::test]
async fn collection_keeps_exactly_what_is_reachable() {
    let mut random = Random(20);
    for round in 0..repetitions(60) {
        let (nodes, bytes) = random_graph(&mut random);
        let place = tempfile::tempdir().unwrap();
        let layout = fresh(&place).await;
        let root = layout.path();
        for (node, text) in nodes.iter().zip(&bytes) {
            overwrite(&blob_path(root, &node.descriptor.digest), text);
        }
        let is_manifest = |id: &usize| nodes[*id].descriptor.media_type.is_manifest();
        let manifests: Vec<_> = (0..nodes.len()).filter(is_manifest).collect();
        let (mut tagged, mut listed) = (Vec::new(), Vec::new());
        let mut entries = Vec::new();
        for id in manifests {
            let mut entry = nodes[id].descriptor.clone();
            match random.below(4) {
                0 => {
                    tagged.push(id);
                    let tag = (annotation::REF_NAME.to_owned(), format!("t{id}"));
                    entry.annotations = BTreeMap::from([tag]);
                }
                1 => listed.push(id),
                _ => continue,
            }
            entries.push(entry);
        }
        overwrite(&root.join("index.json"), &ImageIndex::new(entries).to_bytes());
        overwrite(&root.join("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#);
        age(root);
        let untagged = random.below(2) == 0;
        let with_quarantine = random.below(2) == 0;
        let options = GarbageOptions::after(HOUR).untagged(untagged).quarantine(with_quarantine);
        let dry = layout.collect_garbage(options.clone().dry_run(true)).await.unwrap();
        let collected = layout.collect_garbage(options).await.unwrap();
        assert_eq!(dry, collected, "{round}");
        let expected: BTreeSet<Digest> = reachable(&nodes, &tagged, &listed, untagged)
            .into_iter()
            .map(|id| nodes[id].descriptor.digest.clone())
            .collect();
        let stored: BTreeSet<Digest> = nodes
            .iter()
            .map(|node| node.descriptor.digest.clone())
            .filter(|digest| blob_path(root, digest).exists())
            .collect();
        assert_eq!(stored, expected, "round {round}, untagged {untagged}");
        let usage = LayoutUsage::measure(root).await.unwrap();
        assert_eq!(usage.unreachable.blobs, 0, "{round}");
    }
}
