//! The page of all repositories.

use maud::{Markup, html};

use super::text::{LABEL, count, shown};
use super::{Problem, Visit, commands, frame, place};

/// Repositories of one page.
const PAGE: usize = 100;

pub(super) async fn page(visit: &Visit<'_>) -> Result<Markup, Problem> {
    let (asked, after) = (visit.asked(), visit.after());
    let all = visit.registry.readable(visit.visitor).await.map_err(|error| Problem::of(&error))?;
    let known = all.iter().any(|name| visit.may_pull(name));
    let found = all.into_iter().filter(|name| {
        name.contains(asked) && after.is_none_or(|after| name.as_str() > after) && visit.may_pull(name)
    });
    let mut found: Vec<String> = found.take(PAGE + 1).collect();
    let more = found.len() > PAGE;
    found.truncate(PAGE);
    let host = visit.host();
    let content = html! {
        h1 { "Repositories" }
        p.lead { "on " code { (host) } }
        @if known { (frame::finder("/", "a repository", asked)) }
        @if found.is_empty() { (nothing(visit, known)) } @else {
            p.count { @if !more && after.is_none() { (count(found.len(), "repository", "repositories")) } }
            ul.names {
                @for name in &found { li { a href=(place::of_repository(name)) { bdi { (shown(name, 2 * LABEL)) } } } }
            }
        }
        (frame::pages("/", asked, after.is_none(), found.last().filter(|_| more).map(String::as_str)))
    };
    Ok(frame::page(&format!("Repositories – {host}"), &content))
}

fn nothing(visit: &Visit<'_>, known: bool) -> Markup {
    html! {
        @if known { p.empty { "No repository has such a name." } } @else {
            div.empty {
                p { "There is nothing here yet." }
                @if !visit.registry.options.read_only {
                    p { "The first repository is made by whoever pushes to it:" }
                    (commands::line("push", &format!("oras push {}{}/hello:v1 FILE", visit.plain("plain-http"), visit.host())))
                }
            }
        }
    }
}
