//! Hints for malformed references.

use std::path::Path;

use oras::spec::{DigestError, Reference, ReferenceError};
use oras::store::Error;

use super::subject::Subject;

/// A reference that cannot be parsed.
#[derive(Clone, Debug)]
pub(crate) struct InvalidReference {
    /// The text of the user.
    pub(crate) raw: String,
    /// The prefix of the flags of this side.
    pub(crate) prefix: &'static str,
    pub(crate) error: ReferenceError,
}

/// The command that failed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Invocation {
    /// The command, such as `oras push`.
    pub(crate) command: String,
    /// The arguments that are not flags.
    pub(crate) words: Vec<String>,
    /// Whether the command logs its requests.
    pub(crate) is_debug: bool,
}

/// The beginnings of addresses that users write before references.
const SCHEMES: [&str; 4] = ["https://", "http://", "oci://", "docker://"];

impl InvalidReference {
    /// Returns the hint.
    pub(crate) fn hint(&self, invocation: &Invocation) -> Option<String> {
        self.with_scheme()
            .or_else(|| self.swapped(invocation))
            .or_else(|| layout_path(&self.raw, self.prefix))
            .or_else(|| self.upper_case())
            .or_else(|| self.by_error())
    }

    fn with_scheme(&self) -> Option<String> {
        let scheme = SCHEMES.iter().find(|scheme| self.raw.starts_with(**scheme))?;
        let reference = self.raw.strip_prefix(scheme)?.trim_end_matches('/');
        // `https://host` is not a reference without the scheme, either.
        reference.parse::<Reference>().ok()?;
        let plain = match *scheme {
            "http://" => format!(" (--{}plain-http selects HTTP)", self.prefix),
            _ => String::new(),
        };
        Some(format!("leave out {scheme}: {reference}{plain}"))
    }

    /// A file before the reference, as in `oras push hi.txt localhost:5000/hello:v1`.
    fn swapped(&self, invocation: &Invocation) -> Option<String> {
        let (first, rest) = invocation.words.split_first()?;
        let takes_files = ["push", "attach"].iter().any(|verb| invocation.command.ends_with(verb));
        let place = rest.iter().position(|word| word.contains('/') && word.parse::<Reference>().is_ok())?;
        let is_file = Path::new(first).exists() || Path::new(file_path(first)).exists();
        if !takes_files || *first != self.raw || !is_file {
            return None;
        }
        let mut words = invocation.words.clone();
        let reference = words.remove(place + 1);
        words.insert(0, reference);
        // Words that a shell would change are not repeated.
        let is_plain =
            |word: &String| word.chars().all(|c| c.is_ascii_alphanumeric() || "-._/:@+,=".contains(c));
        let line = words.iter().all(is_plain).then(|| format!("{} {}", invocation.command, words.join(" ")));
        Some(match line {
            Some(line) => format!("the reference comes before the files: {line}"),
            None => "the reference comes before the files".to_owned(),
        })
    }

    /// An upper-case letter in the repository.
    fn upper_case(&self) -> Option<String> {
        let ReferenceError::Repository(repository) = &self.error else { return None };
        let corrected = self.raw.replacen(repository, &repository.to_lowercase(), 1);
        corrected.parse::<Reference>().ok()?;
        Some(format!("repositories are in lower case: {corrected}"))
    }

    fn by_error(&self) -> Option<String> {
        Some(match &self.error {
            ReferenceError::Missing => {
                "a reference begins with a registry, as in localhost:5000/hello:v1; there is no default registry".to_owned()
            }
            ReferenceError::Digest(_, DigestError::Unsupported) => {
                "oras computes sha256, sha384 and sha512: use a tag, or a digest of one of them".to_owned()
            }
            ReferenceError::Digest(..) => format!(
                "a digest is sha256: and 64 hexadecimal digits; \"oras resolve\" prints that of a tag: oras resolve {}:<tag>",
                self.raw.split('@').next().unwrap_or_default()
            ),
            ReferenceError::Tag(_) => {
                "a tag has up to 128 letters, digits, \"_\", \".\" and \"-\", and begins with none of the last two".to_owned()
            }
            _ => return None,
        })
    }
}

/// A path, such as `./layout:v1`, that the command has read as a reference to a registry.
pub(super) fn path_as_registry(_: &Error, subject: &Subject) -> Option<String> {
    // With a layout, the path was read as a path.
    subject.registry.as_ref()?;
    layout_path(&subject.raw, subject.prefix)
}

fn layout_path(raw: &str, prefix: &str) -> Option<String> {
    let path = Path::new(file_path(raw));
    let flag = format!("--{prefix}oci-layout");
    let is_layout = path.join("oci-layout").is_file() || (raw.contains(".tar") && path.is_file());
    if is_layout {
        let given = raw.replace(char::is_control, "");
        return Some(format!("{} is an OCI image layout: {flag} {given}", path.display()));
    }
    let is_path = ["./", "../", "/", "~/"].iter().any(|start| raw.starts_with(start));
    is_path.then(|| format!("a path is no reference; if it is an OCI image layout: {flag} {raw}"))
}

/// Returns the path of `path:tag` or `path@digest`.
fn file_path(raw: &str) -> &str {
    let path = raw.split('@').next().unwrap_or_default();
    match path.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => path,
        _ => path,
    }
}
