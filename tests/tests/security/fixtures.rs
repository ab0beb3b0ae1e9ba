//! Shared fixtures: JSON documents, layouts as files, misbehaving servers, limits.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use oras_spec::Digest;
use oras_testkit::files::write_file;
use oras_testkit::memory_registry::MemoryRegistry;
use oras_testkit::scripted::{Asked, Reply, Scripted};

use crate::case_sandbox::{Said, Stage, check};

/// The media type of an image manifest.
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The media type of an index.
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// The media type of a layer.
pub(crate) const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// What an `oci-layout` file says.
pub(crate) const MARKER: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;

/// A server that answers by `special`, where that has an answer, and honestly otherwise.
pub(crate) fn serve(
    memory: MemoryRegistry,
    special: impl Fn(&Asked, &MemoryRegistry) -> Option<Reply> + Send + Sync + 'static,
) -> Scripted {
    let memory = Arc::new(memory);
    Scripted::start(move |asked| special(asked, &memory).unwrap_or_else(|| memory.reply(asked)))
}

/// A registry that behaves, with one file `name` under `a:v1`.
pub(crate) fn honest_server(name: &str, content: &[u8]) -> Scripted {
    let memory = MemoryRegistry::new();
    memory.files("a", "v1", &[(name, content)]);
    serve(memory, |_, _| None)
}

/// The JSON of a descriptor; `size` and `digest` as they are to be written.
pub(crate) fn descriptor(media_type: &str, digest: &str, size: impl ToString, title: &str) -> String {
    let size = size.to_string();
    format!(
        r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{size},"annotations":{{"org.opencontainers.image.title":"{title}"}}}}"#
    )
}

/// An image manifest with these members, the empty config and `layers`.
pub(crate) fn manifest(members: &str, layers: &str) -> String {
    let config = Digest::sha256(b"{}");
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}",{members}"config":{{"mediaType":"application/vnd.oci.empty.v1+json","digest":"{config}","size":2}},"layers":[{layers}]}}"#
    )
}

/// A manifest that refers to another.
pub(crate) fn referrer(artifact_type: &str, subject: &Digest, size: usize) -> String {
    let members = format!(
        r#""artifactType":"{artifact_type}","subject":{{"mediaType":"{MANIFEST}","digest":"{subject}","size":{size}}},"#
    );
    manifest(&members, "")
}

/// A layout that is written by hand.
pub(crate) struct Handmade {
    /// Where it is.
    pub(crate) path: PathBuf,
}

impl Handmade {
    /// An empty layout in the working directory, whose `index.json` is missing.
    pub(crate) fn new(stage: &Stage, name: &str) -> Self {
        stage.file(&format!("{name}/oci-layout"), MARKER);
        std::fs::create_dir_all(stage.path(name).join("blobs/sha256")).unwrap();
        Self { path: stage.path(name) }
    }

    /// Writes a blob and returns its digest.
    pub(crate) fn blob(&self, bytes: impl AsRef<[u8]>) -> Digest {
        let digest = Digest::sha256(bytes.as_ref());
        self.put(&format!("blobs/sha256/{}", digest.encoded()), bytes);
        digest
    }

    /// Writes a file.
    pub(crate) fn put(&self, name: &str, bytes: impl AsRef<[u8]>) {
        write_file(&self.path.join(name), bytes);
    }

    /// Writes `index.json` with these entries.
    pub(crate) fn index(&self, entries: &str) {
        self.put("index.json", format!(r#"{{"schemaVersion":2,"manifests":[{entries}]}}"#));
    }

    /// One artifact of one file, tagged `v1`; the digests of manifest and file.
    pub(crate) fn artifact(&self, title: &str, content: &[u8]) -> (Digest, Digest) {
        let file = self.blob(content);
        self.blob("{}");
        let text =
            manifest(r#""artifactType":"a/b","#, &descriptor(LAYER, &file.to_string(), content.len(), title));
        let root = self.blob(&text);
        self.index(&entry(&root, text.len(), "v1"));
        (root, file)
    }

    /// The path of a blob.
    pub(crate) fn place(&self, digest: &Digest) -> PathBuf {
        self.path.join("blobs/sha256").join(digest.encoded())
    }
}

/// An entry of `index.json`.
pub(crate) fn entry(digest: impl ToString, size: impl ToString, tag: &str) -> String {
    format!(
        r#"{{"mediaType":"{MANIFEST}","digest":"{}","size":{},"annotations":{{"org.opencontainers.image.ref.name":"{tag}"}}}}"#,
        digest.to_string(),
        size.to_string()
    )
}

/// Runs the tool by a shell, after `before`: limits, masks.
pub(crate) fn limited(stage: &Stage, before: &str, words: &[&str]) -> Said {
    let mut command = stage.command(Path::new("/bin/sh"), &["-c", &format!("{before}\nexec \"$0\" \"$@\"")]);
    command.arg(stage.tool()).args(words);
    stage.run(command, b"")
}

/// No file may be below the working directory but `expected`.
pub(crate) fn leaves(stage: &Stage, expected: &[&str]) -> Result<(), String> {
    let found = stage.files(&stage.path(""));
    check(found == expected, || format!("leaves {found:?}"))
}

/// That file must hold exactly this.
pub(crate) fn holds(path: &Path, content: impl AsRef<[u8]>) -> Result<(), String> {
    let found = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    check(found == content.as_ref(), || {
        format!("{} has {} bytes: {:?}", path.display(), found.len(), text_of(&found))
    })
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned()
}
