//! The jobs with `oras`.

use futures_util::{StreamExt, TryStreamExt, stream};
use oras::Artifact;
use oras::remote::{Client, ClientOptions, Repository};
use oras_bench_clients::{Job, LAYER, Result};

#[tokio::main]
async fn main() -> Result {
    let mut job = Job::from_args()?;
    let client = Client::new(ClientOptions::default())?;
    if job.is_push {
        let repository = Repository::open(&client, &job.reference)?;
        let mut artifact = Artifact::new("application/vnd.example.blobs");
        for blob in job.blobs() {
            artifact = artifact.layer(LAYER, blob);
        }
        artifact.push(&repository, Some("v1")).await?;
    } else {
        let artifact = client.artifact(&job.reference).await?;
        let pulls = artifact.layers().iter().map(|layer| async {
            let mut bytes = artifact.content(layer).reader().await?;
            while bytes.try_next().await?.is_some() {}
            Ok::<_, oras::store::Error>(())
        });
        // As many at a time as `oci-client` pulls.
        stream::iter(pulls.collect::<Vec<_>>()).buffer_unordered(16).try_collect::<()>().await?;
    }
    job.report()
}
