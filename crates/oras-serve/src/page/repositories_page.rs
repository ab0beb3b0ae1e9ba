//! The page that lists the repositories.

use maud::{Markup, html};

use super::format::{LABEL, count, shown};
use super::links::Links;
use super::page_request::{self, PageError};
use super::{commands, template};
use crate::api::request_context::RequestContext;
use crate::auth::scope::Action;

/// The maximum number of repositories of one page.
const MAX_ROWS: usize = 100;

/// Renders the page.
pub(super) async fn render(context: &RequestContext) -> Result<Markup, PageError> {
    let (search, after) = page_request::search(context);
    let all = context.readable_repositories().await?;
    let has_any = all.iter().any(|name| context.may(name, Action::Pull));
    let found = all.into_iter().filter(|name| {
        name.contains(search)
            && after.is_none_or(|after| name.as_str() > after)
            && context.may(name, Action::Pull)
    });
    // One name more shows whether there is a next page.
    let mut found: Vec<String> = found.take(MAX_ROWS + 1).collect();
    let has_more = found.len() > MAX_ROWS;
    found.truncate(MAX_ROWS);
    let (host, links) = (commands::host(context), Links::of(context));
    let content = html! {
        h1 { "Repositories" }
        p.lead { "on " code { (host) } }
        @if has_any { (template::search_form(links.home(), "a repository", search)) }
        @if found.is_empty() { (empty_list(context, has_any)) } @else {
            p.count { @if !has_more && after.is_none() { (count(found.len(), "repository", "repositories")) } }
            ul.names {
                @for name in &found { li { a href=(links.repository(name).to_page()) { bdi { (shown(name, 2 * LABEL)) } } } }
            }
        }
        (template::pagination(links.home(), search, after.is_none(), found.last().filter(|_| has_more).map(String::as_str)))
    };
    Ok(template::page(links, &format!("Repositories – {host}"), &content))
}

fn empty_list(context: &RequestContext, has_any: bool) -> Markup {
    html! {
        @if has_any { p.empty { "No repository has such a name." } } @else {
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
}
