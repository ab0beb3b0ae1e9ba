//! Building blocks of flags, and the groups that several commands share.

use clap::{Arg, ArgAction, ArgMatches};

use crate::error::Failure;

/// The heading of flags that the Go tool does not have.
pub(crate) const EXTENSIONS: &str = "Extensions";

/// Parses what Go's `strconv.ParseBool` takes.
pub(crate) fn go_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!("strconv.ParseBool: parsing {text:?}: invalid syntax")),
    }
}

/// Parses what Go's `strconv.ParseInt` takes without a base: also `0x1f`, `0o17`, `0b11`, `017`, `1_000`.
fn go_int(text: &str) -> Result<i64, String> {
    let failed = |what: &str| format!("strconv.ParseInt: parsing {text:?}: {what}");
    let (sign, digits) = match text.strip_prefix(['-', '+']) {
        Some(digits) => (if text.starts_with('-') { "-" } else { "" }, digits),
        None => ("", text),
    };
    let lower = digits.to_ascii_lowercase();
    let prefixed = |prefix: &str| lower.strip_prefix(prefix).filter(|rest| !rest.is_empty());
    let (base, body) = match (prefixed("0x"), prefixed("0o"), prefixed("0b"), prefixed("0")) {
        (Some(rest), ..) => (16, rest),
        (_, Some(rest), ..) => (8, rest),
        (_, _, Some(rest), _) => (2, rest),
        (.., Some(rest)) => (8, rest),
        _ => (10, lower.as_str()),
    };
    // An underscore stands between digits, or after the prefix.
    let misplaced = body.ends_with('_') || body.contains("__") || (base == 10 && body.starts_with('_'));
    let body = body.replace('_', "");
    if misplaced || body.is_empty() || !body.chars().all(|digit| digit.is_digit(base)) {
        return Err(failed("invalid syntax"));
    }
    i64::from_str_radix(&format!("{sign}{body}"), base).map_err(|_| failed("value out of range"))
}

/// The flag that is still taken but says that it should not be used.
pub(crate) const DEPRECATED: &str = "verbose";

/// `--name`, `--name=true`, `--name=false`.
pub(crate) fn switch(name: impl Into<String>, help: &'static str) -> Arg {
    let name = name.into();
    Arg::new(name.clone())
        .long(name)
        .num_args(0..=1)
        .require_equals(true)
        .default_missing_value("true")
        .hide_possible_values(true)
        .value_name("BOOL")
        .hide_default_value(true)
        .value_parser(go_bool)
        .help(help)
}

/// `--name value`.
pub(crate) fn text(name: impl Into<String>, value: &'static str, help: &'static str) -> Arg {
    let name = name.into();
    Arg::new(name.clone()).long(name).value_name(value).num_args(1).allow_hyphen_values(true).help(help)
}

/// `--name value`, any number of times.
pub(crate) fn list(name: impl Into<String>, value: &'static str, help: &'static str) -> Arg {
    text(name, value, help).action(ArgAction::Append)
}

/// `--name number`.
pub(crate) fn number(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .value_name("N")
        .num_args(1)
        .allow_hyphen_values(true)
        .value_parser(go_int)
        .help(help)
}

/// The arguments that are not flags.
pub(crate) fn positional(value: &'static str, help: &'static str) -> Arg {
    Arg::new("args").value_name(value).num_args(0..).help(help)
}

/// Reading typed values out of what was parsed.
pub(crate) trait Matches {
    /// Whether a switch is on.
    fn on(&self, name: &str) -> bool;
    /// A switch that may be unset.
    fn switch(&self, name: &str) -> Option<bool>;
    /// The text of a flag.
    fn text(&self, name: &str) -> Option<String>;
    /// The texts of a flag that may be repeated.
    fn list(&self, name: &str) -> Vec<String>;
    /// A count; a negative one is taken for the default.
    fn count(&self, name: &str, default: usize) -> usize;
    /// Whether the flag was given.
    fn given(&self, name: &str) -> bool;
    /// What is not a flag.
    fn words(&self) -> Vec<String>;
}

impl Matches for ArgMatches {
    fn on(&self, name: &str) -> bool {
        self.switch(name).unwrap_or(false)
    }

    fn switch(&self, name: &str) -> Option<bool> {
        self.try_get_one::<bool>(name).ok().flatten().copied()
    }

    fn text(&self, name: &str) -> Option<String> {
        self.try_get_one::<String>(name).ok().flatten().cloned()
    }

    fn list(&self, name: &str) -> Vec<String> {
        self.try_get_many::<String>(name)
            .ok()
            .flatten()
            .map(|values| values.cloned().collect())
            .unwrap_or_default()
    }

    fn count(&self, name: &str, default: usize) -> usize {
        match self.try_get_one::<i64>(name).ok().flatten() {
            Some(count) => usize::try_from(*count).unwrap_or(0),
            None => default,
        }
    }

    fn given(&self, name: &str) -> bool {
        self.try_contains_id(name).unwrap_or(false)
    }

    fn words(&self) -> Vec<String> {
        self.list("args")
    }
}

/// `-d`, and where a command has them `--no-tty` and `-v`.
pub(crate) fn common() -> Vec<Arg> {
    vec![switch("debug", "Log requests and responses to standard error").short('d')]
}

/// `--no-tty`.
pub(crate) fn no_tty() -> Arg {
    switch("no-tty", "Print plain lines even on a terminal")
}

/// The flag that no longer does much.
pub(crate) fn verbose() -> Arg {
    switch(DEPRECATED, "Show status of unnamed content").short('v').hide(true)
}

/// The prefix of flags that say how a server reaches the registries it is a proxy of.
pub(crate) const UPSTREAM: &str = "proxy-";

/// How to reach a registry; `prefix` is `from-` or `to-` for `cp`.
pub(crate) fn remote(prefix: &str) -> Vec<Arg> {
    let name = |name: &str| format!("{prefix}{name}");
    let short = |arg: Arg, letter| if prefix.is_empty() { arg.short(letter) } else { arg };
    const HEADING: &str = "Registry";
    let mut flags = vec![
        text(name("ca-file"), "PATH", "Trust the certificate authorities in this PEM file"),
        text(name("cert-file"), "PATH", "Client certificate (PEM)"),
        text(name("key-file"), "PATH", "Key of the client certificate (PEM)"),
        switch(name("insecure"), "Do not verify the registry's TLS certificate"),
        switch(name("plain-http"), "Use HTTP without TLS [default for localhost]"),
        short(text(name("username"), "NAME", "User name"), 'u'),
        short(text(name("password"), "PASSWORD", "Password, or identity token without a user name"), 'p'),
        text(name("identity-token"), "TOKEN", "Identity token"),
        list(name("registry-config"), "PATH", "Read credentials from this file"),
        short(list(name("header"), "HEADER", "Send this header, \"Name: value\", to the registry"), 'H'),
    ];
    if prefix.is_empty() {
        flags.push(switch("password-stdin", "Read the password from standard input"));
        flags.push(switch("identity-token-stdin", "Read the identity token from standard input"));
    }
    flags.push(list(
        name("resolve"),
        "HOST:PORT:ADDRESS[:PORT]",
        "Connect to this address for that host and port",
    ));
    let known = flags.into_iter().map(|flag| flag.help_heading(HEADING));
    known.chain(super::network::flags(prefix)).collect()
}

/// How to reach an OCI layout.
pub(crate) fn layout(prefix: &str) -> Vec<Arg> {
    vec![
        switch(
            format!("{prefix}oci-layout"),
            "The reference is <path>[:<tag>|@<digest>] of an OCI layout: a directory, or a tar archive to read",
        )
        .help_heading("OCI layout"),
        text(
            format!("{prefix}oci-layout-path"),
            "PATH",
            "The reference names something in the OCI layout at this path",
        )
        .help_heading("OCI layout"),
    ]
}

/// `--distribution-spec`.
pub(crate) fn distribution_spec(prefix: &str) -> Arg {
    text(
        format!("{prefix}distribution-spec"),
        "VERSION",
        "How referrers are kept: v1.1-referrers-tag or v1.1-referrers-api [default: what the registry has]",
    )
    .value_parser(|value: &str| match value {
        "v1.1-referrers-tag" | "v1.1-referrers-api" => Ok(value.to_owned()),
        _ => Err(format!(
            "unknown distribution specification flag: {value}\nAvailable options: v1.1-referrers-tag, v1.1-referrers-api"
        )),
    })
}

/// `--format`.
pub(crate) fn format() -> Vec<Arg> {
    vec![
        text("format", "FORMAT", "Print the result in this format"),
        text("template", "TEMPLATE", "Template of the format go-template"),
        text("jq", "EXPRESSION", "Print the JSON through this expression of jq").help_heading(EXTENSIONS),
    ]
}

/// `--format` and its relatives, for commands that have none in the Go tool.
pub(crate) fn format_too() -> Vec<Arg> {
    format().into_iter().map(|flag| flag.help_heading(EXTENSIONS)).collect()
}

/// `--progress`.
pub(crate) fn progress() -> Arg {
    text("progress", "KIND", "Show progress as bars, plain lines, json lines on standard error, or none")
        .value_parser(|value: &str| match value {
            "bars" | "plain" | "json" | "none" => Ok(value.to_owned()),
            _ => Err(format!("unknown progress: {value}\nAvailable options: bars, plain, json, none")),
        })
        .help_heading(EXTENSIONS)
}

/// `--dry-run`, where the Go tool has none.
pub(crate) fn dry_run() -> Arg {
    switch("dry-run", "Only show what would be done").help_heading(EXTENSIONS)
}

/// `--platform`.
pub(crate) fn platform() -> Arg {
    text("platform", "OS[/ARCH[/VARIANT]][:OS_VERSION]", "Take the image for this platform")
}

/// Flags of what packs files.
pub(crate) fn pack() -> Vec<Arg> {
    vec![
        list("annotation", "KEY=VALUE", "Annotation of the manifest").short('a'),
        text("annotation-file", "PATH", "Annotations as JSON, by file, $config and $manifest"),
        text("export-manifest", "PATH", "Also write the manifest to this file"),
        switch("disable-path-validation", "Allow absolute paths of files"),
        text(
            "files-from",
            "LIST",
            "Also take the files that this file names, one path[:type] a line; - is standard input",
        )
        .help_heading(EXTENSIONS),
        text("stdin-file", "TITLE[:TYPE]", "Also take standard input as a file of this name")
            .help_heading(EXTENSIONS),
        text("compression", "KIND", "How directories are compressed: gzip, zstd or none [default: gzip]")
            .value_parser(["gzip", "zstd", "none"])
            .help_heading(EXTENSIONS),
        text("compression-level", "LEVEL", "1 to 12 for gzip, 1 to 22 for zstd [default: 7, 3]")
            .value_parser(clap::value_parser!(i32))
            .help_heading(EXTENSIONS),
    ]
}

/// `--concurrency`.
pub(crate) fn concurrency() -> Arg {
    number("concurrency", "Transfers at the same time")
}

/// `--descriptor` and `--pretty`.
pub(crate) fn descriptor() -> [Arg; 2] {
    [switch("descriptor", "Print the descriptor"), switch("pretty", "Indent the JSON")]
}

/// Refuses two flags of a set.
pub(crate) fn exclusive(matches: &ArgMatches, prefix: &str, names: &[&str]) -> Result<(), Failure> {
    let given: Vec<_> =
        names.iter().map(|name| format!("{prefix}{name}")).filter(|name| matches.given(name)).collect();
    if given.len() < 2 {
        return Ok(());
    }
    let given: Vec<_> = given.iter().map(|name| format!("--{name}")).collect();
    Err(Failure::new(format!("{} cannot be used at the same time", given.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_go() {
        for (text, number) in [
            ("5", 5),
            ("-1", -1),
            ("+7", 7),
            ("0x1F", 31),
            ("017", 15),
            ("0o17", 15),
            ("0b11", 3),
            ("1_000", 1000),
            ("0_7", 7),
            ("0", 0),
        ] {
            assert_eq!(go_int(text), Ok(number), "{text}");
        }
        for text in ["", "abc", "-", "1__0", "_1", "1_", "08", "0x", "1.5", " 1"] {
            assert!(go_int(text).unwrap_err().ends_with("invalid syntax"), "{text}");
        }
        assert!(go_int("9223372036854775808").unwrap_err().ends_with("value out of range"));
    }
}
