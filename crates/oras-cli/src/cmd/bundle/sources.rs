//! The repositories that references on the command line name, of any number of registries.

use std::collections::BTreeMap;

use oras::bundle::BundleSource;
use oras::remote::{Client, Mirrored, Repository};
use oras::spec::{Reference, reference::check_tag};

use crate::args::RegistryArgs;
use crate::failure::Failure;
use crate::hints::Subject;
use crate::registry_access::RegistryAccess;

/// Access to the registries of a bundle.
pub(super) struct Registries {
    access: RegistryAccess,
    client: Client,
    hosts: Vec<String>,
}

impl Registries {
    /// Makes the client for all `hosts`.
    pub(super) fn new(args: &RegistryArgs, mut hosts: Vec<String>) -> Result<Self, Failure> {
        hosts.sort();
        hosts.dedup();
        let access = RegistryAccess::new(args, "")?;
        // A credential or a header belongs to one registry, and no other one may get it.
        if hosts.len() > 1 && (access.credential.is_some() || !args.connection.header.is_empty()) {
            let message = format!(
                "credentials and headers of the command line are for one registry, not for {}",
                hosts.join(", ")
            );
            return Err(Failure::new(message).advise("Please log in with \"oras login\" to each registry"));
        }
        let client = Client::new(access.options_for(hosts.iter().map(String::as_str)))?;
        Ok(Self { access, client, hosts })
    }

    /// Returns the client.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Returns the repository with the full name `name` as a source of all tags.
    pub(super) fn source(&self, name: &str) -> Result<BundleSource, Failure> {
        let repository = Repository::new(&self.client, &parse(name)?)?;
        Ok(BundleSource::new(name, Mirrored::reader(&repository)?))
    }

    /// Converts an error of the registries into a failure.
    pub(super) fn failure(&self, error: &oras::store::Error) -> Failure {
        let subject = match &self.hosts[..] {
            [host] => Subject::of_access(&self.access, host),
            _ => Subject::default(),
        };
        Failure::about(error, &subject)
    }
}

/// The references of each repository. An empty list means all tags.
pub(super) type References = BTreeMap<String, Vec<String>>;

/// Parses references of the form `registry/repository[:tag[,tag]...|@digest]`. Several of one repository are joined.
pub(super) fn parse_references(words: &[String]) -> Result<References, Failure> {
    let mut all = References::new();
    let mut whole = Vec::new();
    for word in words {
        let (first, extra) =
            word.split_once(',').map_or((word.as_str(), None), |(first, extra)| (first, Some(extra)));
        let reference = parse(first)?;
        let name = reference.name();
        let references = all.entry(name.clone()).or_default();
        match reference.target().filter(|target| !target.is_empty()) {
            Some(target) => references.push(target),
            None if extra.is_some() => return Err(Failure::new(format!("empty tag in reference {word:?}"))),
            None => whole.push(name),
        }
        for tag in extra.into_iter().flat_map(|extra| extra.split(',')) {
            check_tag(tag).map_err(|error| {
                Failure::new(format!("invalid tag {tag:?} in reference {word:?}: {error}"))
            })?;
            references.push(tag.to_owned());
        }
    }
    // A repository without a tag stands for all of its tags, whatever else names it.
    for name in whole {
        all.insert(name, Vec::new());
    }
    Ok(all)
}

fn parse(text: &str) -> Result<Reference, Failure> {
    text.parse().map_err(|error| {
        Failure::new(format!("{text:?}: {error}")).advise(
            "Please make sure the provided reference is in the form of <registry>/<repo>[:tag|@digest]",
        )
    })
}

/// Returns the host of a full name.
pub(super) fn host(name: &str) -> String {
    name.split('/').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_references_of_one_repository() {
        let digest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
        let parse = |words: &[&str]| {
            let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
            parse_references(&words).map_err(|failure| failure.message)
        };
        let pinned = format!("h/a@{digest}");
        let all = parse(&["h/a:1,2", "i/b", &pinned, "i/b:3"]).unwrap();
        assert_eq!(all["h/a"], ["1", "2", digest]);
        assert_eq!(all["i/b"], [""; 0]);
        assert!(parse(&["h/a:1,,2"]).unwrap_err().starts_with("invalid tag \"\" in reference"));
        assert!(parse(&["h/a,2"]).unwrap_err().starts_with("empty tag"));
        assert!(parse(&["a"]).unwrap_err().starts_with("\"a\": invalid reference"));
    }
}
