//! `semver` and `semverCompare`, with constraints on semantic versions as the Go package `Masterminds/semver` reads them.
//!
//! The reader is lenient on purpose, as the Go package is: it accepts open parts such as `1.x` and ranges such as
//! `1.2 - 2.3`, which the `semver` crate rejects.

use std::sync::LazyLock;

use regex::Regex;

use crate::eval::call::Call;
use crate::eval::function::{Function, Type::Str, function};
use crate::values::value::Value;
use crate::values::version::{Version, compare_prerelease};

pub(crate) const FUNCTIONS: &[Function] = &[
    function("semver", &[Str], |call| version(call, 0).map(Value::Version)),
    function("semverCompare", &[Str, Str], |call| {
        let constraints = Constraints::parse(&String::from_utf8_lossy(call.str(0)))?;
        Ok(Value::Bool(constraints.accepts(&version(call, 1)?)))
    }),
];

fn version(call: &Call<'_>, index: usize) -> Result<Version, String> {
    Version::parse(&String::from_utf8_lossy(call.str(index)))
}

/// Groups of constraints. A version is accepted if it satisfies all constraints of at least one group.
struct Constraints(Vec<Vec<Constraint>>);

/// A comparison with a version, whose trailing parts may be open, as in `1.x`.
struct Constraint {
    operator: Operator,
    version: Version,
    /// The number of parts before the first open one: 3 if no part is open, 0 if all are.
    fixed: usize,
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
    fn parse(text: &str) -> Result<Self, String> {
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
    fn accepts(&self, version: &Version) -> bool {
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
        let fixed = [major, minor, patch].into_iter().take_while(|part| !is_open(part)).count();
        let version = match fixed {
            0 => format!("0.0.0{pre}"),
            1 => format!("{major}.0.0{pre}"),
            2 => format!("{major}{minor}.0{pre}"),
            _ => format!("{major}{minor}{patch}{pre}"),
        };
        Ok(Self {
            operator: Operator::parse(part("operator")),
            version: Version::parse(&version).map_err(|_| "constraint Parser Error".to_owned())?,
            fixed,
        })
    }

    fn accepts(&self, version: &Version) -> bool {
        let (own, other) = (self.version.parts(), version.parts());
        // A prerelease satisfies only constraints that name a prerelease.
        let unasked = !other.prerelease.is_empty() && own.prerelease.is_empty();
        if unasked && (self.operator != Operator::NotEqual || self.fixed < 3) {
            return false;
        }
        let order = version.compare(&self.version);
        // Returns the order of the first `count` parts.
        let order_of = |count: usize| other.numbers[..count].cmp(&own.numbers[..count]);
        // `~` and `<=` compare the major version, and the minor version unless it is open.
        let compared = if self.fixed == 1 { 1 } else { 2 };
        match self.operator {
            Operator::Equal if self.fixed == 3 => order.is_eq(),
            // `~0.0.0` accepts every later version in the Go package.
            Operator::Equal | Operator::Tilde if matches!(self.fixed, 0 | 3) && own.numbers == [0; 3] => {
                order.is_ge()
            }
            Operator::Equal | Operator::Tilde => order.is_ge() && order_of(compared).is_eq(),
            Operator::NotEqual if self.fixed == 1 => order_of(1).is_ne(),
            Operator::NotEqual if self.fixed == 2 => {
                order_of(2).is_ne() || compare_prerelease(&other.prerelease, &own.prerelease).is_ne()
            }
            Operator::NotEqual => order.is_ne(),
            // `>1.x` excludes all versions 1.*.
            Operator::Greater if matches!(self.fixed, 1 | 2) => order_of(self.fixed).is_gt(),
            Operator::Greater => order.is_gt(),
            Operator::Less => order.is_lt(),
            Operator::GreaterOrEqual => order.is_ge(),
            Operator::LessOrEqual if self.fixed < 3 => order_of(compared).is_le(),
            Operator::LessOrEqual => order.is_le(),
            Operator::Caret => {
                // The versions must be equal up to the first part that is not zero.
                let zeros = own.numbers.iter().take_while(|&&number| number == 0).count();
                let most = if self.fixed == 0 { 3 } else { self.fixed };
                order.is_ge() && order_of(most.min(zeros + 1)).is_eq()
            }
        }
    }
}
