//! Writes files of tests.

use std::fs::File;
use std::io::Write;
use std::path::Path;

/// Writes a file and the directories above it.
///
/// # Panics
/// Panics if the file cannot be written.
pub fn write_file(path: &Path, bytes: impl AsRef<[u8]>) {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).expect("a directory can be created");
    }
    let written = File::create(path).and_then(|mut file| file.write_all(bytes.as_ref()));
    written.expect("a file can be written");
}
