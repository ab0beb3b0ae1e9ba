//! Points 12 and 16, `registries.conf`: mirrors, relocated registries and blocked registries.

use std::sync::Arc;

use oras_testkit::memory_registry::MemoryRegistry;
use oras_testkit::scripted::{Asked, Reply, Scripted};

use crate::case_sandbox::{Said, Stage, check};
use crate::registry_fixture::{
    BASIC, HELLO, PASSWORD, Registry, answers, certificate, content, has_file, has_nothing, knows_password,
    layer, learns_nothing, locked, own_name, pull, push, registry, run, trusting, untouched,
};
use crate::security_case::{Case, honest, hostile};

pub(crate) fn cases() -> Vec<Case> {
    let all = [secrets(), wrong_content(), failures(), rules(), insecure(), writes(), files()];
    all.into_iter().flatten().map(Case::ours_only).collect()
}

fn secrets() -> Vec<Case> {
    vec![
        hostile(
            16,
            "mirror_and_what_is_for_the_registry",
            "A mirror gets neither the headers nor the credentials that are given for the registry.",
            |stage| {
                let mirror =
                    registry(|_| Some(Reply::new(401).header("www-authenticate", "Basic realm=\"x\"")));
                let primary = registry(locked(|_| None));
                mirrors(stage, &primary, &[&mirror], "");
                let flags = ["-u", "user", "-p", PASSWORD, "-H", "X-Own: s3cret"].map(str::to_owned);
                pull(stage, &primary.host(), &flags).works()?;
                has_file(stage)?;
                asked(&mirror.server)?;
                learns_nothing(&mirror.server, &[BASIC, "s3cret", "authorization"])
            },
        ),
        hostile(
            16,
            "mirror_and_stored_credentials",
            "A mirror gets no credentials that are stored for the registry.",
            |stage| {
                let mirror =
                    registry(|_| Some(Reply::new(401).header("www-authenticate", "Basic realm=\"x\"")));
                let primary = registry(locked(|_| None));
                mirrors(stage, &primary, &[&mirror], "");
                knows_password(stage, &primary.host());
                pull(stage, &primary.host(), &[]).works()?;
                asked(&mirror.server)?;
                learns_nothing(&mirror.server, &[BASIC, "authorization"])
            },
        ),
        hostile(
            16,
            "mirror_and_the_client_certificate",
            "A mirror is not shown the client certificate that is given for the registry.",
            |stage| {
                let Some(made) = certificate(stage, &["localhost"]) else { return Ok(()) };
                let Some(name) = own_name(stage) else { return Ok(()) };
                let mirror = Scripted::start_tls(&made, answers(|_| None));
                let primary = Scripted::start_tls(&made, answers(|_| None));
                let location = format!("{name}:{}", mirror.port());
                conf(
                    stage,
                    &table(&primary.host(), &primary.host(), &mirror_table(&location, "insecure = true")),
                );
                let pair = [("--cert-file", &made.certificate), ("--key-file", &made.key)];
                let pair =
                    pair.into_iter().flat_map(|(flag, file)| [flag.to_owned(), file.display().to_string()]);
                let mut flags: Vec<_> = trusting(&made).into_iter().chain(pair).collect();
                flags.push("--plain-http=false".to_owned());
                pull(stage, &primary.host(), &flags).works()?;
                asked(&mirror)?;
                check(mirror.asked().iter().all(|asked| !asked.certificate), || "shows it".to_owned())
            },
        ),
        honest(
            16,
            "mirror_with_credentials_of_its_own",
            "A mirror gets the credentials that are stored for it; the registry is not needed.",
            |stage| {
                let (mirror, primary) = (registry(locked(|_| None)), registry(|_| None));
                mirrors(stage, &primary, &[&mirror], "");
                knows_password(stage, &mirror.host());
                let flags = ["-u", "other", "-p", "0ther"].map(str::to_owned);
                pull(stage, &primary.host(), &flags).works()?;
                has_file(stage)?;
                let knows = |asked: &Asked| asked.header("authorization") == Some(&format!("Basic {BASIC}"));
                check(mirror.server.asked().iter().any(knows), || "never sends them".to_owned())?;
                untouched(&primary.server)
            },
        ),
    ]
}

fn wrong_content() -> Vec<Case> {
    vec![
        hostile(
            12,
            "mirror_with_wrong_content",
            "If content of a mirror does not match its digest, it is rejected and read from the registry.",
            |stage| {
                let mirror = registry(|asked| asked.reads(&layer()).then(|| content(asked, b"hello, wOrld")));
                let primary = registry(|_| None);
                mirrors(stage, &primary, &[&mirror], "");
                let said = pull(stage, &primary.host(), &[]);
                said.works()?;
                has_file(stage)?;
                asked(&primary.server)?;
                tells_of(&said, &mirror)
            },
        ),
        hostile(
            12,
            "mirror_with_a_wrong_manifest",
            "If a mirror returns a manifest that does not match the digest, the registry is used.",
            |stage| {
                let other = MemoryRegistry::new();
                other.files("a", "v1", &[("f.txt", b"something else")]);
                let manifest = MemoryRegistry::new().files("a", "v1", &[("f.txt", HELLO)]);
                let mirror = registry(move |asked| {
                    let mut asked = asked.clone();
                    let is_manifest = asked.path.starts_with("/v2/a/manifests/");
                    asked.path = "/v2/a/manifests/v1".to_owned();
                    is_manifest.then(|| other.reply(&asked).without("docker-content-digest"))
                });
                let primary = registry(|_| None);
                mirrors(stage, &primary, &[&mirror], "");
                let reference = format!("{}/a@{manifest}", primary.host());
                stage.oras(&["pull", &reference, "-o", "out"]).works()?;
                has_file(stage)?;
                asked(&mirror.server)
            },
        ),
        hostile(
            12,
            "mirror_with_a_wrong_big_blob",
            "A large blob of a mirror that does not match its digest leaves no file, and the error names the mirror.",
            |stage| {
                let (mirror, primary) = big(Reply::body);
                mirrors(stage, &primary, &[&mirror], "");
                let said = pull(stage, &primary.host(), &[]);
                said.fails_with(&mirror.host())?;
                has_nothing(stage)
            },
        ),
        honest(
            12,
            "mirror_that_breaks_off",
            "A big blob that a mirror breaks off is read on from the registry.",
            |stage| {
                let (mirror, primary) = big(|reply, _| {
                    // The mirror sends right bytes, until the connection is cut.
                    reply.body(vec![b'x'; BIG]).cut_after(BIG / 2)
                });
                mirrors(stage, &primary, &[&mirror], "");
                pull(stage, &primary.host(), &[]).works()?;
                let found = std::fs::read(stage.path("out/f.txt")).unwrap_or_default();
                check(found == vec![b'x'; BIG], || format!("has {} bytes", found.len()))?;
                let goes_on = |asked: &Asked| asked.header("range").is_some();
                check(primary.server.asked().iter().any(goes_on), || "begins anew".to_owned())
            },
        ),
    ]
}

fn failures() -> Vec<Case> {
    vec![
        honest(
            12,
            "mirror_that_is_down",
            "If no mirror answers, the registry is used, with one warning.",
            |stage| {
                let (down, primary) = (Scripted::start(|_| Reply::new(200)), registry(|_| None));
                let location = down.host();
                drop(down);
                conf(stage, &table(&primary.host(), &primary.host(), &mirror_table(&location, "")));
                let said = pull(stage, &primary.host(), &[]);
                said.works()?;
                has_file(stage)?;
                let told = said.stderr.matches(&format!("mirror {location}/a")).count();
                check(told == 1, || format!("tells it {told} times: {}", said.stderr))
            },
        ),
        honest(
            12,
            "mirrors_in_order",
            "Mirrors are asked in their order, each for what the one before does not have.",
            |stage| {
                let first = registry(|_| Some(Reply::new(404)));
                let (second, third, primary) = (registry(|_| None), registry(|_| None), registry(|_| None));
                mirrors(stage, &primary, &[&first, &second, &third], "");
                pull(stage, &primary.host(), &[]).works()?;
                has_file(stage)?;
                asked(&first.server)?;
                asked(&second.server)?;
                untouched(&third.server)?;
                untouched(&primary.server)
            },
        ),
        honest(
            12,
            "mirror_for_digests_only",
            "A mirror for digests is not asked what a tag names.",
            |stage| {
                let (mirror, primary) = (registry(|_| None), registry(|_| None));
                mirrors(stage, &primary, &[&mirror], "pull-from-mirror = \"digest-only\"");
                pull(stage, &primary.host(), &[]).works()?;
                let lines = mirror.server.lines();
                check(!lines.is_empty() && !lines.iter().any(|line| line.ends_with("/v1")), || {
                    lines.join(", ")
                })?;
                let read = primary.server.lines().iter().any(|line| line.contains("/blobs/"));
                check(!read, || "reads blobs from the registry".to_owned())
            },
        ),
        honest(12, "mirror_for_tags_only", "A mirror for tags gets no requests by digest.", |stage| {
            let (mirror, primary) = (registry(|_| None), registry(|_| None));
            mirrors(stage, &primary, &[&mirror], "pull-from-mirror = \"tag-only\"");
            pull(stage, &primary.host(), &[]).works()?;
            let lines = mirror.server.lines();
            check(!lines.is_empty() && lines.iter().all(|line| line.ends_with("/v1")), || lines.join(", "))
        }),
    ]
}

fn rules() -> Vec<Case> {
    vec![
        hostile(
            12,
            "blocked_registry",
            "A registry that is blocked is neither read nor written; the file that says so is named.",
            |stage| {
                let primary = registry(|_| None);
                conf(stage, &format!("[[registry]]\nlocation = \"{}\"\nblocked = true\n", primary.host()));
                pull(stage, &primary.host(), &[]).fails_with("containers/registries.conf")?;
                push(stage, &[], &primary.host(), &[]).fails_with("blocked")?;
                stage.oras(&["repo", "ls", &primary.host()]).fails_with("blocked")?;
                untouched(&primary.server)
            },
        ),
        honest(
            12,
            "blocked_neighbours",
            "What is blocked is that part of a registry alone; a longer prefix may allow a part of it again.",
            |stage| {
                let primary = registry(|_| None);
                let host = primary.host();
                let text = format!(
                    "[[registry]]\nlocation = \"{host}\"\nblocked = true\n[[registry]]\nlocation = \"{host}/a\"\n"
                );
                conf(stage, &text);
                pull(stage, &host, &[]).works()?;
                has_file(stage)?;
                stage.oras(&["resolve", &format!("{host}/ab:v1")]).fails_with("blocked").map(drop)
            },
        ),
        honest(
            12,
            "registry_in_another_place",
            "A prefix, also one with a wildcard, is read at its location under the name that remains.",
            |stage| {
                let place = registry(|_| None);
                let text =
                    format!("[[registry]]\nprefix = \"*.example.test\"\nlocation = \"{}\"\n", place.host());
                conf(stage, &text);
                pull(stage, "one.example.test", &["-H".to_owned(), "X-Own: s3cret".to_owned()]).works()?;
                has_file(stage)?;
                asked(&place.server)?;
                learns_nothing(&place.server, &["s3cret"])
            },
        ),
        honest(
            12,
            "without_registries_conf",
            "With --no-registries-conf the file counts for nothing.",
            |stage| {
                let (mirror, primary) = (registry(|_| None), registry(|_| None));
                mirrors(stage, &primary, &[&mirror], "");
                let flag = ["--no-registries-conf".to_owned()];
                pull(stage, &primary.host(), &flag).works()?;
                untouched(&mirror.server)?;
                conf(stage, &format!("[[registry]]\nlocation = \"{}\"\nblocked = true\n", primary.host()));
                pull(stage, &primary.host(), &flag).works()?;
                let reference = format!("{}/a:v1", primary.host());
                stage.oras(&["cp", &reference, "--to-oci-layout", "l:v1"]).fails_with("blocked")?;
                let words = ["cp", "--from-no-registries-conf", &reference, "--to-oci-layout", "l:v1"];
                stage.oras(&words).works().map(drop)
            },
        ),
    ]
}

fn insecure() -> Vec<Case> {
    vec![
        hostile(
            16,
            "mirror_with_an_unknown_certificate",
            "A mirror with an untrusted certificate is not used, unless the file allows it.",
            |stage| {
                let Some(made) = certificate(stage, &["other.test"]) else { return Ok(()) };
                let Some(name) = own_name(stage) else { return Ok(()) };
                let mirror = Scripted::start_tls(&made, answers(|_| None));
                let primary = registry(|_| None);
                let location = format!("{name}:{}", mirror.port());
                let table = |more| table(&primary.host(), &primary.host(), &mirror_table(&location, more));
                conf(stage, &table(""));
                pull(stage, &primary.host(), &["--insecure".to_owned()]).works()?;
                untouched(&mirror)?;
                conf(stage, &table("insecure = true"));
                pull(stage, &primary.host(), &[]).works()?;
                asked(&mirror)
            },
        ),
        honest(
            16,
            "insecure_registry_without_tls",
            "A registry that the file calls insecure is read and written by HTTP where it speaks no TLS, with its credentials.",
            |stage| {
                let Some(name) = own_name(stage) else { return Ok(()) };
                let primary = registry(locked(|_| None));
                let host = format!("{name}:{}", primary.server.port());
                knows_password(stage, &host);
                pull(stage, &host, &[]).fails()?;
                conf(stage, &format!("[[registry]]\nlocation = \"{host}\"\ninsecure = true\n"));
                pull(stage, &host, &[]).works()?;
                has_file(stage)?;
                push(stage, &[], &host, &[]).works().map(drop)
            },
        ),
        honest(
            16,
            "insecure_mirror_without_tls",
            "A mirror that the file calls insecure is read by HTTP where it speaks no TLS.",
            |stage| {
                let Some(name) = own_name(stage) else { return Ok(()) };
                let (mirror, primary) = (registry(|_| None), registry(|_| None));
                let location = format!("{name}:{}", mirror.server.port());
                conf(
                    stage,
                    &table(&primary.host(), &primary.host(), &mirror_table(&location, "insecure = true")),
                );
                pull(stage, &primary.host(), &[]).works()?;
                has_file(stage)?;
                untouched(&primary.server)
            },
        ),
    ]
}

fn writes() -> Vec<Case> {
    vec![
        hostile(
            12,
            "mirror_and_what_is_written",
            "Pushes, tags and deletions go to the registry alone, and so does what is read for them.",
            |stage| {
                let mirror = registry(|_| None);
                let primary = registry(|asked| (asked.method == "DELETE").then(|| Reply::new(202)));
                mirrors(stage, &primary, &[&mirror], "");
                let host = primary.host();
                push(stage, &[], &host, &[]).works()?;
                stage.oras(&["tag", &format!("{host}/a:v1"), "v2"]).works()?;
                stage.oras(&["manifest", "delete", "--force", &format!("{host}/a:v1")]).works()?;
                untouched(&mirror.server)
            },
        ),
        honest(
            12,
            "mirror_and_lists",
            "Tags are listed by the registry; what is copied from it comes from the mirror.",
            |stage| {
                let mirror = registry(|_| None);
                let primary = registry(|asked| {
                    let tags = asked.path.starts_with("/v2/a/tags/list");
                    tags.then(|| Reply::new(200).body(r#"{"name":"a","tags":["of-the-registry"]}"#))
                });
                mirrors(stage, &primary, &[&mirror], "");
                let host = primary.host();
                let said = stage.oras(&["repo", "tags", &format!("{host}/a")]);
                said.works()?;
                check(said.stdout.contains("of-the-registry"), || said.text())?;
                untouched(&mirror.server)?;
                stage.oras(&["cp", &format!("{host}/a:v1"), "--to-oci-layout", "l:v1"]).works()?;
                asked(&mirror.server)?;
                let digest = oras_spec::Digest::sha256(HELLO);
                let blob = format!("{host}/a@{digest}");
                stage.oras(&["blob", "fetch", "-o", "blob", &blob]).works()?;
                stage.oras(&["manifest", "fetch", &format!("{host}/a:v1")]).works()?;
                let read = primary.server.lines().into_iter().find(|line| !line.contains("/tags/list"));
                check(read.is_none(), || format!("reads {read:?} from the registry"))
            },
        ),
    ]
}

fn files() -> Vec<Case> {
    vec![
        hostile(
            12,
            "malformed_registries_conf",
            "A file that makes no sense is an error that names it, not a file without rules.",
            |stage| {
                let primary = registry(|_| None);
                conf(stage, "[[registry]]\nlocation = 7\n");
                pull(stage, &primary.host(), &[]).fails_with("containers/registries.conf")?;
                conf(stage, "");
                let missing = stage.path("none.conf").display().to_string();
                let environment = [("CONTAINERS_REGISTRIES_CONF", missing.as_str())];
                let words = ["resolve", &format!("{}/a:v1", primary.host())];
                stage.oras_with(&environment, &words).fails_with("none.conf")?;
                untouched(&primary.server)
            },
        ),
        honest(
            12,
            "registries_conf_in_parts",
            "Files beside the main one add to it in order of their names; a file that the environment names stands alone.",
            |stage| {
                let (first, last, primary) = (registry(|_| None), registry(|_| None), registry(|_| None));
                conf(stage, "unqualified-search-registries = [\"docker.io\"]\n");
                let to = |mirror: &Registry| {
                    table(&primary.host(), &primary.host(), &mirror_table(&mirror.host(), ""))
                };
                part(stage, "10-first.conf", &to(&first));
                part(stage, "20-last.conf", &to(&last));
                pull(stage, &primary.host(), &[]).works()?;
                untouched(&first.server)?;
                asked(&last.server)?;
                untouched(&primary.server)?;
                let alone = stage.file("alone.conf", to(&first)).display().to_string();
                let environment = [("CONTAINERS_REGISTRIES_CONF", alone.as_str())];
                run(stage, &environment, &["resolve", &format!("{}/a:v1", primary.host())], &[]).works()?;
                asked(&first.server)
            },
        ),
        honest(
            12,
            "registries_conf_of_others",
            "A file without registries, with what is for other tools, changes nothing.",
            |stage| {
                let primary = registry(|_| None);
                conf(
                    stage,
                    "short-name-mode = \"enforcing\"\ncredential-helpers = [\"x\"]\n[aliases]\n\"a\" = \"docker.io/a\"\n",
                );
                let said = pull(stage, &primary.host(), &[]);
                said.works()?;
                has_file(stage)?;
                check(said.stderr.is_empty(), || said.stderr.clone())
            },
        ),
    ]
}

/// Larger than the content that is read from a mirror as a whole.
const BIG: usize = 2 << 20;

/// Starts a mirror and a registry of an artifact with one big file. For this file, the mirror returns the
/// response of `odd`, which gets wrong bytes.
fn big(odd: fn(Reply, Vec<u8>) -> Reply) -> (Registry, Registry) {
    let memory = Arc::new(MemoryRegistry::new());
    memory.files("a", "v1", &[("f.txt", &vec![b'x'; BIG])]);
    let start = |odd: Option<fn(Reply, Vec<u8>) -> Reply>| {
        let memory = Arc::clone(&memory);
        let path = format!("/v2/a/blobs/{}", oras_spec::Digest::sha256(&vec![b'x'; BIG]));
        registry(move |asked| match odd {
            Some(odd) if asked.reads(&path) => Some(odd(Reply::new(200), vec![b'y'; BIG])),
            _ => Some(memory.reply(asked)),
        })
    };
    (start(Some(odd)), start(None))
}

/// Writes the user's `registries.conf`.
fn conf(stage: &Stage, text: &str) {
    stage.home_file(".config/containers/registries.conf", text);
}

/// Writes a file in `registries.conf.d`, which is added to the configuration.
fn part(stage: &Stage, name: &str, text: &str) {
    stage.home_file(&format!(".config/containers/registries.conf.d/{name}"), text);
}

fn table(prefix: &str, location: &str, mirrors: &str) -> String {
    format!("[[registry]]\nprefix = \"{prefix}\"\nlocation = \"{location}\"\n{mirrors}")
}

fn mirror_table(location: &str, more: &str) -> String {
    format!("[[registry.mirror]]\nlocation = \"{location}\"\n{more}\n")
}

/// Configures the registries as mirrors of `primary`, each with `more` in its table.
fn mirrors(stage: &Stage, primary: &Registry, mirrors: &[&Registry], more: &str) {
    let mirrors: String = mirrors.iter().map(|mirror| mirror_table(&mirror.host(), more)).collect();
    conf(stage, &table(&primary.host(), &primary.host(), &mirrors));
}

/// Checks that the server received a request.
fn asked(server: &Scripted) -> Result<(), String> {
    check(!server.lines().is_empty(), || format!("never asks {}", server.host()))
}

/// Checks that standard error names the mirror.
fn tells_of(said: &Said, mirror: &Registry) -> Result<(), String> {
    check(said.stderr.contains(&mirror.host()), || format!("doesn't name the mirror: {}", said.stderr))
}
