//! Command lines that people copy into a shell. Every part is checked against a grammar without spaces, quotes and
//! other special characters.

use http::header::HOST;
use maud::{Markup, html};
use oras_spec::Descriptor;
use oras_spec::reference::check_registry;

use super::overview::OverviewKind;
use crate::api::request_context::RequestContext;

/// A command line and what it does.
pub(super) struct Command {
    pub(super) purpose: &'static str,
    pub(super) line: String,
}

/// A manifest and the names under which a page shows it.
pub(super) struct ShownManifest<'a> {
    pub(super) name: &'a str,
    pub(super) tag: Option<&'a str>,
    pub(super) node: &'a Descriptor,
}

/// Returns the host of this registry, from the public URL or from the request.
pub(super) fn host(context: &RequestContext) -> &str {
    if let Some((_, public)) = public_url(context) {
        return public.split('/').next().unwrap_or(public);
    }
    let host = context.head.headers.get(HOST).and_then(|value| value.to_str().ok());
    host.and_then(|host| check_registry(host).ok()).unwrap_or("REGISTRY")
}

/// Returns true if common clients can reach this registry: a reference has no place for a base path.
pub(super) fn can_reach(context: &RequestContext) -> bool {
    context.registry.options.base_path.is_empty()
}

/// Returns the scheme and the rest of the public URL.
fn public_url(context: &RequestContext) -> Option<(&str, &str)> {
    context.registry.options.public_url.as_deref()?.split_once("://")
}

/// Returns true if the browser does not use TLS. The header of a reverse proxy is trusted, because only the text of
/// these lines depends on it.
fn is_plain_http(context: &RequestContext) -> bool {
    if let Some((scheme, _)) = public_url(context) {
        return scheme != "https";
    }
    let proxied = context.head.headers.get("x-forwarded-proto").is_some_and(|value| value == "https");
    context.registry.scheme != Some("https") && !proxied
}

/// Returns `--flag ` if `oras` needs the flag to use plain HTTP, which it uses by default only for `localhost`.
pub(super) fn plain_http_flag(context: &RequestContext, flag: &str) -> String {
    let is_local = host(context).split(':').next() == Some("localhost");
    if is_plain_http(context) && !is_local { format!("--{flag} ") } else { String::new() }
}

/// What decides which commands are shown for a manifest.
pub(super) struct PulledParts {
    /// `oras pull` would write files.
    pub(super) has_files: bool,
    /// It is an image, or an index of images.
    pub(super) is_image: bool,
    pub(super) kind: OverviewKind,
}

/// Returns the command lines that pull a manifest by `identifier`, which is its tag or its digest.
pub(super) fn pull_commands(
    context: &RequestContext,
    ShownManifest { name, tag, node }: &ShownManifest<'_>,
    identifier: &str,
    parts: &PulledParts,
) -> Vec<Command> {
    let host = host(context);
    let separator = if identifier.contains(':') { '@' } else { ':' };
    let reference = format!("{host}/{name}{separator}{identifier}");
    let is_plain = is_plain_http(context);
    let if_plain = |flag: &'static str| if is_plain { flag } else { "" };
    let directory = name.rsplit('/').next().unwrap_or(name);
    let layout = format!("{directory}:{}", tag.unwrap_or("latest"));
    let mut commands = Vec::new();
    let mut add = |purpose, line| commands.push(Command { purpose, line });
    if parts.has_files {
        let flag = plain_http_flag(context, "plain-http");
        add("Pull the files", format!("oras pull {flag}{reference}"));
    }
    if parts.kind == OverviewKind::Chart {
        let flag = if_plain("--plain-http ");
        add("Pull the chart", format!("helm pull {flag}oci://{reference}"));
    }
    if parts.is_image {
        add("Pull the image", format!("docker pull {reference}"));
    }
    let flag = plain_http_flag(context, "from-plain-http");
    let line = format!("oras cp -r {flag}{reference} --to-oci-layout {layout}");
    add("Copy it with its referrers into an OCI layout", line);
    let flag = if_plain("--insecure ");
    let line = format!("crane pull {flag}--format oci {reference} {directory}");
    add("Pull it into an OCI layout with crane", line);
    let all = if parts.kind == OverviewKind::Index { "--all " } else { "" };
    let flag = if_plain("--src-tls-verify=false ");
    let line = format!("skopeo copy {all}{flag}docker://{reference} oci:{layout}");
    add("Copy it into an OCI layout with skopeo", line);
    add("Print the manifest", curl_line(context, name, identifier, node));
    commands
}

/// Returns the command line that prints a manifest. `curl` asks for the password of the user.
fn curl_line(context: &RequestContext, name: &str, identifier: &str, node: &Descriptor) -> String {
    let scheme = if is_plain_http(context) { "http" } else { "https" };
    let user = context.identity.user().filter(|user| is_plain_name(user));
    let user = user.map(|user| format!("-u {user} ")).unwrap_or_default();
    // The type is one of the known types of manifests, which a shell does not change.
    let (accept, host) = (node.media_type.as_str(), host(context));
    format!("curl -f {user}-H Accept:{accept} {scheme}://{host}/v2/{name}/manifests/{identifier}")
}

/// Returns true for a name of a user that a shell does not change.
fn is_plain_name(user: &str) -> bool {
    user.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '@'))
}

/// Renders a command line with a copy button, which a script makes visible. `id` is a constant, never input from a
/// client.
pub(super) fn command_line(id: &str, command: &str) -> Markup {
    html! {
        div.command {
            code id=(id) tabindex="0" { @for word in command.split_inclusive(' ') { span { (word) } } }
            (copy_button(id))
        }
    }
}

/// Renders a button that copies the text of an element.
pub(super) fn copy_button(id: &str) -> Markup {
    html! { button type="button" data-copy=(id) aria-describedby=(id) hidden { "Copy" } }
}
