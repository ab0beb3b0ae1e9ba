//! Content on its way to a path: a file in the staging directory or a partial one, verified when it is whole.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use oras_spec::Descriptor;
use oras_store::fsio::{Partial, blocking};
use oras_store::{Content, Error, Result};

use crate::base;
use crate::publish::Item;
use crate::target::{Inner, Place, unpacks};

/// Stages a file: in the staging directory, or, if it is big, where the next run finds what came of it.
pub(crate) async fn stage(inner: &Arc<Inner>, content: &Content, title: &str) -> Result<Item> {
    let (place, begun) = {
        let (inner, content, title) = (Arc::clone(inner), content.clone(), title.to_owned());
        blocking(move || {
            let place = inner.place(&title, false)?;
            let begun = Begun::new(&place, &content)?;
            Ok((place, begun))
        })
        .await?
    };
    let (staged, whole) = match begun {
        Begun::File(staged, file) => {
            fill(content, &place, file).await?;
            (staged, None)
        }
        Begun::Partial(partial) => {
            let rest = partial.resume(content).await?;
            let shown = place.path.display().to_string();
            let written = rest.write(shown.clone()).await;
            let written =
                written.map_err(|error| error.context(format!("failed to copy content to {shown}")));
            (place.base.fresh(), Some(written?.into_whole()))
        }
    };
    Ok(Item { base: place.base, staged, whole, target: place.relative, directories: Arc::default() })
}

/// What a file is written to.
enum Begun {
    File(PathBuf, File),
    Partial(Partial),
}

impl Begun {
    fn new(place: &Place, content: &Content) -> Result<Self> {
        if let Some(partial) = place.base.partial(content) {
            return Ok(Self::Partial(partial));
        }
        let staged = place.base.fresh();
        let file = place.base.create(&staged)?;
        Ok(Self::File(staged, file))
    }
}

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
    written.map_err(|error: Error| error.context(format!("failed to copy content to {shown}")))
}
