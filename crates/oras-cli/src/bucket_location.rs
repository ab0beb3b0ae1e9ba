//! The URL of a repository in an object store, in place of the path of a layout.

use std::sync::Arc;

use oras::spec::Digest;
use oras::store::{Result, Store};

/// Returns true if the path of a layout is the URL of a repository in an object store.
pub(crate) fn is_bucket(path: &str) -> bool {
    ["s3://", "gs://", "az://"].iter().any(|scheme| path.starts_with(scheme))
}

/// Splits `URL:tag` or `URL@digest`. The reference is empty if there is none.
pub(crate) fn split(raw: &str) -> (String, String) {
    // The URL of a container of Azure may contain an account after `@`.
    let at_digest = raw.rsplit_once('@').filter(|(_, digest)| digest.parse::<Digest>().is_ok());
    // The colon of the scheme is before the last slash.
    let at_tag = || raw.rsplit_once(':').filter(|(_, tag)| !tag.contains('/'));
    let (url, reference) = at_digest.or_else(at_tag).unwrap_or((raw, ""));
    (url.to_owned(), reference.to_owned())
}

/// Opens the repository at a URL, with the settings of the environment. Sends no request.
#[cfg(feature = "bucket")]
pub(crate) fn open(url: &str) -> Result<Arc<dyn Store>> {
    use crate::env;
    use oras::{Bucket, BucketOptions, CloudOptions};

    // Other tools read the index, and a command writes few tags.
    let options = CloudOptions::new()
        .settings(env::cloud_settings())
        .ca_files(env::cloud_authorities().into_iter().collect())
        .bucket(BucketOptions::new().keep_index(true));
    Ok(Arc::new(Bucket::open(url, &options)?))
}

/// Returns the error of a build without object stores.
#[cfg(not(feature = "bucket"))]
pub(crate) fn open(url: &str) -> Result<Arc<dyn Store>> {
    use oras::store::{Error, ErrorKind};

    let message = format!("failed to open {url}: this oras was built without the feature \"bucket\"");
    Err(Error::new(ErrorKind::Unsupported, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_urls_at_tag_or_digest() {
        let digest = Digest::sha256(b"").to_string();
        for (raw, url, reference) in [
            ("s3://mirror/a/b:v1", "s3://mirror/a/b", "v1"),
            ("s3://mirror/a/b", "s3://mirror/a/b", ""),
            ("s3://mirror:v1", "s3://mirror", "v1"),
            ("az://a@b.example.com/c:v1", "az://a@b.example.com/c", "v1"),
            ("az://a@b.example.com/c", "az://a@b.example.com/c", ""),
            (&format!("gs://mirror/a@{digest}"), "gs://mirror/a", &digest),
        ] {
            assert_eq!(split(raw), (url.to_owned(), reference.to_owned()), "{raw}");
        }
        assert!(!is_bucket("registry.example.com/a:v1") && !is_bucket("./s3:v1"));
    }
}
