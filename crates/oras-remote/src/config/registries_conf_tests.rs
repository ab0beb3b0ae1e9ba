//! Tests how `registries.conf` is parsed, and which rule applies to a repository.

use super::*;

fn conf(text: &str) -> Result<RegistriesConf> {
    let mut conf = RegistriesConf::default();
    conf.add(text, Path::new("/x/registries.conf"))?;
    Ok(conf)
}

#[test]
fn prefers_the_longest_prefix() {
    let text = ["a.test", "a.test/b", "a.test/b/c", "*.test", "*.b.test", "c.b.test", "d.test:5000"]
        .map(|prefix| format!("[[registry]]\nprefix = \"{prefix}\"\nlocation = \"m.test/x\"\n"));
    let conf = conf(&text.concat()).unwrap();
    for (name, prefix, at) in [
        ("a.test/x", "a.test", "m.test/x/x"),
        ("a.test", "a.test", "m.test/x"),
        ("a.test/b", "a.test/b", "m.test/x"),
        ("a.test/bc", "a.test", "m.test/x/bc"),
        ("a.test/b/c/d", "a.test/b/c", "m.test/x/d"),
        ("x.test/r", "*.test", "m.test/x/r"),
        ("x.b.test/r", "*.b.test", "m.test/x/r"),
        ("c.b.test/r", "c.b.test", "m.test/x/r"),
        ("d.test:5000/r", "d.test:5000", "m.test/x/r"),
    ] {
        let found = conf.find(name).unwrap();
        assert_eq!((found.prefix, found.at(&found.rule.location).as_str()), (prefix, at), "{name}");
    }
    // A different port is a different registry, and a wildcard matches only hosts below the domain.
    for name in ["test/r", "a.test:5000/r", "other/a.test/r", "x.example/a.test", "a.tests/r"] {
        assert!(conf.find(name).is_none(), "{name}");
    }
}

#[test]
fn parses_registry_tables() {
    let conf = conf(
        r#"
        unqualified-search-registries = ["docker.io"]
        short-name-mode = "enforcing"
        [aliases]
        "x" = "docker.io/library/x"
        [[registry]]
        location = "a.test"
        insecure = true
        new-field = { of = "tomorrow" }
        [[registry.mirror]]
        location = "m.test/a/"
        insecure = true
        [[registry.mirror]]
        location = "n.test"
        pull-from-mirror = "digest-only"
        [[registry.mirror]]
        location = "o.test"
        pull-from-mirror = "tag-only"
        [[registry]]
        prefix = "b.test"
        location = "b.test"
        mirror-by-digest-only = true
        mirror = [{ location = "m.test" }]
        [[registry]]
        prefix = "*.c.test"
        blocked = true
        "#,
    )
    .unwrap();
    let rule = conf.find("a.test/r").unwrap().rule;
    let mirrors: Vec<_> =
        rule.mirrors.iter().map(|m| (m.location.as_str(), m.insecure, m.digests, m.tags)).collect();
    assert_eq!(
        mirrors,
        [("m.test/a", true, true, true), ("n.test", false, true, false), ("o.test", false, false, true)]
    );
    assert!(rule.insecure && !rule.blocked);
    let mirror = &conf.find("b.test/r").unwrap().rule.mirrors[0];
    assert!(mirror.digests && !mirror.tags);
    let error = conf.find("x.c.test/r").unwrap().blocked().unwrap();
    assert_eq!(error.chain(), "registry *.c.test is blocked in /x/registries.conf");
    assert!(conf.find("a.test/r").unwrap().blocked().is_none());
}

#[test]
fn errors_name_the_file() {
    for (text, why) in [
        ("[[registry]", "line 1"),
        ("x = 1\n[[registry]]\nlocation = 7", "line 3"),
        ("[[registry]]\nblocked = true", "neither prefix nor location"),
        ("[[registry]]\nprefix = \"a.test\"", "has no location"),
        ("[[registry]]\nlocation = \"https://a.test\"", "without http"),
        ("[[registry]]\nprefix = \"a*.test\"\nlocation = \"a\"", "wildcard"),
        ("[[registry]]\nprefix = \"*.test/a\"\nlocation = \"a\"", "wildcard"),
        ("[[registry]]\nlocation = \"a\"\n[[registry.mirror]]\ninsecure = true", "a mirror has no location"),
        (
            "[[registry]]\nlocation = \"a\"\n[[registry.mirror]]\nlocation = \"b\"\npull-from-mirror = \"never\"",
            "expecting all, digest-only or tag-only",
        ),
        (
            "[[registry]]\nlocation = \"a\"\nmirror-by-digest-only = true\n[[registry.mirror]]\nlocation = \"b\"\npull-from-mirror = \"all\"",
            "can't be used beside",
        ),
    ] {
        let error = conf(text).unwrap_err();
        let said = error.chain();
        assert!(said.starts_with("/x/registries.conf: ") && said.contains(why), "{text}: {said}");
        assert!(said.matches("line ").count() <= 1 && said.lines().count() == 1, "{text}: {said}");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}

#[test]
fn later_files_replace_rules() {
    let root = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| {
        use std::io::Write as _;
        let path = root.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
        path
    };
    let table = |location: &str| format!("[[registry]]\nprefix = \"a\"\nlocation = \"{location}\"\n");
    let main = put("registries.conf", &table("first"));
    put("d/20.conf", &table("last"));
    put("d/10.conf", &table("second"));
    put("d/30.txt", "no rules");
    let directories = [root.path().join("d"), root.path().join("missing")];
    let location = |conf: RegistriesConf| conf.find("a/r").unwrap().rule.location.clone();
    assert_eq!(location(RegistriesConf::load(Some(&main), &directories).unwrap()), "last");
    assert_eq!(location(RegistriesConf::load(Some(&main), &[]).unwrap()), "first");
    assert!(RegistriesConf::load(None, &[]).unwrap().find("a/r").is_none());
    let missing = root.path().join("none.conf");
    let error = RegistriesConf::load(Some(&missing), &[]).unwrap_err();
    assert!(error.chain().contains("none.conf"), "{error:?}");
}

#[test]
fn rejects_deep_nesting() {
    for text in [
        format!("a = {}{}", "[".repeat(200_000), "]".repeat(200_000)),
        format!("a = {}1{}", "{a=".repeat(200_000), "}".repeat(200_000)),
        format!("[{}]", vec!["a"; 200_000].join(".")),
        format!("{} = 1", vec!["a"; 200_000].join(".")),
    ] {
        let error = RegistriesConf::default().add(&text, Path::new("deep.conf")).unwrap_err().to_string();
        assert!(error.starts_with("deep.conf: line 1: "), "{error:.200}");
    }
}
