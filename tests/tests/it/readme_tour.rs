//! Runs the tour of the README as printed, line by line.

use std::net::TcpListener;
use std::path::Path;

use crate::doc_commands::code_blocks;
use crate::sandbox::{Sandbox, ours, texts};

/// The ports in the commands of the page.
const PORTS: [u16; 3] = [5000, 6000, 6001];

/// Returns the commands of the tour, in order.
fn commands() -> Vec<String> {
    let blocks = code_blocks("README.md", "A tour in five minutes", "console");
    let lines = blocks.iter().flat_map(|block| block.lines());
    lines.map(|line| line.strip_prefix("$ ").unwrap().to_owned()).collect()
}

/// Replaces the printed ports by free ones.
fn with_free_ports(mut script: String) -> String {
    let listeners: Vec<_> = PORTS.iter().map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    for (port, listener) in PORTS.iter().zip(&listeners) {
        let free = listener.local_addr().unwrap().port();
        assert!(script.contains(&format!(":{port}")), "no command uses port {port}");
        script = script.replace(&format!(":{port}"), &format!(":{free}"));
    }
    script
}

#[test]
fn runs_every_command_of_readme_tour() {
    let commands = commands();
    assert!(commands.len() > 25, "{commands:?}");
    let mut script = String::from("trap 'kill $(jobs -p) 2>/dev/null' EXIT\n");
    for command in &commands {
        script += &format!("echo '>>>' {}\n{command}\n", shell_quoted(command));
        if let Some((_, address)) = command.split_once("127.0.0.1:").filter(|_| command.ends_with('&')) {
            // A reader types the next line after the server has started.
            let port = &address[..4];
            script += &format!(
                "for i in $(seq 200); do (exec 3<>/dev/tcp/127.0.0.1:{port}) 2>/dev/null && break; sleep 0.05; done\n"
            )
            .replace(&format!("127.0.0.1:{port}"), &format!("127.0.0.1/:{port}"));
        } else if command.starts_with("timeout ") {
            script += "[ $? = 124 ] || { echo 'the download was not interrupted'; exit 1; }\n";
        } else {
            script += "status=$?; [ $status = 0 ] || exit $status\n";
        }
    }
    // `/dev/tcp` takes the port as a path.
    let script = with_free_ports(script).replace("127.0.0.1/:", "127.0.0.1/");
    let sandbox = Sandbox::new();
    let bin = sandbox.path("../bin");
    std::fs::create_dir_all(&bin).unwrap();
    std::os::unix::fs::symlink(ours(), bin.join("oras")).unwrap();
    let mut command = sandbox.command(Path::new("/bin/bash"), &["-c", &script]);
    command.env("PATH", format!("{}:/usr/bin:/bin", bin.display()));
    let output = command.output().unwrap();
    let (out, err) = texts(&output);
    assert!(output.status.success(), "{out}\n{err}");
    for expected in ["application/spdx+json", "Successfully restored", "Dry run: would copy", "\n12\n"] {
        assert!(out.contains(expected), "{expected}\n{out}\n{err}");
    }
    let partial = out.split(">>> oras partial ls\n").nth(1).unwrap();
    assert!(partial.lines().next().is_some_and(|line| !line.starts_with(">>>")), "{out}");
}

fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
