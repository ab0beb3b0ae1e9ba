//! Transfers while the server restarts and accepts no connections for some time.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use oras_testkit::peers;
use oras_testkit::ports::ReservedPort;
use oras_testkit::random;
use oras_testkit::registry::{Flavor, Options, Process};
use oras_testkit::tls::Certificate;

use crate::sandbox::{Sandbox, ours, texts};

/// `oras serve` over the directory `served`. It uses the same port after each restart.
struct Restarting<'a> {
    sandbox: &'a Sandbox,
    flags: &'a [&'a str],
    port: ReservedPort,
    child: Child,
}

impl<'a> Restarting<'a> {
    fn start(sandbox: &'a Sandbox) -> Self {
        Self::with(sandbox, &[])
    }

    fn with(sandbox: &'a Sandbox, flags: &'a [&'a str]) -> Self {
        std::fs::create_dir_all(sandbox.path("served")).unwrap();
        let port = ReservedPort::take();
        let child = serve(sandbox, port.number(), flags);
        Self { sandbox, flags, port, child }
    }

    fn host(&self) -> String {
        format!("localhost:{}", self.port.number())
    }

    /// Ends the server by a signal and starts it again after `gone`.
    fn restart(&mut self, signal: &str, gone: Duration) {
        self.end(signal);
        std::thread::sleep(gone);
        self.child = serve(self.sandbox, self.port.number(), self.flags);
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

fn serve(sandbox: &Sandbox, port: u16, flags: &[&str]) -> Child {
    let address = format!("127.0.0.1:{port}");
    let words = [&["serve", "--addr", &address, "served"], flags].concat();
    let mut child =
        sandbox.command(&ours(), &words).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("listening on "), "{line:?}");
    child
}

/// Runs a command of our tool in the background.
fn begin(sandbox: &Sandbox, words: &[&str]) -> Child {
    sandbox.command(&ours(), words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn succeeded(output: &Output) {
    let (out, err) = texts(output);
    assert!(output.status.success(), "{out}\n{err}");
}

#[test]
fn resumes_transfers_after_server_restart() {
    let sandbox = Sandbox::new();
    sandbox.file("big.bin", random::bytes(1, 8 << 20));
    let mut server = Restarting::start(&sandbox);
    let host = server.host();
    for (round, (signal, gone)) in [("KILL", 500), ("TERM", 2000), ("KILL", 9000)].into_iter().enumerate() {
        // Longer than the five retries of other failures.
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
        assert_eq!(std::fs::read(sandbox.path(&out).join("big.bin")).unwrap(), random::bytes(1, 8 << 20));
        // All content is deleted, so that the next round must send it again.
        sandbox.oras(&["manifest", "delete", "-f", &reference]);
        std::fs::remove_dir_all(sandbox.path("served")).unwrap();
        std::fs::create_dir_all(sandbox.path("served")).unwrap();
        server.restart("KILL", Duration::ZERO);
    }
}

#[test]
fn fails_at_once_if_first_connection_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.file("big.bin", random::bytes(1, 8 << 20));
    let mut server = Restarting::start(&sandbox);
    let reference = format!("{}/a:v1", server.host());
    // Ctrl-C immediately ends a command that waits for a stopped server.
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

/// Transfers the 8 MiB of `big.bin` to and from `host` with the flags of `network`. Restarts the registry
/// during each transfer.
fn survives(sandbox: &Sandbox, host: &str, network: &[(&str, &str)], mut restart: impl FnMut()) {
    sandbox.file("big.bin", random::bytes(1, 8 << 20));
    let rounds: [&[&str]; 3] = [
        &["push {host}/a:v1 big.bin --limit-rate 4M"],
        &[
            "pull {host}/a:v1 -o out --limit-rate 4M",
            "cp {host}/a:v1 --to-oci-layout layout:v1 --from-limit-rate 4M",
            "backup --output bundle {host}/a:v1 --limit-rate 4M",
        ],
        &[
            "cp --from-oci-layout layout:v1 {host}/b:v1 --to-limit-rate 4M",
            "restore --input bundle {host}/c:v1 --limit-rate 4M",
        ],
    ];
    for round in rounds {
        let start = |command: &&str| {
            let mut command = command.replace("{host}", host);
            let side =
                ["--from-", "--to-"].into_iter().find(|side| command.contains(&format!("{side}limit")));
            for (name, value) in network {
                command += &format!(" {}{name}={value}", side.unwrap_or("--"));
            }
            begin(sandbox, &command.split(' ').collect::<Vec<_>>())
        };
        let running: Vec<_> = round.iter().map(start).collect();
        running.iter().for_each(wait_for_connection);
        std::thread::sleep(Duration::from_millis(700));
        restart();
        for command in running {
            succeeded(&command.wait_with_output().unwrap());
        }
    }
    assert_eq!(std::fs::read(sandbox.path("out/big.bin")).unwrap(), random::bytes(1, 8 << 20));
}

/// Waits until the process has a connection or has ended.
fn wait_for_connection(process: &Child) {
    let has_connection = || -> std::io::Result<bool> {
        let table = std::fs::read_to_string("/proc/net/tcp")?;
        // The tenth column is the inode of the socket. The fourth column is 01 for a connected socket.
        let columns = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let connected: Vec<_> = columns
            .filter(|columns| columns.get(3) == Some(&"01"))
            .filter_map(|columns| columns.get(9).map(|number| format!("socket:[{number}]")))
            .collect();
        let mut open = std::fs::read_dir(format!("/proc/{}/fd", process.id()))?.flatten();
        Ok(open.any(|entry| {
            let target = std::fs::read_link(entry.path()).unwrap_or_default();
            connected.iter().any(|socket| target.as_os_str() == socket.as_str())
        }))
    };
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(20) && matches!(has_connection(), Ok(false)) {
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn over_tls<'a>(certificate: &'a str, version: &'a str) -> [(&'a str, &'a str); 3] {
    [("plain-http", "false"), ("ca-file", certificate), ("http-version", version)]
}

#[test]
fn resumes_tls_transfers_after_server_restart() {
    let sandbox = Sandbox::new();
    let Some(certificate) = Certificate::make(&sandbox.work(), &["localhost"]) else {
        return peers::skipped("openssl", "resumes_tls_transfers_after_server_restart");
    };
    let (public, key) =
        (certificate.certificate.display().to_string(), certificate.key.display().to_string());
    let flags = ["--cert-file", &public, "--key-file", &key];
    let mut server = Restarting::with(&sandbox, &flags);
    survives(&sandbox, &server.host(), &over_tls(&public, "1.1"), || {
        server.restart("KILL", Duration::from_millis(500));
    });
}

/// Another registry may not be able to resume an upload after its restart. This registry also supports HTTP/2
/// over TLS.
#[test]
fn resumes_transfers_after_restart_of_other_registry() {
    let test = "resumes_transfers_after_restart_of_other_registry";
    let gone = Duration::from_millis(500);
    let sandbox = Sandbox::new();
    let Some(mut registry) = Process::open(Flavor::Distribution, test) else { return };
    survives(&sandbox, &registry.host(), &[], || registry.restart(gone));

    let sandbox = Sandbox::new();
    let Some(certificate) = Certificate::make(&sandbox.work(), &["localhost"]) else {
        return peers::skipped("openssl", test);
    };
    let public = certificate.certificate.display().to_string();
    let options = Options { tls: Some((certificate.certificate, certificate.key)), ..Options::default() };
    let Some(mut registry) = Process::start(Flavor::Distribution, &options, test) else { return };
    survives(&sandbox, &registry.host(), &over_tls(&public, "2"), || registry.restart(gone));
}
