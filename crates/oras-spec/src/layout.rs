//! The two files at the root of an OCI image layout (image-spec, image-layout.md).
//!
//! Use these names to read or write a layout directly. The crate `oras-layout` has layouts as stores.
//!
//! ```
//! use oras_spec::layout::{MARKER_FILE, Marker};
//! use oras_spec::json;
//!
//! assert_eq!(MARKER_FILE, "oci-layout");
//! assert_eq!(json::to_vec(&Marker::default()), br#"{"imageLayoutVersion":"1.0.0"}"#);
//! ```

use serde::{Deserialize, Serialize};

/// The name of the marker file.
pub const MARKER_FILE: &str = "oci-layout";
/// The name of the index file.
pub const INDEX_FILE: &str = "index.json";
/// The name of the directory of blobs. The path of a blob is `blobs/<algorithm>/<encoded>`.
pub const BLOBS_DIR: &str = "blobs";
/// The only version of the image layout.
pub const VERSION: &str = "1.0.0";

/// The content of the marker file. A directory is an image layout only if it has this file.
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
