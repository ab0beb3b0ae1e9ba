//! Parses scenes. The cases of a scene run in order and share a sandbox and its registries.
//! `tests/diff/README.md` describes the format.

use std::path::{Path, PathBuf};

use crate::generated_scenes;

/// Returns the directory of the scenes.
pub(crate) fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("diff")
}

/// A file of cases.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) name: String,
    pub(crate) steps: Vec<Step>,
}

/// A step of a scene.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// `@registry NAME flavor options`: starts a registry.
    Registry { name: String, words: Vec<String> },
    /// `@fault NAME rule`: adds a fault to the proxy in front of the registry.
    Fault { name: String, rule: String },
    /// `@file PATH content`: writes a file in the sandbox.
    File { path: String, content: String },
    /// `@sh command`: runs a shell command in both sandboxes.
    Shell(String),
    /// `@go words`: runs the Go tool in both sandboxes, so that a case has equal input.
    Go(String),
    /// `$ words`: a case.
    Case(Case),
}

/// A command line that both tools run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Case {
    pub(crate) number: usize,
    pub(crate) line: String,
    pub(crate) stdin: Option<String>,
    pub(crate) env: Vec<(String, String)>,
    /// The number of columns, if standard error is a terminal.
    pub(crate) terminal: Option<u16>,
    pub(crate) unordered: bool,
    /// Digests and sizes depend on time or compression, so only their positions are compared.
    pub(crate) opaque: bool,
    pub(crate) requests: bool,
    pub(crate) capture: Option<String>,
    pub(crate) differs: Option<Differs>,
}

/// An intended difference.
#[derive(Clone, Debug, Default)]
pub(crate) struct Differs {
    pub(crate) id: String,
    /// The channels that are not compared: `status`, `stdout`, `stderr`, `files`, `state`, `requests`.
    pub(crate) channels: Vec<String>,
    /// Texts that only our output contains.
    pub(crate) ours: Vec<String>,
    /// Texts that only the output of the Go tool contains.
    pub(crate) go: Vec<String>,
}

impl Scene {
    /// Returns all scenes, sorted by name.
    pub(crate) fn load_all() -> Vec<Self> {
        let mut scenes: Vec<Self> = std::fs::read_dir(directory())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "scene"))
            .map(|path| Self::load(&path))
            .chain(generated_scenes::scenes())
            .collect();
        scenes.sort_by(|a, b| a.name.cmp(&b.name));
        scenes
    }

    fn load(path: &Path) -> Self {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        Self::parse(name, &std::fs::read_to_string(path).unwrap())
    }

    pub(crate) fn parse(name: String, text: &str) -> Self {
        let mut reader = Reader { name: name.clone(), steps: Vec::new(), loops: Vec::new(), number: 0 };
        for (place, line) in text.lines().enumerate() {
            reader
                .line(line.trim_end())
                .unwrap_or_else(|error| panic!("{name}.scene:{}: {error}", place + 1));
        }
        assert!(reader.loops.is_empty(), "{name}.scene: @each without @end");
        Self { name, steps: reader.steps }
    }

    /// Returns the cases of the scene.
    pub(crate) fn cases(&self) -> impl Iterator<Item = &Case> {
        self.steps.iter().filter_map(|step| match step {
            Step::Case(case) => Some(case),
            _ => None,
        })
    }
}

/// `@each NAME a | b`: the lines up to `@end`, once for each value.
struct Loop {
    name: String,
    values: Vec<String>,
    lines: Vec<String>,
}

struct Reader {
    name: String,
    steps: Vec<Step>,
    loops: Vec<Loop>,
    number: usize,
}

impl Reader {
    fn line(&mut self, line: &str) -> Result<(), String> {
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        if let Some(rest) = line.strip_prefix("@each ") {
            let (name, values) = rest.split_once(' ').ok_or("@each NAME a | b")?;
            let values = values.split(" | ").map(|value| value.trim().to_owned()).collect();
            self.loops.push(Loop { name: name.to_owned(), values, lines: Vec::new() });
            return Ok(());
        }
        if line == "@end" {
            let ended = self.loops.pop().ok_or("@end without @each")?;
            for value in &ended.values {
                for line in &ended.lines {
                    self.line(&line.replace(&format!("{{{}}}", ended.name), value))?;
                }
            }
            return Ok(());
        }
        if let Some(open) = self.loops.last_mut() {
            open.lines.push(line.to_owned());
            return Ok(());
        }
        if let Some(option) = line.strip_prefix("  ") {
            return self.option(option.trim_start());
        }
        if let Some(words) = line.strip_prefix("$ ").or_else(|| (line == "$").then_some("")) {
            self.number += 1;
            let case = Case { number: self.number, line: words.to_owned(), ..Case::default() };
            self.steps.push(Step::Case(case));
            return Ok(());
        }
        let (word, rest) = line.split_once(' ').ok_or("what is this?")?;
        let (name, after) = rest.split_once(' ').unwrap_or((rest, ""));
        self.steps.push(match word {
            "@registry" => Step::Registry {
                name: name.to_owned(),
                words: after.split_whitespace().map(ToOwned::to_owned).collect(),
            },
            "@fault" => Step::Fault { name: name.to_owned(), rule: after.to_owned() },
            "@file" => Step::File { path: name.to_owned(), content: after.to_owned() },
            "@sh" => Step::Shell(rest.to_owned()),
            "@go" => Step::Go(rest.to_owned()),
            other => return Err(format!("{other} is no step")),
        });
        Ok(())
    }

    fn option(&mut self, option: &str) -> Result<(), String> {
        let Some(Step::Case(case)) = self.steps.last_mut() else {
            return Err(format!("{}: an option belongs to a case", self.name));
        };
        let (word, rest) = option.split_once(' ').unwrap_or((option, ""));
        match word {
            "<" => case.stdin = Some(rest.to_owned()),
            "env" => {
                let (name, value) = rest.split_once('=').ok_or("env NAME=value")?;
                case.env.push((name.to_owned(), value.to_owned()));
            }
            "terminal" => case.terminal = Some(rest.parse().map_err(|_| "terminal COLUMNS")?),
            "unordered" => case.unordered = true,
            "opaque" => case.opaque = true,
            "requests" => case.requests = true,
            "capture" => case.capture = Some(rest.to_owned()),
            "differs" => {
                let mut words = rest.split_whitespace().map(ToOwned::to_owned);
                let id = words.next().ok_or("differs ID channels")?;
                case.differs = Some(Differs { id, channels: words.collect(), ..Differs::default() });
            }
            "ours|" | "go|" => {
                let differs = case.differs.as_mut().ok_or("first `differs`, then what differs")?;
                let lines = if word == "go|" { &mut differs.go } else { &mut differs.ours };
                lines.push(rest.to_owned());
            }
            other => return Err(format!("{other} is no option of a case")),
        }
        Ok(())
    }
}
