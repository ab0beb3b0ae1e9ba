//! The built-in files of the pages.

use std::sync::LazyLock;

use oras_spec::Digest;

/// A built-in file. Its name contains a digest of its content, so that browsers can cache it.
pub(super) struct Asset {
    pub(super) name: String,
    pub(super) media_type: &'static str,
    pub(super) text: &'static str,
}

impl Asset {
    fn new(extension: &str, media_type: &'static str, text: &'static str) -> Self {
        let digest = Digest::sha256(text.as_bytes()).encoded();
        // Twelve digits are enough: the name only has to change with the content.
        Self { name: format!("{}.{extension}", &digest[..12]), media_type, text }
    }
}

pub(super) static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("css", "text/css; charset=utf-8", include_str!("assets/page.css")));
pub(super) static SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("js", "text/javascript; charset=utf-8", include_str!("assets/page.js")));
pub(super) static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("svg", "image/svg+xml", include_str!("assets/icon.svg")));

/// Finds an asset by its name.
pub(super) fn find(name: &str) -> Option<&'static Asset> {
    [&*STYLE, &*SCRIPT, &*ICON].into_iter().find(|asset| asset.name == name)
}
