//! Completion in real shells, each on its own terminal.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::pty::{Winsize, openpty};
use oras_testkit::peers;

use oras_testkit::registry::Process;

use crate::sandbox::{Sandbox, ours};

/// The maximum time in which a shell must react to a key.
const PATIENCE: Duration = Duration::from_secs(20);

/// Prints the arguments of each call of our command that does not request candidates.
const SHOW: &str = "oras() { if [ \"$1\" = __complete ]; then command oras \"$@\"; \
                    else printf '[%s]' \"$@\"; echo; fi; }";

/// An interactive shell on a terminal.
struct Shell {
    child: std::process::Child,
    terminal: std::fs::File,
    seen: std::sync::mpsc::Receiver<Vec<u8>>,
}

impl Shell {
    /// Starts `program` with our command on the search path and its completion loaded by `setup`.
    fn start(sandbox: &Sandbox, program: &Path, arguments: &[&str], setup: &str) -> Self {
        let size = Winsize { ws_row: 50, ws_col: 200, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(Some(&size), None).unwrap();
        let mut command = Command::new("/usr/bin/setsid");
        command.arg("--ctty").arg(program).args(arguments).current_dir(sandbox.work()).env_clear();
        command
            .env("HOME", sandbox.work().parent().unwrap().join("home"))
            .env("PATH", format!("{}:/usr/bin:/bin", ours().parent().unwrap().display()))
            .env("TERM", "dumb")
            .env("LANG", "C.UTF-8")
            .stdin(Stdio::from(pty.slave.try_clone().unwrap()))
            .stdout(Stdio::from(pty.slave.try_clone().unwrap()))
            .stderr(Stdio::from(pty.slave));
        let child = command.spawn().unwrap();
        drop(command);
        let terminal = std::fs::File::from(pty.master);
        let mut reader = terminal.try_clone().unwrap();
        let (sender, seen) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = reader.read(&mut buffer) {
                if sender.send(buffer[..read].to_vec()).is_err() {
                    break;
                }
            }
        });
        let mut shell = Self { child, terminal, seen };
        shell.type_keys(&format!("{setup}; echo rea\"\"dy\n"));
        shell.until("ready");
        shell
    }

    fn type_keys(&mut self, keys: &str) {
        self.terminal.write_all(keys.as_bytes()).unwrap();
    }

    /// Reads the output until it contains `text`.
    fn until(&self, text: &str) -> String {
        let (begun, mut shown) = (Instant::now(), String::new());
        while !shown.contains(text) {
            let left = PATIENCE.checked_sub(begun.elapsed());
            match self.seen.recv_timeout(left.unwrap_or_default()) {
                Ok(bytes) => shown.push_str(&String::from_utf8_lossy(&bytes)),
                Err(_) => panic!("{text:?} does not come: {shown:?}"),
            }
        }
        shown
    }

    /// Types `line` and the key for completion. Waits until the shell prints `wanted`: its words, each in
    /// brackets.
    fn complete(&mut self, line: &str, wanted: &str) {
        self.type_keys(&format!("oras {line}\t"));
        std::thread::sleep(Duration::from_millis(400));
        self.type_keys("\n");
        self.until(wanted);
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Returns the path of a shell. Reports a skipped test if the shell is not installed.
fn find(name: &str, test: &str) -> Option<PathBuf> {
    let path = Path::new("/usr/bin").join(name);
    if path.is_file() {
        return Some(path);
    }
    peers::skipped(name, test);
    None
}

fn scene() -> (Process, Sandbox) {
    let (registry, sandbox) = (Process::ours(&[]), Sandbox::new());
    sandbox.file("only.txt", "hello world\n");
    std::fs::create_dir_all(sandbox.path("folder")).unwrap();
    sandbox.oras(&["push", &format!("{}/team/app:version1", registry.host()), "only.txt"]);
    (registry, sandbox)
}

/// Checks the completions that every shell offers.
fn check(shell: &mut Shell, host: &str) {
    shell.complete("resol", "[resolve]");
    shell.complete("repo ta", "[repo][tags]");
    shell.complete("pull --keep", "[pull][--keep-old-files]");
    shell.complete("push --image-spec v1.1 x --annotation-f", "[x][--annotation-file]");
    shell.complete("pull --format js", "[--format][json]");
    shell.complete(&format!("pull {host}/te"), &format!("[pull][{host}/team/app]"));
    shell.complete(&format!("pull {host}/team/app:ver"), &format!("[pull][{host}/team/app:version1]"));
    shell.complete(&format!("cp {host}/team/app:ver"), &format!("[cp][{host}/team/app:version1]"));
    shell.complete(&format!("push {host}/team/app:v1 onl"), &format!("[{host}/team/app:v1][only.txt]"));
    // zsh removes the slash again.
    shell.complete("pull -o fol", "[pull][-o][folder");
    // No server listens on this port. The completion returns no candidates and prints no error.
    shell.complete("pull localhost:1/a:ver", "[pull][localhost:1/a:ver]");
}

#[test]
fn bash_completes() {
    let Some(bash) = find("bash", "bash_completes") else { return };
    let (registry, sandbox) = scene();
    let setup = format!("PS1=; bind 'set bell-style none'; source <(oras completion bash); {SHOW}");
    let mut shell = Shell::start(&sandbox, &bash, &["--norc", "--noprofile", "-i"], &setup);
    check(&mut shell, &registry.host());
}

#[test]
fn zsh_completes() {
    let Some(zsh) = find("zsh", "zsh_completes") else { return };
    let (registry, sandbox) = scene();
    let setup = format!(
        "PS1= ; unsetopt zle_bracketed_paste prompt_cr; autoload -Uz compinit; compinit -u; \
         source <(oras completion zsh); {SHOW}"
    );
    let mut shell = Shell::start(&sandbox, &zsh, &["-f", "-i"], &setup);
    check(&mut shell, &registry.host());
}

#[test]
fn fish_completes() {
    let Some(fish) = find("fish", "fish_completes") else { return };
    let (registry, sandbox) = scene();
    let program = ours();
    // On a terminal, fish shows completions in its own layout. So this test queries them with `complete
    // --do-complete`.
    let ask = |line: &str| {
        let script = format!("oras completion fish | source; complete --do-complete 'oras {line}'");
        let mut command = sandbox.command(&fish, &["--no-config", "-c", &script]);
        let path = format!("{}:/usr/bin:/bin", program.parent().unwrap().display());
        let output = command.env("PATH", path).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let host = registry.host();
    assert!(ask("resol").starts_with("resolve\tPrint the digest"), "{}", ask("resol"));
    assert!(ask("pull --keep").starts_with("--keep-old-files\t"), "{}", ask("pull --keep"));
    assert_eq!(ask("pull --format js"), "json\n");
    assert_eq!(ask(&format!("pull {host}/te")), format!("{host}/team/app\n"));
    assert_eq!(ask(&format!("pull {host}/team/app:ver")), format!("{host}/team/app:version1\n"));
    assert!(ask(&format!("push {host}/team/app:v1 onl")).starts_with("only.txt"));
    assert!(ask("pull -o fol").starts_with("folder/"), "{}", ask("pull -o fol"));
    assert_eq!(ask("pull localhost:1/a:ver"), "");
}
