//! The annotation that marks a layer as a packed directory.

use oras_spec::{Descriptor, annotation};

/// Returns true if the layer is a packed directory, which a pull unpacks.
pub(crate) fn is_packed_directory(layer: &Descriptor) -> bool {
    layer.annotations.get(annotation::UNPACK).is_some_and(|unpack| unpack == "true")
}
