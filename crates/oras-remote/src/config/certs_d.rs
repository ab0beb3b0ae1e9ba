//! Certificates by registry, in the directory layout of Docker and the containers tools: `certs.d/host:port` with
//! authorities (`*.crt`) and a client certificate with its key (`*.cert`, `*.key`).

use std::io;
use std::path::{Path, PathBuf};

use oras_store::{Error, ErrorKind, Result};

use crate::connection::root_certificates::ClientCertificate;

/// The certificates of one registry.
#[derive(Debug, Default)]
pub(crate) struct Certificates {
    /// PEM files of authorities that are trusted in addition to the system's.
    pub(crate) authorities: Vec<PathBuf>,
    /// The client certificate. Of several certificates, the first by name.
    pub(crate) client: Option<ClientCertificate>,
}

/// Returns the first existing directory for the registry `server`, which is a host with an optional port.
pub(crate) fn directory(directories: &[PathBuf], server: &str) -> Option<PathBuf> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.:[]".contains(c);
    // The server becomes a path component. A name such as `..` or `a/b` would leave the directory.
    if server.is_empty() || server.starts_with('.') || !server.chars().all(is_name) {
        return None;
    }
    directories.iter().map(|directory| directory.join(server)).find(|directory| directory.is_dir())
}

/// Reads the certificates in `directory`. Skips files without read permission, which are meant for another user.
///
/// # Errors
/// `InvalidInput` for a client certificate without its key.
pub(crate) fn read(directory: &Path) -> Result<Certificates> {
    let mut files: Vec<PathBuf> = match std::fs::read_dir(directory) {
        Ok(entries) => entries.filter_map(|entry| Some(entry.ok()?.path())).collect(),
        // A directory that can't be listed is skipped like an unreadable file: it is meant for another user.
        Err(_) => return Ok(Certificates::default()),
    };
    // `read_dir` has no defined order. Sorting makes the choice of the client certificate repeatable.
    files.sort();
    let with = |extension: &str| {
        let has = move |path: &&PathBuf| path.extension().is_some_and(|found| found == extension);
        files.iter().filter(has).filter(|path| is_permitted(path)).cloned().collect::<Vec<_>>()
    };
    let authorities = with("crt");
    let Some(certificate) = with("cert").into_iter().next() else {
        return Ok(Certificates { authorities, client: None });
    };
    let key = certificate.with_extension("key");
    if !key.exists() {
        let message = format!("{} has no key beside it: {} is missing", certificate.display(), key.display());
        return Err(Error::new(ErrorKind::InvalidInput, message));
    }
    // A certificate whose key belongs to another user is skipped, as the certificate itself would be.
    let client = is_permitted(&key).then(|| ClientCertificate::new(certificate, key));
    Ok(Certificates { authorities, client })
}

/// Returns true if the user may read a file. Other faults are reported when the file is parsed.
fn is_permitted(path: &Path) -> bool {
    let closed =
        std::fs::File::open(path).is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied);
    if closed {
        tracing::debug!(path = %path.display(), "skipping a certificate without read permission");
    }
    !closed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn searches_directories_in_order() {
        let root = tempfile::tempdir().unwrap();
        let [first, second] = ["first", "second"].map(|name| root.path().join(name));
        for made in ["first/b.test", "second/a.test:5000", "second/b.test"] {
            std::fs::create_dir_all(root.path().join(made)).unwrap();
        }
        let all = [first.clone(), root.path().join("missing"), second.clone()];
        assert_eq!(directory(&all, "a.test:5000"), Some(second.join("a.test:5000")));
        assert_eq!(directory(&all, "b.test"), Some(first.join("b.test")));
        for none in ["a.test", "b.test:80", "..", ".", "", "../second", "b.test/../b.test"] {
            assert_eq!(directory(&all, none), None, "{none}");
        }
    }

    #[test]
    fn sorts_files_by_extension() {
        let root = tempfile::tempdir().unwrap();
        let put = |name: &str| drop(std::fs::File::create(root.path().join(name)).unwrap());
        ["z.crt", "a.crt", "b.cert", "b.key", "readme.txt"].into_iter().for_each(put);
        let found = read(root.path()).unwrap();
        assert_eq!(found.authorities, ["a.crt", "z.crt"].map(|name| root.path().join(name)));
        let [certificate, key] = ["b.cert", "b.key"].map(|name| root.path().join(name));
        assert_eq!(found.client, Some(ClientCertificate::new(certificate, key)));
        put("a.cert");
        let error = read(root.path()).unwrap_err();
        assert!(error.chain().contains("has no key beside it"), "{error:?}");
        assert!(read(&root.path().join("missing")).unwrap().authorities.is_empty());
    }
}
