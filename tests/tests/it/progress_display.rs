//! What a person sees on a terminal while a command transfers content: recordings of scenes at three widths.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZero;
use std::os::fd::AsRawFd;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::pty::{Winsize, openpty};
use nix::sys::signal::Signal;
use oras_testkit::memory_registry::MemoryRegistry;
use oras_testkit::random;
use oras_testkit::registry::Process;
use oras_testkit::scripted::{Asked, Scripted};
use regex::Regex;

use crate::sandbox::{Sandbox, ours};

const MIB: usize = 1 << 20;
/// The size of the large file.
const SIZE: usize = 8 * MIB;
/// The number of bytes after which the stalling registry sends nothing more.
const STALL: usize = 5 * MIB;
const HEIGHT: u16 = 40;

/// A command on a terminal whose screen can be read at any time.
struct Recording {
    child: Child,
    terminal: File,
    screen: Arc<Mutex<vt100::Parser>>,
    reader: std::thread::JoinHandle<()>,
}

impl Recording {
    fn start(sandbox: &Sandbox, line: &str, columns: u16) -> Self {
        let pty = openpty(Some(&size(columns)), None).unwrap();
        let mut command = sandbox.command(&ours(), &line.split(' ').collect::<Vec<_>>());
        command.env("TERM", "xterm-256color").env_remove("COLUMNS").stdin(Stdio::null());
        command.stdout(Stdio::from(pty.slave.try_clone().unwrap())).stderr(Stdio::from(pty.slave));
        let child = command.spawn().unwrap();
        let terminal = File::from(pty.master);
        let at = |count| NonZero::new(count).unwrap();
        let screen = Arc::new(Mutex::new(vt100::Parser::new(at(HEIGHT), at(columns), 0)));
        let (shown, mut output) = (Arc::clone(&screen), terminal.try_clone().unwrap());
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // Reading from a closed terminal returns an error.
            while let Ok(count @ 1..) = output.read(&mut buffer) {
                shown.lock().unwrap().process(&buffer[..count]);
            }
        });
        Self { child, terminal, screen, reader }
    }

    fn text(&self) -> String {
        lines(self.screen.lock().unwrap().screen())
    }

    /// Waits until the screen contains all of `wanted`, and returns it.
    fn wait_for(&self, wanted: &[&str]) -> String {
        let start = Instant::now();
        loop {
            let text = self.text();
            if wanted.iter().all(|wanted| text.contains(wanted)) {
                return text;
            }
            assert!(start.elapsed() < Duration::from_secs(30), "no {wanted:?} in:\n{text}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Resizes the terminal while the command is stopped: it must not draw between the two steps.
    fn resize(&self, columns: u16) {
        self.signal(Signal::SIGSTOP);
        std::thread::sleep(Duration::from_millis(100));
        self.set_size(columns);
        self.signal(Signal::SIGCONT);
    }

    fn set_size(&self, columns: u16) {
        let mut screen = self.screen.lock().unwrap();
        screen.screen_mut().set_size(NonZero::new(HEIGHT).unwrap(), NonZero::new(columns).unwrap());
        rustix::termios::tcsetwinsize(
            &self.terminal,
            rustix::termios::Winsize { ws_row: HEIGHT, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 },
        )
        .unwrap();
    }

    /// Ends the command by Ctrl-C.
    fn interrupt(&mut self) {
        assert!(self.terminal.as_raw_fd() > 0);
        self.terminal.flush().unwrap();
        self.signal(Signal::SIGINT);
    }

    fn signal(&self, signal: Signal) {
        let process = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        nix::sys::signal::kill(process, signal).unwrap();
    }

    /// Waits for the end, and returns the screen and the exit status.
    fn end(mut self) -> (String, i32) {
        let status = self.child.wait().unwrap();
        std::mem::replace(&mut self.reader, std::thread::spawn(|| {})).join().unwrap();
        (self.text(), status.code().unwrap())
    }
}

/// Returns the text of a screen, with rows that the terminal has wrapped as one line.
fn lines(screen: &vt100::Screen) -> String {
    let columns = screen.size().1.get();
    let mut text = String::new();
    for (number, row) in screen.rows(0, columns).enumerate() {
        let is_wrapped = screen.row_wrapped(u16::try_from(number).unwrap());
        text.push_str(if is_wrapped { &row } else { row.trim_end() });
        if !is_wrapped {
            text.push('\n');
        }
    }
    text.trim_end().to_owned()
}

fn size(columns: u16) -> Winsize {
    Winsize { ws_row: HEIGHT, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

/// A registry with a large and a small file, which sends only the beginning of the large one until it is released.
struct StallingRegistry {
    server: Scripted,
    is_stalling: Arc<Mutex<bool>>,
}

impl StallingRegistry {
    fn start() -> Self {
        let registry = MemoryRegistry::new();
        let big = random::bytes(7, SIZE);
        registry.files("a", "v1", &[("big.bin", &big), ("small.txt", b"hello\n")]);
        let digest = oras_spec::Digest::sha256(&big).to_string();
        let is_stalling = Arc::new(Mutex::new(true));
        let stalls = Arc::clone(&is_stalling);
        let server = Scripted::start(move |asked: &Asked| {
            let reply = registry.reply(asked);
            let is_big = asked.line().starts_with("GET") && asked.line().contains(&digest);
            if !is_big || !*stalls.lock().unwrap() {
                return reply;
            }
            // The length promises more than the body has, and the connection stays open.
            reply.without("content-length").header("content-length", SIZE).body(&big[..STALL])
        });
        Self { server, is_stalling }
    }
}

/// The scenes at one width.
struct Scenes {
    columns: u16,
    sandbox: Sandbox,
    text: String,
    hosts: Vec<String>,
}

impl Scenes {
    fn record(&mut self, line: &str) {
        let (text, status) = Recording::start(&self.sandbox, line, self.columns).end();
        assert_eq!(status, 0, "{line}: {text}");
        self.add(line, &text);
    }

    fn add(&mut self, line: &str, text: &str) {
        // Results for scripts may be long; rows of progress never wrap.
        let results =
            ["Pushed ", "Copied [", "Pulled ", "Digest: ", "ArtifactType: ", "Successfully ", "Hint: "];
        for row in text.lines().filter(|row| !results.iter().any(|begin| row.starts_with(begin))) {
            assert!(row.chars().count() <= usize::from(self.columns), "{line}: {row}");
        }
        // Items finish in any order.
        let (mut rows, mut done): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
        for row in text.lines() {
            if row.starts_with('✓') {
                done.push(row);
                continue;
            }
            done.sort_unstable();
            rows.append(&mut done);
            rows.push(row);
        }
        let mut shown = format!("$ oras {line}\n{}\n\n", rows.join("\n"));
        for (host, name) in self.hosts.iter().zip(["localhost:5000", "localhost:6000"]) {
            shown = shown.replace(host, name);
        }
        self.text.push_str(&without_times(&shown));
    }
}

/// Replaces what differs in each run: rates and times.
fn without_times(text: &str) -> String {
    let replacements = [
        (r" +[0-9.]+ [KMG]?i?B/s", " RATE"),
        (r"ETA [0-9hms]+", "ETA TIME"),
        (r" in [0-9.]+[a-zµ]+", " in TIME"),
        (r" \( ?RATE\)", ""),
    ];
    replacements.into_iter().fold(text.to_owned(), |text, (pattern, with)| {
        Regex::new(pattern).unwrap().replace_all(&text, with).into_owned()
    })
}

fn scenes(columns: u16) -> String {
    const CREATED: &str = "-a org.opencontainers.image.created=2026-01-01T00:00:00Z";
    let (registry, stalling, sandbox) = (Process::ours(&[]), StallingRegistry::start(), Sandbox::new());
    sandbox.file("hi.txt", "hello world\n");
    sandbox.file("data.bin", random::bytes(9, 3 * MIB));
    let names: Vec<String> = (0..200).map(|number| format!("f{number:03}.txt")).collect();
    for name in &names {
        sandbox.file(name, name.clone());
    }
    let (host, stalling_host) = (registry.host(), stalling.server.host());
    let hosts = vec![host.clone(), stalling_host.clone()];
    let mut scenes = Scenes { columns, sandbox, text: String::new(), hosts };
    scenes.record(&format!("push {host}/b:v1 hi.txt data.bin {CREATED}"));
    scenes.record(&format!("push {host}/b:v1 hi.txt data.bin {CREATED}"));
    let many = format!("push {host}/m:v1 {} {CREATED}", names.join(" "));
    let (text, status) = Recording::start(&scenes.sandbox, &many, columns).end();
    assert_eq!(status, 0, "{text}");
    scenes.add("push localhost:5000/m:v1 f000.txt … f199.txt", &text);
    scenes.record(&format!("cp {host}/b:v1 {host}/c:v1"));
    scenes.record(&format!("cp {host}/b:v1 --to-oci-layout layout:v1"));
    scenes.record(&format!("cp {host}/b:v1 --to-oci-layout layout:v1"));
    scenes.record(&format!("backup {host}/b:v1 -o backup.tar"));
    let pull = format!("pull {stalling_host}/a:v1 -o out --connections 1");
    let mut running = Recording::start(&scenes.sandbox, &pull, columns);
    running.wait_for(&["1/2 files  5.0/8.0 MiB  62 %", "ETA"]);
    // The rate of the file is measured a little later than that of all files.
    std::thread::sleep(Duration::from_millis(500));
    let text = running.text();
    scenes.add(&pull, &text);
    let narrow = columns - 20;
    running.resize(narrow);
    running.wait_for(&["62 %"]);
    std::thread::sleep(Duration::from_millis(400));
    let text = running.text();
    assert!(text.lines().all(|row| row.chars().count() <= usize::from(narrow)), "{text}");
    assert_eq!(text.matches("62 %").count(), 1, "{text}");
    scenes.add("(a narrower terminal)", &text);
    running.resize(columns);
    running.wait_for(&["5.0/8.0 MiB  62 %"]);
    running.interrupt();
    let (text, status) = running.end();
    assert_eq!(status, 130, "{text}");
    assert!(text.contains("5.0 of 8.0 MiB kept; run the same command again"), "{text}");
    scenes.add("(Ctrl-C)", &text);
    *stalling.is_stalling.lock().unwrap() = false;
    scenes.record(&pull);
    scenes.record(&pull);
    scenes.text
}

#[test]
fn progress_at_60_columns() {
    insta::assert_snapshot!(scenes(60));
}

#[test]
fn progress_at_80_columns() {
    insta::assert_snapshot!(scenes(80));
}

#[test]
fn progress_at_120_columns() {
    insta::assert_snapshot!(scenes(120));
}
