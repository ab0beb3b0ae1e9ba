//! An in-progress upload of a blob to a layout, which a later process can resume.

use std::fs::File;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use oras_fs::blocking;
use oras_spec::{Algorithm, Descriptor, Digest, MediaType};
use oras_store::{Error, ErrorKind, Ingest, ReadBack, Result};

use crate::created_directories::CreatedDirectories;
use crate::disk::create_layout::create_layout;
use crate::disk::write_blobs::publish;
use crate::index::IndexChange;
use crate::layout::Layout;
use crate::upload_file::{UploadFile, check_manifest, earlier_write_failed, upload_path, write_failed};

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
    /// Begins an upload. An upload with a name keeps its file until it is committed or aborted, so that
    /// [`BlobUpload::resume`] finds it.
    pub(crate) async fn begin(
        layout: Layout,
        name: Option<&str>,
        media_type: MediaType,
        algorithm: Algorithm,
    ) -> Result<Self> {
        let root = layout.path().to_owned();
        let path = name.map(|name| upload_path(&root, name)).transpose()?;
        let create = move || UploadFile::create(&root, path.as_deref(), algorithm);
        let (file, directories) = blocking(create).await?;
        let is_named = name.is_some();
        Ok(Self { layout, media_type, file: Some(file), written: 0, is_named, _directories: directories })
    }

    /// Resumes the upload called `name`. Returns `None` if no upload with this name exists.
    pub(crate) async fn resume(
        layout: Layout,
        name: &str,
        media_type: MediaType,
        algorithm: Algorithm,
    ) -> Result<Option<Self>> {
        let root = layout.path().to_owned();
        let path = upload_path(&root, name)?;
        let reopened = blocking(move || {
            let reopened = UploadFile::reopen(&path, algorithm)?;
            Ok(reopened.map(|(file, size)| (file, size, CreatedDirectories::of_resumed_upload(&root))))
        });
        Ok(reopened.await?.map(|(file, written, directories)| Self {
            layout,
            media_type,
            file: Some(file),
            written,
            is_named: true,
            _directories: directories,
        }))
    }

    fn take_file(&mut self) -> Result<UploadFile> {
        self.file.take().ok_or_else(earlier_write_failed)
    }
}

#[async_trait]
impl Ingest for BlobUpload {
    fn park(&mut self) {
        // A file without a name is deleted when it is closed.
        if let Some(file) = self.file.as_mut().filter(|_| self.is_named) {
            file.park();
        }
    }

    async fn write(&mut self, chunk: Bytes) -> Result<()> {
        self.write_all(vec![chunk]).await
    }

    async fn write_all(&mut self, chunks: Vec<Bytes>) -> Result<()> {
        let mut file = self.take_file()?;
        let size = self.written;
        let length: u64 = chunks.iter().map(|chunk| chunk.len() as u64).sum();
        let file = blocking(move || file.append(size, &chunks).map(|()| file));
        self.file = Some(file.await?);
        self.written += length;
        Ok(())
    }

    fn written(&self) -> u64 {
        self.written
    }

    async fn read_back(&mut self) -> Option<ReadBack> {
        let path = self.file.as_ref()?.path()?.to_owned();
        let name = path.display().to_string();
        // Opened anew, because a duplicated handle would share its position with the writer.
        let open = blocking(move || File::open(&path).map_err(write_failed)).await;
        let file = Arc::new(open.ok()?);
        Some(Arc::new(move |range| oras_fs::read(Arc::clone(&file), range, name.clone())))
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
