//! Pull: the files of an artifact, written to a directory.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use oras_copy::{CopyReport, Event, Observer, SelectedChildren, Selection, copy_graph};
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
    let selection = FilesWanted {
        config: options.config,
        include_subject: options.include_subject,
        selector: options.selector,
    };
    let copy = oras_copy::CopyOptions {
        selection: Box::new(selection),
        concurrency: options.concurrency,
        max_manifest_size: options.max_manifest_size,
        observer: Arc::new(PullProgress { reported: Mutex::default(), listener }),
        ..oras_copy::CopyOptions::default()
    };
    let report = copy_graph(source, Arc::clone(&target) as _, vec![root.clone()], copy).await?;
    target.commit().await?;
    Ok(Pulled {
        root: root.descriptor().clone(),
        skipped: has_untitled(&report),
        files: locate(&options.output, report),
    })
}

/// Returns true if the artifact has content without a file name: blobs that were left out, or manifests of which only the
/// files below were written.
fn has_untitled(report: &CopyReport) -> bool {
    let mut children = report.nodes.iter().flat_map(|node| &node.children);
    !report.left_out.is_empty() || children.any(|child| child.title().is_none())
}

/// Returns the files of all manifests, in the order in which these were done.
fn locate(output: &Path, report: CopyReport) -> Vec<PulledFile> {
    let base = std::path::absolute(output).unwrap_or_else(|_| output.to_owned());
    let children = report.nodes.into_iter().flat_map(|node| node.children);
    let titled = children.filter(|child| child.title().is_some());
    let locate = |descriptor: Descriptor| PulledFile {
        path: oras_files::clean(&base.join(descriptor.title().unwrap_or_default())),
        is_directory: descriptor.annotations.get(annotation::UNPACK).is_some_and(|unpack| unpack == "true"),
        descriptor,
    };
    titled.map(locate).collect()
}

/// Selects the files of an artifact: children with a file name, and manifests for the files below them.
struct FilesWanted {
    /// The config that is written; `None` after the first manifest that has one.
    config: Option<ConfigFile>,
    include_subject: bool,
    selector: Selector,
}

impl Selection for FilesWanted {
    /// Selects layers first, then the subject if it is wanted, then the config: the order of the Go tool.
    fn select(&mut self, manifest: &Manifest) -> SelectedChildren {
        let mut candidates = oras_copy::without_subject(manifest);
        let subject = manifest.subject().filter(|_| self.include_subject).cloned();
        if manifest.config().is_some() && !candidates.is_empty() {
            let config = self.name_config(candidates.remove(0));
            candidates.extend(subject);
            candidates.push(config);
        } else {
            candidates.extend(subject);
        }
        let mut selected = SelectedChildren::default();
        for child in candidates {
            if child.title().is_some() {
                selected.children.extend(self.selector.wants(&child).then_some(child));
            } else if child.media_type.is_manifest() {
                selected.children.push(child);
            } else if !is_empty_json(&child) {
                selected.left_out.push(child);
            }
        }
        selected
    }
}

impl FilesWanted {
    /// Gives the first config of the wanted type its path.
    fn name_config(&mut self, mut config: Descriptor) -> Descriptor {
        let is_wanted = |wanted: &mut ConfigFile| {
            wanted.media_type.as_ref().is_none_or(|media_type| *media_type == config.media_type)
        };
        if let Some(wanted) = self.config.take_if(is_wanted) {
            config.annotations.insert(annotation::TITLE.to_owned(), wanted.path);
        }
        config
    }
}

/// Returns true for the placeholder of a config or layer that an artifact does not have (image-spec, manifest.md "Guidance
/// for an Empty Descriptor").
fn is_empty_json(node: &Descriptor) -> bool {
    let empty = Descriptor::empty_json();
    node.digest == empty.digest && node.size == empty.size
}

/// Passes events on, and adds those that only a pull has: skipped nodes, and files whose bytes came under another name.
struct PullProgress {
    /// The nodes that were reported, with their titles. Several manifests may share a node.
    reported: Mutex<HashSet<(Digest, Option<String>)>>,
    listener: Arc<dyn Listener>,
}

impl PullProgress {
    fn is_first_report(&self, node: &Descriptor) -> bool {
        let key = (node.digest.clone(), node.title().map(ToOwned::to_owned));
        self.reported.lock().insert(key)
    }
}

impl Observer for PullProgress {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Opened { left_out, .. } => {
                self.listener.step(Step::Node(event));
                for node in left_out.iter().filter(|node| self.is_first_report(node)) {
                    self.listener.step(Step::Skipped(node));
                }
                return;
            }
            Event::Started(node) => {
                self.is_first_report(node);
            }
            Event::Finished { node, children, .. } => {
                // A node that existed was not started, but it did not come under another title either.
                self.is_first_report(node);
                let titled = children.iter().filter(|child| child.title().is_some());
                for child in titled.filter(|child| self.is_first_report(child)) {
                    self.listener.step(Step::Restored(child));
                }
            }
            // A file with the same bytes and the same title has its line already.
            Event::Twin { node, .. } if !self.is_first_report(node) => return,
            _ => {}
        }
        self.listener.step(Step::Node(event));
    }
}
