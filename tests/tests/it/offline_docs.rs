//! Runs the commands of `docs/offline.md`, and compares their output with the page.

use std::net::TcpListener;
use std::path::Path;

use crate::doc_commands::code_blocks;
use crate::sandbox::{Sandbox, ours};

/// The ports in the commands of the page.
const PORTS: [&str; 2] = ["5000", "6000"];

/// A command of the page, with the lines that the page shows after it.
struct Step {
    command: String,
    output: Vec<String>,
}

fn steps() -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for block in code_blocks("docs/offline.md", "The whole way", "console") {
        for line in block.lines() {
            match line.strip_prefix("$ ") {
                Some(command) => steps.push(Step { command: command.to_owned(), output: Vec::new() }),
                None => steps.last_mut().unwrap().output.push(line.to_owned()),
            }
        }
    }
    steps
}

/// Replaces what differs between two runs: digests, sizes and durations, times and ports.
fn masked(line: &str) -> String {
    let words = line.split(' ').filter(|word| {
        !word.is_empty() && !matches!(*word, "B" | "B," | "B)" | "KB" | "KB," | "KB)" | "KB;")
    });
    let mask = |word: &str| {
        let word = word.replace(|c: char| c.is_ascii_digit(), "0");
        match word.split_once("sha000:") {
            Some((front, _)) => format!("{front}DIGEST"),
            None if word.contains("00:00") || word.ends_with("0ms") || word.ends_with("0s") => {
                "TIME".to_owned()
            }
            None => word.chars().filter(|c| !matches!(c, '0' | '.')).collect(),
        }
    };
    words.map(mask).filter(|word| !word.is_empty() && word != "(").collect::<Vec<_>>().join(" ")
}

#[test]
fn runs_the_commands_of_the_page() {
    let listeners = PORTS.map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    let ports = listeners.each_ref().map(|listener| listener.local_addr().unwrap().port().to_string());
    drop(listeners);
    let with_ports = |text: &str| {
        let pairs = PORTS.iter().zip(&ports);
        pairs.fold(text.to_owned(), |text, (from, to)| text.replace(&format!(":{from}"), &format!(":{to}")))
    };
    let with_page_ports = |text: &str| {
        let pairs = PORTS.iter().zip(&ports);
        pairs.fold(text.to_owned(), |text, (to, from)| text.replace(&format!(":{from}"), &format!(":{to}")))
    };
    let sandbox = Sandbox::new();
    let bin = sandbox.path("../bin");
    std::fs::create_dir_all(&bin).unwrap();
    std::os::unix::fs::symlink(ours(), bin.join("oras")).unwrap();
    let shell = |script: &str| {
        let mut command = sandbox.command(Path::new("/bin/bash"), &["-c", script]);
        command.env("PATH", format!("{}:/usr/bin:/bin", bin.display()));
        command
    };
    let mut servers = Vec::new();
    let steps = steps();
    assert!(steps.len() > 12, "{}", steps.len());
    for Step { command, output } in steps {
        let script = with_ports(&command);
        if let Some(server) = script.strip_suffix(" &") {
            let port = server.split("127.0.0.1:").nth(1).unwrap().split(' ').next().unwrap().to_owned();
            servers.push(shell(&format!("exec {server} >/dev/null 2>&1")).spawn().unwrap());
            let wait = format!(
                "for i in $(seq 200); do (exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null && break; sleep 0.05; done"
            );
            assert!(shell(&wait).status().unwrap().success());
            continue;
        }
        let run = shell(&format!("{{ {script}; }} 2>&1")).output().unwrap();
        let said = with_page_ports(&String::from_utf8(run.stdout).unwrap());
        let fails = output.first().is_some_and(|line| line.starts_with("Error: "));
        assert_eq!(run.status.success(), !fails, "{command}\n{said}");
        let said_masked: Vec<_> = said.lines().map(masked).collect();
        for line in &output {
            assert!(said_masked.contains(&masked(line)), "{command}\n{line}\n{}\n{said}", masked(line));
        }
    }
    for mut server in servers {
        server.kill().unwrap();
        server.wait().unwrap();
    }
}
