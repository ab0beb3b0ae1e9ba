//! The stream of a large blob from a mirror, which continues at the next source if the mirror fails.

use std::ops::Range;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures::stream::StreamExt;
use oras_spec::Descriptor;
use oras_store::{ByteStream, Error, ErrorKind, Result, Source, Verifier};

use crate::mirror::mirrored::Mirrored;

/// The stream of a large blob.
pub(crate) struct MirrorStream {
    pub(crate) source: Mirrored,
    pub(crate) descriptor: Descriptor,
    pub(crate) left: Range<u64>,
    pub(crate) body: ByteStream,
    /// The index of the current mirror; `None` for the repository itself.
    pub(crate) from: Option<usize>,
    /// Verifies what one mirror sends from beginning to end, so that an error can name that mirror.
    pub(crate) verifier: Option<Verifier>,
}

impl MirrorStream {
    /// Opens the rest of the blob at the first source that has it.
    pub(crate) async fn open(&mut self) -> Result<()> {
        self.verifier = None;
        // Starts at the first mirror again, because failed mirrors are marked and skipped.
        for (place, mirror) in self.source.mirrors.iter().enumerate() {
            if !mirror.is_usable(true) {
                continue;
            }
            match mirror.repository.fetch(&self.descriptor, self.left.clone()).await {
                Ok(body) => {
                    (self.body, self.from) = (body, Some(place));
                    // A digest covers the whole blob, so the rest of a blob from a second source can't be verified
                    // here.
                    let is_whole = self.left == (0..self.descriptor.size);
                    self.verifier = is_whole.then(|| Verifier::new(&self.descriptor)).transpose()?;
                    return Ok(());
                }
                Err(error) => mirror.report_failure(&self.source.home, &error),
            }
        }
        self.from = None;
        self.body = self.source.home.fetch(&self.descriptor, self.left.clone()).await?;
        Ok(())
    }

    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            let item = self.body.next().await;
            let source = self.source.clone();
            // No source is left after the repository itself, so its error ends the stream.
            let Some(mirror) = self.from.and_then(|place| source.mirrors.get(place)) else {
                return item.transpose();
            };
            let error = match item {
                Some(Ok(chunk)) => {
                    self.left.start += chunk.len() as u64;
                    // A mismatch ends the stream, because the reader already has bytes of this mirror, which may be
                    // wrong as well.
                    self.check(&chunk).map_err(|error| {
                        let (name, digest) = (mirror.repository.name(), &self.descriptor.digest);
                        error.context(format!("the mirror {name} sent something else than {digest}"))
                    })?;
                    return Ok(Some(chunk));
                }
                None if self.left.is_empty() => return Ok(None),
                None => Error::new(ErrorKind::SizeMismatch, "unexpected EOF"),
                Some(Err(error)) => error,
            };
            mirror.report_failure(&source.home, &error);
            // Every failure marks the mirror, also a `NotFound`, so that `open` does not choose this mirror again.
            mirror.failed.store(true, Ordering::Relaxed);
            self.open().await?;
        }
    }

    fn check(&mut self, chunk: &[u8]) -> Result<()> {
        let Some(verifier) = &mut self.verifier else { return Ok(()) };
        verifier.update(chunk)?;
        if self.left.is_empty() { self.verifier.take().map_or(Ok(()), Verifier::finish) } else { Ok(()) }
    }
}
