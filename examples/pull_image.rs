//! The example of `oci-client`'s README in ORAS: pulls the layers and the config of an image.
//!
//! `pull_image localhost:5000/image:v1`
#![expect(clippy::print_stdout, reason = "an example prints what it does")]

use std::error::Error;

use oras::remote::{Client, ClientOptions};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let reference = std::env::args().nth(1).ok_or("usage: pull_image <reference>")?;
    let client = Client::new(ClientOptions::default())?;
    let image = client.artifact(&reference).await?;
    println!("digest: {}", image.descriptor().digest);
    println!("config: {}", image.config::<serde_json::Value>().await?);
    for layer in image.layers() {
        // `oci-client` holds whole layers in memory as well; `reader` streams a layer of any size.
        let bytes = image.content(layer).bytes(1 << 30).await?;
        println!("layer: {} ({} bytes)", layer.media_type, bytes.len());
    }
    Ok(())
}
