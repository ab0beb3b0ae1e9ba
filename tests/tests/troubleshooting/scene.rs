//! The scene of a case: a home, a working directory, registries and faults.

use std::any::Any;
use std::cell::RefCell;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use oras_testkit::files::write_file;
use oras_testkit::peers;
use oras_testkit::ports::ReservedPort;
use oras_testkit::registry::Process;
use oras_testkit::scripted::{Asked, Reply, Scripted};
use regex::Regex;
use tempfile::TempDir;

/// A time in an error about a certificate.
static TIME: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ").unwrap());

/// A name in the line of a case.
struct Name {
    name: &'static str,
    /// The value for the command.
    value: String,
    /// The value on the page.
    shown: String,
}

/// A home, a working directory and everything that a case needs.
pub(crate) struct Scene {
    // Fields are dropped in order: mounts must end before their directory is deleted.
    /// Servers and mounts, which end with the scene.
    guards: RefCell<Vec<Box<dyn Any>>>,
    root: TempDir,
    names: RefCell<Vec<Name>>,
    /// Texts of the output, and what the page shows instead.
    replaced: RefCell<Vec<(String, String)>>,
}

/// A process that ends with the scene.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A file system that is unmounted with the scene.
struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        drop(Command::new("umount").arg(&self.0).output());
    }
}

/// The result of a command.
pub(crate) struct Played {
    pub(crate) status: Option<i32>,
    /// Standard output and standard error.
    pub(crate) output: String,
    /// The error message.
    pub(crate) error: String,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let root = tempfile::Builder::new().prefix("oras-errors-").tempdir().unwrap();
        for directory in ["bin", "work", "tmp"] {
            std::fs::create_dir_all(root.path().join(directory)).unwrap();
        }
        let scene = Self {
            root,
            names: RefCell::default(),
            replaced: RefCell::default(),
            guards: RefCell::default(),
        };
        scene.wrap("");
        scene
    }

    /// Makes `oras` run below another program, such as `prlimit --nofile=9`.
    pub(crate) fn wrap(&self, program: &str) {
        let script = format!("exec {program} {} \"$@\"", peers::built("oras").display());
        self.program("oras", &script);
    }

    /// Creates a program on the search path.
    pub(crate) fn program(&self, name: &str, script: &str) {
        // Another process writes the file: the system cannot run a file that a fork of this process holds open.
        let made = Command::new("sh")
            .args(["-c", "printf '#!/bin/sh\n%s\n' \"$1\" >\"$0\" && chmod 755 \"$0\""])
            .arg(self.root.path().join("bin").join(name))
            .arg(script)
            .status();
        assert!(made.unwrap().success());
    }

    /// Returns the home.
    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    /// Returns a path in the working directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join("work").join(name)
    }

    /// Writes a file in the working directory.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) {
        write_file(&self.path(name), content);
    }

    /// Writes Docker's configuration.
    pub(crate) fn docker_config(&self, json: &str) {
        write_file(&self.root.path().join(".docker/config.json"), json.as_bytes());
    }

    /// Defines a name of the line: its value, and the value that the page shows.
    pub(crate) fn name(&self, name: &'static str, value: impl ToString, shown: &str) {
        self.names.borrow_mut().push(Name { name, value: value.to_string(), shown: shown.to_owned() });
    }

    /// Keeps a value until the end of the scene.
    pub(crate) fn keep(&self, guard: impl Any) {
        self.guards.borrow_mut().push(Box::new(guard));
    }

    /// Defines `{R}` as a registry on this port of localhost, and `{P}` as the port. The page shows the port 5000.
    pub(crate) fn at_port(&self, port: u16) {
        self.name("R", format!("localhost:{port}"), "localhost:5000");
        self.name("P", port, "5000");
        self.replaced.borrow_mut().push((format!(":{port}"), ":5000".to_owned()));
    }

    /// Starts our registry as `{R}`.
    pub(crate) fn registry(&self) -> Option<()> {
        let registry = Process::ours(&[]);
        self.at_port(registry.port());
        self.keep(registry);
        Some(())
    }

    /// Starts our registry as `{R}` with the artifact `hello:v1`.
    pub(crate) fn hello(&self) -> Option<()> {
        self.registry()?;
        self.file("hi.txt", "hello world\n");
        self.setup("oras push {R}/hello:v1 hi.txt")
    }

    /// Creates the layout `layout` with the artifact `v1`.
    pub(crate) fn layout(&self) -> Option<()> {
        self.file("hi.txt", "hello world\n");
        self.setup("oras push --oci-layout layout:v1 hi.txt")
    }

    /// Starts a server with faults as `{R}`.
    pub(crate) fn scripted(&self, handler: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Option<()> {
        let server = Scripted::start(handler);
        self.at_port(server.port());
        self.keep(server);
        Some(())
    }

    /// Starts `oras serve` with these arguments as `{R}`.
    pub(crate) fn serve(&self, words: &[&str]) -> Option<()> {
        let port = ReservedPort::take();
        let address = format!("127.0.0.1:{}", port.number());
        let child = self
            .command(&peers::built("oras").display().to_string())
            .args(["serve", "--addr", &address])
            .args(words)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.at_port(port.number());
        self.keep((Running(child), port));
        for _ in 0..500 {
            if TcpStream::connect(&address).is_ok() {
                return Some(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("oras serve {words:?} does not answer");
    }

    /// Mounts a file system at a path of the working directory. Returns `None` without the permission.
    pub(crate) fn mount(&self, name: &str, words: &[&str]) -> Option<()> {
        let path = self.path(name);
        std::fs::create_dir_all(&path).unwrap();
        let mounted =
            self.command("mount").args(words).arg(&path).output().is_ok_and(|made| made.status.success());
        mounted.then(|| self.keep(Mounted(path)))
    }

    /// Shows `shown` on the page instead of `found`.
    pub(crate) fn replace(&self, found: &str, shown: &str) {
        self.replaced.borrow_mut().insert(0, (found.to_owned(), shown.to_owned()));
    }

    /// Returns a text with the values of its names.
    pub(crate) fn filled(&self, text: &str) -> String {
        self.fill(text, |name| &name.value)
    }

    /// Runs a line in a shell, which must succeed.
    pub(crate) fn setup(&self, line: &str) -> Option<()> {
        let played = self.play(line);
        assert_eq!(played.status, Some(0), "{line}: {}", played.output);
        Some(())
    }

    /// Returns a command with the environment of the scene.
    pub(crate) fn command(&self, program: &str) -> Command {
        let (root, mut command) = (self.root.path(), Command::new(program));
        command
            .current_dir(self.path(""))
            .env_clear()
            .env("HOME", root)
            .env("TMPDIR", root.join("tmp"))
            .env(
                "PATH",
                format!("{}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", root.join("bin").display()),
            )
            .stdin(Stdio::null());
        command
    }

    /// Runs a line in a shell.
    pub(crate) fn play(&self, line: &str) -> Played {
        let line = self.filled(line);
        let output = self.command("sh").args(["-c", &line]).output().unwrap();
        let (stdout, stderr) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        // Status lines precede the error.
        let start = stderr.find("Error").unwrap_or(stderr.len());
        Played {
            status: output.status.code(),
            output: format!("{stdout}{stderr}"),
            error: stderr[start..].trim_end().to_owned(),
        }
    }

    /// Returns the line as the page shows it.
    pub(crate) fn shown_line(&self, line: &str) -> String {
        self.fill(line, |name| &name.shown)
    }

    fn fill(&self, line: &str, value: impl Fn(&Name) -> &String) -> String {
        let names = self.names.borrow();
        names
            .iter()
            .fold(line.to_owned(), |line, name| line.replace(&format!("{{{}}}", name.name), value(name)))
    }

    /// Returns output as the page shows it.
    pub(crate) fn shown(&self, text: &str) -> String {
        let mut text = text.replace(&self.root.path().display().to_string(), "/home/me");
        for (found, shown) in &*self.replaced.borrow() {
            text = text.replace(found, shown);
        }
        TIME.replace_all(&text, "2026-01-01T00:00:00Z").into_owned()
    }
}
