//! Streams the first layer of an artifact to a file and shows the progress.
//!
//! `stream_layer localhost:5000/hello:v1 out.bin`
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example prints what it does")]

use std::error::Error;

use oras::remote::{Client, ClientOptions};
use oras::store::futures::TryStreamExt;
use tokio::io::AsyncWriteExt;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(reference), Some(path)) = (args.next(), args.next()) else {
        return Err("usage: stream_layer <reference> <file>".into());
    };
    let client = Client::new(ClientOptions::default())?;
    let artifact = client.artifact(&reference).await?;
    let layer = artifact.layers().first().ok_or("the artifact has no layers")?;

    let mut file = tokio::fs::File::create(&path).await?;
    let mut bytes = artifact.content(layer).reader().await?;
    let mut received = 0;
    // The reader verifies size and digest: it fails at the end if the bytes are not those of the layer.
    while let Some(chunk) = bytes.try_next().await? {
        file.write_all(&chunk).await?;
        received += chunk.len() as u64;
        eprint!("\r{received} of {} bytes", layer.size);
    }
    file.flush().await?;
    eprintln!();
    println!("{}", layer.digest);
    Ok(())
}
