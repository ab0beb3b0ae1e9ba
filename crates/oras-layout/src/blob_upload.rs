//! An in-progress upload of a blob to a layout, which a later process can resume.

use std::fs::File;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use oras_fs::blocking;
use oras_spec::{Descriptor, Digest, MediaType};
use oras_store::{Error, ErrorKind, Ingest, IngestName, IngestOptions, ReadBack, Result, Written};

use crate::created_directories::CreatedDirectories;
use crate::disk::create_layout::create_layout;
use crate::disk::write_blobs::publish;
use crate::index::IndexChange;
use crate::layout::Layout;
use crate::upload_file::{UploadFile, check_manifest, earlier_write_failed, upload_path};

/// An upload that writes to a staged file.
pub(crate) struct BlobUpload {
    layout: Layout,
    media_type: MediaType,
    /// `None` only while a chunk is written, and after a write failed.
    file: Option<UploadFile>,
    written: u64,
    is_named: bool,
    /// Declared after the file, because a directory can be deleted only after the file in it.
    _directories: CreatedDirectories,
}

impl BlobUpload {
    /// Begins an upload, or resumes the one of that name. An upload with a name keeps its file until it is committed or
    /// aborted.
    pub(crate) async fn begin(layout: Layout, options: IngestOptions<'_>) -> Result<Self> {
        let root = layout.path().to_owned();
        let IngestOptions { media_type, algorithm, name, .. } = options;
        let path = name.text().map(|name| upload_path(&root, name)).transpose()?;
        let (is_named, not_found) = (path.is_some(), Error::not_found(name.text().unwrap_or_default()));
        let is_resumed = matches!(name, IngestName::Resume(_));
        let open = move || match path {
            Some(path) if is_resumed => {
                let (file, size) = UploadFile::reopen(&path, algorithm)?.ok_or(not_found)?;
                Ok((file, size, CreatedDirectories::of_resumed_upload(&root)))
            }
            path => {
                let (file, directories) = UploadFile::create(&root, path.as_deref(), algorithm)?;
                Ok((file, 0, directories))
            }
        };
        let (file, written, directories) = blocking(open).await?;
        Ok(Self { layout, media_type, file: Some(file), written, is_named, _directories: directories })
    }

    fn take_file(&mut self) -> Result<UploadFile> {
        self.file.take().ok_or_else(earlier_write_failed)
    }
}

#[async_trait]
impl Ingest for BlobUpload {
    async fn write(&mut self, chunks: Vec<Bytes>) -> Result<()> {
        let mut file = self.take_file()?;
        let size = self.written;
        let length: u64 = chunks.iter().map(|chunk| chunk.len() as u64).sum();
        let file = blocking(move || file.append(size, &chunks).map(|()| file));
        self.file = Some(file.await?);
        self.written += length;
        Ok(())
    }

    /// Closes the file of an upload with a name. Only an upload without one can be read back.
    fn pause(&mut self) -> Written {
        let reader = match &mut self.file {
            Some(file) if self.is_named => {
                file.park();
                None
            }
            // The file of an upload without a name stays open, because closing it deletes it. Reads use a
            // handle that is opened separately, because a duplicated handle would share its position with the
            // writer.
            Some(file) => file.path().and_then(|path| File::open(path).ok()),
            None => None,
        };
        let name = self.layout.path().display().to_string();
        let read_back = reader.map(Arc::new).map(|file| -> ReadBack {
            Arc::new(move |range| oras_fs::read(Arc::clone(&file), range, name.clone()))
        });
        Written { size: self.written, read_back }
    }

    async fn commit(mut self: Box<Self>, expected: Option<&Digest>) -> Result<Descriptor> {
        let (file, size) = (self.take_file()?, self.written);
        let (layout, expected) = (self.layout.clone(), expected.cloned());
        let media_type = self.media_type.clone();
        let digest = blocking(move || {
            let (mut staged, digest) = file.finish(size, expected.as_ref())?;
            if let Some(expected) = expected.filter(|expected| *expected != digest) {
                let message = format!("mismatched digest: expected {expected}, got {digest}");
                return Err(Error::new(ErrorKind::DigestMismatch, message));
            }
            if media_type.is_manifest() {
                check_manifest(&mut staged, &media_type)?;
            }
            // The file is synced before it is published, so that a crash cannot leave a blob without its bytes.
            staged.sync()?;
            // The layout is created only for a complete upload, so that an aborted upload leaves nothing.
            create_layout(layout.path())?;
            publish(layout.path(), layout.size_limit(), staged, &digest)?;
            Ok(digest)
        })
        .await?;
        let descriptor = Descriptor::new(self.media_type.clone(), digest, self.written);
        if descriptor.media_type.is_manifest() {
            self.layout.change(IndexChange::List(descriptor.clone())).await?;
        }
        Ok(descriptor)
    }

    async fn abort(mut self: Box<Self>) {
        if let Some(file) = self.file.take() {
            file.delete();
        }
    }
}
