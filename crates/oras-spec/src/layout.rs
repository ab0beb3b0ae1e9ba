//! The two files at the root of an OCI image layout (image-spec, image-layout.md).

use serde::{Deserialize, Serialize};

/// The name of the marker file.
pub const MARKER_FILE: &str = "oci-layout";
/// The name of the index file.
pub const INDEX_FILE: &str = "index.json";
/// The name of the directory of blobs. The path of a blob is `blobs/<algorithm>/<encoded>`.
pub const BLOBS_DIR: &str = "blobs";
/// The only version of the image layout.
pub const VERSION: &str = "1.0.0";

/// The content of the marker file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Marker {
    /// The version of the image layout.
    pub image_layout_version: String,
}

impl Default for Marker {
    fn default() -> Self {
        Self { image_layout_version: VERSION.to_owned() }
    }
}
