//! Content on its way to a path: found there already, or staged and verified when it is whole.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use oras_store::fsio::{Durability, Partial, blocking};
use oras_store::{Content, Origin, Result};

use crate::base;
use crate::cancel::Cancel;
use crate::kept::Look;
use crate::publish::{Form, Item};
use crate::target::{Inner, Place, unpacks};
use crate::unpack;

/// A directory whose layer is smaller is unpacked while it arrives: to fetch it again costs seconds. What came of a
/// larger one is kept in a file until the rest comes, be it in another run, and is unpacked when it is whole.
const IN_FLIGHT: u64 = 64 << 20;
/// Less is read, hashed and written in no time.
const WORTH_COPYING: u64 = 1 << 20;

/// Stages a file or a directory, unless what is in its place is the same.
pub(crate) async fn stage(inner: &Arc<Inner>, content: &Content, title: &str) -> Result<Item> {
    let cancel = Cancel::default();
    let (place, begun) = {
        let (inner, content, title) = (Arc::clone(inner), content.clone(), title.to_owned());
        let cancelled = Arc::clone(&cancel.0);
        blocking(move || {
            let place = inner.place(&title, unpacks(content.descriptor()))?;
            let look = Look { cancelled: &cancelled };
            let begun = match look.find(&place, content.descriptor()) {
                Some(item) => Begun::Done(item),
                None => Begun::new(&place, &content, &look)?,
            };
            Ok((place, begun))
        })
        .await?
    };
    let packed = match begun {
        Begun::Done(item) => {
            content.passed(content.descriptor().size);
            return Ok(item);
        }
        Begun::InFlight => return unpack::in_flight(content, place, inner.options(), cancel).await,
        Begun::File(staged, file) => {
            let stream = content.unverified(0..content.descriptor().size).await?;
            let opened = Content::once(content.descriptor().clone(), stream);
            let written = base::write(&opened, file, place.shown()).await;
            written.map_err(|error| place.copy_failed(error))?;
            Item::new(&place, staged, Form::Staged)
        }
        Begun::Partial(partial) => {
            let written = partial.resume(content).await?.write(place.shown(), Durability::Relaxed).await;
            let whole = written.map_err(|error| place.copy_failed(error))?.into_whole();
            Item::new(&place, place.base.fresh(), Form::Whole(whole))
        }
    };
    if unpacks(content.descriptor()) {
        return unpack::staged(packed, place, content.descriptor(), inner.options(), cancel).await;
    }
    Ok(packed)
}

/// What is done about content.
enum Begun {
    /// Nothing more.
    Done(Item),
    /// It is written to a file.
    File(PathBuf, File),
    Partial(Partial),
    /// It is unpacked as it comes.
    InFlight,
}

impl Begun {
    fn new(place: &Place, content: &Content, look: &Look<'_>) -> Result<Self> {
        if unpacks(content.descriptor()) && content.descriptor().size < IN_FLIGHT {
            return Ok(Self::InFlight);
        }
        if let Some(item) = copied(place, content, look) {
            return Ok(Self::Done(item));
        }
        if let Some(partial) = place.base.partial(content) {
            return Ok(Self::Partial(partial));
        }
        let staged = place.base.fresh();
        let file = place.base.create(&staged)?;
        Ok(Self::File(staged, file))
    }
}

/// The file that is copied from another of this machine, if the copy is the content.
fn copied(place: &Place, content: &Content, look: &Look<'_>) -> Option<Item> {
    let layer = content.descriptor();
    let Origin::File { path } = content.origin() else { return None };
    if unpacks(layer) || layer.size < WORTH_COPYING {
        return None;
    }
    let staged = place.base.fresh();
    // What was copied in vain goes with the staging directory.
    look.copy_verified(&path, || place.base.create(&staged), layer)?;
    Some(Item::new(place, staged, Form::Staged))
}
