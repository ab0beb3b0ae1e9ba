//! Content on its way to a path: a file in the staging directory, verified when it is whole.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use oras_spec::Descriptor;
use oras_store::fsio::blocking;
use oras_store::{Content, Error, Result};

use crate::base;
use crate::target::{Inner, Place, unpacks};

/// Where `title` leads, and a new file for what is to get there.
pub(crate) async fn open(
    inner: &Arc<Inner>,
    descriptor: &Descriptor,
    title: &str,
) -> Result<(Place, PathBuf, File)> {
    let (inner, title, unpacks) = (Arc::clone(inner), title.to_owned(), unpacks(descriptor));
    blocking(move || {
        let place = inner.place(&title, unpacks)?;
        let staged = place.base.fresh();
        let file = place.base.create(&staged)?;
        Ok((place, staged, file))
    })
    .await
}

/// Writes verified content to `file`, which is for `place`, and hands it back.
pub(crate) async fn fill(content: &Content, place: &Place, file: File) -> Result<File> {
    let descriptor = content.descriptor();
    let shown = place.path.display().to_string();
    // That the content can't be had at all is no failure of the copying.
    let stream = content.unverified(0..descriptor.size).await?;
    let opened = Content::once(descriptor.clone(), stream);
    let written = base::write(&opened, file, shown.clone()).await;
    written.map_err(|error| error.context(format!("failed to copy content to {shown}")))
}
