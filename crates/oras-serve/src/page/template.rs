//! The parts that all pages share.

use http::StatusCode;
use maud::{DOCTYPE, Markup, html};

use super::assets::{ICON, SCRIPT, STYLE};
use super::format::{LABEL, shown};
use super::links::{Links, RepositoryLinks, encoded_value};

/// Renders a whole page.
pub(super) fn page(links: Links<'_>, title: &str, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                link rel="icon" type="image/svg+xml" href=(links.to_asset(&ICON.name));
                link rel="stylesheet" href=(links.to_asset(&STYLE.name));
                script src=(links.to_asset(&SCRIPT.name)) defer {}
            }
            body {
                a.skip href="#content" { "Skip to content" }
                header.top {
                    a.home href=(links.home()) {
                        img src=(links.to_asset(&ICON.name)) alt="" width="24" height="24";
                        "Registry"
                    }
                }
                main #content tabindex="-1" { (content) }
                footer { p { "Served by " code { "oras serve" } ". This page only reads." } }
                p #said.quiet role="status" {}
            }
        }
    }
}

/// Renders an error page.
pub(super) fn error(links: Links<'_>, status: StatusCode, message: &str) -> Markup {
    let title = match status {
        StatusCode::NOT_FOUND => "Not found",
        StatusCode::BAD_REQUEST => "Not understood",
        _ => "Something went wrong",
    };
    let content = html! {
        h1 { (title) }
        p { (message) }
        p { a href=(links.home()) { "All repositories" } }
    };
    page(links, title, &content)
}

/// Renders the breadcrumb: the repositories, a repository, and a reference.
pub(super) fn breadcrumb(repository: RepositoryLinks<'_>, shown: Option<&str>) -> Markup {
    html! {
        nav.trail aria-label="Breadcrumb" {
            ol {
                li { a href=(repository.links.home()) { "Repositories" } }
                @match shown {
                    None => li { span aria-current="page" { (repository.name) } },
                    Some(shown) => {
                        li { a href=(repository.to_page()) { (repository.name) } }
                        li { span aria-current="page" { (shown) } }
                    }
                }
            }
        }
    }
}

/// Renders a search field for `what`, which submits to the path `action`.
pub(super) fn search_form(action: &str, what: &str, search: &str) -> Markup {
    html! {
        form.find role="search" action=(action) method="get" {
            label for="find" { "Find " (what) }
            div.line {
                input #find type="search" name="q" value=(shown(search, 2 * LABEL)) autocomplete="off" spellcheck="false" maxlength="255";
                button type="submit" { "Find" }
            }
        }
    }
}

/// Renders the links to the first page and to the page after `last`.
pub(super) fn pagination(action: &str, search: &str, is_first: bool, last: Option<&str>) -> Markup {
    let query = |last: &str| {
        let pairs = [("q", search), ("last", last)];
        let pairs = pairs.iter().filter(|(_, value)| !value.is_empty());
        let pairs: Vec<_> = pairs.map(|(name, value)| format!("{name}={}", encoded_value(value))).collect();
        if pairs.is_empty() { action.to_owned() } else { format!("{action}?{}", pairs.join("&")) }
    };
    html! {
        @if !is_first || last.is_some() {
            nav.pages aria-label="Pages" {
                @if !is_first { a href=(query("")) { "First page" } }
                @if let Some(last) = last { a rel="next" href=(query(last)) { "Next page" } }
            }
        }
    }
}
