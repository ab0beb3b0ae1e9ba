//! What all pages have around them.

use axum::http::StatusCode;
use maud::{DOCTYPE, Markup, html};

use super::assets::{ICON, SCRIPT, STYLE};
use super::place;
use super::text::{LABEL, shown};

/// A whole page.
pub(super) fn page(title: &str, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                link rel="icon" type="image/svg+xml" href=(ICON.path());
                link rel="stylesheet" href=(STYLE.path());
                script src=(SCRIPT.path()) defer {}
            }
            body {
                a.skip href="#content" { "Skip to content" }
                header.top {
                    a.home href="/" {
                        img src=(ICON.path()) alt="" width="24" height="24";
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

/// The page that is shown in place of one that can't be.
pub(super) fn problem(status: StatusCode, message: &str) -> Markup {
    let title = match status {
        StatusCode::NOT_FOUND => "Not found",
        StatusCode::BAD_REQUEST => "Not understood",
        _ => "Something went wrong",
    };
    let content = html! {
        h1 { (title) }
        p { (message) }
        p { a href="/" { "All repositories" } }
    };
    page(title, &content)
}

/// Where a page is: the repositories, a repository, and what is shown of it.
pub(super) fn trail(name: &str, shown: Option<&str>) -> Markup {
    html! {
        nav.trail aria-label="Breadcrumb" {
            ol {
                li { a href="/" { "Repositories" } }
                @match shown {
                    None => li { span aria-current="page" { (name) } },
                    Some(shown) => {
                        li { a href=(place::of_repository(name)) { (name) } }
                        li { span aria-current="page" { (shown) } }
                    }
                }
            }
        }
    }
}

/// A field to find `what` by a part of its name, at the address `action`.
pub(super) fn finder(action: &str, what: &str, asked: &str) -> Markup {
    html! {
        form.find role="search" action=(action) method="get" {
            label for="find" { "Find " (what) }
            div.line {
                input #find type="search" name="q" value=(shown(asked, 2 * LABEL)) autocomplete="off" spellcheck="false" maxlength="255";
                button type="submit" { "Find" }
            }
        }
    }
}

/// The way to what comes after `last`, and back to the beginning.
pub(super) fn pages(action: &str, asked: &str, first: bool, last: Option<&str>) -> Markup {
    let query = |last: &str| {
        let pairs = [("q", asked), ("last", last)];
        let pairs = pairs.iter().filter(|(_, value)| !value.is_empty());
        let pairs: Vec<_> =
            pairs.map(|(name, value)| format!("{name}={}", place::encoded_value(value))).collect();
        if pairs.is_empty() { action.to_owned() } else { format!("{action}?{}", pairs.join("&")) }
    };
    html! {
        @if !first || last.is_some() {
            nav.pages aria-label="Pages" {
                @if !first { a href=(query("")) { "First page" } }
                @if let Some(last) = last { a rel="next" href=(query(last)) { "Next page" } }
            }
        }
    }
}
