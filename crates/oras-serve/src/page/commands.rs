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

/// Returns the command lines that pull a manifest, or none if clients can't reach this registry. `has_files` means that
/// `oras pull` would write files.
pub(super) fn pull_commands(
    context: &RequestContext,
    ShownManifest { name, tag, node }: &ShownManifest<'_>,
    kind: OverviewKind,
    has_files: bool,
) -> Vec<Command> {
    let reference = format!("{}/{name}@{}", host(context), node.digest);
    let mut lines = Vec::new();
    if !can_reach(context) {
        return lines;
    }
    if has_files {
        let line = format!("oras pull {}{reference}", plain_http_flag(context, "plain-http"));
        lines.push(Command { purpose: "Pull the files", line });
    }
    match kind {
        OverviewKind::Chart => {
            let flag = if is_plain_http(context) { "--plain-http " } else { "" };
            let line = format!("helm pull {flag}oci://{reference}");
            lines.push(Command { purpose: "Pull the chart", line });
        }
        OverviewKind::Image => {
            lines.push(Command { purpose: "Pull the image", line: format!("docker pull {reference}") });
        }
        OverviewKind::Index | OverviewKind::Artifact => {}
    }
    let layout = name.rsplit('/').next().unwrap_or(name);
    let flag = plain_http_flag(context, "from-plain-http");
    let tag = tag.unwrap_or("latest");
    let line = format!("oras cp -r {flag}{reference} --to-oci-layout {layout}:{tag}");
    lines.push(Command { purpose: "Copy it with its referrers into an OCI layout", line });
    lines
}

/// Renders a command line with a copy button, which a script makes visible. `id` is a constant, never input from a
/// client.
pub(super) fn command_line(id: &str, command: &str) -> Markup {
    html! {
        div.command {
            code id=(id) { (command) }
            (copy_button(id))
        }
    }
}

/// Renders a button that copies the text of an element.
pub(super) fn copy_button(id: &str) -> Markup {
    html! { button type="button" data-copy=(id) aria-describedby=(id) hidden { "Copy" } }
}
