//! Selects the children of a manifest that a copy transfers.

use oras_spec::{Descriptor, Manifest, MediaKind};

/// Selects the children of each opened manifest. Programs use it to copy only a part of a graph.
///
/// The engine calls this once for each manifest, one manifest at a time, so an implementation can keep state without
/// locks. The order of the children is the order in which a copy with a concurrency of 1 transfers them.
///
/// A function that returns the children to copy is a selection, such as [`all_children`]. A type can also report what
/// it leaves out:
///
/// ```
/// use oras_copy::{CopyOptions, SelectedChildren, Selection, all_children};
/// use oras_spec::Manifest;
///
/// /// Leaves out large content.
/// struct SmallContent;
///
/// impl Selection for SmallContent {
///     fn select(&mut self, manifest: &Manifest) -> SelectedChildren {
///         let (children, left_out) =
///             all_children(manifest).into_iter().partition(|child| child.size < 1 << 20);
///         SelectedChildren { children, left_out }
///     }
/// }
/// let options = CopyOptions::default().selection(SmallContent);
/// # let _ = options;
/// ```
pub trait Selection: Send {
    /// Returns the children of `manifest` to copy, and those to leave out.
    fn select(&mut self, manifest: &Manifest) -> SelectedChildren;
}

/// The children of one manifest, as a [`Selection`] divides them. The copy reports those that it leaves out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SelectedChildren {
    /// The children to copy, in order.
    pub children: Vec<Descriptor>,
    /// Children that the copy leaves out and reports, see [`Event::Opened`](crate::Event::Opened).
    pub left_out: Vec<Descriptor>,
}

impl<F: FnMut(&Manifest) -> Vec<Descriptor> + Send> Selection for F {
    fn select(&mut self, manifest: &Manifest) -> SelectedChildren {
        SelectedChildren { children: self(manifest), left_out: Vec::new() }
    }
}

/// Returns all children: subject, config and layers, without layers that must not be distributed (image-spec, layer.md
/// "Non-Distributable Layers").
pub fn all_children(manifest: &Manifest) -> Vec<Descriptor> {
    distributable(manifest.children())
}

/// Like [`all_children`], without the subject, for a target that has the subject or must not get it.
pub fn without_subject(manifest: &Manifest) -> Vec<Descriptor> {
    let mut children = manifest.children();
    if manifest.subject().is_some() && !children.is_empty() {
        // `Manifest::children` returns the subject first. `distributable` may drop it, so it is removed before.
        children.remove(0);
    }
    distributable(children)
}

fn distributable(mut children: Vec<Descriptor>) -> Vec<Descriptor> {
    children.retain(|child| child.media_type.kind() != MediaKind::Foreign);
    children
}

#[cfg(test)]
mod tests {
    use oras_spec::{ImageManifest, MediaType};

    use super::*;

    #[test]
    fn keeps_the_config_of_a_manifest_with_a_foreign_subject() {
        let node = |media_type: &str, bytes: &[u8]| Descriptor::of(MediaType::new(media_type), bytes);
        let foreign = "application/vnd.oci.image.layer.nondistributable.v1.tar";
        let (config, layer) = (node("test/config", b"{}"), node("test/layer", b"layer"));
        for subject in [None, Some(node("test/subject", b"subject")), Some(node(foreign, b"subject"))] {
            let mut image = ImageManifest::new(config.clone(), vec![layer.clone(), node(foreign, b"far")]);
            image.subject = subject;
            let manifest = Manifest::parse(&MediaType::IMAGE_MANIFEST, image.to_bytes()).unwrap();
            assert_eq!(without_subject(&manifest), [config.clone(), layer.clone()], "{:?}", image.subject);
        }
    }
}
