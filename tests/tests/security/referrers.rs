//! Point 18: referrers in cycles, endless or too many referrers, and malformed referrers lists.

use oras_spec::Digest;
use oras_testkit::memory_registry::MemoryRegistry;
use oras_testkit::registry::Process;
use oras_testkit::scripted::{Asked, Reply, Scripted};

use crate::case_sandbox::{Said, Stage, check};
use crate::fixtures::{INDEX, MANIFEST, limited, manifest, referrer, serve};
use crate::security_case::{Case, honest, hostile};

/// The time limit of every command, because a loop would never end.
const SECONDS: u64 = 30;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = circles();
    cases.extend(masses());
    cases.extend(no_lists());
    cases
}

fn circles() -> Vec<Case> {
    vec![
        hostile(
            18,
            "referrers_cycle_discover",
            "Referrers that refer to each other are listed in bounded time.",
            |stage| {
                for format in ["tree", "json", "table"] {
                    ends(&stage.oras(&["discover", "--format", format, &name(&circle(2))]))?;
                }
                Ok(())
            },
        ),
        hostile(
            18,
            "referrers_cycle_copy",
            "Referrers that refer to each other are copied or refused in bounded time.",
            |stage| {
                let said = stage.oras(&["cp", "-r", &name(&circle(2)), "--to-oci-layout", "layout:v1"]);
                ends(&said)
            },
        ),
        hostile(
            18,
            "referrers_cycle_backup",
            "Referrers that refer to each other are saved or refused in bounded time.",
            |stage| {
                let server = circle(2);
                ends(&stage.oras(&["backup", "--include-referrers", "-o", "all.tar", &name(&server)]))
            },
        ),
        hostile(
            18,
            "referrer_of_itself",
            "A manifest listed as its own referrer ends nothing in a loop.",
            |stage| {
                let server = circle(1);
                ends(&stage.oras(&["discover", &name(&server)]))?;
                ends(&stage.oras(&["cp", "-r", &name(&server), "--to-oci-layout", "layout:v1"]))?;
                ends(&stage.oras(&["backup", "--include-referrers", "-o", "all", &name(&server)]))
            },
        ),
    ]
}

fn masses() -> Vec<Case> {
    vec![
        hostile(
            18,
            "referrers_2000_deep_discover",
            "A chain of 2,000 referrers overflows no stack.",
            |stage| {
                for format in ["tree", "json"] {
                    ends(&stage.oras(&["discover", "--format", format, &name(&chain(2000))]))?;
                }
                Ok(())
            },
        ),
        hostile(18, "referrers_500_deep_copy", "A chain of 500 referrers overflows no stack.", |stage| {
            let registry = Process::ours(&[]);
            let target = format!("{}/b:v1", registry.host());
            ends(&stage.oras(&["cp", "-r", &name(&chain(500)), &target]))
        }),
        hostile(
            18,
            "referrers_without_end",
            "A registry that makes up a referrer for each referrer is given up, in bounded memory.",
            |stage| {
                let said =
                    limited(stage, "ulimit -v 4000000; ulimit -t 10", &["discover", &name(&endless())]);
                check(said.status == Some(1), || format!("ends with {:?}", said.status))?;
                ends(&said)
            },
        ),
        hostile(18, "referrers_20000_wide", "A list of 20,000 referrers is read or refused.", |stage| {
            let server = wide(20_000);
            let words = ["discover", "--depth", "1", &name(&server)];
            let said = limited(stage, "ulimit -v 4000000", &words);
            // The Go tool requests the referrers of each referrer, which takes 15 seconds.
            if stage.is_go {
                check(said.status.is_some(), || "is still running".to_owned())
            } else {
                ends(&said)
            }
        }),
        honest(18, "referrers_chain_of_5", "A chain of five referrers is listed and copied.", |stage| {
            let server = chain(5);
            let said = stage.oras(&["discover", &name(&server)]);
            let found = said.works()?.stdout.matches("chain/x").count();
            check(found == 5, || format!("shows {}", said.stdout))?;
            stage.oras(&["cp", "-r", &name(&server), "--to-oci-layout", "layout:v1"]).works()?;
            let said = stage.oras(&["discover", "--oci-layout", "layout:v1"]);
            let found = said.works()?.stdout.matches("chain/x").count();
            check(found == 5, || format!("copies {}", said.stdout))
        }),
        honest(18, "referrers_300_wide", "300 referrers of one manifest are listed and copied.", |stage| {
            let server = wide(300);
            let said = stage.oras(&["discover", "--format", "json", &name(&server)]);
            let found = said.works()?.stdout.matches("\"wide/x\"").count();
            check(found == 300, || format!("shows {found}"))?;
            let registry = Process::ours(&[]);
            let target = format!("{}/b:v1", registry.host());
            stage.oras(&["cp", "-r", &name(&server), &target]).works()?;
            let said = stage.oras(&["discover", "--format", "json", &target]);
            let found = said.works()?.stdout.matches("\"wide/x\"").count();
            check(found == 300, || format!("copies {found}"))
        }),
    ]
}

fn no_lists() -> Vec<Case> {
    vec![
        hostile(
            18,
            "fallback_tag_is_an_image",
            "An image under the tag for referrers is no list of them, and is not lost by an attach.",
            |stage| no_list(stage, MANIFEST, manifest(r#""artifactType":"evil/x","#, "")),
        ),
        hostile(
            18,
            "fallback_tag_is_any_index",
            "An index of images under the tag for referrers makes no referrer of what refers to nothing.",
            fallback_is_any_index,
        ),
        hostile(
            18,
            "referrers_answer_is_an_image",
            "A referrers response that is not an index lists nothing.",
            |stage| {
                let (memory, _) = subject();
                let server = serve(memory, |asked, _| {
                    asks_referrers(asked)
                        .then(|| Reply::new(200).header("content-type", MANIFEST).body(manifest("", "")))
                });
                let said = stage.oras(&["discover", "--format", "json", &name(&server)]);
                ends(&said)?;
                check(!said.stdout.contains("\"artifactType\""), || format!("shows {}", said.stdout))
            },
        ),
        hostile(
            18,
            "referrers_answer_is_html",
            "A page of a proxy in place of referrers is no empty list that an attach may write.",
            |stage| {
                let (memory, _) = subject();
                let server = serve(memory, |asked, _| {
                    asks_referrers(asked).then(|| {
                        Reply::new(200).header("content-type", "text/html").body("<html>Sign in</html>")
                    })
                });
                let said = stage.oras(&["discover", &name(&server)]);
                ends(&said)?;
                check(!said.text().contains("<html>"), || format!("shows {}", said.text()))
            },
        ),
        honest(
            18,
            "fallback_tag_is_a_list",
            "Referrers under the tag are listed where the API is missing, and an attach adds to them.",
            |stage| {
                let registry = Process::ours(&["--no-referrers"]);
                let name = format!("{}/a:v1", registry.host());
                stage.file("file", "content");
                stage.oras(&["push", &name, "file"]).works()?;
                for kind in ["one/x", "two/x"] {
                    stage.oras(&["attach", "--artifact-type", kind, &name, "file"]).works()?;
                }
                let said = stage.oras(&["discover", &name]);
                let shown = &said.works()?.stdout;
                check(shown.contains("one/x") && shown.contains("two/x"), || format!("shows {shown}"))
            },
        ),
    ]
}

fn name(server: &Scripted) -> String {
    format!("{}/a:v1", server.host())
}

/// Checks that the command ended in time with success or failure, without a crash.
fn ends(said: &Said) -> Result<(), String> {
    check(matches!(said.status, Some(0 | 1)), || format!("ends with {:?}: {}", said.status, last(said)))?;
    check(said.took.as_secs() < SECONDS, || format!("takes {:?}", said.took))
}

fn last(said: &Said) -> String {
    let text = said.text();
    text.chars().rev().take(300).collect::<Vec<_>>().into_iter().rev().collect()
}

fn asks_referrers(asked: &Asked) -> bool {
    asked.path.contains("/referrers/")
}

/// Returns a memory registry with a manifest `a:v1`, and its digest and size.
fn subject() -> (MemoryRegistry, (Digest, usize)) {
    let memory = MemoryRegistry::new();
    memory.blob("a", "{}");
    let text = manifest("", "");
    let digest = memory.manifest("a", "v1", MANIFEST, text.clone());
    (memory, (digest, text.len()))
}

fn list(entries: &[String]) -> Reply {
    let text = format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{}]}}"#, entries.join(","));
    Reply::new(200).header("content-type", INDEX).body(text)
}

fn entry(digest: &Digest, size: usize, artifact_type: &str) -> String {
    format!(
        r#"{{"mediaType":"{MANIFEST}","digest":"{digest}","size":{size},"artifactType":"{artifact_type}"}}"#
    )
}

/// Starts a registry with a cycle of `count` manifests, each of which is listed as a referrer of the previous
/// one.
fn circle(count: usize) -> Scripted {
    let (memory, first) = subject();
    let mut nodes = vec![first];
    for number in 1..count {
        let (before, size) = nodes[nodes.len() - 1].clone();
        let text = referrer("circle/x", &before, size);
        nodes.push((memory.manifest("a", &format!("n{number}"), MANIFEST, text.clone()), text.len()));
    }
    serve(memory, move |asked, _| {
        let asked = asked.path.split("/referrers/").nth(1)?.split('?').next()?;
        let place = nodes.iter().position(|(digest, _)| digest.to_string() == asked)?;
        let (digest, size) = &nodes[(place + 1) % nodes.len()];
        Some(list(&[entry(digest, *size, "circle/x")]))
    })
}

/// Starts a registry with a chain of `count` referrers. The subject of each is the previous one.
fn chain(count: usize) -> Scripted {
    let (memory, first) = subject();
    let mut nodes = vec![first];
    for number in 0..count {
        let (before, size) = nodes[number].clone();
        let text = referrer("chain/x", &before, size);
        nodes.push((memory.manifest("a", &format!("n{number}"), MANIFEST, text.clone()), text.len()));
    }
    let places: std::collections::HashMap<String, usize> =
        nodes.iter().enumerate().map(|(place, (digest, _))| (digest.to_string(), place)).collect();
    serve(memory, move |asked, _| {
        let asked = asked.path.split("/referrers/").nth(1)?.split('?').next()?;
        let next = places.get(asked).and_then(|place| nodes.get(place + 1));
        Some(list(
            &next.map(|(digest, size)| entry(digest, *size, "chain/x")).into_iter().collect::<Vec<_>>(),
        ))
    })
}

/// Starts a registry that returns a new referrer for every digest.
fn endless() -> Scripted {
    let (memory, _) = subject();
    serve(memory, |asked, _| {
        asks_referrers(asked)
            .then(|| list(&[entry(&Digest::sha256(asked.path.as_bytes()), 100, "endless/x")]))
    })
}

/// Starts a registry with one manifest and `count` referrers of it.
fn wide(count: usize) -> Scripted {
    let (memory, (first, size)) = subject();
    let mut entries = Vec::new();
    for number in 0..count {
        let members = format!(
            r#""artifactType":"wide/x","annotations":{{"n":"{number}"}},"subject":{{"mediaType":"{MANIFEST}","digest":"{first}","size":{size}}},"#
        );
        let text = manifest(&members, "");
        entries.push(entry(&Digest::sha256(text.as_bytes()), text.len(), "wide/x"));
        // Referrers that are not copied need not exist.
        if count < 1000 {
            memory.manifest("a", &format!("n{number}"), MANIFEST, text);
        }
    }
    let end = format!("/referrers/{first}");
    serve(memory, move |asked, _| {
        let is_first = asked.path.split('?').next().is_some_and(|path| path.ends_with(&end));
        asks_referrers(asked).then(|| list(if is_first { &entries } else { &[] }))
    })
}

/// Checks a registry without the referrers API, which has this document under the referrers tag of `a:v1`.
fn no_list(stage: &Stage, media_type: &str, text: String) -> Result<(), String> {
    let (memory, (first, _)) = subject();
    let tag = first.to_string().replace(':', "-");
    let digest = memory.manifest("a", &tag, media_type, text);
    let server = serve(memory, |_, _| None);
    let said = stage.oras(&["discover", "--format", "json", &name(&server)]);
    ends(&said)?;
    check(!said.stdout.contains("evil/x"), || format!("shows {}", said.stdout))?;
    stage.file("file", "content");
    stage.oras(&["attach", "--artifact-type", "good/x", &name(&server), "file"]);
    let after = stage.oras(&["resolve", &format!("{}/a:{tag}", server.host())]);
    let kept = after.stdout.contains(&digest.to_string());
    check(kept, || format!("replaces it by {}", after.text()))
}

fn fallback_is_any_index(stage: &Stage) -> Result<(), String> {
    let (memory, (first, _)) = subject();
    let child = manifest(r#""artifactType":"evil/x","#, "");
    let digest = memory.manifest("a", "child", MANIFEST, child.clone());
    let plain = format!(r#"{{"mediaType":"{MANIFEST}","digest":"{digest}","size":{}}}"#, child.len());
    let tag = first.to_string().replace(':', "-");
    let text = format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{plain}]}}"#);
    memory.manifest("a", &tag, INDEX, text);
    let server = serve(memory, |_, _| None);
    ends(&stage.oras(&["discover", &name(&server)]))?;
    // A copy in a layout is not a referrer, because a layout identifies referrers by their subject.
    ends(&stage.oras(&["cp", "-r", &name(&server), "--to-oci-layout", "layout:v1"]))?;
    let said = stage.oras(&["discover", "--format", "json", "--oci-layout", "layout:v1"]);
    check(!said.stdout.contains("evil/x"), || format!("shows {}", said.stdout))
}
