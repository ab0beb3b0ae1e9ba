//! Pushes an artifact from memory, attaches a second one to it, and lists and reads both.
//!
//! `artifact_from_memory localhost:5000/models`
#![expect(clippy::print_stdout, reason = "an example prints what it does")]

use std::error::Error;

use oras::Artifact;
use oras::remote::{Client, ClientOptions, Repository};
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let name = std::env::args().nth(1).ok_or("usage: artifact_from_memory <repository>")?;
    let client = Client::new(ClientOptions::default())?;
    let repository = Repository::open(&client, &name)?;

    let model = Artifact::new("application/vnd.example.model")
        .config_json("application/vnd.example.model.config+json", &json!({"parameters": 7}))?
        .titled_layer("weights.bin", "application/vnd.example.weights", vec![7; 1024])
        .annotation("org.opencontainers.image.version", "1.0")
        .push(&repository, Some("v1"))
        .await?;
    Artifact::new("application/vnd.example.report")
        .titled_layer("report.txt", "text/plain", "accuracy: 0.9\n")
        .subject(model.root)
        .push(&repository, None)
        .await?;

    println!("tags: {}", repository.tags().await?.join(", "));
    let model = repository.artifact("v1").await?;
    println!("parameters: {}", model.config::<Value>().await?["parameters"]);
    for referrer in model.referrers(None).await? {
        let report = model.related(&referrer).await?;
        let text = report.layer("report.txt").ok_or("the referrer has no report")?;
        let text = report.content(text).bytes(4096).await?;
        print!("report: {}", String::from_utf8_lossy(&text));
    }
    Ok(())
}
