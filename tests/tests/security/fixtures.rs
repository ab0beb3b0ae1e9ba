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
/// The content of an `oci-layout` file.
pub(crate) const MARKER: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;

/// Starts a server that returns the response of `special`, or the correct response if `special` returns none.
pub(crate) fn serve(
    memory: MemoryRegistry,
    special: impl Fn(&Asked, &MemoryRegistry) -> Option<Reply> + Send + Sync + 'static,
) -> Scripted {
    let memory = Arc::new(memory);
    Scripted::start(move |asked| special(asked, &memory).unwrap_or_else(|| memory.reply(asked)))
}

/// Starts a correct registry with one file `name` under `a:v1`.
pub(crate) fn honest_server(name: &str, content: &[u8]) -> Scripted {
    let memory = MemoryRegistry::new();
    memory.files("a", "v1", &[(name, content)]);
    serve(memory, |_, _| None)
}

/// Returns the JSON of a descriptor. `size` and `digest` are inserted unchanged.
pub(crate) fn descriptor(media_type: &str, digest: &str, size: impl ToString, title: &str) -> String {
    let size = size.to_string();
    format!(
        r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{size},"annotations":{{"org.opencontainers.image.title":"{title}"}}}}"#
    )
}

/// Returns an image manifest with these members, the empty config and `layers`.
pub(crate) fn manifest(members: &str, layers: &str) -> String {
    let config = Digest::sha256(b"{}");
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}",{members}"config":{{"mediaType":"application/vnd.oci.empty.v1+json","digest":"{config}","size":2}},"layers":[{layers}]}}"#
    )
}

/// Returns a manifest that refers to `subject`.
pub(crate) fn referrer(artifact_type: &str, subject: &Digest, size: usize) -> String {
    let members = format!(
        r#""artifactType":"{artifact_type}","subject":{{"mediaType":"{MANIFEST}","digest":"{subject}","size":{size}}},"#
    );
    manifest(&members, "")
}

/// A layout whose files a test writes directly.
pub(crate) struct Handmade {
    /// The path of the layout.
    pub(crate) path: PathBuf,
}

impl Handmade {
    /// Creates an empty layout in the working directory, without `index.json`.
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

    /// Writes an artifact with one file and the tag `v1`. Returns the digests of the manifest and the file.
    pub(crate) fn artifact(&self, title: &str, content: &[u8]) -> (Digest, Digest) {
        let file = self.blob(content);
        self.blob("{}");
        let text =
            manifest(r#""artifactType":"a/b","#, &descriptor(LAYER, &file.to_string(), content.len(), title));
        let root = self.blob(&text);
        self.index(&entry(&root, text.len(), "v1"));
        (root, file)
    }

    /// Returns the path of a blob.
    pub(crate) fn place(&self, digest: &Digest) -> PathBuf {
        self.path.join("blobs/sha256").join(digest.encoded())
    }
}

/// Returns an entry of `index.json`.
pub(crate) fn entry(digest: impl ToString, size: impl ToString, tag: &str) -> String {
    format!(
        r#"{{"mediaType":"{MANIFEST}","digest":"{}","size":{},"annotations":{{"org.opencontainers.image.ref.name":"{tag}"}}}}"#,
        digest.to_string(),
        size.to_string()
    )
}

/// Runs the tool in a shell after the commands `before`, such as `ulimit` or `umask`.
pub(crate) fn limited(stage: &Stage, before: &str, words: &[&str]) -> Said {
    let mut command = stage.command(Path::new("/bin/sh"), &["-c", &format!("{before}\nexec \"$0\" \"$@\"")]);
    command.arg(stage.tool()).args(words);
    stage.run(command, b"")
}

/// Checks that the working directory contains exactly the `expected` files.
pub(crate) fn leaves(stage: &Stage, expected: &[&str]) -> Result<(), String> {
    let found = stage.files(&stage.path(""));
    check(found == expected, || format!("leaves {found:?}"))
}

/// Checks the content of a file.
pub(crate) fn holds(path: &Path, content: impl AsRef<[u8]>) -> Result<(), String> {
    let found = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    check(found == content.as_ref(), || {
        format!("{} has {} bytes: {:?}", path.display(), found.len(), text_of(&found))
    })
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned()
}
