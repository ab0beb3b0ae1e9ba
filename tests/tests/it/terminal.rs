//! The output on terminals of 80 and 200 columns, in a pipe, without colours and without a terminal.

use std::io::Read;
use std::process::Stdio;
use std::time::Duration;

use nix::pty::{Winsize, openpty};

use oras_testkit::registry::Process;

use crate::sandbox::{Sandbox, ours};

/// A fixed creation time, so that digests are the same in every run.
const CREATED: &str = "-a org.opencontainers.image.created=2026-01-01T00:00:00Z";

/// The standard output and error of a command.
pub(crate) struct Shown {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) status: std::process::ExitStatus,
}

/// The streams of a command that are terminals.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Screen {
    /// Only standard error, as when the output is redirected to a file.
    Errors,
    /// Both.
    All,
    /// Neither.
    Nothing,
}

fn reader(mut from: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
        // Reading from a closed terminal returns an error.
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            text.extend_from_slice(&buffer[..read]);
        }
        String::from_utf8(text).unwrap()
    })
}

fn show(sandbox: &Sandbox, words: &[&str], screen: Screen, columns: u16, no_color: bool) -> Shown {
    let shown = run_on_terminal(sandbox, words, screen, columns, no_color);
    assert!(shown.status.success(), "{words:?}: {}{}", shown.stdout, shown.stderr);
    shown
}

/// Runs a command, which may fail, on a terminal of this width.
pub(crate) fn run_on_terminal(
    sandbox: &Sandbox,
    words: &[&str],
    screen: Screen,
    columns: u16,
    no_color: bool,
) -> Shown {
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
    // The command holds the terminals open, so it is dropped.
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
    // A terminal is closed when its last writer has ended.
    std::thread::sleep(Duration::from_millis(1));
    Shown { stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap(), status }
}

/// Returns a screen of this width after `text` was written to it. The screen is high enough to show
/// everything without scrolling.
fn screen(text: &str, columns: u16) -> vt100::Screen {
    let size = |count| std::num::NonZero::new(count).unwrap();
    let mut parser = vt100::Parser::new(size(1000), size(columns), 0);
    // Like the driver of a terminal, this adds a carriage return to each line end.
    parser.process(text.replace("\r\n", "\n").replace('\n', "\r\n").as_bytes());
    parser.screen().clone()
}

/// Returns true if any text on the screen has a colour or a weight.
fn is_coloured(screen: &vt100::Screen) -> bool {
    let (rows, columns) = screen.size();
    let columns = columns.get();
    let mut cells =
        (0..rows.get()).flat_map(|row| (0..columns).filter_map(move |column| screen.cell(row, column)));
    cells.any(|cell| cell.bold() || cell.dim() || cell.fgcolor() != vt100::Color::Default)
}

fn is_help(words: &[&str]) -> bool {
    words.contains(&"help") || words.contains(&"-h")
}

/// Starts a registry with an artifact that has a referrer. Returns the commands whose output is compared.
fn scene() -> (Process, Sandbox, Vec<Vec<String>>) {
    let (registry, sandbox) = (Process::ours(&[]), Sandbox::new());
    sandbox.file("hi.txt", "hello world\n");
    sandbox.file(&format!("{}.bin", "long-name-".repeat(18)), vec![7; 300_000]);
    let host = registry.host();
    let subject = format!("{host}/a:v1");
    let words = |line: String| line.split(' ').map(ToOwned::to_owned).collect::<Vec<String>>();
    for line in [
        format!("push {subject} hi.txt {CREATED}"),
        format!(
            "attach {subject} hi.txt --artifact-type application/vnd.example.sbom.of.some.length {CREATED}"
        ),
    ] {
        sandbox.oras(&words(line).iter().map(String::as_str).collect::<Vec<_>>());
    }
    let long = format!("{}.bin", "long-name-".repeat(18));
    let commands = [
        format!("push {host}/b:v1 hi.txt {long} --concurrency 1 {CREATED}"),
        format!("pull {host}/b:v1 -o out --concurrency 1"),
        format!("cp {host}/b:v1 {host}/c:v1 --concurrency 1"),
        format!("discover {subject}"),
        "help push".to_owned(),
        "manifest index update -h".to_owned(),
        "help".to_owned(),
    ];
    let commands = commands.map(words).to_vec();
    (registry, sandbox, commands)
}

/// Returns each command with its output, as text that is the same in every run.
fn gallery(screens: Screen, columns: u16, no_color: bool, no_tty: bool) -> String {
    let (registry, sandbox, commands) = scene();
    let mut gallery = String::new();
    let times = regex::Regex::new(r" in [0-9.hms]+( \([^)]*/s\))?").unwrap();
    for words in &commands {
        let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
        if no_tty && !is_help(&words) {
            words.push("--no-tty");
        }
        let shown = show(&sandbox, &words, screens, columns, no_color);
        let plain = no_tty || screens == Screen::Nothing;
        let mut told = format!("$ oras {}\n", words.join(" "));
        for (name, text) in [("", &shown.stdout), ("standard error:\n", &shown.stderr)] {
            assert!(!plain || !text.contains('\u{1b}'), "{words:?}: {text:?}");
            let seen = screen(text, columns);
            assert!(!no_color || !is_coloured(&seen), "{words:?}: {text:?}");
            if !text.is_empty() {
                let rows = || seen.rows(0, columns).collect::<Vec<_>>().join("\n");
                let text = if plain { text.replace('\r', "") } else { rows() };
                // The summary ends with the duration, which differs.
                let text = times.replace_all(text.trim_end(), " in TIME");
                told.push_str(&format!("{name}{text}\n"));
            }
        }
        for line in told.replace(&registry.host(), "localhost:5000").lines() {
            gallery.push_str(line.trim_end());
            gallery.push('\n');
        }
        gallery.push('\n');
    }
    gallery
}

#[test]
fn terminal_of_80_columns() {
    insta::assert_snapshot!(gallery(Screen::All, 80, false, false));
}

#[test]
fn terminal_of_200_columns() {
    insta::assert_snapshot!(gallery(Screen::All, 200, false, false));
}

#[test]
fn terminal_without_colours() {
    let shown = gallery(Screen::All, 80, true, false);
    insta::assert_snapshot!("terminal_of_80_columns", shown);
}

#[test]
fn terminal_with_screen_reader() {
    insta::assert_snapshot!(gallery(Screen::All, 80, false, true));
}

#[test]
fn piped_output() {
    insta::assert_snapshot!(gallery(Screen::Nothing, 80, false, false));
}

#[test]
fn colours_trees_and_wraps_help() {
    let (_registry, sandbox, commands) = scene();
    for words in &commands {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let shown = show(&sandbox, &words, Screen::All, 80, false);
        if is_help(&words) {
            let widest = shown.stdout.lines().map(|line| line.trim_end().chars().count()).max();
            assert!(widest.is_some_and(|widest| widest <= 80), "{words:?}: {widest:?}");
        } else if words[0] == "discover" {
            assert!(is_coloured(&screen(&shown.stdout, 80)), "{words:?}: {:?}", shown.stdout);
        }
    }
}

#[test]
fn prints_result_to_stdout_and_bars_to_stderr() {
    let (_registry, sandbox, commands) = scene();
    for words in commands.iter().take(3) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let shown = show(&sandbox, &words, Screen::Errors, 80, false);
        assert!(!shown.stdout.contains('\u{1b}'), "{words:?}: {:?}", shown.stdout);
        let last = shown.stdout.lines().last();
        assert!(last.is_some_and(|line| line.starts_with("Digest: sha256:")), "{words:?}: {last:?}");
    }
}

#[test]
fn blob_fetch_shows_bars_or_plain_lines() {
    let sandbox = Sandbox::new();
    sandbox.file("hi.txt", "hello\n");
    let digest = oras_spec::Digest::sha256(b"hello\n");
    sandbox.oras(&["push", "--oci-layout", "L:v1", "hi.txt"]);
    let blob = format!("L@{digest}");
    let words = ["blob", "fetch", "--oci-layout", &blob, "-o", "out"];
    for (term, bars) in [("xterm-256color", true), ("dumb", false)] {
        let pty = openpty(None, None).unwrap();
        let mut command = sandbox.command(&ours(), &words);
        command.env("TERM", term).stdout(Stdio::null()).stderr(Stdio::from(pty.slave));
        let text = reader(std::fs::File::from(pty.master));
        let status = command.status().unwrap();
        drop(command);
        let text = text.join().unwrap();
        assert!(status.success() && text.contains("6 B transferred in "), "{term}: {text:?}");
        assert_eq!(text.contains('✓'), bars, "{term}: {text:?}");
        assert_eq!(text.lines().count(), if bars { 2 } else { 1 }, "{term}: {text:?}");
    }
    assert_eq!(sandbox.run(&ours(), &words).stderr, b"");
}
