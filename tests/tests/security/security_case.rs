//! A case: one attack or one honest use, and its expected result.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use oras_testkit::peers;

use crate::case_sandbox::Stage;

/// One attack, or one honest use.
pub(crate) struct Case {
    /// A unique name in `snake_case`.
    pub(crate) name: &'static str,
    /// The point of the threat list, 1 to 38.
    pub(crate) point: u8,
    /// Whether this is an honest use, which must keep working.
    pub(crate) honest: bool,
    /// What must hold, as a sentence for the page.
    pub(crate) holds: &'static str,
    /// Whether the Go tool has the features that the case uses.
    pub(crate) go: bool,
    /// Runs the case. The error describes the failure. A panic is a failure, too.
    pub(crate) run: fn(&Stage) -> Result<(), String>,
}

/// Creates a case for an attack, which must fail.
pub(crate) fn hostile(
    point: u8,
    name: &'static str,
    holds: &'static str,
    run: fn(&Stage) -> Result<(), String>,
) -> Case {
    Case { name, point, honest: false, holds, go: true, run }
}

/// Creates a case for an honest use that looks like an attack, and must keep working.
pub(crate) fn honest(
    point: u8,
    name: &'static str,
    holds: &'static str,
    run: fn(&Stage) -> Result<(), String>,
) -> Case {
    Case { honest: true, ..hostile(point, name, holds, run) }
}

impl Case {
    /// Marks a case that uses a feature which the Go tool lacks, such as a flag of ours.
    pub(crate) fn ours_only(self) -> Self {
        Self { go: false, ..self }
    }

    /// Marks a case in which the behaviour of the Go tool depends on timing. The Go tool does not run it, so
    /// that the page is the same in every run.
    pub(crate) fn by_chance(self) -> Self {
        self.ours_only()
    }

    /// Runs the case with our tool, and with the Go tool if it is installed.
    ///
    /// `again` is our tool under other conditions, under which the case must also hold.
    pub(crate) fn judge(&self, go: Option<&Path>, again: Option<&Path>) -> Verdict<'_> {
        let play = |program: &Path, is_go| {
            let stage = Stage::new(program, is_go, self.name);
            let result = catch_unwind(AssertUnwindSafe(|| (self.run)(&stage)));
            match result {
                Ok(Ok(())) if stage.lacked() => Outcome::Skipped,
                Ok(Ok(())) => Outcome::Holds,
                Ok(Err(why)) => Outcome::Broken(why),
                Err(panic) => {
                    let text = panic.downcast_ref::<String>().cloned();
                    let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
                    Outcome::Broken(text.unwrap_or_else(|| "a panic".to_owned()))
                }
            }
        };
        let (ours, theirs) = std::thread::scope(|scope| {
            let theirs = go.filter(|_| self.go).map(|program| scope.spawn(|| play(program, true)));
            let mut ours = play(&peers::built("oras"), false);
            if let (Outcome::Holds, Some(again)) = (&ours, again)
                && let Outcome::Broken(why) = play(again, false)
            {
                ours = Outcome::Broken(format!("without openat2: {why}"));
            }
            (ours, theirs.map_or(Outcome::Skipped, |thread| thread.join().unwrap()))
        });
        Verdict { case: self, ours, theirs }
    }
}

/// The result of a case.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Holds,
    Broken(String),
    /// The case cannot run with this tool or on this machine.
    Skipped,
}

impl Outcome {
    pub(crate) fn is_bad(&self) -> bool {
        matches!(self, Self::Broken(_))
    }
}

/// The results of a case with both tools.
pub(crate) struct Verdict<'a> {
    pub(crate) case: &'a Case,
    pub(crate) ours: Outcome,
    pub(crate) theirs: Outcome,
}
