//! Writes OCI image layouts without any of the tools, so that no tool reads layouts that it wrote itself.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::data_files::Sizes;
use xtask::files::write;
use xtask::process::Result;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
const TYPE: &str = "application/vnd.bench";
/// The nodes of one manifest in the large layout: the manifest, a config and four layers.
const NODES_OF_MANIFEST: usize = 6;
const LAYERS: usize = 4;

/// The tag of the artifact in a layout.
pub(super) const TAG: &str = "v1";

struct Layout {
    dir: PathBuf,
}

impl Layout {
    fn new(dir: &Path) -> Result<Self> {
        write(&dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
        std::fs::create_dir_all(dir.join("blobs/sha256"))?;
        Ok(Self { dir: dir.to_path_buf() })
    }

    /// Stores bytes and returns their descriptor.
    fn blob(&self, media_type: &str, bytes: &[u8]) -> Result<Value> {
        let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        write(&self.dir.join("blobs/sha256").join(&hex), bytes)?;
        Ok(json!({"mediaType": media_type, "digest": format!("sha256:{hex}"), "size": bytes.len()}))
    }

    fn manifest(&self, config: &Value, layers: &[Value], subject: Option<&Value>, n: usize) -> Result<Value> {
        let mut manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": TYPE,
            "config": config,
            "layers": layers,
            "annotations": {"n": n.to_string()},
        });
        if let Some(subject) = subject {
            manifest["subject"] = subject.clone();
        }
        self.blob(MANIFEST, manifest.to_string().as_bytes())
    }

    fn finish(&self, manifests: Vec<Value>) -> Result {
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests});
        write(&self.dir.join("index.json"), index.to_string())
    }
}

fn tagged(mut descriptor: Value, tag: &str) -> Value {
    descriptor["annotations"] = json!({"org.opencontainers.image.ref.name": tag});
    descriptor
}

/// Writes an artifact with a layer and `sizes.referrers` referrers with one layer each.
pub(super) fn referrers(dir: &Path, sizes: &Sizes) -> Result {
    let layout = Layout::new(dir)?;
    let empty = layout.blob(EMPTY, b"{}")?;
    let layer = |n: usize| layout.blob("application/octet-stream", format!("content {n}").as_bytes());
    let subject = layout.manifest(&empty, &[layer(0)?], None, 0)?;
    let mut all = vec![tagged(subject.clone(), TAG)];
    for n in 1..=sizes.referrers {
        all.push(layout.manifest(&empty, &[layer(n)?], Some(&subject), n)?);
    }
    layout.finish(all)
}

/// Writes an index of small manifests that share one blob, which is config and layer.
pub(super) fn manifests(dir: &Path, sizes: &Sizes) -> Result {
    let layout = Layout::new(dir)?;
    let empty = layout.blob(EMPTY, b"{}")?;
    let all: Vec<Value> = (0..sizes.manifests)
        .map(|n| layout.manifest(&empty, std::slice::from_ref(&empty), None, n))
        .collect::<Result<_>>()?;
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": all});
    let index = layout.blob(INDEX, index.to_string().as_bytes())?;
    layout.finish(vec![tagged(index, TAG)])
}

/// Writes tagged manifests that share no blobs, with `sizes.nodes` nodes in total. The last manifest refers
/// to the first.
pub(super) fn nodes(dir: &Path, sizes: &Sizes) -> Result {
    let layout = Layout::new(dir)?;
    let mut all: Vec<Value> = Vec::new();
    for n in 0..sizes.nodes / NODES_OF_MANIFEST {
        let config = layout.blob(TYPE, format!("{{\"n\":{n}}}").as_bytes())?;
        let layers: Vec<Value> = (0..LAYERS)
            .map(|layer| layout.blob("application/octet-stream", format!("{n} {layer}").as_bytes()))
            .collect::<Result<_>>()?;
        let last = n + 1 == sizes.nodes / NODES_OF_MANIFEST;
        let subject = all
            .first()
            .filter(|_| last)
            .map(|first| json!({"mediaType": MANIFEST, "digest": first["digest"], "size": first["size"]}));
        let manifest = layout.manifest(&config, &layers, subject.as_ref(), n)?;
        all.push(tagged(manifest, &if n == 0 { TAG.to_owned() } else { format!("t{n}") }));
    }
    layout.finish(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use xtask::files::{ScratchDir, files_below, read_text};

    #[test]
    fn writes_requested_layouts() {
        let scratch = ScratchDir::new(&std::env::temp_dir(), "xtask-layout").unwrap();
        let sizes = Sizes { referrers: 3, manifests: 5, nodes: 12, ..Sizes::QUICK };
        let blobs = |make: fn(&Path, &Sizes) -> Result, name: &str| {
            let dir = scratch.path().join(name);
            make(&dir, &sizes).unwrap();
            let index: Value = serde_json::from_str(&read_text(&dir.join("index.json")).unwrap()).unwrap();
            let listed = index["manifests"].as_array().unwrap().len();
            (files_below(&dir.join("blobs")).unwrap().len(), listed)
        };
        assert_eq!(blobs(nodes, "nodes"), (12, 2));
        // The empty config, a layer and a manifest each.
        assert_eq!(blobs(referrers, "referrers"), (1 + 2 * 4, 4));
        assert_eq!(blobs(manifests, "manifests"), (1 + 5 + 1, 1));
    }
}
