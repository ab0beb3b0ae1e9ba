//! A file or directory of an artifact, as a command line gives it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use oras_spec::MediaType;

/// A file or a directory to pack. Use it if the title of the layer differs from the path, or if the layer has
/// annotations.
///
/// ```
/// use oras::{Artifact, FileArgument};
///
/// let mut file = FileArgument::new("model.bin", "/var/lib/example/model-7.bin");
/// file.annotations.insert("org.opencontainers.image.version".into(), "7".into());
/// let artifact = Artifact::new("application/vnd.me.model").file_argument(file);
/// # let _ = artifact;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileArgument {
    /// The title of the layer. A pull writes the file to this path.
    pub title: String,
    /// The path of the file or directory.
    pub path: PathBuf,
    /// The media type of the layer. `None` means the default for a file or a directory.
    pub media_type: Option<MediaType>,
    /// Further annotations of the layer.
    pub annotations: BTreeMap<String, String>,
}

impl FileArgument {
    /// Returns an argument for the file or directory at `path`, with the default media type.
    pub fn new(title: impl Into<String>, path: impl AsRef<Path>) -> Self {
        Self { title: title.into(), path: path.as_ref().to_owned(), ..Self::default() }
    }
}
