//! Command lines that people copy. Every part of them was checked against a grammar without spaces, quotes and the like.

use axum::http::header::HOST;
use maud::{Markup, html};
use oras_spec::Digest;
use oras_spec::reference::check_registry;

use super::Visit;
use super::overview::Kind;

impl Visit<'_> {
    /// The name of this registry: the one it was given, or the one that the visitor's browser knows.
    pub(super) fn host(&self) -> &str {
        if let Some((_, public)) = self.public_url() {
            return public.split('/').next().unwrap_or(public);
        }
        let host = self.headers.get(HOST).and_then(|value| value.to_str().ok());
        host.and_then(|host| check_registry(host).ok()).unwrap_or("REGISTRY")
    }

    /// What clients call this server, if it was told, without `://`.
    fn public_url(&self) -> Option<(&str, &str)> {
        self.registry.options.public_url.as_deref()?.split_once("://")
    }

    /// Whether the visitor's browser did not speak TLS. What a reverse proxy says of it is believed, as nothing but the
    /// text of these lines depends on it.
    fn is_plain(&self) -> bool {
        if let Some((scheme, _)) = self.public_url() {
            return scheme != "https";
        }
        let proxied = self.headers.get("x-forwarded-proto").is_some_and(|value| value.as_bytes() == b"https");
        !self.registry.secure && !proxied
    }

    /// `--flag ` where `oras` has to be told not to speak TLS: it knows that of `localhost` alone.
    pub(super) fn plain(&self, flag: &str) -> String {
        let local = self.host().split(':').next() == Some("localhost");
        if self.is_plain() && !local { format!("--{flag} ") } else { String::new() }
    }

    /// How to get a manifest: what for, and the line.
    pub(super) fn commands(
        &self,
        name: &str,
        digest: &Digest,
        tag: Option<&str>,
        kind: Kind,
        files: bool,
    ) -> Vec<(&'static str, String)> {
        let reference = format!("{}/{name}@{digest}", self.host());
        let mut lines = Vec::new();
        if files {
            lines.push(("Pull the files", format!("oras pull {}{reference}", self.plain("plain-http"))));
        }
        match kind {
            Kind::Chart => {
                let flag = if self.is_plain() { "--plain-http " } else { "" };
                lines.push(("Pull the chart", format!("helm pull {flag}oci://{reference}")));
            }
            Kind::Image => lines.push(("Pull the image", format!("docker pull {reference}"))),
            Kind::Index | Kind::Artifact => {}
        }
        let layout = name.rsplit('/').next().unwrap_or(name);
        let copy = format!(
            "oras cp -r {}{reference} --to-oci-layout {layout}:{}",
            self.plain("from-plain-http"),
            tag.unwrap_or("latest")
        );
        lines.push(("Copy it with its referrers into an OCI layout", copy));
        lines
    }
}

/// A command line with a button that copies it, where there are scripts. `id` is of our making.
pub(super) fn line(id: &str, command: &str) -> Markup {
    html! {
        div.command {
            code id=(id) { (command) }
            (copy(id))
        }
    }
}

/// A button that copies the text of an element.
pub(super) fn copy(id: &str) -> Markup {
    html! { button type="button" data-copy=(id) aria-describedby=(id) hidden { "Copy" } }
}
