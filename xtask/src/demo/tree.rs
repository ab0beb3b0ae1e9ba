//! The files that the demo pushes: text, JSON, a directory with a nested one, a script and a link.

use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::Path;

use xtask::files::{files_below, write};
use xtask::process::Result;

/// The pushed entries, which the pull must restore.
pub(super) const TOP_LEVEL: [&str; 4] = ["readme.txt", "assets", "sbom.spdx.json", "sbom.sig"];

const SBOM: &str = r#"{
  "spdxVersion": "SPDX-2.3",
  "dataLicense": "CC0-1.0",
  "SPDXID": "SPDXRef-DOCUMENT",
  "name": "demo-app",
  "documentNamespace": "https://example.com/spdx/demo-app",
  "packages": [
    {"SPDXID": "SPDXRef-app", "name": "app", "versionInfo": "1.0.0", "downloadLocation": "NOASSERTION"}
  ]
}
"#;

/// Creates the files below `dir`. Their modes follow the user's umask, as with a pull.
pub(super) fn create(dir: &Path) -> Result {
    let numbers: String = (0..5000).map(|n| format!("{n},{}\n", n * n)).collect();
    write(&dir.join("readme.txt"), "An artifact is any file, stored beside your images.\n")?;
    write(&dir.join("sbom.spdx.json"), SBOM)?;
    write(&dir.join("sbom.sig"), "a stand-in for the signature of the SBOM\n")?;
    write(&dir.join("assets/config.json"), "{\"level\": \"info\"}\n")?;
    write(&dir.join("assets/data/squares.csv"), numbers)?;
    write(&dir.join("assets/data/deep/empty"), "")?;
    let mut script = std::fs::OpenOptions::new();
    script.write(true).create_new(true).mode(0o777);
    script.open(dir.join("assets/run.sh"))?.write_all(b"#!/bin/sh\necho running\n")?;
    symlink("data/squares.csv", dir.join("assets/latest"))?;
    Ok(())
}

/// Returns a line for each file: mode, size, name, and the target of a link.
pub(super) fn listing(dir: &Path) -> Result<String> {
    let mut lines = String::new();
    for file in files_below(dir)? {
        let metadata = std::fs::symlink_metadata(&file)?;
        let name = file.strip_prefix(dir)?.display().to_string();
        let line = if metadata.is_symlink() {
            format!("link {:>7} {name} -> {}\n", "", std::fs::read_link(&file)?.display())
        } else {
            format!("{:04o} {:>7} {name}\n", metadata.permissions().mode() & 0o7777, metadata.len())
        };
        lines.push_str(&line);
    }
    Ok(lines)
}
