//! Writes the files of an artifact to a directory.

use oras_copy::Concurrency;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use oras_copy::{CopyReport, Event, Observer, SelectedChildren, Selection, copy_graph};
use oras_files::FileTarget;
use oras_spec::{Descriptor, Digest, Manifest, MediaType, Platform, annotation};
use oras_store::{MAX_MANIFEST_SIZE, Result, Source};
use parking_lot::Mutex;

use crate::resolve::fetch_root;
use crate::{Listener, Selector, Step};

/// A request to write the config of an artifact to a file. It is a field of [`PullOptions`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFile {
    /// The path of the file, relative to the output directory.
    pub path: String,
    /// The type that the config must have. `None` accepts any type.
    pub media_type: Option<MediaType>,
}

/// The options of [`pull`]. [`PullOptions::into`] returns those for all files of an artifact.
///
/// ```
/// use oras::{ConfigFile, PullOptions, Selector, files};
///
/// // Only the text files, and the config.
/// let options = PullOptions::into("out")
///     .selector(Selector::new(|layer| layer.title().is_some_and(|title| title.ends_with(".txt"))))
///     .config(ConfigFile { path: "config.json".into(), media_type: None })
///     .files(files::PullOptions::default().keep_old_files(true));
/// # let _ = options;
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct PullOptions {
    /// The directory to write to.
    pub output: PathBuf,
    /// Selects the image for this platform, if the reference names an index.
    pub platform: Option<Platform>,
    /// Also writes the config to a file.
    pub config: Option<ConfigFile>,
    /// Also writes the files of the subject.
    pub include_subject: bool,
    /// Selects the files to write.
    pub selector: Selector,
    /// The maximum number of nodes that are transferred at a time.
    pub concurrency: Concurrency,
    /// The size in bytes of the largest manifest that is read. `None` means the default, 4 MiB.
    pub max_manifest_size: Option<u64>,
    /// The options for writing files.
    pub files: oras_files::PullOptions,
}

impl PullOptions {
    oras_store::setters! {
        output: impl Into<PathBuf> => output.into();
        platform: impl Into<Option<Platform>> => platform.into();
        config: impl Into<Option<ConfigFile>> => config.into();
        include_subject: bool;
        selector: Selector;
        concurrency: impl Into<Concurrency> => concurrency.into();
        max_manifest_size: impl Into<Option<u64>> => max_manifest_size.into();
        files: oras_files::PullOptions;
    }
}

impl PullOptions {
    /// Returns the options to write all files of an artifact to the directory `output`.
    pub fn into(output: impl AsRef<Path>) -> Self {
        Self { output: output.as_ref().to_owned(), ..Self::default() }
    }
}

/// The result of [`pull`]. [`report::Pull`](crate::report::Pull) makes a JSON document of it.
#[derive(Clone, Debug)]
pub struct Pulled {
    /// The manifest.
    pub root: Descriptor,
    /// The files, in the order of the manifest.
    pub files: Vec<PulledFile>,
    /// True if the artifact has content without a title, which is not written.
    pub skipped: bool,
}

/// A file or directory that [`pull`] wrote or found up to date. A program finds in it where each layer is now:
///
/// ```
/// use oras::{Pulled, PulledFile};
///
/// /// Prints the path of each file that was not unpacked.
/// fn print(pulled: &Pulled) {
///     for PulledFile { path, is_directory, .. } in &pulled.files {
///         if !is_directory {
///             println!("{}", path.display());
///         }
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PulledFile {
    /// The absolute path.
    pub path: PathBuf,
    /// The layer with the content of the file.
    pub descriptor: Descriptor,
    /// True if the layer was unpacked into a directory.
    pub is_directory: bool,
}

/// Writes the files of the artifact that `reference` names in `source` to the output directory.
///
/// The pull is atomic: it writes to temporary files and publishes them when the content of all files is verified. Until
/// then the existing files do not change, also if the pull returns an error or the future is dropped.
///
/// On Unix, a pull that is cancelled or killed keeps the received bytes of large files in hidden partial files beside
/// them. The next pull verifies these bytes and fetches only the rest.
///
/// The pull skips a file that already exists with the expected size and digest, and a directory whose tar archive has
/// the expected digest. The listener and the result include skipped files like written files.
///
/// # Errors
/// Returns an error of the source or the file system, for content that does not match its digest, and for a path
/// outside the output directory.
pub async fn pull(
    source: impl Source + 'static,
    reference: &str,
    options: PullOptions,
    listener: impl Listener + 'static,
) -> Result<Pulled> {
    let source: Arc<dyn Source> = Arc::new(source);
    let listener: Arc<dyn Listener> = Arc::new(listener);
    let root = fetch_root(Arc::clone(&source), reference, options.platform.as_ref()).await?;
    let target = Arc::new(FileTarget::new(options.output.clone(), options.files));
    let selection = FileSelection {
        config: options.config,
        include_subject: options.include_subject,
        selector: options.selector,
    };
    let copy = oras_copy::CopyOptions::default()
        .selection(selection)
        .concurrency(options.concurrency)
        .max_manifest_size(options.max_manifest_size.unwrap_or(MAX_MANIFEST_SIZE))
        .observer(Arc::new(PullProgress { reported: Mutex::default(), listener }));
    let report = copy_graph(source, Arc::clone(&target), vec![root.clone()], copy).await?;
    // Publishes the files. An earlier return leaves the output directory as it was.
    target.commit().await?;
    Ok(Pulled {
        root: root.descriptor().clone(),
        skipped: has_untitled(&report),
        files: pulled_files(&options.output, report),
    })
}

/// Returns true if the artifact has content without a title: blobs that were left out, or manifests, of which only the
/// files are written.
fn has_untitled(report: &CopyReport) -> bool {
    let mut children = report.nodes.iter().flat_map(|node| &node.children);
    !report.left_out.is_empty() || children.any(|child| child.title().is_none())
}

/// Returns the files of all manifests, in the order in which the copy finished the manifests.
fn pulled_files(output: &Path, report: CopyReport) -> Vec<PulledFile> {
    // Keeps symbolic links in the path, so that the result shows the path as the caller gave it.
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

/// Selects the children with a title, and manifests, because they may list files.
struct FileSelection {
    /// The config that is written; `None` after the first manifest that has one.
    config: Option<ConfigFile>,
    include_subject: bool,
    selector: Selector,
}

impl Selection for FileSelection {
    /// Selects the layers, then the subject if it is requested, then the config. This is the order of the Go tool.
    fn select(&mut self, manifest: &Manifest) -> SelectedChildren {
        let mut candidates = oras_copy::without_subject(manifest);
        let subject = manifest.subject().filter(|_| self.include_subject).cloned();
        // The config is the first child of an image manifest.
        let has_config = manifest.config().is_some() && !candidates.is_empty();
        let config = has_config.then(|| self.name_config(candidates.remove(0)));
        candidates.extend(subject.into_iter().chain(config));
        // The placeholder of a config or layer that an artifact does not have (image-spec, manifest.md "Guidance for an
        // Empty Descriptor") is not content, so it is not reported as skipped.
        let placeholder = Descriptor::empty_json();
        let mut selected = SelectedChildren::default();
        for child in candidates {
            if child.title().is_some() {
                selected.children.extend(self.selector.wants(&child).then_some(child));
            } else if child.media_type.is_manifest() {
                selected.children.push(child);
            } else if (&child.digest, child.size) != (&placeholder.digest, placeholder.size) {
                selected.left_out.push(child);
            }
        }
        selected
    }
}

impl FileSelection {
    /// Sets the path as the title of the first config with the requested type.
    fn name_config(&mut self, mut config: Descriptor) -> Descriptor {
        let is_wanted = |wanted: &mut ConfigFile| {
            wanted.media_type.as_ref().is_none_or(|media_type| *media_type == config.media_type)
        };
        // Takes the request, because the configs of two images would have the same path.
        if let Some(wanted) = self.config.take_if(is_wanted) {
            config.annotations.insert(annotation::TITLE.to_owned(), wanted.path);
        }
        config
    }
}

/// Forwards the events of the copy, and adds the steps that only a pull has: skipped nodes, and files whose bytes were
/// transferred under another title.
struct PullProgress {
    /// The digests and titles of the reported nodes. Several manifests may share a node, which is reported once.
    reported: Mutex<HashSet<(Digest, Option<String>)>>,
    listener: Arc<dyn Listener>,
}

impl PullProgress {
    /// Returns true if the node was not reported before under this title, and records it as reported.
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
            // Only recorded here, and reported below like every other event.
            Event::Started(node) => {
                self.is_first_report(node);
            }
            Event::Finished { node, children, .. } => {
                // An existing node has no `Started` event. This entry prevents a `Restored` step for it.
                self.is_first_report(node);
                let titled = children.iter().filter(|child| child.title().is_some());
                for child in titled.filter(|child| self.is_first_report(child)) {
                    self.listener.step(Step::Restored(child));
                }
            }
            // A file with the same bytes and the same title is already reported.
            Event::Twin { node, .. } if !self.is_first_report(node) => return,
            _ => {}
        }
        self.listener.step(Step::Node(event));
    }
}
