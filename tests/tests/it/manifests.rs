//! Compares `manifest`, `manifest index` and the deletions with the Go tool.

use oras_spec::Digest;

use crate::output_lines::Table;
use crate::sandbox::Sandbox;

const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const EMPTY: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

fn descriptor(media_type: &str, text: &str) -> String {
    let digest = Digest::sha256(text.as_bytes());
    format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{}}}"#, text.len())
}

/// Returns an image manifest with a config and a layer. `more` is appended to its fields.
fn image(config_type: &str, config: &str, layer: &str, more: &str) -> String {
    let (config, layer) = (descriptor(config_type, config), descriptor(LAYER, layer));
    format!(r#"{{"schemaVersion":2,"mediaType":"{IMAGE}","config":{config},"layers":[{layer}]{more}}}"#)
}

/// Returns the files by name, and the digest of each file under its name with the prefix `D-`.
fn files() -> Vec<(&'static str, String)> {
    let amd64 = r#"{"architecture":"amd64","os":"linux","x":1}"#;
    let arm64 = "{\"architecture\": \"arm64\",\n \"os\":\"linux\",\"variant\":\"v8\",\"os.features\":null,\"<\":\"<\"}";
    let own = r#"{"a":"b"}"#;
    let one = image(CONFIG, amd64, "one", "");
    let two = image(CONFIG, arm64, "two", r#","annotations":{"k":"<v>"}"#);
    let art = image("application/vnd.me.config", own, "one", "");
    let typed = image(CONFIG, own, "own layer", r#","artifactType":"a/b""#);
    let subject = format!(r#","subject":{},"artifactType":"sig/x""#, descriptor(IMAGE, &one));
    let sig = image("application/vnd.me.config", own, "sig layer", &subject);
    let pretty = one.replace(",\"layers\"", ",\n  \"layers\" ").replace("},\n", "} ,\n");
    let untyped = one.replace(&format!("\"mediaType\":\"{IMAGE}\",\"config\""), "\"config\"");
    vec![
        ("amd64.cfg", amd64.to_owned()),
        ("arm64.cfg", arm64.to_owned()),
        ("own.cfg", own.to_owned()),
        ("empty.cfg", "{}".to_owned()),
        ("one", "one".to_owned()),
        ("two", "two".to_owned()),
        ("own", "own layer".to_owned()),
        ("sigl", "sig layer".to_owned()),
        ("one.json", one),
        ("two.json", two),
        ("art.json", art),
        ("typed.json", typed),
        ("sig.json", sig),
        ("pretty.json", pretty),
        ("untyped.json", untyped),
        ("null.json", "null".to_owned()),
        ("list.json", "[]".to_owned()),
        ("text.json", "text".to_owned()),
        ("index.json", format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[]}}"#)),
        ("d/x", String::new()),
    ]
}

fn table(test: &str) -> Table<'_> {
    let files = files();
    let digest = |name: &str| {
        let (_, text) = files.iter().find(|(found, _)| *found == name).unwrap();
        Digest::sha256(text.as_bytes()).to_string()
    };
    let fill = vec![
        ("D-one", digest("one.json")),
        ("D-two", digest("two.json")),
        ("D-sig", digest("sig.json")),
        ("D-layer", digest("one")),
        ("D-none", Digest::sha256(b"none").to_string()),
        ("D-empty", EMPTY.to_owned()),
    ];
    Table { test, files, fill, ..Table::default() }
}

/// Returns the commands that push the files to a registry, or with `--oci-layout` to a layout.
fn pushes(place: &'static [&'static str], tags: [&'static str; 6]) -> Vec<Vec<&'static str>> {
    let [repository, one, two, art, typed, sig] = tags;
    let with = |words: &[&'static str]| [words, place].concat();
    let blobs = ["amd64.cfg", "arm64.cfg", "own.cfg", "empty.cfg", "one", "two", "own", "sigl"];
    let mut pushes: Vec<_> = blobs.iter().map(|file| with(&["blob", "push", repository, file])).collect();
    for (tag, file) in
        [(one, "one.json"), (two, "two.json"), (art, "art.json"), (typed, "typed.json"), (sig, "sig.json")]
    {
        pushes.push(with(&["manifest", "push", tag, file]));
    }
    pushes
}

fn registry() -> Vec<Vec<&'static str>> {
    pushes(&[], ["{}/m", "{}/m:one", "{}/m:two", "{}/m:art", "{}/m:typed", "{}/m:sig"])
}

fn layout() -> Vec<Vec<&'static str>> {
    pushes(&["--oci-layout"], ["L", "L:one", "L:two", "L:art", "L:typed", "L"])
}

fn cases(lines: &'static str) -> Vec<Vec<&'static str>> {
    let case =
        |line: &'static str| line.split(' ').map(|word| if word == "''" { "" } else { word }).collect();
    lines.lines().map(str::trim).filter(|line| !line.is_empty()).map(case).collect()
}

#[test]
fn pushes_manifests_like_go_tool() {
    let mut table = table("pushes_manifests_like_go_tool");
    table.setup = pushes(&[], ["{}/m", "{}/m:one", "{}/m:two", "{}/m:art", "{}/m:typed", "{}/m:sig"]);
    table.cases = cases(
        "manifest push {}/m:one one.json
        manifest push {}/m:new one.json
        manifest push {}/m:a,b one.json
        manifest push {}/m one.json
        manifest push {}/m@D-one one.json
        manifest push {}/m:pretty pretty.json
        manifest fetch {}/m:pretty
        manifest fetch {}/m:pretty --pretty
        manifest fetch {}/m:two --pretty
        manifest push {}/m:c one.json -v=false
        manifest push {}/m:d,e one.json --descriptor
        manifest push {}/m:d one.json --descriptor --pretty
        manifest push {}/m:i index.json
        manifest push {}/m:u untyped.json
        manifest push {}/m:u untyped.json --media-type application/vnd.oci.image.manifest.v1+json
        manifest push {}/m:n null.json
        manifest push {}/m:n list.json
        manifest push {}/m:n text.json
        manifest push {}/m:n missing.json
        manifest push {}/m:n d
        manifest push {}/other:n one.json
        manifest push {}/m:a,-bad one.json
        manifest push {}/m:a, one.json
        manifest push {}/m
        manifest push m:v1 one.json
        manifest push {}/m:v1 - --password-stdin
        manifest push {}/m:v1 - <{}
        manifest push {}/m:v1 - --identity-token-stdin
        manifest push {}/m:stdin - --media-type application/vnd.oci.image.index.v1+json <{\"schemaVersion\":2,\"manifests\":[]}
        manifest push --oci-layout L:v1,v2 index.json
        manifest push --oci-layout L:v1 index.json
        manifest push --oci-layout L index.json --descriptor
        manifest push --oci-layout-path L v3 index.json
        manifest push --oci-layout L:odd text.json --media-type a/b
        manifest push {}/m:odd text.json --media-type a/b
        manifest push {}/m@D-none one.json
        manifest push
        manifest push {}/m:v1 one.json --nope
        repo tags {}/m
        repo tags --oci-layout L",
    );
    table.state = vec!["L"];
    table.check();
}

#[test]
fn fetches_configs_and_types_like_go_tool() {
    let mut table = table("fetches_configs_and_types_like_go_tool");
    table.setup = [registry(), layout()].concat();
    table.setup.push(vec!["manifest", "index", "create", "{}/m:idx", "one", "two"]);
    table.cases = cases(
        "manifest fetch-config {}/m:one
        manifest fetch-config {}/m:two --pretty
        manifest fetch-config {}/m:one --descriptor
        manifest get-config {}/m:one --descriptor --pretty
        manifest fetch-config {}/m:one -o out.json
        manifest fetch-config {}/m:two -o out.json --descriptor
        manifest fetch-config {}/m:one -o -
        manifest fetch-config {}/m:two -o - --pretty
        manifest fetch-config {}/m:one -o - --descriptor
        manifest fetch-config {}/m:idx
        manifest fetch-config {}/m:idx --platform linux/arm64
        manifest fetch-config {}/m:idx --platform linux/s390x
        manifest fetch-config {}/m:nope
        manifest fetch-config {}/m
        manifest fetch-config {}/m@D-one
        manifest fetch-config
        manifest fetch-config --oci-layout L:two
        manifest fetch-config --oci-layout nolay:v1
        manifest fetch {}/m:one --media-type application/vnd.oci.image.manifest.v1+json
        manifest fetch {}/m:one --media-type a/b,application/vnd.oci.image.manifest.v1+json --descriptor
        manifest fetch --oci-layout L:one --media-type a/b
        manifest fetch --oci-layout L --media-type a/b",
    );
    table.state = vec!["out.json"];
    table.check();
}

#[test]
fn creates_indexes_like_go_tool() {
    let mut table = table("creates_indexes_like_go_tool");
    table.setup = [registry(), layout()].concat();
    table.cases = cases(
        "manifest index create {}/m:idx one two
        manifest fetch {}/m:idx
        manifest index create {}/m:i1,i2 art D-two typed --artifact-type a/b -a k=<v> -a b=
        manifest fetch {}/m:i2
        manifest index pack {}/m
        manifest index create {}/m one
        manifest index create {}/m:nested idx i1 one
        manifest fetch {}/m:nested
        manifest index create {}/m:x one -o out.json
        manifest index create {}/m:x one -o -
        manifest index create {}/m:x two --output - --pretty
        manifest index create {}/m:x one -o missing/out.json
        manifest index create {}/m:x nope
        manifest index create {}/m:x one --artifact-type bad
        manifest index create {}/m:x one -a k=1 -a k=2
        manifest index create {}/m:x,-bad one
        manifest index create x one
        manifest index create
        manifest index create {}/m:x one -v
        manifest index update {}/m:idx --add art --remove D-one
        manifest fetch {}/m:idx
        manifest index update {}/m:idx --add art --merge i1 --tag u1
        manifest fetch {}/m:u1
        manifest index update {}/m:idx --remove D-two --artifact-type c/d
        manifest fetch {}/m:idx
        manifest index update {}/m:i1 --artifact-type ''
        manifest fetch {}/m:i1
        manifest index update {}/m:idx
        manifest index update {}/m:idx --tag x
        manifest index update {}/m:idx --add one -o out.json
        manifest index update {}/m:idx --add one -o -
        manifest index update {}/m:idx --add one -o - --pretty
        manifest index update {}/m:idx --add one -o x --tag y
        manifest index update {}/m:idx --remove D-none
        manifest index update {}/m:idx --remove one
        manifest index update {}/m:one --add two
        manifest index update {}/m:idx --merge one
        manifest index update {}/m:idx --add nope
        manifest index update {}/m:nope --add one
        manifest index update {}/m --add one
        manifest index update {}/m:idx --add one --artifact-type bad
        manifest index update {}/m:idx --add one --tag -bad
        manifest index update
        manifest index create --oci-layout L:idx,x one D-two
        manifest fetch --oci-layout L:idx
        manifest index update --oci-layout L:idx --remove D-two --tag t
        manifest fetch --oci-layout L:t
        manifest index create --oci-layout-path L idx3 one two",
    );
    table.state = vec!["out.json", "L"];
    table.check();
}

#[test]
fn updates_index_by_digest_like_go_tool() {
    let mut table = table("updates_index_by_digest_like_go_tool");
    table.setup = registry();
    let empty =
        Digest::sha256(table.files.iter().find(|(name, _)| *name == "index.json").unwrap().1.as_bytes());
    table.fill.push(("D-index", empty.to_string()));
    table.cases = cases(
        "manifest push {}/m index.json
        manifest index update {}/m@D-index --add one --tag d1
        manifest index update {}/m@D-index --add D-two
        manifest fetch {}/m:d1
        repo tags {}/m",
    );
    table.check();
}

#[test]
fn deletes_in_registry_like_go_tool() {
    let mut table = table("deletes_in_registry_like_go_tool");
    table.setup = registry();
    table.cases = cases(
        "manifest delete {}/m:two <
        manifest delete {}/m:two <n
        manifest delete {}/m:two <Y
        manifest rm {}/m:two -f
        manifest delete {}/m:two <y
        manifest delete {}/m:two -f --descriptor
        manifest delete {}/m:one --descriptor
        manifest remove {}/m@D-one --force --descriptor --pretty
        repo tags {}/m
        manifest delete {}/m:art -f
        manifest delete {}/m -f
        manifest delete m:v1 -f
        manifest delete
        manifest delete {}/m@D-none
        blob delete {}/m@D-layer <no
        blob delete {}/m@D-layer <yes
        blob rm {}/m@D-layer -f
        blob delete {}/m@D-layer
        blob delete {}/m@D-empty --descriptor
        blob delete {}/m@D-empty -f --descriptor
        blob delete {}/m@D-empty -f --descriptor
        blob delete {}/m:v1 -f
        blob delete {}/m -f
        blob delete
        blob delete {}/none@D-one -f
        manifest delete {}/none:v1 -f
        manifest delete localhost:1/none:v1 -f",
    );
    table.check();
}

#[test]
fn deletes_tagged_referrers_like_go_tool() {
    let mut table = table("deletes_tagged_referrers_like_go_tool");
    table.serve = vec!["--no-referrers"];
    table.setup = registry();
    let attach =
        "attach {}/m:one -a org.opencontainers.image.created=2026-01-01T00:00:00Z --artifact-type a/b";
    table.setup.extend(cases(attach));
    table.cases = cases(
        "repo tags {}/m
        manifest push {}/m:sig2 sig.json --distribution-spec v1.1-referrers-tag
        manifest delete {}/m:sig -f
        repo tags {}/m
        manifest delete {}/m@D-sig -f
        discover {}/m:one --format json
        manifest delete {}/m:one -f --distribution-spec v1.1-referrers-tag
        repo tags {}/m",
    );
    table.check();
}

#[test]
fn deletes_in_layout_like_go_tool() {
    let mut table = table("deletes_in_layout_like_go_tool");
    table.setup = layout();
    let more = "manifest push --oci-layout L:again one.json
        manifest push --oci-layout L art.json
        manifest index create --oci-layout L:idx one two
        manifest push --oci-layout K:idx index.json
        cp --from-oci-layout L:idx --to-oci-layout K:idx -r
        cp --from-oci-layout L:art --to-oci-layout K:art
        manifest index create --oci-layout K:over idx art
        cp --from-oci-layout L:idx --to-oci-layout J:idx
        cp --from-oci-layout L:idx --to-oci-layout H:idx
        manifest index create --oci-layout H:idx2 D-one";
    table.setup.extend(cases(more));
    table.cases = cases(
        "manifest delete --oci-layout L:one <n
        manifest delete --oci-layout L:one <y
        manifest delete --oci-layout L:one -f
        manifest delete --oci-layout L:one
        manifest delete --oci-layout L:art -f --descriptor
        manifest delete --oci-layout L:typed -f
        manifest delete --oci-layout L:idx -f
        manifest delete --oci-layout L@D-two -f
        manifest delete --oci-layout L@D-none -f
        manifest delete --oci-layout L -f
        manifest delete --oci-layout nolay:v1 -f
        manifest delete --oci-layout nolay:v1
        manifest delete --oci-layout hi -f
        manifest delete --oci-layout L:x -H a:b
        blob delete --oci-layout nolay@D-none -f
        blob delete --oci-layout L@D-layer -f
        blob delete --oci-layout L@D-empty -f
        blob delete --oci-layout L@D-empty
        blob delete --oci-layout L@D-empty -f
        blob delete --oci-layout L -f
        manifest delete --oci-layout K:idx -f
        manifest delete --oci-layout K:over -f
        manifest delete --oci-layout J:idx -f
        manifest delete --oci-layout H:idx -f
        manifest delete --oci-layout-path H idx2 -f",
    );
    table.state = vec!["L", "K", "J", "H"];
    table.check();
}

/// The Go tool removes an untagged subject together with its last referrer. Our tool keeps the subject, so an
/// image is not deleted with its signature.
#[test]
fn keeps_subject_after_deleting_last_referrer() {
    let sandbox = Sandbox::new();
    sandbox.file("hi.txt", "hello\n");
    sandbox.oras(&["push", "--oci-layout", "L", "hi.txt", "--format", "json"]);
    let index: serde_json::Value =
        serde_json::from_slice(&std::fs::read(sandbox.path("L/index.json")).unwrap()).unwrap();
    let subject = format!("L@{}", index["manifests"][0]["digest"].as_str().unwrap());
    let attached = sandbox.oras(&[
        "attach",
        "--oci-layout",
        &subject,
        "--artifact-type",
        "a/b",
        "-a",
        "k=v",
        "--format",
        "json",
    ]);
    let attached: serde_json::Value = serde_json::from_str(&attached).unwrap();
    let referrer = attached["reference"].as_str().unwrap();
    sandbox.oras(&["manifest", "delete", "--oci-layout", "-f", referrer]);
    sandbox.oras(&["pull", "--oci-layout", &subject, "-o", "out"]);
    assert_eq!(std::fs::read(sandbox.path("out/hi.txt")).unwrap(), b"hello\n");
}
