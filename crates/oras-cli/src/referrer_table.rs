//! The deprecated table of `discover --format table`.

use oras::Referrer;
use oras::spec::{Descriptor, json};

/// Draws the direct referrers of `root`. `raw` is the reference that the user typed. With `details`, the descriptor of
/// each referrer follows its row.
pub(crate) fn draw(raw: &str, root: &Referrer, details: bool) -> Vec<u8> {
    let found = root.referrers.len();
    let noun = if found == 1 { "artifact" } else { "artifacts" };
    let mut text =
        format!("Discovered {found} {noun} referencing {raw}\nDigest: {}\n", root.descriptor.digest)
            .into_bytes();
    if found == 0 {
        return text;
    }
    let title = "Artifact Type";
    let width = root.referrers.iter().map(|node| type_of(&node.descriptor).len()).max().unwrap_or(0);
    let width = width.max(title.len());
    let row = |left: &str, right: &str| {
        format!("{left} {:pad$} {right}\n", "", pad = width - left.len() + 1).into_bytes()
    };
    text.push(b'\n');
    text.extend(row(title, "Digest"));
    for node in root.referrers.iter().map(|node| &node.descriptor) {
        text.extend(row(type_of(node), &node.digest.to_string()));
        if details {
            text.extend(json::to_vec_pretty(node));
            text.push(b'\n');
        }
    }
    text
}

fn type_of(node: &Descriptor) -> &str {
    node.artifact_type.as_ref().map_or("", |text| text.as_str())
}
