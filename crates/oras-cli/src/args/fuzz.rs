//! Tests with random input: no command line causes a panic, and parsed values are formatted as they were read.

use std::time::{Duration, Instant};

use fastrand::Rng;
use oras::files::FileReference;
use oras::spec::{Digest, Platform, Reference};

use super::command_line::CommandLine;
use super::request::{Request, read};
use crate::cmd;

/// The duration of each test.
const TEST_DURATION: Duration = Duration::from_secs(20);

fn tries(seed: u64, mut work: impl FnMut(&mut Rng)) {
    let (start, mut numbers) = (Instant::now(), Rng::with_seed(seed));
    while start.elapsed() < TEST_DURATION {
        for _ in 0..20 {
            work(&mut numbers);
        }
    }
}

/// Returns a concatenation of at most `most` random elements of `pieces`.
fn random_text(numbers: &mut Rng, pieces: &[&str], most: usize) -> String {
    (0..numbers.usize(..=most)).map(|_| pieces[numbers.usize(..pieces.len())]).collect()
}

const PIECES: [&str; 28] = [
    "a",
    "Z",
    "0",
    "9",
    "-",
    "--",
    "=",
    ":",
    "@",
    "/",
    ".",
    ",",
    "_",
    " ",
    "\n",
    "\"",
    "'",
    "{",
    "}",
    "é",
    "日",
    "\u{202e}",
    "\u{1}",
    "%",
    "sha256:",
    "localhost:5000",
    "true",
    "\u{fffd}",
];

#[test]
fn any_command_line_is_accepted_or_rejected() {
    let root = cmd::root();
    let (mut names, mut flags) = (vec!["help".to_owned(), "nope".to_owned()], Vec::new());
    let mut groups = vec![&root];
    while let Some(group) = groups.pop() {
        for command in group.get_subcommands() {
            names.push(command.get_name().to_owned());
            names.extend(command.get_visible_aliases().map(ToOwned::to_owned));
            flags.extend(
                command.get_arguments().filter_map(|flag| flag.get_long()).map(|name| format!("--{name}")),
            );
            flags.extend(
                command.get_arguments().filter_map(|flag| flag.get_short()).map(|name| format!("-{name}")),
            );
            groups.push(command);
        }
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    tries(1, |numbers| {
        let mut words = Vec::new();
        for _ in 0..numbers.usize(..3) {
            words.push(names[numbers.usize(..names.len())].to_owned());
        }
        for _ in 0..numbers.usize(..6) {
            words.push(match numbers.usize(..5) {
                0 => names[numbers.usize(..names.len())].to_owned(),
                1 => flags[numbers.usize(..flags.len())].to_owned(),
                2 => format!("{}={}", flags[numbers.usize(..flags.len())], random_text(numbers, &PIECES, 3)),
                3 => format!("{}{}", flags[numbers.usize(..flags.len())], random_text(numbers, &PIECES, 3)),
                _ => random_text(numbers, &PIECES, 6),
            });
        }
        let line = CommandLine::read(&root, &words);
        match read(root.clone(), &words, |_| ()) {
            // The words that are passed to clap parse to the same command line.
            Ok(Request::Run(_)) => {
                let line = line.unwrap();
                let again: Vec<String> = line.for_clap().skip(1).collect();
                assert_eq!(CommandLine::read(&root, &again).unwrap(), line, "{words:?}");
            }
            Ok(Request::Help { path, .. }) => assert!(path.len() < 4, "{words:?}"),
            Err(failure) => {
                let message = failure.to_string();
                assert!(
                    message.starts_with("Error: ") && !message.contains("\u{1b}["),
                    "{words:?}: {message}"
                );
                // clap rejects only values, and its own error texts are not shown.
                assert!(!message.contains("For more information"), "{words:?}: {message}");
            }
        }
    });
}

#[test]
fn clap_alone_does_not_panic() {
    tries(2, |numbers| {
        let words: Vec<_> = (0..numbers.usize(..6)).map(|_| random_text(numbers, &PIECES, 4)).collect();
        let line = ["oras".to_owned()].into_iter().chain(words);
        drop(cmd::root().try_get_matches_from(line));
    });
}

#[test]
fn references_are_formatted_as_they_were_parsed() {
    let valid = [
        "a",
        "b/c",
        "localhost",
        ":5000",
        "/",
        ":v1",
        "@sha256:",
        ":",
        "0123456789abcdef",
        ".",
        "_",
        "-",
        "A",
        "é",
        "[::1]",
        "%",
    ];
    tries(3, |numbers| {
        let pieces: &[&str] = if numbers.usize(..2) == 0 { &valid } else { &PIECES };
        let text = random_text(numbers, pieces, 12);
        if let Ok(reference) = text.parse::<Reference>() {
            let written = reference.to_string();
            let again = written.parse::<Reference>().map(|again| again.to_string());
            assert_eq!(again, Ok(written), "{text:?}");
        }
        if let Ok(digest) = text.parse::<Digest>() {
            assert_eq!(digest.to_string(), text);
        }
        if let Ok(platform) = text.parse::<Platform>() {
            let written = platform.to_string();
            assert_eq!(written.parse::<Platform>().ok(), Some(platform), "{text:?} became {written:?}");
        }
        if let Ok(file) = FileReference::parse(&text) {
            assert!(!file.path.is_empty(), "{text:?}");
            assert!(text.starts_with(&file.path), "{text:?}");
            if let Some(media_type) = &file.media_type {
                let written = format!("{}:{media_type}", file.path);
                assert_eq!(FileReference::parse(&written).ok(), Some(file), "{text:?} became {written:?}");
            }
        }
    });
}
