//! Hints for OCI image layouts.

use oras::store::Error;
use oras::{LayoutFault, NotTar};

use super::subject::Subject;

/// A path that is not a layout.
pub(super) fn fault(error: &Error, subject: &Subject) -> Option<String> {
    let fault = error.find::<LayoutFault>()?;
    let path = subject.layout.as_deref();
    Some(match fault {
        LayoutFault::Missing => match path {
            Some(path) if looks_like_registry(path) => {
                format!("to reach a registry, leave out {}", subject.flag("oci-layout"))
            }
            _ => "check the path; it is relative to the current directory".to_owned(),
        },
        LayoutFault::NoMarker => {
            let path = path?;
            // A layout without this file is usually a copy that was made by hand.
            if std::path::Path::new(path).join("index.json").is_file() {
                format!(
                    "complete the layout: echo '{{\"imageLayoutVersion\":\"1.0.0\"}}' > {path}/oci-layout"
                )
            } else {
                format!(
                    "{path} is not an OCI image layout; a copy into a layout creates one: oras cp <reference> \
                         --to-oci-layout <path>:<tag>"
                )
            }
        }
        LayoutFault::NoIndex => {
            "the archive is incomplete: create it again, for example by oras backup".to_owned()
        }
        LayoutFault::Version(_) => {
            "oras reads layouts of version 1.0.0: a newer version of oras may read this one".to_owned()
        }
        LayoutFault::NotDirectory => {
            "layouts are written into directories; \"oras backup --output <file>.tar\" writes a tar archive"
                .to_owned()
        }
        _ => return None,
    })
}

/// Returns true if a path begins like a reference to a registry: with a host and a port, or a name with a dot.
fn looks_like_registry(path: &str) -> bool {
    let Some((host, _)) = path.split_once('/') else { return false };
    !host.starts_with('.') && !host.is_empty() && host.contains([':', '.'])
}

/// A file that is not a tar archive.
pub(super) fn not_an_archive(error: &Error, subject: &Subject) -> Option<String> {
    let path = subject.layout.as_deref().unwrap_or("<file>");
    Some(match error.find::<NotTar>()? {
        NotTar::Compressed(tool) => {
            let command = if *tool == "gzip" { "gunzip" } else { tool };
            format!("unpack it first: {command} {}{path}", if *tool == "gzip" { "" } else { "-d " })
        }
        NotTar::Truncated | NotTar::BadHeader => {
            format!(
                "{} takes a directory or an uncompressed tar archive with a layout",
                subject.flag("oci-layout")
            )
        }
    })
}
