//! Constraints on semantic versions, as Masterminds/semver understands them.

use std::cmp::Ordering;
use std::sync::LazyLock;

use regex::Regex;

use crate::version::{Parts, Version, compare_prerelease};

/// Groups of constraints, one of which must hold; a group holds when all its members do.
pub(crate) struct Constraints(Vec<Vec<Constraint>>);

/// One comparison with a version, of which trailing parts may be left open.
struct Constraint {
    operator: Operator,
    version: Version,
    /// Some part is left open.
    open: bool,
    /// The minor version is left open, but the major is not.
    open_minor: bool,
    /// The patch is left open, but the minor version is not.
    open_patch: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterOrEqual,
    LessOrEqual,
    Tilde,
    Caret,
}

impl Operator {
    fn parse(text: &str) -> Self {
        match text {
            "!=" => Self::NotEqual,
            ">" => Self::Greater,
            "<" => Self::Less,
            ">=" | "=>" => Self::GreaterOrEqual,
            "<=" | "=<" => Self::LessOrEqual,
            "~" | "~>" => Self::Tilde,
            "^" => Self::Caret,
            _ => Self::Equal,
        }
    }
}

/// The grammar of constraints; `None` only if it could not be compiled.
static GRAMMAR: LazyLock<Option<Grammar>> = LazyLock::new(Grammar::new);

struct Grammar {
    /// Constraints with blanks or commas between them.
    group: Regex,
    /// A constraint within a group.
    member: Regex,
    /// The parts of a constraint.
    parts: Regex,
    /// `1.2 - 2.3`.
    range: Regex,
}

impl Grammar {
    fn new() -> Option<Self> {
        let operator = r"=||!=|>|<|>=|=>|<=|=<|~|~>|\^";
        let number = r"[0-9|x|X|*]+";
        let dotted = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*";
        let version = format!(r"v?{number}(?:\.{number})?(?:\.{number})?(?:-{dotted})?(?:\+{dotted})?");
        let captured = format!(
            r"v?(?<major>{number})(?<minor>\.{number})?(?<patch>\.{number})?(?<pre>-{dotted})?(?:\+{dotted})?"
        );
        let blank = r"[\t\n\f\r ]";
        let one = format!(r"(?:{operator}){blank}*{version}");
        let compile = |pattern: String| Regex::new(&pattern).ok();
        Some(Self {
            group: compile(format!(r"\A{blank}*{one}{blank}*(?:(?:{blank}+|,{blank}*){one}{blank}*)*\z"))?,
            member: compile(one)?,
            parts: compile(format!(r"\A{blank}*(?<operator>{operator}){blank}*{captured}{blank}*\z"))?,
            range: compile(format!(r"{blank}*(?<from>{version}){blank}+-{blank}+(?<to>{version}){blank}*"))?,
        })
    }
}

impl Constraints {
    /// Reads constraints such as `>=1.2, <3 || ~4.1`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let improper = |text: &str| format!("improper constraint: {text}");
        let grammar = GRAMMAR.as_ref().ok_or_else(|| improper(text))?;
        let text = grammar.range.replace_all(text, ">= $from, <= $to ");
        let mut groups = Vec::new();
        for group in text.split("||") {
            if !grammar.group.is_match(group) {
                return Err(improper(group));
            }
            let members: Result<_, _> = grammar
                .member
                .find_iter(group)
                .map(|member| Constraint::parse(grammar, member.as_str()))
                .collect();
            groups.push(members?);
        }
        Ok(Self(groups))
    }

    pub(crate) fn accept(&self, version: &Version) -> bool {
        self.0.iter().any(|group| group.iter().all(|constraint| constraint.accepts(version)))
    }
}

impl Constraint {
    fn parse(grammar: &Grammar, text: &str) -> Result<Self, String> {
        let captures = grammar.parts.captures(text).ok_or_else(|| format!("improper constraint: {text}"))?;
        let part = |name: &str| captures.name(name).map_or("", |part| part.as_str());
        let is_open = |part: &str| matches!(part.trim_start_matches('.'), "" | "x" | "X" | "*");
        let (major, minor, patch, pre) = (part("major"), part("minor"), part("patch"), part("pre"));
        let open_major = is_open(major);
        let open_minor = !open_major && is_open(minor);
        let open_patch = !open_major && !open_minor && is_open(patch);
        let version = if open_major {
            format!("0.0.0{pre}")
        } else if open_minor {
            format!("{major}.0.0{pre}")
        } else if open_patch {
            format!("{major}{minor}.0{pre}")
        } else {
            format!("{major}{minor}{patch}{pre}")
        };
        Ok(Self {
            operator: Operator::parse(part("operator")),
            version: Version::parse(&version).map_err(|_| "constraint Parser Error".to_owned())?,
            open: open_major || open_minor || open_patch,
            open_minor,
            open_patch,
        })
    }

    fn accepts(&self, version: &Version) -> bool {
        let (own, other) = (self.version.parts(), version.parts());
        // A prerelease is accepted only where one is asked for.
        let unasked = !other.prerelease.is_empty() && own.prerelease.is_empty();
        if unasked && (self.operator != Operator::NotEqual || self.open) {
            return false;
        }
        let order = version.compare(&self.version);
        match self.operator {
            Operator::Equal if self.open => self.tilde(other, order),
            Operator::Equal => order == Ordering::Equal,
            Operator::NotEqual => self.not_equal(other, order),
            Operator::Greater => self.greater(other, order),
            Operator::Less => order == Ordering::Less,
            Operator::GreaterOrEqual => order != Ordering::Less,
            Operator::LessOrEqual if self.open => {
                other.major < own.major
                    || (other.major == own.major && (other.minor <= own.minor || self.open_minor))
            }
            Operator::LessOrEqual => order != Ordering::Greater,
            Operator::Tilde => self.tilde(other, order),
            Operator::Caret => self.caret(other, order),
        }
    }

    fn not_equal(&self, other: &Parts, order: Ordering) -> bool {
        let own = self.version.parts();
        if !self.open {
            return order != Ordering::Equal;
        }
        if own.major != other.major {
            return true;
        }
        if self.open_minor {
            return false;
        }
        if own.minor != other.minor || (own.patch != other.patch && !self.open_patch) {
            return true;
        }
        if self.open_patch {
            return compare_prerelease(&other.prerelease, &own.prerelease) != Ordering::Equal;
        }
        order != Ordering::Equal
    }

    fn greater(&self, other: &Parts, order: Ordering) -> bool {
        let own = self.version.parts();
        if !self.open {
            return order == Ordering::Greater;
        }
        if other.major != own.major {
            return other.major > own.major;
        }
        // Nothing within an open part is greater than it.
        if self.open_minor {
            return false;
        }
        if self.open_patch {
            return other.minor > own.minor;
        }
        order == Ordering::Greater
    }

    /// Up to the last part that is not left open, but the patch.
    fn tilde(&self, other: &Parts, order: Ordering) -> bool {
        let own = self.version.parts();
        if order == Ordering::Less {
            return false;
        }
        if (own.major, own.minor, own.patch) == (0, 0, 0) && !self.open_minor && !self.open_patch {
            return true;
        }
        other.major == own.major && (other.minor == own.minor || self.open_minor)
    }

    /// Up to the first part that is not zero.
    fn caret(&self, other: &Parts, order: Ordering) -> bool {
        let own = self.version.parts();
        if order == Ordering::Less {
            return false;
        }
        if own.major > 0 || self.open_minor {
            return other.major == own.major;
        }
        if other.major > 0 {
            return false;
        }
        if own.minor > 0 || self.open_patch {
            return other.minor == own.minor;
        }
        other.minor == 0 && other.patch == own.patch
    }
}
