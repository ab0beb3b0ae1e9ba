//! What people see: on terminals of 80 and 200 columns, in a pipe, without colours and without a terminal.

use std::io::Read;
use std::process::Stdio;
use std::time::Duration;

use nix::pty::{Winsize, openpty};

use crate::sandbox::{Registry, Sandbox, ours};

/// What a command wrote to its standard output and error.
struct Shown {
    stdout: String,
    stderr: String,
}

/// What is a terminal while a command runs.
#[derive(Clone, Copy, PartialEq)]
enum Screen {
    /// Standard error alone, as when the output goes into a file.
    Errors,
    /// Both.
    All,
    /// Neither.
    Nothing,
}

fn reader(mut from: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
        // A terminal ends in an error.
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            text.extend_from_slice(&buffer[..read]);
        }
        String::from_utf8(text).unwrap()
    })
}

fn show(sandbox: &Sandbox, words: &[&str], screen: Screen, columns: u16, no_color: bool) -> Shown {
    let mut command = sandbox.command(&ours(), words);
    command.env_remove("NO_COLOR").env_remove("COLUMNS").env("TERM", "xterm-256color");
    if no_color {
        command.env("NO_COLOR", "1");
    }
    let size = Winsize { ws_row: 40, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    let terminal = |wanted: bool| wanted.then(|| openpty(Some(&size), None).unwrap());
    let (out, err) = (terminal(screen == Screen::All), terminal(screen != Screen::Nothing));
    let mut masters = Vec::new();
    for pty in [out, err] {
        masters.push(pty.map(|pty| (std::fs::File::from(pty.master), pty.slave)));
    }
    let err = masters.pop().unwrap();
    let out = masters.pop().unwrap();
    let (out, err) = (
        out.map_or((None, Stdio::piped()), |(m, s)| (Some(m), Stdio::from(s))),
        err.map_or((None, Stdio::piped()), |(m, s)| (Some(m), Stdio::from(s))),
    );
    command.stdout(out.1).stderr(err.1);
    let mut child = command.spawn().unwrap();
    // It holds the terminals open.
    drop(command);
    let stdout = match out.0 {
        Some(master) => reader(master),
        None => reader(child.stdout.take().unwrap()),
    };
    let stderr = match err.0 {
        Some(master) => reader(master),
        None => reader(child.stderr.take().unwrap()),
    };
    let status = child.wait().unwrap();
    // Terminals end when the last one who writes to them has gone.
    std::thread::sleep(Duration::from_millis(1));
    let shown = Shown { stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() };
    assert!(status.success(), "{words:?}: {}{}", shown.stdout, shown.stderr);
    shown
}

/// The lines as they stand on the screen, without what moves the cursor or sets a colour.
fn lines(text: &str) -> Vec<String> {
    let (mut plain, mut rest) = (String::new(), text);
    while let Some(place) = rest.find('\u{1b}') {
        plain.push_str(&rest[..place]);
        rest = rest[place + 1..].trim_start_matches('[');
        let end = rest.find(|c: char| c.is_ascii_alphabetic()).map_or(rest.len(), |end| end + 1);
        if !rest[..end].ends_with('m') {
            // The cursor goes to another line, or this one begins anew.
            plain.push('\n');
        }
        rest = &rest[end..];
    }
    plain.push_str(rest);
    // A bar fills its line, so that the next one begins below without a line break: each begins with a mark.
    let mark = |c: char| ('\u{2800}'..='\u{28ff}').contains(&c) || c == '✓';
    let plain: String = plain.chars().flat_map(|c| mark(c).then_some('\n').into_iter().chain([c])).collect();
    plain.split(['\n', '\r']).map(ToOwned::to_owned).collect()
}

/// Escape codes that set a colour or a weight.
fn colours(text: &str) -> usize {
    let codes = text.split("\u{1b}[").skip(1);
    codes
        .filter(|code| code.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';').starts_with('m'))
        .count()
}

/// A registry with an artifact that has a referrer, and the commands that are looked at: words, and the line they end with.
fn scene() -> (Registry, Sandbox, Vec<(Vec<String>, &'static str)>) {
    let (registry, sandbox) = (Registry::ours(&[]), Sandbox::new());
    sandbox.file("hi.txt", "hello world\n");
    sandbox.file(&format!("{}.bin", "long-name-".repeat(18)), vec![7; 300_000]);
    let host = registry.host();
    sandbox.oras(&["push", &format!("{host}/a:v1"), "hi.txt"]);
    let subject = format!("{host}/a:v1");
    sandbox.oras(&[
        "attach",
        &subject,
        "hi.txt",
        "--artifact-type",
        "application/vnd.example.sbom.of.some.length",
    ]);
    let long = format!("{}.bin", "long-name-".repeat(18));
    let commands = [
        (format!("push {host}/b:v1 hi.txt {long}"), "Digest: sha256:"),
        (format!("pull {host}/b:v1 -o out"), "Digest: sha256:"),
        (format!("cp {host}/b:v1 {host}/c:v1"), "Digest: sha256:"),
        (format!("discover {subject}"), "sha256:"),
        ("help push".to_owned(), ""),
        ("manifest index update -h".to_owned(), ""),
        ("help".to_owned(), ""),
    ];
    let split = |text: &str| text.split(' ').map(ToOwned::to_owned).collect();
    let commands = commands.iter().map(|(text, last)| (split(text), *last)).collect();
    (registry, sandbox, commands)
}

#[test]
fn bars_and_help_fit_terminals() {
    let (_registry, sandbox, commands) = scene();
    for columns in [80, 200] {
        for (words, last) in &commands {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let shown = show(&sandbox, &words, Screen::All, columns, false);
            let is_help = words.contains(&"help") || words.contains(&"-h");
            // Results name references and digests, however long they are; what is drawn or laid out fits.
            let drawn =
                if is_help { format!("{}{}", shown.stdout, shown.stderr) } else { shown.stderr.clone() };
            for line in lines(&drawn) {
                assert!(line.chars().count() <= usize::from(columns), "{words:?} at {columns}: {line:?}");
            }
            assert!(shown.stdout.contains(last), "{words:?}: {}", shown.stdout);
        }
    }
}

#[test]
fn no_color_leaves_only_the_cursor() {
    let (_registry, sandbox, commands) = scene();
    for (words, last) in &commands {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let shown = show(&sandbox, &words, Screen::All, 80, true);
        assert_eq!(colours(&shown.stdout) + colours(&shown.stderr), 0, "{words:?}: {:?}", shown.stderr);
        assert!(shown.stdout.contains(last), "{words:?}: {}", shown.stdout);
    }
}

#[test]
fn pipes_and_no_tty_get_plain_lines() {
    let (_registry, sandbox, commands) = scene();
    for (words, last) in &commands {
        let is_help = words.iter().any(|word| word == "help" || word == "-h");
        for (screen, no_tty) in [(Screen::Nothing, false), (Screen::All, true), (Screen::Errors, true)] {
            let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
            if no_tty && !is_help {
                words.push("--no-tty");
            }
            let shown = show(&sandbox, &words, screen, 80, false);
            let (out, err) = (&shown.stdout, &shown.stderr);
            assert!(!out.contains('\u{1b}') && !err.contains('\u{1b}'), "{words:?}: {out:?} {err:?}");
            assert!(out.contains(last), "{words:?}: {out}");
            assert!(screen == Screen::All || !out.contains('\r'), "{words:?}: {out:?}");
        }
    }
}

#[test]
fn the_result_is_on_standard_output_while_bars_are_on_the_other() {
    let (_registry, sandbox, commands) = scene();
    for (words, last) in commands.iter().take(3) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let shown = show(&sandbox, &words, Screen::Errors, 80, false);
        assert!(!shown.stdout.contains('\u{1b}'), "{words:?}: {:?}", shown.stdout);
        assert!(
            shown.stdout.lines().last().is_some_and(|line| line.starts_with(last)),
            "{words:?}: {}",
            shown.stdout
        );
    }
}
