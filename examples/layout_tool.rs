//! Shows what is in an OCI layout, a directory or a tar archive, without any network.
//!
//! `layout_tool ./layout`
#![expect(clippy::print_stdout, reason = "an example prints what it does")]

use std::error::Error;

use oras::store::StoredArtifact;
use oras::store::futures::TryStreamExt;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: layout_tool <layout>")?;
    let layout = oras::open_layout(&path).await?;
    let tags: Vec<String> = layout.tags_after(None).try_collect().await?;
    for tag in tags {
        let artifact = StoredArtifact::open(layout.clone(), &tag).await?;
        let artifact_type = artifact.artifact_type().map_or("index", |text| text.as_str());
        println!("{tag} {} {artifact_type}", artifact.descriptor().digest.short());
        for layer in artifact.layers() {
            println!("  {:>12}  {}", layer.size, layer.title().unwrap_or("-"));
        }
        for referrer in artifact.referrers(None).await? {
            println!("  referrer {}", referrer.artifact_type.as_ref().map_or("?", |text| text.as_str()));
        }
    }
    Ok(())
}
