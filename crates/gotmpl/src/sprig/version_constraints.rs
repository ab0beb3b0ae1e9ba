//! Constraints on semantic versions, as the Go package `Masterminds/semver` reads them.
//!
//! The reader is lenient on purpose, as the Go package is: it accepts open parts such as `1.x` and ranges such as
//! `1.2 - 2.3`, which the `semver` crate rejects.

use std::cmp::Ordering;
use std::sync::LazyLock;

use regex::Regex;

use crate::values::version::{Version, VersionParts, compare_prerelease};

/// Groups of constraints. A version is accepted if it satisfies all constraints of at least one group.
pub(crate) struct Constraints(Vec<Vec<Constraint>>);

/// A comparison with a version, whose trailing parts may be open, as in `1.x`.
struct Constraint {
    operator: Operator,
    version: Version,
    /// Whether any part is open.
    is_open: bool,
    /// Whether the minor version is open, but the major version is not.
    is_minor_open: bool,
    /// Whether the patch version is open, but the minor version is not.
    is_patch_open: bool,
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

/// The grammar of constraints, or `None` if an expression does not compile, which tests rule out.
static GRAMMAR: LazyLock<Option<Grammar>> = LazyLock::new(Grammar::new);

struct Grammar {
    /// Constraints that are separated by blanks or commas.
    group: Regex,
    /// A constraint in a group.
    member: Regex,
    /// The parts of a constraint.
    parts: Regex,
    /// A range such as `1.2 - 2.3`.
    range: Regex,
}

impl Grammar {
    fn new() -> Option<Self> {
        // The empty alternative is a constraint without an operator, which means equality.
        let operator = r"=||!=|>|<|>=|=>|<=|=<|~|~>|\^";
        // The class of the Go package contains a bar, so this one does, too.
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
    /// Parses constraints such as `>=1.2, <3 || ~4.1`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let improper = |text: &str| format!("improper constraint: {text}");
        let grammar = GRAMMAR.as_ref().ok_or_else(|| improper(text))?;
        // A range is a short form of two comparisons.
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

    /// Returns true if a version satisfies the constraints.
    pub(crate) fn accepts(&self, version: &Version) -> bool {
        self.0.iter().any(|group| group.iter().all(|constraint| constraint.accepts(version)))
    }
}

impl Constraint {
    fn parse(grammar: &Grammar, text: &str) -> Result<Self, String> {
        let captures = grammar.parts.captures(text).ok_or_else(|| format!("improper constraint: {text}"))?;
        let part = |name: &str| captures.name(name).map_or("", |part| part.as_str());
        // A missing part is open, too: `1.2` accepts 1.2.9.
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
            is_open: open_major || open_minor || open_patch,
            is_minor_open: open_minor,
            is_patch_open: open_patch,
        })
    }

    fn accepts(&self, version: &Version) -> bool {
        let (own, other) = (self.version.parts(), version.parts());
        // A prerelease satisfies only constraints that name a prerelease.
        let unasked = !other.prerelease.is_empty() && own.prerelease.is_empty();
        if unasked && (self.operator != Operator::NotEqual || self.is_open) {
            return false;
        }
        let order = version.compare(&self.version);
        match self.operator {
            Operator::Equal if self.is_open => self.tilde(other, order),
            Operator::Equal => order == Ordering::Equal,
            Operator::NotEqual => self.not_equal(other, order),
            Operator::Greater => self.greater(other, order),
            Operator::Less => order == Ordering::Less,
            Operator::GreaterOrEqual => order != Ordering::Less,
            Operator::LessOrEqual if self.is_open => {
                other.major < own.major
                    || (other.major == own.major && (other.minor <= own.minor || self.is_minor_open))
            }
            Operator::LessOrEqual => order != Ordering::Greater,
            Operator::Tilde => self.tilde(other, order),
            Operator::Caret => self.caret(other, order),
        }
    }

    fn not_equal(&self, other: &VersionParts, order: Ordering) -> bool {
        let own = self.version.parts();
        if !self.is_open {
            return order != Ordering::Equal;
        }
        if own.major != other.major {
            return true;
        }
        if self.is_minor_open {
            return false;
        }
        if own.minor != other.minor || (own.patch != other.patch && !self.is_patch_open) {
            return true;
        }
        if self.is_patch_open {
            return compare_prerelease(&other.prerelease, &own.prerelease) != Ordering::Equal;
        }
        order != Ordering::Equal
    }

    fn greater(&self, other: &VersionParts, order: Ordering) -> bool {
        let own = self.version.parts();
        if !self.is_open {
            return order == Ordering::Greater;
        }
        if other.major != own.major {
            return other.major > own.major;
        }
        // `>1.x` excludes all versions 1.*.
        if self.is_minor_open {
            return false;
        }
        if self.is_patch_open {
            return other.minor > own.minor;
        }
        order == Ordering::Greater
    }

    /// Accepts versions that are equal up to the minor version, or up to the major version if the minor is open.
    fn tilde(&self, other: &VersionParts, order: Ordering) -> bool {
        let own = self.version.parts();
        if order == Ordering::Less {
            return false;
        }
        // `~0.0.0` accepts every later version in the Go package.
        if (own.major, own.minor, own.patch) == (0, 0, 0) && !self.is_minor_open && !self.is_patch_open {
            return true;
        }
        other.major == own.major && (other.minor == own.minor || self.is_minor_open)
    }

    /// Accepts versions that are equal up to the first part that is not zero.
    fn caret(&self, other: &VersionParts, order: Ordering) -> bool {
        let own = self.version.parts();
        if order == Ordering::Less {
            return false;
        }
        if own.major > 0 || self.is_minor_open {
            return other.major == own.major;
        }
        if other.major > 0 {
            return false;
        }
        if own.minor > 0 || self.is_patch_open {
            return other.minor == own.minor;
        }
        other.minor == 0 && other.patch == own.patch
    }
}
