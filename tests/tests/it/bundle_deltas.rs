//! Bundles against receipts, rules that select their content, and referrers that must exist.

use oras_testkit::registry::Process;
use serde_json::Value;

use crate::bundle::{attach, contents, fill, json};
use crate::sandbox::Sandbox;

#[test]
fn lost_delta_is_replaced_by_one_against_the_last_receipt() {
    let sandbox = Sandbox::new();
    let (registry, target) = (Process::ours(&[]), Process::ours(&[]));
    let [web, db] = fill(&sandbox, &registry);
    let size = |name: &str| std::fs::metadata(sandbox.path(name)).unwrap().len();
    sandbox.oras(&["bundle", "create", "-q", "-o", "full.tar", &web, &db]);
    let restore = |input: &str| {
        ["bundle", "restore", "--input", input, "--receipt", "receipt.json", &target.host()]
            .map(str::to_owned)
    };
    let words = |all: &[String]| all.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
    let restored = |input: &str| {
        let line = words(&restore(input));
        json(&sandbox, &line.split(' ').collect::<Vec<_>>())
    };
    restored("full.tar");

    // One repository changes. Its bundle never arrives.
    sandbox.file("change.bin", vec![3; 1 << 20]);
    sandbox.oras(&["push", "-q", &format!("{web}:v3"), "big.bin", "change.bin"]);
    sandbox.oras(&["bundle", "create", "-q", "-o", "lost.tar", "--have", "receipt.json", &web, &db]);
    let changed = 1 << 20;
    assert!(size("lost.tar") > changed && size("lost.tar") < changed + (16 << 10), "{}", size("lost.tar"));
    std::fs::remove_file(sandbox.path("lost.tar")).unwrap();

    // The other one changes, and an old artifact gets a referrer and a tag.
    sandbox.oras(&["push", "-q", &format!("{db}:v2"), "hi.txt"]);
    attach(&sandbox, &format!("{db}:v1"), "signature");
    sandbox.oras(&["tag", "-q", &format!("{web}:v1"), "stable"]);
    let created =
        json(&sandbox, &["bundle", "create", "-o", "delta.tar", "--have", "receipt.json", &web, &db]);
    assert!(created["repositories"][0]["omitted"].as_array().unwrap().len() > 1, "{created}");
    let said = sandbox.oras(&["bundle", "verify", "delta.tar"]);
    assert!(said.contains("delta.tar is undamaged") && said.contains("must be at the receiver"), "{said}");

    // A receiver without the base gets nothing, and learns at once what is missing.
    let empty = Process::ours(&[]);
    for to in [vec![empty.host()], vec!["--to-oci-layout".into(), "layouts".into()]] {
        let to: Vec<_> = to.iter().map(String::as_str).collect();
        let error = sandbox.fails(&[&["bundle", "restore", "--input", "delta.tar"][..], &to].concat());
        let big = "sha256:";
        assert!(error.contains("blobs or manifests that the target does not have:\n"), "{error}");
        assert!(error.contains(&format!("{db}@{big}")) && error.contains(&format!("{web}@{big}")), "{error}");
    }
    assert_eq!(sandbox.oras(&["repo", "ls", &empty.host()]), "");
    assert!(!sandbox.path("layouts").exists());

    restored("delta.tar");
    let copies = ["team/web", "db"].map(|name| contents(&sandbox, &format!("{}/{name}", target.host())));
    assert_eq!(copies, [contents(&sandbox, &web), contents(&sandbox, &db)]);

    // The receipt of a restore and one of the registry itself leave out the same content.
    sandbox.oras(&["bundle", "receipt", "-q", "-o", "other.json", &target.host()]);
    let digests = |name: &str| -> Vec<(Value, Value)> {
        let receipt: Value = serde_json::from_slice(&std::fs::read(sandbox.path(name)).unwrap()).unwrap();
        let repositories = receipt["repositories"].as_array().unwrap().clone();
        repositories.into_iter().map(|found| (found["name"].clone(), found["digests"].clone())).collect()
    };
    assert_eq!(digests("receipt.json"), digests("other.json"));
    for receipt in ["receipt.json", "other.json"] {
        let created = json(&sandbox, &["bundle", "create", "-o", "none.tar", "--have", receipt, &web, &db]);
        assert_eq!(created["contents"], 0, "{receipt}");
    }
}

#[test]
fn rules_select_repositories_tags_and_referrers() {
    let sandbox = Sandbox::new();
    let registry = Process::ours(&[]);
    let [web, db] = fill(&sandbox, &registry);
    for tag in ["1.9.0", "1.10.0", "1.11.0-rc.1", "2.0.0"] {
        sandbox.oras(&["tag", "-q", &format!("{web}:v2"), tag]);
    }
    let host = registry.host();
    let rules = format!(
        "repositories:\n\
         - name: {host}/team/*\n  semver: '>=1.5, <2'\n  newest: 1\n  referrers: [application/vnd.test.sbom]\n  cosignTags: false\n\
         - name: {db}\n"
    );
    sandbox.file("rules.yaml", &rules);
    let words = ["bundle", "create", "-o", "site.tar", "--rules", "rules.yaml"];
    let created = json(&sandbox, &[&words[..], &["--dry-run"]].concat());
    let tags = |created: &Value| -> Vec<String> {
        let all = created["repositories"].as_array().unwrap().iter();
        all.flat_map(|found| found["tags"].as_object().unwrap().keys().cloned().collect::<Vec<_>>()).collect()
    };
    assert_eq!(tags(&created), ["v1", "1.10.0"]);
    assert_eq!(tags(&json(&sandbox, &words)), ["v1", "1.10.0"]);
    // The same rules as JSON, with a repository on the line, which the rules then do not select.
    let json_rules = format!(
        r#"{{"repositories":[{{"name":"{host}/*/web","tags":["v1"]}},{{"name":"{db}"}}],"defaults":{{"referrers":"none"}}}}"#
    );
    sandbox.file("rules.json", json_rules);
    let created =
        json(&sandbox, &["bundle", "create", "-o", "x.tar", "--rules", "rules.json", &format!("{web}:all")]);
    assert_eq!(tags(&created).iter().filter(|tag| !tag.ends_with(".sig")).collect::<Vec<_>>(), ["v1", "all"]);
    for (rules, expected) in [
        (format!("repositories: [{{name: {host}/none/*}}]"), "selects no repository"),
        (format!("repositories: [{{name: {web}, tags: [nothing*]}}]"), "selects no tag"),
        (format!("repositories: [{{name: {web}, tags: [absent]}}]"), "the tag absent"),
        ("repositories: [{nam: x}]".to_owned(), "failed to read rules.yaml: malformed rules"),
    ] {
        sandbox.file("rules.yaml", &rules);
        let error = sandbox.fails(&words);
        assert!(error.contains(expected), "{rules}: {error}");
    }
}

#[test]
fn copies_fail_before_the_tag_without_a_required_referrer() {
    let sandbox = Sandbox::new();
    let (registry, target) = (Process::ours(&[]), Process::ours(&[]));
    let [web, db] = fill(&sandbox, &registry);
    let (v1, to) = (format!("{web}:v1"), format!("{}/copy:v1", target.host()));
    let absent = [
        "--require-referrer",
        "application/vnd.test.sbom",
        "--require-referrer",
        "application/vnd.test.none",
    ];
    for words in [
        vec!["cp", &v1, &to],
        vec!["backup", "-o", "out.tar", &v1],
        vec!["backup", "-o", "out", &v1],
        vec!["bundle", "create", "-o", "site.tar", &v1],
    ] {
        let error = sandbox.fails(&[&words[..], &absent].concat());
        assert!(
            error.contains("no referrer of the type application/vnd.test.none refers to "),
            "{words:?}: {error}"
        );
    }
    sandbox.fails(&["resolve", &to]);
    assert!(!sandbox.path("out.tar").exists() && !sandbox.path("site.tar").exists());
    assert!(!sandbox.path("out").exists());
    // With the referrer, all referrers come along.
    let present = ["--require-referrer", "application/vnd.test.sbom"];
    sandbox.oras(&[&["cp", &v1, &to], &present[..]].concat());
    let tree = |reference: &str| {
        let name = reference.rsplit_once(':').unwrap().0.to_owned();
        sandbox.oras(&["discover", reference, "--format", "json"]).replace(&name, "")
    };
    assert_eq!(tree(&to), tree(&v1));
    sandbox.oras(&[&["backup", "-o", "out.tar", &v1], &present[..]].concat());
    sandbox.oras(&[&["bundle", "create", "-o", "site.tar", &v1], &present[..]].concat());
    let error = sandbox.fails(&[&["bundle", "create", "-o", "db.tar", &db], &present[..]].concat());
    assert!(error.contains(&format!("refers to {db}@sha256:")), "{error}");
}
