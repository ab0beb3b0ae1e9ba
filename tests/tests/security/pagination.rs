//! Point 17: paged lists.

use std::sync::atomic::{AtomicUsize, Ordering};

use oras_testkit::scripted::{Asked, Reply, Scripted};

use crate::case_sandbox::{Stage, check};
use crate::registry_fixture::{BASIC, knows_password, learns_nothing, locked, registry, untouched};
use crate::security_case::{Case, honest, hostile};

/// More pages than any of these lists has. A server ends the list after this number.
const ENOUGH: usize = 400;

pub(crate) fn cases() -> Vec<Case> {
    [attacks(), uses()].into_iter().flatten().collect()
}

fn attacks() -> Vec<Case> {
    vec![
        hostile(
            17,
            "next_page_at_another_host",
            "A link to the next page of tags at another server is not followed.",
            |stage| leads_away(stage, "/v2/a/tags/list", r#"{"name":"a","tags":["v1"]}"#, &["repo", "tags"]),
        ),
        hostile(
            17,
            "next_page_of_repositories_at_another_host",
            "A link to the next page of repositories at another server is not followed.",
            |stage| leads_away(stage, "/v2/_catalog", r#"{"repositories":["a"]}"#, &["repo", "ls"]),
        ),
        hostile(
            17,
            "next_page_of_referrers_at_another_host",
            "A link to the next page of referrers at another server is not followed.",
            |stage| leads_away(stage, "/v2/a/referrers/", EMPTY_INDEX, &["discover"]),
        ),
        hostile(17, "next_page_is_the_page_itself", "A page that links to itself ends the list.", |stage| {
            ends(stage, |_, _| 0)
        }),
        hostile(17, "next_page_is_one_before", "Two pages that link to each other end the list.", |stage| {
            ends(stage, |_, page| 1 - page.min(1))
        }),
        hostile(
            17,
            "next_page_is_the_first_of_many",
            "A list whose last page links to its first ends.",
            |stage| ends(stage, |_, page| (page + 1) % 20),
        ),
        hostile(
            17,
            "referrers_pages_without_end",
            "Pages of referrers that come back to a page before end.",
            |stage| {
                let count = AtomicUsize::new(0);
                let server = registry(move |asked| {
                    let path = asked.path.split('?').next()?;
                    let reply = path.starts_with("/v2/a/referrers/").then(|| index(EMPTY_INDEX))?;
                    let number = count.fetch_add(1, Ordering::Relaxed);
                    let next = format!("<{path}?page={}>; rel=\"next\"", number % 3);
                    Some(if number < ENOUGH { reply.header("link", next) } else { reply })
                });
                stage.oras(&["discover", &format!("{}/a:v1", server.host())]);
                few(&server.server)
            },
        ),
        hostile(17, "next_page_is_none", "A link that can't be read is no crash.", |stage| {
            for link in
                ["<", "<>; rel=next", "<http://[/>; rel=\"next\"", "<file:///etc/passwd>; rel=\"next\""]
            {
                let server = registry(move |asked| {
                    asked
                        .reads("/v2/a/tags/list")
                        .then(|| Reply::new(200).header("link", link).body(r#"{"tags":["v1"]}"#))
                });
                let said = stage.oras(&["repo", "tags", &format!("{}/a", server.host())]);
                check(matches!(said.status, Some(0 | 1)), || format!("ends with {:?}", said.status))?;
                check(server.server.asked().len() < 10, || "asks on and on".to_owned())?;
            }
            Ok(())
        }),
    ]
}

fn uses() -> Vec<Case> {
    vec![
        honest(17, "many_pages", "A list of sixty pages is read to its end.", |stage| {
            all_pages(stage, |_, next| format!("</v2/a/tags/list?last={next}&n=1>; rel=\"next\""))
        }),
        honest(17, "next_page_by_a_query", "A link that is a query alone is followed.", |stage| {
            all_pages(stage, |_, next| format!("<?last={next}>; rel=\"next\""))
        }),
        honest(
            17,
            "next_page_by_its_address",
            "A link with the whole address of the registry is followed, with credentials.",
            |stage| {
                all_pages(stage, |asked, next| {
                    let host = asked.header("host").unwrap_or_default();
                    format!("<http://{host}/v2/a/tags/list?last={next}>; rel=\"next\"")
                })
            },
        ),
    ]
}

const EMPTY_INDEX: &str =
    r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;

fn index(body: &str) -> Reply {
    Reply::new(200).header("content-type", "application/vnd.oci.image.index.v1+json").body(body)
}

/// Checks that a link of a list to another server is not followed.
fn leads_away(stage: &Stage, path: &'static str, body: &'static str, words: &[&str]) -> Result<(), String> {
    let other = Scripted::start(move |_| index(body));
    let link = format!("<http://{}{path}?last=x>; rel=\"next\"", other.host());
    let server = registry(locked(move |asked| {
        asked.path.starts_with(path).then(|| index(body).header("link", &link))
    }));
    knows_password(stage, &server.host());
    let place = match words {
        ["repo", "ls"] => server.host(),
        ["discover"] => format!("{}/a:v1", server.host()),
        _ => format!("{}/a", server.host()),
    };
    stage.oras(&[words, &[place.as_str()]].concat());
    check(!server.server.lines().is_empty(), || "asks the registry for nothing".to_owned())?;
    learns_nothing(&other, &["authorization", BASIC])?;
    untouched(&other)
}

/// Checks that a tag list ends soon whose next pages are chosen by `next`.
fn ends(stage: &Stage, next: fn(&Asked, usize) -> usize) -> Result<(), String> {
    let count = AtomicUsize::new(0);
    let server = registry(move |asked| {
        if !asked.reads("/v2/a/tags/list") {
            return None;
        }
        let page = asked.path.rsplit_once("page=").and_then(|(_, page)| page.parse().ok()).unwrap_or(0);
        let reply = Reply::new(200).body(format!(r#"{{"name":"a","tags":["v{page}"]}}"#));
        let link = format!("</v2/a/tags/list?page={}>; rel=\"next\"", next(asked, page));
        let more = count.fetch_add(1, Ordering::Relaxed) < ENOUGH;
        Some(if more { reply.header("link", link) } else { reply })
    });
    stage.oras(&["repo", "tags", &format!("{}/a", server.host())]);
    few(&server.server)
}

fn few(server: &Scripted) -> Result<(), String> {
    let asked = server.asked().len();
    check((1..100).contains(&asked), || format!("asks {asked} times"))
}

/// Checks that a list of sixty pages with one tag each is read completely.
fn all_pages(stage: &Stage, link: fn(&Asked, usize) -> String) -> Result<(), String> {
    const TAGS: usize = 60;
    let server = registry(locked(move |asked| {
        if !asked.reads("/v2/a/tags/list") {
            return None;
        }
        let last =
            asked.path.rsplit_once("last=").map(|(_, last)| last.split('&').next().unwrap_or_default());
        let page = last.and_then(|last| last.parse().ok()).unwrap_or(0);
        let reply = Reply::new(200).body(format!(r#"{{"name":"a","tags":["v{page}"]}}"#));
        Some(if page + 1 < TAGS { reply.header("link", link(asked, page + 1)) } else { reply })
    }));
    knows_password(stage, &server.host());
    let said = stage.oras(&["repo", "tags", &format!("{}/a", server.host())]);
    let found = said.works()?.stdout.lines().count();
    check(found == TAGS, || format!("finds {found} tags"))
}
