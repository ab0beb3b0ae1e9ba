//! Pull: the files of an artifact, written to a directory.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use oras_copy::{Event, GraphCopy, Observer};
use oras_files::{FileTarget, UnpackLimits};
use oras_spec::{Descriptor, Digest, Manifest, MediaType, Platform, annotation};
use oras_store::{MAX_MANIFEST_SIZE, Result, Source};
use parking_lot::Mutex;

use crate::resolve::fetch_root;
use crate::{Listener, Selector, Step};

/// Where the config is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFile {
    /// The path, relative to the output directory.
    pub path: String,
    /// Only a config of this type.
    pub media_type: Option<MediaType>,
}

/// What to pull, and where to.
#[derive(Clone, Debug)]
pub struct PullOptions {
    /// The directory files are written to.
    pub output: PathBuf,
    /// Pulls the image for this platform.
    pub platform: Option<Platform>,
    /// Writes the config too.
    pub config: Option<ConfigFile>,
    /// Pulls the files of the subject too.
    pub include_subject: bool,
    /// Which files are wanted.
    pub selector: Selector,
    /// Fails instead of replacing files.
    pub keep_old_files: bool,
    /// Writes outside of the output directory where a title says so, and lets links in archives lead anywhere.
    pub allow_path_traversal: bool,
    /// Gives what is unpacked all bits of its mode, whatever the umask.
    pub preserve_permissions: bool,
    /// How much an archive may unpack to.
    pub unpack: UnpackLimits,
    /// Nodes in flight; 0 means the default.
    pub concurrency: usize,
    /// The largest manifest that is read.
    pub max_manifest_size: u64,
}

impl PullOptions {
    /// Everything with a file name, into `output`.
    pub fn into(output: impl AsRef<Path>) -> Self {
        Self {
            output: output.as_ref().to_owned(),
            platform: None,
            config: None,
            include_subject: false,
            selector: Selector::default(),
            keep_old_files: false,
            allow_path_traversal: false,
            preserve_permissions: false,
            unpack: UnpackLimits::default(),
            concurrency: 0,
            max_manifest_size: MAX_MANIFEST_SIZE,
        }
    }
}

/// What was pulled.
#[derive(Clone, Debug)]
pub struct Pulled {
    /// The manifest.
    pub root: Descriptor,
    /// The files, in the order of the manifest.
    pub files: Vec<PulledFile>,
    /// Whether something without a file name was left out.
    pub skipped: bool,
}

/// A file or directory that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PulledFile {
    /// The absolute path.
    pub path: PathBuf,
    /// The layer it came from.
    pub descriptor: Descriptor,
    /// Whether it was unpacked into a directory.
    pub is_directory: bool,
}

/// Writes the files of the artifact that `reference` names in `source`.
///
/// What is in its place already is known by size and digest, a directory by the digest of its tar; it is left as it is,
/// and not fetched. It is told like everything that is written.
///
/// All or none: files get their names when every byte of every file is there and verified. Until then, and after
/// an error or when the future is dropped, what was in the directory before is untouched.
///
/// # Errors
/// Those of the source, of verification, of the file system; paths that leave the output directory.
pub async fn pull(
    source: Arc<dyn Source>,
    reference: &str,
    options: PullOptions,
    listener: Arc<dyn Listener>,
) -> Result<Pulled> {
    let root = fetch_root(Arc::clone(&source), reference, options.platform.as_ref()).await?;
    let files = oras_files::PullOptions {
        allow_path_traversal: options.allow_path_traversal,
        keep_old_files: options.keep_old_files,
        preserve_permissions: options.preserve_permissions,
        unpack: options.unpack,
    };
    let target = Arc::new(FileTarget::new(options.output.clone(), files));
    let selection = Arc::new(Selection {
        config: options.config,
        config_taken: AtomicBool::new(false),
        include_subject: options.include_subject,
        selector: options.selector,
        skipped: AtomicBool::new(false),
        reported: Mutex::default(),
        listener: Arc::clone(&listener),
    });
    let record = Arc::new(Record { files: Mutex::default(), seen: Mutex::default(), listener });
    let children = Arc::clone(&selection);
    GraphCopy::new(source, Arc::clone(&target) as _)
        .concurrency(options.concurrency)
        .max_manifest_size(options.max_manifest_size)
        .children(Arc::new(move |manifest| children.children(manifest)))
        .observer(Arc::clone(&record) as _)
        .run(vec![root.clone()], None)
        .await?;
    target.commit().await?;
    let files = std::mem::take(&mut *record.files.lock());
    Ok(Pulled {
        root: root.descriptor().clone(),
        files: locate(&options.output, files),
        skipped: selection.skipped.load(Ordering::Relaxed),
    })
}

fn locate(output: &Path, files: Vec<Descriptor>) -> Vec<PulledFile> {
    let base = std::path::absolute(output).unwrap_or_else(|_| output.to_owned());
    let locate = |descriptor: Descriptor| PulledFile {
        path: oras_files::clean(&base.join(descriptor.title().unwrap_or_default())),
        is_directory: descriptor.annotations.get(annotation::UNPACK).is_some_and(|unpack| unpack == "true"),
        descriptor,
    };
    files.into_iter().map(locate).collect()
}

/// Which children of a manifest are pulled: those with a file name, manifests for what is below them.
struct Selection {
    config: Option<ConfigFile>,
    config_taken: AtomicBool,
    include_subject: bool,
    selector: Selector,
    skipped: AtomicBool,
    /// Skipped nodes that were reported: several manifests may share one.
    reported: Mutex<HashSet<Digest>>,
    listener: Arc<dyn Listener>,
}

impl Selection {
    /// Layers first, then the subject if asked for, then the config: the order of the Go tool.
    fn children(&self, manifest: &Manifest) -> Vec<Descriptor> {
        let mut children = oras_copy::without_subject(manifest);
        if manifest.config().is_some() && !children.is_empty() {
            let config = self.name_config(children.remove(0));
            if self.include_subject {
                children.extend(manifest.subject().cloned());
            }
            children.push(config);
        } else if self.include_subject {
            children.extend(manifest.subject().cloned());
        }
        children.retain(|child| self.wants(child));
        children
    }

    /// Gives the first config of the asked-for type its path.
    fn name_config(&self, mut config: Descriptor) -> Descriptor {
        if let Some(wanted) = &self.config
            && wanted.media_type.as_ref().is_none_or(|media_type| *media_type == config.media_type)
            && !self.config_taken.swap(true, Ordering::Relaxed)
        {
            config.annotations.insert(annotation::TITLE.to_owned(), wanted.path.clone());
        }
        config
    }

    fn wants(&self, child: &Descriptor) -> bool {
        if child.title().is_some() {
            return self.selector.wants(child);
        }
        let empty = Descriptor::empty_json();
        if child.digest == empty.digest && child.size == empty.size {
            return false;
        }
        self.skipped.store(true, Ordering::Relaxed);
        if child.media_type.is_manifest() {
            return true;
        }
        let mut reported = self.reported.lock();
        if reported.insert(child.digest.clone()) {
            self.listener.step(Step::Skipped(child));
        }
        false
    }
}

/// Passes events on, and keeps which files were pulled.
struct Record {
    files: Mutex<Vec<Descriptor>>,
    seen: Mutex<HashSet<(Digest, Option<String>)>>,
    listener: Arc<dyn Listener>,
}

impl Record {
    fn first_time(&self, node: &Descriptor) -> bool {
        let key = (node.digest.clone(), node.title().map(ToOwned::to_owned));
        self.seen.lock().insert(key)
    }
}

impl Observer for Record {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Started(node) => {
                self.first_time(node);
            }
            Event::Finished { node, children, .. } => {
                // Also what was there, and so was not started, did not come under another title.
                self.first_time(node);
                for child in children.iter().filter(|child| child.title().is_some()) {
                    self.files.lock().push(child.clone());
                    if self.first_time(child) {
                        self.listener.step(Step::Restored(child));
                    }
                }
            }
            // A file of the same bytes under the same title has its line already.
            Event::Twin { node, .. } if !self.first_time(node) => return,
            _ => {}
        }
        self.listener.step(Step::Node(event));
    }
}
