//! `oras login --check`: shows where a credential is stored, without the secret.

use oras::remote::{Credential, DockerConfig, Keeper};
use oras::report::CredentialSource;

use crate::failure::Failure;
use crate::format::Format;
use crate::print;

/// Shows the credential for `name`, a registry or a repository.
pub(crate) async fn run(store: &DockerConfig, name: &str, format: &Format) -> Result<(), Failure> {
    // A credential may be stored for a single repository, so the path is a part of the lookup.
    let (server, repository) = match name.split_once('/') {
        Some((server, repository)) => (server, Some(repository)),
        None => (name, None),
    };
    let Some(located) = store.locate(server, repository).await? else {
        let hint = format!("requests to it are anonymous; log in: oras login {server}");
        return Err(Failure::new(format!("no credential for {name}")).hint(Some(hint)));
    };
    let (kind, username) = match located.credential {
        Credential::Basic { username, .. } => ("password", Some(username)),
        Credential::Refresh(_) => ("identity token", None),
        Credential::Access(_) => ("registry token", None),
    };
    let (key, helper) = match located.keeper {
        Keeper::Entry(key) => (Some(key), None),
        Keeper::Helper(helper) => (None, Some(helper)),
    };
    let file = located.file.display().to_string();
    let source = CredentialSource { name: name.to_owned(), file, key, helper, kind, username };
    match format {
        Format::Text => print::line(sentence(&source)),
        format => format.report(&source).await,
    }
}

/// Describes the credential in a sentence.
fn sentence(source: &CredentialSource) -> String {
    let whose = source.username.as_ref().map(|name| format!(" of {name:?}")).unwrap_or_default();
    let place = match (&source.helper, &source.key) {
        (Some(helper), _) => format!("from {helper}, which {} names", source.file),
        (None, Some(key)) => format!("in {}, under {key:?}", source.file),
        (None, None) => format!("in {}", source.file),
    };
    format!("{}: {}{whose} {place}", source.name, source.kind)
}
