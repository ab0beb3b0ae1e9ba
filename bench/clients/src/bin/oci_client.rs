//! The jobs with `oci-client`.

use futures_util::{StreamExt, TryStreamExt, stream};
use oci_client::client::{ClientConfig, ClientProtocol, Config, ImageLayer};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};
use oras_bench_clients::{Job, LAYER, Result};

#[tokio::main]
async fn main() -> Result {
    let mut job = Job::from_args()?;
    let client = Client::new(ClientConfig { protocol: ClientProtocol::Http, ..ClientConfig::default() });
    let image: Reference = job.reference.parse()?;
    let auth = RegistryAuth::Anonymous;
    if job.is_push {
        let layer = |blob| ImageLayer::new(blob, LAYER.to_owned(), None);
        let layers: Vec<_> = job.blobs().into_iter().map(layer).collect();
        let config = Config::new("{}", "application/vnd.oci.empty.v1+json".to_owned(), None);
        client.push(&image, &layers, config, &auth, None).await?;
    } else {
        let (manifest, _) = client.pull_image_manifest(&image, &auth).await?;
        let pulls = manifest.layers.iter().map(|layer| client.pull_blob(&image, layer, tokio::io::sink()));
        // The number of concurrent pulls is the default of `Client::pull`.
        stream::iter(pulls.collect::<Vec<_>>()).buffer_unordered(16).try_collect::<()>().await?;
    }
    job.report()
}
