//! The argument `repository:tag,tag` of `oras backup` and `oras restore`, and their errors.

use oras::remote::{Repository, ResponseError};
use oras::spec::{Reference, reference::check_tag};
use oras::store::Error;

use crate::args::RegistryArgs;
use crate::failure::{self, Failure};
use crate::hints::Subject;
use crate::registry_access::RegistryAccess;

/// The tags of a repository on the command line.
pub(crate) struct TaggedArtifacts {
    pub(crate) repository: Repository,
    /// The tags; an empty list means all.
    pub(crate) tags: Vec<String>,
    access: RegistryAccess,
    subject: Subject,
}

/// Returns the path of the required flag `--<name>`.
pub(crate) fn required_path(given: Option<&str>, name: &str) -> Result<String, Failure> {
    match given {
        None => Err(Failure::new(format!("required flag(s) \"{name}\" not set"))),
        Some("") => Err(Failure::new(format!("the {name} path cannot be empty"))),
        Some(path) => Ok(path.to_owned()),
    }
}

impl TaggedArtifacts {
    /// Parses `registry/repository[:tag[,tag]]`.
    pub(crate) fn new(args: &RegistryArgs, raw: &str) -> Result<Self, Failure> {
        let access = RegistryAccess::new(args, "")?;
        let (reference, tags) = parse(raw)?;
        let repository = Repository::new(&access.client(&reference.registry)?, &reference)?;
        let subject = Subject {
            repository: Some(reference.name()),
            raw: raw.to_owned(),
            ..Subject::of_access(&access, &reference.registry)
        };
        Ok(Self { repository, tags, access, subject })
    }

    /// Converts an error into a failure. The failure of a transfer contains the action `doing` (such as `back up`), the
    /// tags, the source and the destination.
    pub(crate) fn failure(&self, error: Error, doing: &str, from: &str, to: &str) -> Failure {
        if error.chain().ends_with(failure::MISSING_CREDENTIAL) {
            return failure::of_registry(&error, self.access.store.path(), &self.subject);
        }
        // The response of the registry is the whole message, as in the Go tool.
        if let Some(answer) = error.find_shown::<ResponseError>() {
            let failure = Failure::about(&error, &self.subject).prefixed(failure::REGISTRY);
            return Failure { message: answer.to_string(), ..failure };
        }
        if error.side().is_none() {
            return Failure::about(&error, &self.subject);
        }
        let tags = match &self.tags[..] {
            [tag] => format!("tag {tag:?}"),
            _ => "tags".to_owned(),
        };
        let error = error.context(format!("failed to {doing} {tags} from {from:?} to {to:?}"));
        Failure::about(&error, &self.subject)
    }
}

/// Parses `registry/repository[:tag[,tag]]`.
fn parse(raw: &str) -> Result<(Reference, Vec<String>), Failure> {
    if raw.is_empty() {
        return Err(Failure::new("artifact reference cannot be empty"));
    }
    if raw.contains('@') {
        return Err(Failure::new(format!("digest references are not supported: {raw:?}")));
    }
    let (first, extra) = match raw.split_once(',') {
        Some((first, extra)) => (first, Some(extra)),
        None => (raw, None),
    };
    let reference: Reference =
        first.parse().map_err(|error| Failure::new(format!("invalid reference {first:?}: {error}")))?;
    let first = reference.target().filter(|tag| !tag.is_empty());
    if first.is_none() && extra.is_none() {
        return Ok((reference, Vec::new()));
    }
    let extra = extra.into_iter().flat_map(|extra| extra.split(',')).map(ToOwned::to_owned);
    let tags: Vec<_> = std::iter::once(first.unwrap_or_default()).chain(extra).collect();
    for tag in &tags {
        if tag.is_empty() {
            return Err(Failure::new(format!("empty tag in reference {raw:?}")));
        }
        check_tag(tag)
            .map_err(|error| Failure::new(format!("invalid tag {tag:?} in reference {raw:?}: {error}")))?;
    }
    Ok((reference, tags))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_valid_tags_and_rejects_invalid_ones() {
        let tags = |raw: &str| parse(raw).map(|(reference, tags)| (reference.name(), tags.join(" ")));
        for (raw, expected) in [("h/x", ""), ("h/x:", ""), ("h/x:a", "a"), ("h:1/x/y:a,b,c", "a b c")] {
            assert_eq!(tags(raw).unwrap().1, expected, "{raw}");
        }
        for (raw, expected) in [
            ("", "artifact reference cannot be empty"),
            ("h/x@sha256:a", "digest references are not supported: \"h/x@sha256:a\""),
            ("x", "invalid reference \"x\": invalid reference: missing registry or repository"),
            ("h/x:a,,b", "empty tag in reference \"h/x:a,,b\""),
            ("h/x,a", "empty tag in reference \"h/x,a\""),
            ("h/x,", "empty tag in reference \"h/x,\""),
            (
                "h/x:a,-b",
                "invalid tag \"-b\" in reference \"h/x:a,-b\": invalid reference: invalid tag \"-b\"",
            ),
        ] {
            assert_eq!(tags(raw).unwrap_err().message, expected);
        }
    }
}
