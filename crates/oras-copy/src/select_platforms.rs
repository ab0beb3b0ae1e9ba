//! Selects several platforms of an index. The new index has only the selected entries and is otherwise unchanged.

use std::fmt;

use bytes::Bytes;
use oras_spec::{Descriptor, Manifest, Platform, View};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// The annotation that names the image of an attestation of BuildKit.
const ATTESTATION_OF: &str = "vnd.docker.reference.digest";

/// The selected part of an index. [`select_platforms`] returns it:
///
/// ```
/// use oras_copy::{PlatformsError, Selected, select_platforms};
/// use oras_spec::{Descriptor, ImageIndex, Manifest, MediaType, Platform};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut image = Descriptor::of(MediaType::IMAGE_MANIFEST, b"...");
/// image.platform = Some("linux/arm64".parse()?);
/// let index = Manifest::parse(&MediaType::IMAGE_INDEX, ImageIndex::new(vec![image]).to_bytes())?;
/// match select_platforms(&index, &["linux/arm64".parse()?])? {
///     Selected::Whole => println!("the index has no other platforms"),
///     Selected::One(image) => println!("copy {}", image.digest),
///     Selected::Some(document) => println!("store a new index of {} bytes", document.len()),
/// }
///
/// let missing = select_platforms(&index, &["linux/amd64".parse::<Platform>()?]).unwrap_err();
/// assert!(matches!(missing, PlatformsError::Unmatched { .. }));
/// assert_eq!(missing.to_string(), "unmatched platforms: [linux/amd64]");
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selected {
    /// The whole index.
    Whole,
    /// A single manifest.
    One(Box<Descriptor>),
    /// Several manifests: the document of the new index.
    Some(Bytes),
}

/// An error of the selection. Its message lists the platforms without an entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlatformsError {
    /// The manifest is not an index.
    #[error("not an image index or a manifest list")]
    NotAnIndex,
    /// The index has no entry for some platforms.
    #[error("unmatched platforms: [{}]", join_platforms(.missing))]
    Unmatched {
        /// The platforms without an entry.
        missing: Vec<Platform>,
        /// The platforms of the index.
        offered: Vec<Platform>,
    },
    /// The document cannot be edited.
    #[error("failed to filter index: {0}")]
    Malformed(String),
}

/// Returns the platforms as text: `linux/amd64, linux/arm64`.
pub fn join_platforms(platforms: &[Platform]) -> String {
    platforms.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Selects the entries of `index` for `platforms`, those without a platform, and the attestations of selected entries.
///
/// The order of keys and the bytes of selected entries do not change.
///
/// # Errors
/// [`PlatformsError::Unmatched`] if a platform has no entry; [`PlatformsError::NotAnIndex`].
pub fn select_platforms(index: &Manifest, platforms: &[Platform]) -> Result<Selected, PlatformsError> {
    let View::Index(view) = index.view() else { return Err(PlatformsError::NotAnIndex) };
    let entries = &view.manifests;
    let is_attestation = |entry: &Descriptor| entry.annotations.contains_key(ATTESTATION_OF);
    let is_for = |entry: &Descriptor, wanted: &Platform| {
        entry.platform.as_ref().is_some_and(|offered| offered.satisfies(wanted))
    };
    let images = || entries.iter().filter(|entry| !is_attestation(entry));
    let missing: Vec<_> =
        platforms.iter().filter(|wanted| !images().any(|entry| is_for(entry, wanted))).cloned().collect();
    if !missing.is_empty() {
        let mut offered = Vec::new();
        for platform in images().filter_map(|entry| entry.platform.clone()) {
            if !offered.contains(&platform) {
                offered.push(platform);
            }
        }
        return Err(PlatformsError::Unmatched { missing, offered });
    }
    let selected: Vec<bool> =
        entries.iter().map(|entry| platforms.iter().any(|wanted| is_for(entry, wanted))).collect();
    let positions: Vec<usize> = (0..entries.len()).filter(|at| is_kept(entries, &selected, *at)).collect();
    match positions.as_slice() {
        // An unchanged index keeps its digest, so its referrers still refer to it.
        _ if positions.len() == entries.len() => Ok(Selected::Whole),
        [only] if entries.get(*only).is_some_and(|entry| entry.platform.is_some()) => {
            Ok(Selected::One(Box::new(entries[*only].clone())))
        }
        _ => filter(index.bytes(), &positions).map(Selected::Some),
    }
}

/// Returns true if the entry at this position belongs to the selection.
fn is_kept(entries: &[Descriptor], selected: &[bool], at: usize) -> bool {
    let Some(entry) = entries.get(at) else { return false };
    // An attestation is selected together with the image that it describes, regardless of its own platform.
    let mut others = entries.iter().zip(selected);
    if let Some(subject) = entry.annotations.get(ATTESTATION_OF) {
        return others.any(|(other, selected)| *selected && other.digest.to_string() == *subject);
    }
    match &entry.platform {
        Some(_) => selected.get(at).copied().unwrap_or(false),
        // An entry without a platform is selected, unless another entry lists the same manifest under a platform that
        // is not selected.
        None => !others
            .any(|(other, selected)| !selected && other.platform.is_some() && other.digest == entry.digest),
    }
}

/// Returns the document with only the entries at these positions.
///
/// The text of the entries and of the other fields is copied, because a digest covers each byte of an entry.
fn filter(document: &[u8], positions: &[usize]) -> Result<Bytes, PlatformsError> {
    let malformed = |error: serde_json::Error| PlatformsError::Malformed(error.to_string());
    let fields: Fields<'_> = serde_json::from_slice(document).map_err(malformed)?;
    let mut parts = Vec::with_capacity(fields.0.len());
    for (key, value) in &fields.0 {
        let key = serde_json::to_string(key).map_err(malformed)?;
        if key != "\"manifests\"" {
            parts.push(format!("{key}:{}", value.get()));
            continue;
        }
        let entries: Vec<&RawValue> = serde_json::from_str(value.get()).map_err(malformed)?;
        let entries: Vec<_> =
            positions.iter().filter_map(|at| entries.get(*at)).map(|entry| entry.get()).collect();
        parts.push(format!("{key}:[{}]", entries.join(",")));
    }
    Ok(format!("{{{}}}", parts.join(",")).into())
}

/// The fields of an object in order, with their values unparsed.
struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oras_spec::{Digest, MediaType};

    fn entry(content: &str, rest: &str) -> String {
        let digest = Digest::sha256(content.as_bytes());
        format!(
            r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json", "digest":"{digest}","size":1{rest}}}"#
        )
    }

    fn index(entries: &[String]) -> Manifest {
        let text =
            format!(r#"{{"schemaVersion":2, "x":1.0,"manifests":[{}],"y":[ 1 ]}}"#, entries.join(" , "));
        Manifest::parse(&MediaType::IMAGE_INDEX, text.into()).unwrap()
    }

    fn platforms(names: &[&str]) -> Vec<Platform> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn does_not_change_selected_entries() {
        let of_a = format!(r#","annotations":{{"{ATTESTATION_OF}":"{}"}}"#, Digest::sha256(b"a"));
        let of_c = format!(r#","annotations":{{"{ATTESTATION_OF}":"{}"}}"#, Digest::sha256(b"c"));
        let a = entry("a", r#", "platform":{"os":"linux","architecture":"amd64"},"unknown":true"#);
        let b = entry("b", r#","platform":{"os":"linux","architecture":"arm64","variant":"v8"}"#);
        let c = entry("c", r#","platform":{"os":"linux","architecture":"s390x"}"#);
        let (plain, att_a, att_c) = (entry("p", ""), entry("aa", &of_a), entry("ac", &of_c));
        let index = index(&[a.clone(), b.clone(), c, plain.clone(), att_a.clone(), att_c]);
        let selected = select_platforms(&index, &platforms(&["linux/amd64", "linux/arm64"])).unwrap();
        let expected =
            format!(r#"{{"schemaVersion":2,"x":1.0,"manifests":[{a},{b},{plain},{att_a}],"y":[ 1 ]}}"#);
        assert_eq!(selected, Selected::Some(expected.into()));
    }

    #[test]
    fn selects_the_whole_index_or_one_image_or_fails() {
        let a = entry("a", r#","platform":{"os":"linux","architecture":"amd64"}"#);
        let b = entry("b", r#","platform":{"os":"linux","architecture":"arm64"}"#);
        let index = index(&[a, b]);
        let select = |names: &[&str]| select_platforms(&index, &platforms(names));
        assert_eq!(select(&["linux/amd64", "linux/arm64"]), Ok(Selected::Whole));
        assert!(matches!(select(&["linux/amd64"]), Ok(Selected::One(_))));
        let error = select(&["linux/amd64", "linux/s390x", "windows/amd64"]).unwrap_err();
        assert_eq!(error.to_string(), "unmatched platforms: [linux/s390x, windows/amd64]");
    }
}
