//! A case: a command that fails, and what the user can do.

use std::panic::{AssertUnwindSafe, catch_unwind};

use oras_testkit::readable_output::unreadable;

use crate::scene::Scene;

/// The part of the page that shows a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Theme {
    Connections,
    Answers,
    Credentials,
    References,
    Layouts,
    Files,
    Content,
    CommandLine,
}

impl Theme {
    pub(crate) const ALL: [(Self, &'static str); 8] = [
        (Self::Connections, "Connections, TLS and proxies"),
        (Self::Answers, "Answers of registries"),
        (Self::Credentials, "Logins and credentials"),
        (Self::References, "References"),
        (Self::Layouts, "OCI image layouts and archives"),
        (Self::Files, "Files and disks"),
        (Self::Content, "Content, platforms and limits"),
        (Self::CommandLine, "Commands, flags and values"),
    ];
}

/// A command that fails.
pub(crate) struct Case {
    pub(crate) theme: Theme,
    /// What is wrong: the heading on the page.
    pub(crate) title: &'static str,
    /// The command for a shell. Each `{NAME}` stands for a name of the scene.
    pub(crate) line: &'static str,
    /// What the user can do, for the page.
    pub(crate) remedy: &'static str,
    /// Whether the error ends with a hint. Otherwise it has the advice of the Go tool.
    has_hint: bool,
    /// Prepares the scene. Returns `None` if the machine lacks something.
    pub(crate) prepare: fn(&Scene) -> Option<()>,
}

impl Case {
    pub(crate) const fn new(
        theme: Theme,
        title: &'static str,
        line: &'static str,
        remedy: &'static str,
        prepare: fn(&Scene) -> Option<()>,
    ) -> Self {
        Self { theme, title, line, remedy, has_hint: true, prepare }
    }

    /// Marks an error with the advice of the Go tool, which needs no hint.
    pub(crate) fn advised(self) -> Self {
        Self { has_hint: false, ..self }
    }

    /// Runs the case. Returns the command and its error as the page shows them, or `None` if the machine lacks
    /// something.
    pub(crate) fn run(&self) -> Result<Option<String>, String> {
        let scene = Scene::new();
        let played = catch_unwind(AssertUnwindSafe(|| {
            (self.prepare)(&scene)?;
            Some(scene.play(self.line))
        }));
        let played = played.map_err(|_| "the case panicked".to_owned())?;
        let Some(played) = played else { return Ok(None) };
        let shown = format!("$ {}\n{}", scene.shown_line(self.line), scene.shown(&played.error));
        if played.status != Some(1) {
            return Err(format!("ended with {:?}:\n{shown}\n{}", played.status, played.output));
        }
        if let Some(text) = unreadable(&played.output) {
            return Err(format!("has the text {text:?}:\n{shown}"));
        }
        let hints = shown.lines().filter(|line| line.starts_with("Hint: ")).count();
        let ends_with_hint = shown.lines().last().is_some_and(|line| line.starts_with("Hint: "));
        if hints != usize::from(self.has_hint) || ends_with_hint != self.has_hint {
            return Err(format!("has {hints} hints, or a line after the hint:\n{shown}"));
        }
        Ok(Some(shown))
    }
}
