//! The two files at the root of an OCI image layout (image-spec, image-layout.md).

use serde::{Deserialize, Serialize};

/// Name of the marker file.
pub const MARKER_FILE: &str = "oci-layout";
/// Name of the index file.
pub const INDEX_FILE: &str = "index.json";
/// Name of the folder of blobs: `blobs/<algorithm>/<encoded>`.
pub const BLOBS_DIR: &str = "blobs";
/// The only version of the layout there is.
pub const VERSION: &str = "1.0.0";

/// Content of the marker file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Marker {
    /// Version of the layout.
    pub image_layout_version: String,
}

impl Default for Marker {
    fn default() -> Self {
        Self { image_layout_version: VERSION.to_owned() }
    }
}
