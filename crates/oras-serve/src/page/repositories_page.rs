//! The page that lists the repositories.

use maud::{Markup, html};

use super::format::{LABEL, count, shown};
use super::links::Links;
use super::list_query::{ListPart, ListQuery};
use super::page_request::PageError;
use super::{commands, template};
use crate::api::request_context::RequestContext;
use crate::auth::scope::Action;

/// The maximum number of repositories of one page.
const MAX_ROWS: usize = 100;

/// Renders the page.
pub(super) async fn render(context: &RequestContext) -> Result<Markup, PageError> {
    let query = ListQuery::of(context).unsorted();
    let mut found = context.readable_repositories().await?;
    found.retain(|name| context.may(name, Action::Pull));
    let total = found.len();
    found.retain(|name| name.contains(query.search));
    let part = query.part(found.len(), MAX_ROWS);
    let (host, links) = (commands::host(context), Links::of(context));
    let content = html! {
        h1 { "Repositories" }
        p.lead { "on " code { (host) } }
        @if total == 0 { (empty_registry(context)) } @else {
            (template::search_form(links.home(), "a repository", &query))
            div #list {
                p.count { (counted(&part, total, query.search)) }
                @if found.is_empty() {
                    p.empty { "No repository has such a name. " a href=(links.home()) { "All repositories" } }
                } @else {
                    ul.names {
                        @for name in &found[part.rows.clone()] { li { a href=(links.repository(name).to_page()) { bdi { (shown(name, 2 * LABEL)) } } } }
                    }
                }
                (template::pagination(links.home(), &query, &part))
            }
        }
    };
    Ok(template::page(links, &format!("Repositories – {host}"), &content))
}

fn counted(part: &ListPart, total: usize, search: &str) -> Markup {
    html! {
        @if part.pages > 1 { (part.rows.start + 1) "–" (part.rows.end) " of " }
        @if search.is_empty() { (count(total, "repository", "repositories")) }
        @else { (count(part.total, "match", "matches")) " in " (count(total, "repository", "repositories")) }
    }
}

fn empty_registry(context: &RequestContext) -> Markup {
    html! {
        div.empty {
            p { "There is nothing here yet." }
            @if !context.registry.options.read_only {
                p { "The first push creates the first repository." }
                @if commands::can_reach(context) {
                    (commands::command_line("push", &format!("oras push {}{}/hello:v1 FILE", commands::plain_http_flag(context, "plain-http"), commands::host(context))))
                }
            }
        }
    }
}
