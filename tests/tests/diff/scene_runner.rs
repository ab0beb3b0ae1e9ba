//! Runs a scene with both tools.

use std::collections::BTreeMap;
use std::path::Path;

use oras_testkit::peers;

use crate::comparison::{Channels, Verdict, compare};
use crate::differences::Differences;
use crate::line_parser::{fill, split, unescape};
use crate::normalization::Normal;
use crate::scene_file::{Case, Scene, Step};
use crate::tool_sandbox::Stage;

/// Runs all steps on two stages, and compares the results of every case.
pub(crate) fn scene(scene: &Scene, go: &Path, differences: &Differences) -> Vec<Verdict> {
    let programs = [go.to_owned(), peers::built("oras")];
    let place = tempfile::Builder::new().prefix("oras-diff-").tempdir().unwrap();
    let root = place.path().join("sandbox");
    let mut stages = [Stage::new(&root), Stage::new(&root)];
    let mut verdicts = Vec::new();
    for step in &scene.steps {
        match step {
            Step::Registry { name, words } => {
                for stage in &mut stages {
                    if let Err(missing) = stage.open(name, words) {
                        peers::skipped(&missing, &format!("differential {}", scene.name));
                        return verdicts;
                    }
                }
            }
            Step::Case(case) => {
                let mut seen = Vec::new();
                for (stage, program) in stages.iter_mut().zip(&programs) {
                    seen.push(play(stage, program, case));
                }
                verdicts.push(compare(&scene.name, case, &seen[0], &seen[1], differences));
            }
            other => {
                for stage in &mut stages {
                    stage.sandbox.enter(|| prepare(stage, go, other));
                    stage.before = None;
                }
            }
        }
    }
    verdicts
}

fn prepare(stage: &Stage, go: &Path, step: &Step) {
    match step {
        Step::Fault { name, rule } => {
            let rule = fill(rule, &stage.names).parse().unwrap();
            stage.registries[name].recorder.as_ref().unwrap().inject(rule);
        }
        Step::File { path, content } => {
            let path = stage.sandbox.work().join(fill(path, &stage.names));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let content = unescape(&fill(content, &stage.names));
            std::io::Write::write_all(&mut std::fs::File::create(path).unwrap(), &content).unwrap();
        }
        Step::Shell(line) => stage.sandbox.shell(&fill(line, &stage.names)),
        Step::Go(line) => {
            let words = split(&fill(line, &stage.names));
            let said = stage.sandbox.run(go, &words, &Case::default(), None);
            assert_eq!(said.status, Some(0), "oras {line}: {}{}", said.stdout, said.stderr);
        }
        Step::Registry { .. } | Step::Case(_) => {}
    }
}

fn play(stage: &mut Stage, program: &Path, case: &Case) -> Channels {
    let before = stage.before.take().unwrap_or_else(|| stage.sandbox.enter(|| stage.snapshot()));
    for registry in stage.registries.values() {
        drop(registry.recorder.as_ref().map(|recorder| recorder.take()));
    }
    let words = split(&fill(&case.line, &stage.names));
    let stdin = case.stdin.as_ref().map(|text| fill(text, &stage.names));
    let env = case.env.iter().map(|(name, value)| (name.clone(), fill(value, &stage.names))).collect();
    let filled = Case { env, ..case.clone() };
    let (said, after) = stage.sandbox.enter(|| {
        let said = stage.sandbox.run(program, &words, &filled, stdin.as_deref());
        (said, stage.snapshot())
    });
    let mut requests = Vec::new();
    for (name, registry) in &stage.registries {
        for request in registry.recorder.iter().flat_map(|recorder| recorder.take()) {
            requests.push(format!("{name}: {} {} {}", request.method, request.target, request.status));
        }
    }
    let channels = {
        let mut normal = Normal::new(stage, case);
        let (stderr, hint) = split_hint(&said.stderr);
        Channels {
            status: said.status,
            stdout: normal.output(&said.stdout),
            stderr: normal.text(stderr),
            hint: hint.to_owned(),
            files: changes(&mut normal, &before.files, &after.files),
            state: changes(&mut normal, &before.state, &after.state),
            requests: requests.iter().map(|request| normal.text(request)).collect(),
        }
    };
    stage.before = Some(after);
    if let Some(name) = &case.capture {
        stage.names.insert(name.clone(), said.stdout.trim().to_owned());
    }
    channels
}

/// Splits standard error before the line `Hint: …`, which is the last one.
fn split_hint(stderr: &str) -> (&str, &str) {
    let last = stderr.trim_end().rfind('\n').map_or(0, |end| end + 1);
    if stderr[last..].starts_with("Hint: ") { stderr.split_at(last) } else { (stderr, "") }
}

/// Returns the changes that a case made, so that a difference is reported only for the case that causes it.
fn changes(
    normal: &mut Normal<'_>,
    before: &BTreeMap<String, String>,
    after: &BTreeMap<String, String>,
) -> Vec<String> {
    let gone = before.keys().filter(|name| !after.contains_key(*name)).map(|name| format!("{name} is gone"));
    let new = after.iter().filter(|(name, value)| before.get(*name) != Some(value));
    let mut lines: Vec<_> = gone.chain(new.map(|(name, value)| format!("{name}: {value}"))).collect();
    lines.sort();
    let mut lines: Vec<_> = lines.iter().map(|line| normal.change(line)).collect();
    lines.sort();
    lines
}
