//! Transfers while the server restarts: it takes no connections for a while.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use oras_testkit::ports::ReservedPort;

use crate::sandbox::{Sandbox, ours, texts};

/// `oras serve` over the directory `served`, on one port however often it starts.
struct Restarting<'a> {
    sandbox: &'a Sandbox,
    port: ReservedPort,
    child: Child,
}

impl<'a> Restarting<'a> {
    fn start(sandbox: &'a Sandbox) -> Self {
        let port = ReservedPort::take();
        let child = serve(sandbox, port.number());
        Self { sandbox, port, child }
    }

    fn host(&self) -> String {
        format!("localhost:{}", self.port.number())
    }

    /// Ends the server by a signal and starts it again after `gone`.
    fn restart(&mut self, signal: &str, gone: Duration) {
        self.end(signal);
        std::thread::sleep(gone);
        self.child = serve(self.sandbox, self.port.number());
    }

    fn end(&mut self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{signal}"), &id]).status().unwrap().success());
        self.child.wait().unwrap();
    }
}

impl Drop for Restarting<'_> {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn serve(sandbox: &Sandbox, port: u16) -> Child {
    let words = ["serve", "--addr", &format!("127.0.0.1:{port}"), "served"];
    let mut child =
        sandbox.command(&ours(), &words).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("listening on "), "{line:?}");
    child
}

/// Runs a command of ours in the background.
fn begin(sandbox: &Sandbox, words: &[&str]) -> Child {
    sandbox.command(&ours(), words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn succeeded(output: &Output) {
    let (out, err) = texts(output);
    assert!(output.status.success(), "{out}\n{err}");
}

/// Bytes that no two blocks have alike.
fn bytes(size: usize) -> Vec<u8> {
    (0..size as u64 / 8).flat_map(|n| n.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes()).collect()
}

#[test]
fn transfers_survive_a_restart_of_the_server() {
    let sandbox = Sandbox::new();
    std::fs::create_dir_all(sandbox.path("served")).unwrap();
    sandbox.file("big.bin", bytes(8 << 20));
    let mut server = Restarting::start(&sandbox);
    let host = server.host();
    for (round, (signal, gone)) in [("KILL", 500), ("TERM", 2000), ("KILL", 9000)].into_iter().enumerate() {
        // Longer than the five retries of other failures take.
        let gone = Duration::from_millis(gone);
        let reference = format!("{host}/a:v{round}");
        sandbox.file("mark.txt", format!("{round}"));
        let push = begin(&sandbox, &["push", &reference, "big.bin", "mark.txt", "--limit-rate", "4M"]);
        std::thread::sleep(Duration::from_millis(900));
        server.restart(signal, gone);
        succeeded(&push.wait_with_output().unwrap());
        let out = format!("out{round}");
        let pull = begin(&sandbox, &["pull", &reference, "-o", &out, "--limit-rate", "4M"]);
        std::thread::sleep(Duration::from_millis(900));
        server.restart(signal, gone);
        succeeded(&pull.wait_with_output().unwrap());
        assert_eq!(std::fs::read(sandbox.path(&out).join("big.bin")).unwrap(), bytes(8 << 20));
        // The next round must send it all again.
        sandbox.oras(&["manifest", "delete", "-f", &reference]);
        std::fs::remove_dir_all(sandbox.path("served")).unwrap();
        std::fs::create_dir_all(sandbox.path("served")).unwrap();
        server.restart("KILL", Duration::ZERO);
    }
}

#[test]
fn a_first_connection_that_is_refused_fails_at_once() {
    let sandbox = Sandbox::new();
    std::fs::create_dir_all(sandbox.path("served")).unwrap();
    sandbox.file("big.bin", bytes(8 << 20));
    let mut server = Restarting::start(&sandbox);
    let reference = format!("{}/a:v1", server.host());
    // Ctrl-C ends a command at once that waits for a server which is gone.
    let mut push = begin(&sandbox, &["push", &reference, "big.bin", "--limit-rate", "4M"]);
    std::thread::sleep(Duration::from_millis(900));
    server.end("KILL");
    std::thread::sleep(Duration::from_millis(1500));
    assert!(push.try_wait().unwrap().is_none(), "the push waits for the server");
    let begun = Instant::now();
    assert!(Command::new("kill").args(["-INT", &push.id().to_string()]).status().unwrap().success());
    assert!(!push.wait().unwrap().success());
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());

    let begun = Instant::now();
    let error = sandbox.fails(&["push", &reference, "big.bin"]);
    assert!(error.contains("connection refused") && begun.elapsed() < Duration::from_secs(3), "{error}");
}
