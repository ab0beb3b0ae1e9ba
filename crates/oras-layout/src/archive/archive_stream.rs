//! A tar archive that is written from its start to its end, in the order of the caller.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use oras_fs::blocking;
use oras_spec::layout::{BLOBS_DIR, INDEX_FILE, MARKER_FILE, Marker};
use oras_spec::{Descriptor, ImageIndex, json};
use oras_store::{ByteStream, Content, Error, ErrorKind, Result, Verifier};
use tokio::sync::mpsc;

use super::stream_output::StreamOutput;
use super::tar_header::{self, BLOCK};
use crate::size_limits;

/// The number of chunks between the reader and the writer. It bounds the memory to a few MiB.
const MAX_QUEUED_CHUNKS: usize = 8;

/// A layout in a tar archive that is written in one pass, to a file, a pipe or any other writer. Equal content in equal
/// order gives equal bytes. Use an [`ArchiveWriter`](crate::ArchiveWriter) for content that arrives in any order.
///
/// An archive in a file is resumable: an interrupted run leaves a partial file beside the path, also after a crash. A
/// later run that appends the same content finds it there, hashes it, and continues in the middle of the blob where the
/// earlier run ended. The archive is published by [`ArchiveStream::finish`].
///
/// ```
/// use oras_layout::store::Content;
/// use oras_layout::store::spec::MediaType;
/// use oras_layout::{Archive, ArchiveStream};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> oras_layout::store::Result<()> {
/// # let directory = tempfile::tempdir().unwrap();
/// let path = directory.path().join("layout.tar");
/// let index = Content::of(MediaType::IMAGE_INDEX, r#"{"schemaVersion":2,"manifests":[]}"#);
/// let mut archive = ArchiveStream::create(&path).await?;
/// archive.append(&index).await?;
/// let mut entry = index.descriptor().clone();
/// entry.annotations.insert("org.opencontainers.image.ref.name".into(), "v1".into());
/// archive.finish(&[entry]).await?;
/// assert_eq!(Archive::open(&path).await?.tags().await?, ["v1"]);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct ArchiveStream {
    /// `None` after an error.
    output: Option<StreamOutput>,
    /// The algorithms that have a directory entry.
    directories: BTreeSet<String>,
    resumed: u64,
}

impl ArchiveStream {
    /// Begins the archive at `path`, or resumes the partial file that an earlier run left beside it.
    ///
    /// # Errors
    /// `AlreadyExists` if the path exists and is not a file, or if another process writes the archive; `Io`.
    pub async fn create(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        Ok(Self::new(blocking(move || StreamOutput::create(&path)).await?))
    }

    /// Begins an archive in `writer`, such as standard output.
    pub fn to_writer(writer: impl Write + Send + 'static) -> Self {
        Self::new(StreamOutput::to_writer(Box::new(writer)))
    }

    fn new(output: StreamOutput) -> Self {
        Self { output: Some(output), directories: BTreeSet::new(), resumed: 0 }
    }

    /// Returns the number of bytes of blobs that an earlier run wrote and this run did not fetch.
    pub fn resumed_bytes(&self) -> u64 {
        self.resumed
    }

    /// Returns true if the partial file of an earlier run continues with the whole blob `node`, which is then appended.
    ///
    /// # Errors
    /// `Io`.
    pub async fn find_written(&mut self, node: &Descriptor) -> Result<bool> {
        if !self.output.as_ref().is_some_and(StreamOutput::is_resuming) {
            return Ok(false);
        }
        let (header, descriptor) = (self.header(node), node.clone());
        let mut output = self.take_output()?;
        let (output, is_written) = blocking(move || {
            let start = output.position();
            let is_written = find_blob(&mut output, &header, &descriptor)?;
            if !is_written {
                output.rewind(start);
            }
            Ok((output, is_written))
        })
        .await?;
        self.output = Some(output);
        if is_written {
            self.resumed += node.size;
            self.directories.insert(node.digest.algorithm_name().to_owned());
        }
        Ok(is_written)
    }

    /// Verifies `content` and appends it as a blob. The bytes that the partial file has are not fetched.
    ///
    /// # Errors
    /// The errors of reading the content, of which `NotFound` leaves the archive as it was; `DigestMismatch` or
    /// `SizeMismatch`; `Io`. After other errors than `NotFound` the archive cannot be finished. A file is resumable.
    pub async fn append(&mut self, content: &Content) -> Result<()> {
        let node = content.descriptor();
        let (header, descriptor) = (self.header(node), node.clone());
        let mut output = self.take_output()?;
        let (mut blob, found) = blocking(move || {
            let start = output.position();
            let mut verifier = Verifier::new(&descriptor)?;
            let mut found = 0;
            if output.continues_with(&header).map_err(failed)? {
                output.skip(header.len() as u64);
                found = output.hash_existing(&mut verifier, descriptor.size)?;
            }
            Ok((OpenBlob { output, verifier, header, start, node: descriptor }, found))
        })
        .await?;
        // All bytes of the blob exist, so only the verifier can tell whether they must be fetched again.
        let offset = if found < node.size || blob.verifier.clone().finish().is_ok() { found } else { 0 };
        if offset < found {
            blob.verifier = Verifier::new(node)?;
        }
        let stream = match open(content, offset).await {
            Ok(stream) => stream,
            Err(error) => {
                blob.output.rewind(blob.start);
                self.output = Some(blob.output);
                return Err(error);
            }
        };
        content.report_present(offset);
        self.output = Some(blob.write(stream, offset).await?);
        self.resumed += offset;
        self.directories.insert(node.digest.algorithm_name().to_owned());
        Ok(())
    }

    /// Writes an index with `entries` in their order, completes the archive and publishes it. Returns its size in bytes.
    ///
    /// # Errors
    /// `TooLarge` for the index; `Io`.
    pub async fn finish(mut self, entries: &[Descriptor]) -> Result<u64> {
        let index = ImageIndex::new(entries.to_vec()).to_bytes();
        size_limits::check_index(INDEX_FILE, &index)?;
        let mut bytes =
            if self.directories.is_empty() { self.directory_headers("sha256") } else { Vec::new() };
        let mut output = self.take_output()?;
        blocking(move || {
            for (name, content) in
                [(INDEX_FILE, index), (MARKER_FILE, json::to_vec(&Marker::default()).into())]
            {
                bytes.extend(tar_header::file(name, content.len() as u64, 0o644));
                bytes.extend(content);
                bytes.resize(bytes.len().next_multiple_of(BLOCK as usize), 0);
            }
            // Two empty blocks end an archive.
            bytes.resize(bytes.len() + 2 * BLOCK as usize, 0);
            output.write(&bytes).map_err(failed)?;
            output.finish()
        })
        .await
    }

    fn take_output(&mut self) -> Result<StreamOutput> {
        let broken = || Error::new(ErrorKind::Unsupported, "the archive is incomplete after an error");
        self.output.take().ok_or_else(broken)
    }

    /// Returns the header of a blob, after those of the directories that must precede it.
    fn header(&self, node: &Descriptor) -> Vec<u8> {
        let digest = &node.digest;
        let algorithm = digest.algorithm_name();
        let mut bytes =
            if self.directories.contains(algorithm) { Vec::new() } else { self.directory_headers(algorithm) };
        let name = format!("{BLOBS_DIR}/{algorithm}/{}", digest.encoded());
        bytes.extend(tar_header::file(&name, node.size, 0o444));
        bytes
    }

    fn directory_headers(&self, algorithm: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        if self.directories.is_empty() {
            bytes.extend(tar_header::directory(&format!("{BLOBS_DIR}/")));
        }
        bytes.extend(tar_header::directory(&format!("{BLOBS_DIR}/{algorithm}/")));
        bytes
    }
}

fn failed(error: std::io::Error) -> Error {
    Error::io("failed to write the archive", error)
}

/// Finds a whole blob in the partial file. If it returns false, the position is undefined.
fn find_blob(output: &mut StreamOutput, header: &[u8], node: &Descriptor) -> Result<bool> {
    let end = output.position() + header.len() as u64;
    if !output.continues_with(header).map_err(failed)? || output.skip(header.len() as u64) < end {
        return Ok(false);
    }
    let mut verifier = Verifier::new(node)?;
    if output.hash_existing(&mut verifier, node.size)? < node.size || verifier.finish().is_err() {
        return Ok(false);
    }
    output.write(&padding(node.size)).map_err(failed)?;
    Ok(true)
}

fn padding(size: u64) -> Vec<u8> {
    let rest = usize::try_from(size % BLOCK).unwrap_or_default();
    vec![0; rest.next_multiple_of(BLOCK as usize) - rest]
}

/// Opens the content at `offset` and reads the first chunk, so that missing content is an error before anything is
/// written.
async fn open(content: &Content, offset: u64) -> Result<ByteStream> {
    let size = content.descriptor().size;
    if offset == size {
        return Ok(futures::stream::empty().boxed());
    }
    let mut stream = content.unverified(offset..size).await?;
    match stream.try_next().await? {
        Some(first) => Ok(futures::stream::iter([Ok(first)]).chain(stream).boxed()),
        None => Ok(stream),
    }
}

/// A blob that is being written.
struct OpenBlob {
    output: StreamOutput,
    verifier: Verifier,
    header: Vec<u8>,
    /// The position of the header.
    start: u64,
    node: Descriptor,
}

impl OpenBlob {
    /// Writes the bytes from `offset` on, and the padding.
    async fn write(self, mut stream: ByteStream, offset: u64) -> Result<StreamOutput> {
        let (sender, mut chunks) = mpsc::channel::<Bytes>(MAX_QUEUED_CHUNKS);
        let writer = blocking(move || {
            let Self { mut output, mut verifier, header, start, node } = self;
            if offset == 0 {
                output.rewind(start);
                output.write(&header).map_err(failed)?;
                // Bytes of the content that are there have the wrong digest.
                output.truncate_existing().map_err(failed)?;
            }
            let written = (|| {
                while let Some(chunk) = chunks.blocking_recv() {
                    verifier.update(&chunk)?;
                    output.write(&chunk).map_err(failed)?;
                }
                verifier.finish()
            })();
            if let Err(error) = written {
                // Wrong bytes must not be resumed. After a broken connection the content is only too short.
                if error.kind() == ErrorKind::DigestMismatch {
                    drop(output.truncate(start));
                }
                return Err(error);
            }
            output.write(&padding(node.size)).map_err(failed)?;
            Ok(output)
        });
        let reader = async {
            while let Some(chunk) = stream.try_next().await? {
                // The writer has failed. Its error is returned below.
                if sender.send(chunk).await.is_err() {
                    break;
                }
            }
            drop(sender);
            Ok::<_, Error>(())
        };
        let (read, written) = futures::future::join(reader, writer).await;
        // A failed read also makes the writer fail, as bytes are missing. The read error is the cause.
        read?;
        written
    }
}
