//! Every command survives an outage of the registry that starts at any of its requests.

use std::time::{Duration, Instant};

use oras_testkit::registry::Process;

use crate::failing_gateway::{Gateway, Outage};
use crate::sandbox::{Sandbox, ours, texts};

/// Longer than five retries.
const GONE: Duration = Duration::from_secs(9);

/// Commands that send more than one request. `{gate}` is the gateway, `{direct}` is the registry without the
/// gateway, and `{n}` is a name that is unique to the run.
const COMMANDS: [&str; 18] = [
    "push {gate}/{n}:v1 hi.txt big.bin",
    "pull {gate}/src:v1 -o out-{n}",
    "cp {gate}/src:v1 {direct}/{n}:v1",
    "cp {direct}/src:v1 {gate}/{n}:v1",
    "cp -r {gate}/src:v1 {direct}/{n}:v1",
    "cp -r {direct}/src:v1 {gate}/{n}:v1",
    "cp {gate}/src:v1 --to-oci-layout layout-{n}:v1",
    "cp --from-oci-layout layout:v1 {gate}/{n}:v1",
    "backup --include-referrers --output bundle-{n} {gate}/src:v1",
    "restore --input bundle {gate}/{n}:v1",
    "attach --artifact-type a/b {gate}/src:v1 hi.txt",
    "blob push {gate}/{n} big.bin",
    "blob fetch {gate}/src@{blob} --output blob-{n}",
    "manifest push {gate}/src:{n},b,c manifest.json",
    "manifest index create {gate}/src:{n} v1",
    "tag {gate}/src:v1 {n} b c",
    "discover {gate}/src:v1",
    "annotate -a a={n} {gate}/src:v1",
];

struct Outcome {
    command: String,
    outage: Outage,
    first_lost: usize,
    was_gone: bool,
    error: Option<String>,
}

/// Fills the registry with `src:v1`, which has a referrer, and creates local copies.
fn prepare(sandbox: &Sandbox, direct: &str) -> String {
    sandbox.file("hi.txt", "hello world\n");
    sandbox.file("big.bin", vec![7; 3 << 20]);
    let source = format!("{direct}/src:v1");
    sandbox.oras(&["push", &source, "hi.txt", "big.bin"]);
    sandbox.oras(&["attach", "--artifact-type", "a/b", &source, "hi.txt"]);
    sandbox.oras(&["cp", "-r", &source, "--to-oci-layout", "layout:v1"]);
    sandbox.oras(&["backup", "--include-referrers", "--output", "bundle", &source]);
    let manifest = sandbox.oras(&["manifest", "fetch", &source]);
    sandbox.file("manifest.json", &manifest);
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    manifest["layers"][1]["digest"].as_str().unwrap().to_owned()
}

fn run(
    sandbox: &Sandbox,
    registry: &Process,
    (number, template): (usize, &str),
    first_lost: usize,
) -> Outcome {
    let outage = Outage::ALL[(number + first_lost) % Outage::ALL.len()];
    let gateway = Gateway::start(registry.port(), outage, first_lost, GONE);
    let command = template
        .replace("{gate}", &gateway.host())
        .replace("{direct}", &registry.host())
        .replace("{n}", &format!("n{number}-{first_lost}"));
    let words: Vec<_> = command.split(' ').collect();
    let output = sandbox.run(&ours(), &words);
    let error = (!output.status.success()).then(|| texts(&output).1);
    Outcome { command: template.to_owned(), outage, first_lost, was_gone: gateway.was_gone(), error }
}

#[test]
fn every_command_survives_registry_outage() {
    let (sandbox, registry) = (Sandbox::new(), Process::ours(&[]));
    let blob = prepare(&sandbox, &registry.host());
    let commands = COMMANDS.map(|template| template.replace("{blob}", &blob));
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let (sandbox, registry) = (&sandbox, &registry);
        let runs: Vec<_> = commands
            .iter()
            .enumerate()
            .flat_map(|command| [2, 3, 5].map(|first_lost| (command, first_lost)))
            .map(|((number, command), first_lost)| {
                scope.spawn(move || run(sandbox, registry, (number, command), first_lost))
            })
            .collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    for Outcome { command, outage, first_lost, was_gone, error } in &outcomes {
        assert!(error.is_none(), "{command} ({outage:?} from request {first_lost}): {error:?}");
        assert!(*was_gone || *first_lost > 2, "{command} makes one request");
    }
}

#[test]
fn fails_fast_if_registry_is_down_from_start() {
    let (sandbox, registry) = (Sandbox::new(), Process::ours(&[]));
    sandbox.file("hi.txt", "hello world\n");
    std::thread::scope(|scope| {
        for outage in Outage::ALL {
            let gateway = Gateway::start(registry.port(), outage, 1, Duration::from_secs(60));
            let sandbox = &sandbox;
            scope.spawn(move || {
                let begun = Instant::now();
                // The limit of five retries applies here, because the registry has not responded before.
                sandbox.fails(&["push", &format!("{}/a:v1", gateway.host()), "hi.txt"]);
                assert!(begun.elapsed() < Duration::from_secs(20), "{outage:?}: {:?}", begun.elapsed());
            });
        }
    });
}
