//! The description of an artifact: its annotation, its Markdown files, and links to web pages about it.

use std::sync::Arc;

use maud::{Markup, html};
use oras_spec::{Descriptor, Manifest, annotation};
use oras_store::{Content, ReadStore, Source};

use super::format::{LABEL, shown};
use super::markdown::{self, LineBreaks, MAX_TEXT};

/// The maximum number of Markdown files that are shown.
const MAX_FILES: usize = 3;
/// The annotations whose value may be the address of a web page.
const ADDRESSES: [(&str, &str); 4] = [
    ("io.artifacthub.package.readme-url", "Readme"),
    ("org.opencontainers.image.documentation", "Documentation"),
    ("org.opencontainers.image.url", "Home page"),
    ("org.opencontainers.image.source", "Source code"),
];

/// Renders the section, or nothing if the manifest has no description.
pub(super) async fn section(store: &Arc<dyn ReadStore>, manifest: &Manifest) -> Markup {
    let annotations = manifest.annotations();
    let text = annotations.get(annotation::DESCRIPTION).filter(|text| !text.trim().is_empty());
    let links: Vec<_> = ADDRESSES
        .iter()
        .filter_map(|(key, label)| Some((*label, annotations.get(*key)?)))
        .filter(|(_, address)| markdown::is_web_address(address))
        .collect();
    let files = files(store, manifest).await;
    if text.is_none() && links.is_empty() && files.is_empty() {
        return html! {};
    }
    html! {
        section aria-labelledby="about" {
            h2 #about { "About" }
            @if let Some(text) = text { div.markdown { (markdown::render(text, LineBreaks::Kept)) } }
            @if !links.is_empty() {
                ul.links { @for (label, address) in links { li { a href=(address) rel="nofollow noreferrer" { (label) } } } }
            }
        }
        @for (number, file) in files.iter().enumerate() {
            @let id = format!("file-{number}");
            section aria-labelledby=(id) {
                h2 id=(id) { bdi { (file.name) } }
                div.markdown.framed { (markdown::render(&file.text, LineBreaks::Spaces)) }
            }
        }
    }
}

struct MarkdownFile {
    name: String,
    text: String,
}

/// Reads the Markdown files of an artifact. Large ones are only listed with the other content.
async fn files(store: &Arc<dyn ReadStore>, manifest: &Manifest) -> Vec<MarkdownFile> {
    let mut files = Vec::new();
    let layers = manifest.layers().iter().filter(|layer| is_markdown(layer) && layer.size <= MAX_TEXT as u64);
    for layer in layers.take(MAX_FILES) {
        let content = Content::from_source(Arc::clone(store) as Arc<dyn Source>, layer.clone());
        // A missing or damaged file is not shown here; the section of the content lists it.
        if let Ok(bytes) = content.bytes(MAX_TEXT as u64).await {
            let name = shown(layer.title().unwrap_or("Markdown"), LABEL);
            files.push(MarkdownFile { name, text: String::from_utf8_lossy(&bytes).into_owned() });
        }
    }
    files
}

/// Returns true for a Markdown file by its media type, and for a file named README.md. `oras push` gives files without a
/// type that of a tar archive.
fn is_markdown(layer: &Descriptor) -> bool {
    let essence = layer.media_type.as_str().split(';').next().unwrap_or_default().trim();
    let is_readme = || {
        let name = layer.title().and_then(|title| title.rsplit('/').next());
        let is_directory = layer.annotations.contains_key(annotation::UNPACK);
        name.is_some_and(|name| name.eq_ignore_ascii_case("README.md")) && !is_directory
    };
    essence.eq_ignore_ascii_case("text/markdown") || is_readme()
}
