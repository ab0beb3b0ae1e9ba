//! The report of transferred bytes.

use std::sync::Arc;

/// A number of bytes that a transfer is done with.
///
/// A display adds both to show how much of the content is complete, and only the first to show a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgressUpdate {
    /// These bytes were just read for the receiver. Bytes that are sent again after a failure are reported again.
    Transferred(u64),
    /// The receiver already has these bytes: the start of a resumed transfer, or all bytes of a file that exists.
    Present(u64),
}

/// A callback for the progress of a transfer. Runs on the task or thread of the transfer and must not block.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// use oras_store::spec::MediaType;
/// use oras_store::{Content, Progress, ProgressUpdate};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> oras_store::Result<()> {
/// let transferred = Arc::new(AtomicU64::new(0));
/// let counter = Arc::clone(&transferred);
/// let progress: Progress = Arc::new(move |update| {
///     if let ProgressUpdate::Transferred(bytes) = update {
///         counter.fetch_add(bytes, Ordering::Relaxed);
///     }
/// });
/// let content = Content::of(MediaType::LAYER_TAR, "hello").with_progress(progress);
/// content.bytes(100).await?;
/// assert_eq!(transferred.load(Ordering::Relaxed), 5);
/// # Ok(()) }
/// ```
pub type Progress = Arc<dyn Fn(ProgressUpdate) + Send + Sync>;
