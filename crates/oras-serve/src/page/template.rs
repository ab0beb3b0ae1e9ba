//! The parts that all pages share.

use http::StatusCode;
use maud::{DOCTYPE, Markup, html};

use super::assets::{ICON, SCRIPT, STYLE};
use super::format::{LABEL, number, shown};
use super::links::{Links, RepositoryLinks};
use super::list_query::{ListPart, ListQuery};

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
                p #status.visually-hidden role="status" {}
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
pub(super) fn search_form(action: &str, what: &str, query: &ListQuery<'_>) -> Markup {
    html! {
        form.find role="search" action=(action) method="get" {
            label for="find" { "Find " (what) }
            div.line {
                input #find type="search" name="q" value=(shown(query.search, 2 * LABEL)) autocomplete="off" spellcheck="false" maxlength="255";
                @for (name, value) in query.order_parameters() { input type="hidden" name=(name) value=(value); }
                button type="submit" { "Find" }
            }
        }
    }
}

/// Renders the links to other pages of a list, and a form to jump to a page.
pub(super) fn pagination(action: &str, query: &ListQuery<'_>, part: &ListPart) -> Markup {
    let link = |page| query.with_page(page).to_link(action);
    html! {
        @if part.pages > 1 {
            nav.pages aria-label="Pages" {
                @if part.page > 1 {
                    a href=(link(1)) { "First page" }
                    a rel="prev" href=(link(part.page - 1)) { "Previous page" }
                }
                form.jump action=(action) method="get" {
                    @if !query.search.is_empty() { input type="hidden" name="q" value=(query.search); }
                    @for (name, value) in query.order_parameters() { input type="hidden" name=(name) value=(value); }
                    label for="page" { "Page" }
                    input #page type="number" name="page" value=(part.page) min="1" max=(part.pages) required;
                    span { "of " (number(part.pages as u64)) }
                    button type="submit" { "Go" }
                }
                @if part.page < part.pages {
                    a rel="next" href=(link(part.page + 1)) { "Next page" }
                    a href=(link(part.pages)) { "Last page" }
                }
            }
        }
    }
}
