//! A registry server on loopback: `serve [--addr 127.0.0.1:0] [--no-referrers] [--sparse] [--layout DIR]`.
//!
//! Stores repositories in memory, or as OCI layouts below `DIR`, until it is stopped.
#![expect(clippy::print_stdout, reason = "an example prints where it listens")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use oras_layout::Layout;
use oras_memory::Memory;
use oras_serve::{PerRepository, Server, ServerOptions};
use oras_store::{Error, ErrorKind};

/// The directories of a layout.
const RESERVED: [&str; 2] = ["blobs", "ingest"];

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut address, mut options, mut root) = ("127.0.0.1:0".to_owned(), ServerOptions::default(), None);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--addr" => address = words.next().ok_or("--addr needs an address")?,
            "--no-referrers" => options.referrers = false,
            "--sparse" => options.sparse = true,
            "--layout" => root = Some(PathBuf::from(words.next().ok_or("--layout needs a directory")?)),
            other => return Err(format!("unknown argument {other}").into()),
        }
    }
    let existing = root.as_deref().map(layout_names).unwrap_or_default();
    let stores = PerRepository::new(move |name| {
        let root = root.clone();
        async move {
            Ok(match root {
                Some(root) => Arc::new(Layout::open_or_create(layout_path(&root, &name)?).await?) as _,
                None => Arc::new(Memory::new()) as _,
            })
        }
    })
    .with_existing(existing);
    let server = Server::bind(address, options, Arc::new(stores)).await?;
    println!("listening on {}", server.local_addr());
    std::io::stdout().flush()?;
    server.run(async { drop(tokio::signal::ctrl_c().await) }).await?;
    Ok(())
}

/// Returns the directory of a repository. The directories of a layout can't be repositories.
fn layout_path(root: &Path, name: &str) -> oras_store::Result<PathBuf> {
    if name.split('/').any(|part| RESERVED.contains(&part)) {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            format!("{name}: reserved for the layout's own files"),
        ));
    }
    Ok(root.join(name))
}

/// Lists the names of the layouts below `root`.
fn layout_names(root: &Path) -> Vec<String> {
    let (mut names, mut next) = (Vec::new(), vec![String::new()]);
    while let Some(name) = next.pop() {
        let Ok(entries) = std::fs::read_dir(root.join(&name)) else { continue };
        for entry in entries.flatten() {
            let part = entry.file_name().to_string_lossy().into_owned();
            if part == "oci-layout" && !name.is_empty() {
                names.push(name.clone());
            } else if entry.path().is_dir() && !RESERVED.contains(&part.as_str()) {
                next.push(if name.is_empty() { part } else { format!("{name}/{part}") });
            }
        }
    }
    names
}
