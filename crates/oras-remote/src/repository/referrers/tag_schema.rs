//! The referrers tag schema: an index under a tag made of the subject's digest (distribution-spec, "Referrers Tag
//! Schema").
//!
//! Registries have no way to add an entry: the index is read, changed and written, and whoever writes last wins.
//! Writers on one machine take turns by a lock file; against the others an entry is looked for after it was written,
//! and written again if it was lost.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use futures::future::{Either, select};
use futures::stream::{self, StreamExt, TryStreamExt};
use oras_spec::{Descriptor, Digest, ImageIndex, ManifestError, MediaType, Reference, json};
use oras_store::{Error, Kind, Result, check_written_size};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::lock::TurnLock;
use crate::paging::MAX_PAGE;
use crate::repository::Repository;
use crate::retry::random;

/// Times the index is read before giving up.
const ROUNDS: u32 = 60;
/// The wait after an entry was lost for the first time, and before it is looked for again, at most.
const PAUSE: Duration = Duration::from_millis(60);

/// Subjects whose referrers are looked for at once.
const AT_ONCE: usize = 8;

/// When it is made sure that an entry stays: other machines take no turns.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sure {
    Now,
    /// By [`Repository::settle_tagged_referrers`], for many at once: to see that it is quiet takes time.
    Later,
    /// It was written before.
    Again,
}

/// What is under the tag.
enum Tagged {
    Nothing,
    Index(Bytes),
    /// The subject itself: GitLab takes a tag that is not there for the digest that it is made of.
    Subject,
    /// Something that is not an index of referrers.
    Other(MediaType),
}

impl Repository {
    /// The referrers in the index; none if it is something else.
    pub(crate) async fn tagged_referrers(&self, subject: &Descriptor) -> Result<Vec<Descriptor>> {
        let tag = self.named(&tag_of(&subject.digest))?;
        let Tagged::Index(bytes) = self.tagged(&tag, subject).await? else { return Ok(Vec::new()) };
        let failed = |error: Error| {
            error.context(format!("failed to decode referrers index from referrers tag {tag}"))
        };
        referrers_in(&bytes).map_err(failed)
    }

    /// Enters `referrer` into the index, and makes sure that it stays. Those of one repository that wait for their turn
    /// are entered together.
    pub(crate) async fn add_tagged_referrer(
        &self,
        subject: &Descriptor,
        referrer: &Descriptor,
        sure: Sure,
    ) -> Result<()> {
        let tag = tag_of(&subject.digest);
        let addition = self.additions().wait(&tag, referrer);
        let turn = std::pin::pin!(self.turn(subject));
        let _turn = match select(turn, std::pin::pin!(addition.done_by_another())).await {
            Either::Left((turn, _)) => turn?,
            Either::Right(_) => return Ok(()),
        };
        let all = self.additions().take(&tag, &addition);
        let referrers: Vec<_> = all.iter().map(|addition| addition.referrer.clone()).collect();
        self.change_index(subject, &referrer.digest, sure, |index| index.add_all(&referrers)).await?;
        if sure == Sure::Later {
            self.additions().remember(subject, referrers);
        }
        all.iter().for_each(|addition| addition.tell());
        Ok(())
    }

    /// Makes sure that what was entered to be made sure of [later](Sure::Later) stays.
    pub(crate) async fn settle_tagged_referrers(&self) -> Result<()> {
        let entered = self.additions().take_entered();
        let settling = entered.into_iter().map(|(subject, referrers)| async move {
            let Some(first) = referrers.first() else { return Ok(()) };
            let _turn = self.turn(&subject).await?;
            let enter = |index: &mut Index| index.add_all(&referrers);
            let settled = self.change_index(&subject, &first.digest, Sure::Again, enter).await;
            if settled.is_err() {
                self.additions().remember(&subject, referrers);
            }
            settled
        });
        stream::iter(settling).buffer_unordered(AT_ONCE).try_collect().await
    }

    /// Takes `referrer` out of the index, and makes sure that it stays out.
    pub(crate) async fn remove_tagged_referrer(&self, subject: &Descriptor, referrer: &Digest) -> Result<()> {
        let _turn = self.turn(subject).await?;
        self.change_index(subject, referrer, Sure::Now, |index| index.remove(referrer)).await
    }

    /// Waits until it is one's turn to change the index.
    async fn turn(&self, subject: &Descriptor) -> Result<TurnLock> {
        let tag = self.named(&tag_of(&subject.digest))?;
        Ok(TurnLock::acquire(&format!("{}/{tag}", self.endpoint().origin())).await)
    }

    /// Applies `change`, which says whether it changed anything, until it is found applied.
    async fn change_index(
        &self,
        subject: &Descriptor,
        referrer: &Digest,
        sure: Sure,
        change: impl Fn(&mut Index) -> bool,
    ) -> Result<()> {
        let tag = self.named(&tag_of(&subject.digest))?;
        let (mut written, mut seen, mut rested) = (u32::from(sure == Sure::Again), None, true);
        for _ in 0..ROUNDS {
            let (bytes, mut index) = self.index(&tag, subject, written > 0).await?;
            if !change(&mut index) {
                // Found. But a writer that read the index before may write it after this: wait until it is quiet.
                if written == 0 || seen.as_ref() == Some(&bytes) {
                    return Ok(());
                }
                seen = Some(bytes);
                tokio::time::sleep(PAUSE.mul_f64(0.5 + random() / 2.0)).await;
                continue;
            }
            if !rested {
                // Lost. The index is read anew after the wait: between reading and writing there must be none.
                tokio::time::sleep(PAUSE.mul_f64(f64::from(written) * random())).await;
                rested = true;
                continue;
            }
            let bytes = index.to_bytes();
            check_written_size(
                &format!("the referrers index tagged by {tag}"),
                bytes.len(),
                self.index_limit(),
            )?;
            self.put_manifest(&tag, &MediaType::IMAGE_INDEX, bytes)
                .await
                .map_err(|error| error.context(format!("failed to push referrers index tagged by {tag}")))?;
            if sure == Sure::Later {
                return Ok(());
            }
            (written, seen, rested) = (written + 1, None, false);
        }
        let message = format!("other writers of {tag} keep undoing the entry of {referrer}");
        Err(Error::new(Kind::Other, message))
    }

    /// The largest referrers index that is read.
    fn index_limit(&self) -> u64 {
        self.client().options().max_manifest_size.max(MAX_PAGE)
    }

    /// The index to change, with the bytes that are there; a new one where there is nothing.
    async fn index(
        &self,
        tag: &Reference,
        subject: &Descriptor,
        was_written: bool,
    ) -> Result<(Bytes, Index)> {
        match self.tagged(tag, subject).await? {
            Tagged::Subject if was_written => {
                let message =
                    format!("the registry takes the referrers tag {tag} for the digest of the subject");
                Err(Error::new(Kind::Unsupported, message))
            }
            Tagged::Nothing | Tagged::Subject => Ok((Bytes::new(), Index::default())),
            Tagged::Index(bytes) => Ok((bytes.clone(), Index::parse(&bytes)?)),
            Tagged::Other(media_type) => {
                let message = format!("the referrers tag {tag} names no index of referrers but {media_type}");
                Err(Error::new(Kind::InvalidContent, message))
            }
        }
    }

    async fn tagged(&self, tag: &Reference, subject: &Descriptor) -> Result<Tagged> {
        match self.get_manifest_within(tag, self.index_limit()).await {
            Ok((descriptor, _)) if descriptor.digest == subject.digest => Ok(Tagged::Subject),
            Ok((descriptor, bytes)) if descriptor.media_type == MediaType::IMAGE_INDEX => {
                Ok(Tagged::Index(bytes))
            }
            Ok((descriptor, _)) => Ok(Tagged::Other(descriptor.media_type)),
            Err(error) if error.kind() == Kind::NotFound => Ok(Tagged::Nothing),
            Err(error) => {
                Err(error.context(format!("failed to read referrers index from referrers tag {tag}")))
            }
        }
    }
}

/// The tag of the index of a subject's referrers: algorithm and hash, each cut to what a tag can hold.
fn tag_of(subject: &Digest) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let algorithm = subject.algorithm_name().chars().take(32);
    let encoded = subject.encoded();
    algorithm.chain(['-']).chain(encoded.chars().take(64)).map(allowed).collect()
}

/// The referrers that an index lists, without the entries that [`Index::clean`] drops. A long list is not kept twice.
fn referrers_in(bytes: &[u8]) -> Result<Vec<Descriptor>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Listed {
        media_type: Option<MediaType>,
        manifests: Option<Vec<Entry>>,
    }
    struct Entry(Option<Descriptor>);
    impl<'de> Deserialize<'de> for Entry {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let entry = Value::deserialize(deserializer)?;
            let descriptor = digest_of(&entry).map(|_| serde_json::from_value(entry)).transpose();
            descriptor.map(Self).map_err(serde::de::Error::custom)
        }
    }
    json::check_strict(bytes).map_err(malformed)?;
    let listed: Listed = serde_json::from_slice(bytes).map_err(malformed)?;
    if let Some(found) =
        listed.media_type.filter(|found| !["", MediaType::IMAGE_INDEX.as_str()].contains(&found.as_str()))
    {
        let error = ManifestError::MediaType { expected: MediaType::IMAGE_INDEX, found };
        return Err(error.into());
    }
    let mut seen = HashSet::new();
    let entries = listed.manifests.unwrap_or_default().into_iter().filter_map(|entry| entry.0);
    Ok(entries.filter(|referrer| seen.insert(referrer.digest.clone())).collect())
}

fn malformed(error: serde_json::Error) -> Error {
    Error::new(Kind::InvalidContent, "malformed index of referrers").with_source(error)
}

/// An index of referrers; fields that are not known stay in it.
struct Index(Value);

impl Default for Index {
    fn default() -> Self {
        Self(serde_json::to_value(ImageIndex::new(Vec::new())).unwrap_or_else(|_| json!({})))
    }
}

impl Index {
    fn parse(bytes: &[u8]) -> Result<Self> {
        json::check_strict(bytes).map_err(malformed)?;
        let mut index = Self(serde_json::from_slice(bytes).map_err(malformed)?);
        index.clean();
        Ok(index)
    }

    fn to_bytes(&self) -> Bytes {
        json::to_vec(&self.0).into()
    }

    fn entries(&mut self) -> Option<&mut Vec<Value>> {
        let index = self.0.as_object_mut()?;
        let entries = index.entry("manifests").or_insert_with(|| json!([]));
        if entries.is_null() {
            *entries = json!([]);
        }
        entries.as_array_mut()
    }

    /// Drops entries that name nothing, as old clients wrote them, and all but the first of those that name the same.
    fn clean(&mut self) {
        let mut seen = std::collections::HashSet::new();
        if let Some(entries) = self.entries() {
            entries.retain(|entry| digest_of(entry).is_some_and(|digest| seen.insert(digest)));
        }
    }

    /// Adds the entries that are not there; whether there were any.
    fn add_all<'a>(&mut self, referrers: impl IntoIterator<Item = &'a Descriptor>) -> bool {
        let Some(entries) = self.entries() else { return false };
        let before = entries.len();
        let mut known: HashSet<String> = entries.iter().filter_map(digest_of).collect();
        for referrer in referrers {
            if known.insert(referrer.digest.to_string())
                && let Ok(entry) = serde_json::to_value(referrer)
            {
                entries.push(entry);
            }
        }
        entries.len() > before
    }

    /// Removes an entry; whether it was there.
    fn remove(&mut self, referrer: &Digest) -> bool {
        let digest = referrer.to_string();
        let Some(entries) = self.entries() else { return false };
        let before = entries.len();
        entries.retain(|entry| digest_of(entry).as_ref() != Some(&digest));
        entries.len() != before
    }
}

fn digest_of(entry: &Value) -> Option<String> {
    entry.get("digest")?.as_str().filter(|digest| !digest.is_empty()).map(ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags() {
        let hex = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
        for (digest, tag) in [
            (format!("sha256:{hex}"), format!("sha256-{hex}")),
            (format!("sha512:{hex}{hex}"), format!("sha512-{hex}")),
            (format!("{}:a", "x".repeat(40)), format!("{}-a", "x".repeat(32))),
            ("sha256+b64u:a_b=".to_owned(), "sha256-b64u-a_b-".to_owned()),
        ] {
            let tag_found = tag_of(&digest.parse().unwrap());
            assert_eq!(tag_found, tag);
            assert!(oras_spec::reference::check_tag(&tag_found).is_ok());
        }
    }

    #[test]
    fn merging_keeps_what_is_there() {
        let one = Descriptor::of("a/b".into(), b"1");
        let text = format!(
            r#"{{"schemaVersion":2,"x":1,"manifests":[{{"mediaType":"","digest":"","size":0}},{{"digest":"{0}","y":2}},{{"digest":"{0}"}}]}}"#,
            one.digest
        );
        let mut index = Index::parse(text.as_bytes()).unwrap();
        assert!(!index.add_all([&one]));
        let two = Descriptor::of("a/<b>".into(), b"22");
        assert!(index.add_all([&two]) && !index.add_all([&two]));
        let expected = format!(
            r#"{{"schemaVersion":2,"x":1,"manifests":[{{"digest":"{}","y":2}},{{"mediaType":"a/\u003cb\u003e","digest":"{}","size":2}}]}}"#,
            one.digest, two.digest
        );
        assert_eq!(index.to_bytes(), expected);
        assert!(index.remove(&one.digest) && !index.remove(&one.digest));
        assert!(Index::parse(br#"{"manifests":[],"manifests":[]}"#).is_err());
        assert!(Index::parse(br#"{"manifests":null}"#).unwrap().add_all([&one]));
    }

    #[test]
    fn new_index_is_written_like_go() {
        assert_eq!(
            Index::default().to_bytes(),
            r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#
        );
    }
}
