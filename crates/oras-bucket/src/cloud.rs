//! Repositories in the object stores of clouds, by URL.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::{BackoffConfig, ClientOptions, ObjectStoreScheme, RetryConfig};
use oras_store::{Error, ErrorKind, Result};
use url::Url;

use crate::http_client::{CONNECT_TIMEOUT, Connector};
use crate::{Bucket, BucketOptions};

/// How [`Bucket::open`] connects to the object store of a cloud. The crate reads no environment variables itself: a
/// program passes them as `settings`.
///
/// ```no_run
/// use oras_bucket::{Bucket, CloudOptions};
///
/// # fn main() -> oras_bucket::store::Result<()> {
/// let settings = [("AWS_REGION", "eu-central-1"), ("AWS_ACCESS_KEY_ID", "…"), ("AWS_SECRET_ACCESS_KEY", "…")];
/// let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
/// let bucket = Bucket::open("s3://mirror/team/app", &CloudOptions::new().settings(settings.into()))?;
/// # Ok(()) }
/// ```
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct CloudOptions {
    /// Names and values of settings: region, endpoint, credentials. The names are those of the environment variables
    /// that `object_store` documents for its builders: `AWS_…` for `s3://`, `GOOGLE_…` for `gs://`, `AZURE_…` for
    /// `az://`. Unknown names and those of other clouds are ignored. Without credentials, the builders look for those
    /// of the machine: a web identity, a container's or an instance's role.
    pub settings: Vec<(String, String)>,
    /// PEM files of authorities that are trusted in addition to those of the system.
    pub ca_files: Vec<PathBuf>,
    /// How the repository is written.
    pub bucket: BucketOptions,
}

impl CloudOptions {
    /// Makes options without settings.
    pub fn new() -> Self {
        Self::default()
    }

    oras_store::setters! {
        settings: Vec<(String, String)>;
        ca_files: Vec<PathBuf>;
        bucket: BucketOptions;
    }
}

impl std::fmt::Debug for CloudOptions {
    /// Hides the values of settings, which may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.settings.iter().map(|(name, _)| name).collect();
        f.debug_struct("CloudOptions")
            .field("settings", &names)
            .field("ca_files", &self.ca_files)
            .field("bucket", &self.bucket)
            .finish()
    }
}

impl Bucket {
    /// Returns true if `text` begins like a URL that [`Bucket::open`] accepts.
    ///
    /// # Examples
    /// ```
    /// use oras_bucket::Bucket;
    ///
    /// assert!(Bucket::is_url("s3://mirror/team/app"));
    /// assert!(!Bucket::is_url("registry.example.com/team/app"));
    /// ```
    pub fn is_url(text: &str) -> bool {
        ["s3://", "gs://", "az://"].iter().any(|scheme| text.starts_with(scheme))
    }

    /// Opens the repository at a URL: `s3://<bucket>/<prefix>` (S3 and compatible stores), `gs://<bucket>/<prefix>`
    /// (Google Cloud Storage) or `az://<container>/<prefix>` (Azure Blob Storage). Sends no request.
    ///
    /// # Errors
    /// `InvalidInput` for another URL, and for settings that are malformed or incomplete.
    pub fn open(url: &str, options: &CloudOptions) -> Result<Self> {
        let invalid = |why: String| Error::new(ErrorKind::InvalidInput, format!("invalid URL {url}: {why}"));
        if !Self::is_url(url) {
            return Err(invalid("it must begin with s3://, gs:// or az://".to_owned()));
        }
        let parsed: Url = url.parse().map_err(|error: url::ParseError| invalid(error.to_string()))?;
        let (scheme, prefix) =
            ObjectStoreScheme::parse(&parsed).map_err(|error| invalid(error.to_string()))?;
        let store = connect(&parsed, &scheme, options).map_err(|error| {
            Error::new(ErrorKind::InvalidInput, format!("failed to open {url}")).with_source(error)
        })?;
        let name = url.trim_end_matches('/').to_owned();
        Ok(Self::named(store, prefix.as_ref(), options.bucket.clone(), name))
    }
}

fn connect(
    url: &Url,
    scheme: &ObjectStoreScheme,
    options: &CloudOptions,
) -> object_store::Result<Arc<dyn ObjectStore>> {
    // The prefix is part of the keys. The builders reject some of its characters.
    let root = match url.host_str() {
        Some(host) => format!("{}://{host}", url.scheme()),
        None => url.to_string(),
    };
    let connector = || Connector::new(options.ca_files.clone());
    Ok(match scheme {
        ObjectStoreScheme::GoogleCloudStorage => {
            let builder = GoogleCloudStorageBuilder::new().with_url(root).with_retry(retries());
            let builder =
                builder.with_client_options(client_options(options)).with_http_connector(connector());
            Arc::new(configured(builder, options, GoogleCloudStorageBuilder::with_config).build()?)
        }
        ObjectStoreScheme::MicrosoftAzure => {
            let builder = MicrosoftAzureBuilder::new().with_url(root).with_retry(retries());
            let builder =
                builder.with_client_options(client_options(options)).with_http_connector(connector());
            Arc::new(configured(builder, options, MicrosoftAzureBuilder::with_config).build()?)
        }
        _ => {
            let builder = AmazonS3Builder::new().with_url(root).with_retry(retries());
            let builder =
                builder.with_client_options(client_options(options)).with_http_connector(connector());
            Arc::new(configured(builder, options, AmazonS3Builder::with_config).build()?)
        }
    })
}

/// Passes the settings that a builder knows to it.
fn configured<B, K: FromStr>(builder: B, options: &CloudOptions, set: impl Fn(B, K, String) -> B) -> B {
    options.settings.iter().fold(builder, |builder, (name, value)| match name.to_ascii_lowercase().parse() {
        Ok(key) => set(builder, key, value.clone()),
        Err(_) => builder,
    })
}

/// Plain HTTP is used only for an endpoint whose URL says so.
fn client_options(options: &CloudOptions) -> ClientOptions {
    let is_plain = |(name, value): &(String, String)| {
        name.to_ascii_uppercase().contains("ENDPOINT") && value.starts_with("http://")
    };
    ClientOptions::new()
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_allow_http(options.settings.iter().any(is_plain))
}

/// The default of `object_store` retries for three minutes, which is too long for a wrong address.
fn retries() -> RetryConfig {
    let backoff = BackoffConfig {
        init_backoff: Duration::from_millis(100),
        max_backoff: Duration::from_secs(5),
        base: 2.0,
    };
    RetryConfig { backoff, max_retries: 6, retry_timeout: Duration::from_secs(60) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> CloudOptions {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        CloudOptions::new().settings(pairs.collect())
    }

    #[test]
    fn opens_urls_of_three_clouds_and_no_others() {
        let options = settings(&[
            ("AWS_ACCESS_KEY_ID", "key"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AZURE_STORAGE_ACCOUNT_NAME", "account"),
            ("AZURE_STORAGE_ACCOUNT_KEY", "c2VjcmV0"),
            ("GOOGLE_SKIP_SIGNATURE", "true"),
        ]);
        for (url, prefix) in
            [("s3://mirror/team/app", "team/app"), ("gs://mirror", ""), ("az://mirror/app", "app")]
        {
            let bucket = Bucket::open(url, &options).unwrap();
            assert_eq!(bucket.keys().prefix().as_ref(), prefix, "{url}");
            assert!(!format!("{bucket:?} {options:?}").contains("secret"));
        }
        for url in ["http://mirror/app", "mirror/app", "s3://", "s3:///app"] {
            assert_eq!(Bucket::open(url, &options).unwrap_err().kind(), ErrorKind::InvalidInput, "{url}");
        }
        let incomplete = settings(&[("AWS_ACCESS_KEY_ID", "key")]);
        assert!(
            Bucket::open("s3://mirror/app", &incomplete).unwrap_err().chain().contains("SecretAccessKey")
        );
    }

    #[test]
    fn permits_plain_http_only_for_an_endpoint_with_that_scheme() {
        let allows = |pairs: &[_]| {
            let key = object_store::ClientConfigKey::AllowHttp;
            client_options(&settings(pairs)).get_config_value(&key).unwrap() == "true"
        };
        assert!(allows(&[("AWS_ENDPOINT_URL", "http://127.0.0.1:7070")]));
        assert!(!allows(&[("AWS_ENDPOINT_URL", "https://s3.example.com")]));
        assert!(!allows(&[]));
    }
}
