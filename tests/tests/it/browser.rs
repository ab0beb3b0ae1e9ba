//! Chromium without a window, controlled with the DevTools protocol over a pipe.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::sandbox::Sandbox;

/// How long one message may take. Chromium needs the most for its start.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The options disable the sandbox, which root can't use, and all requests except those for the pages.
const OPTIONS: [&str; 10] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--remote-debugging-pipe",
];

/// A browser with one tab.
pub(crate) struct Browser {
    child: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    /// The identifier of the connection to the tab; empty until there is one.
    session: String,
    last_id: u64,
    _profile: TempDir,
}

impl Browser {
    /// Starts Chromium with an empty profile.
    pub(crate) fn start(sandbox: &Sandbox, chromium: &Path) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let directory = format!("--user-data-dir={}", profile.path().display());
        // Chromium reads messages from descriptor 3, and writes them to descriptor 4.
        let script = "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>/dev/null";
        let words = ["-c", script, "sh", chromium.to_str().unwrap(), &directory];
        let mut command = sandbox.command(Path::new("sh"), &[&words[..], &OPTIONS].concat());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            for message in BufReader::new(output).split(0) {
                let Ok(message) = message.map(|bytes| serde_json::from_slice(&bytes).unwrap()) else { break };
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        let session = String::new();
        let mut browser = Self { child, input, messages, session, last_id: 0, _profile: profile };
        let tab = browser.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": tab["targetId"], "flatten": true });
        let attached = browser.call("Target.attachToTarget", attach);
        attached["sessionId"].as_str().unwrap().clone_into(&mut browser.session);
        browser.call("Page.enable", json!({}));
        browser
    }

    /// Calls a method of the protocol, and returns its result.
    pub(crate) fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.last_id += 1;
        let mut message = json!({ "id": self.last_id, "method": method, "params": parameters });
        if !self.session.is_empty() {
            message["sessionId"] = self.session.clone().into();
        }
        self.input.write_all(format!("{message}\0").as_bytes()).unwrap();
        let id = self.last_id;
        let mut answer = self.wait_for(|message| message["id"] == id);
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].take()
    }

    fn wait_for(&self, is_wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let message = self.messages.recv_timeout(TIMEOUT).expect("Chromium answers");
            if is_wanted(&message) {
                return message;
            }
        }
    }

    /// Loads a page with its style sheet and script.
    pub(crate) fn open(&mut self, address: &str) {
        let answer = self.call("Page.navigate", json!({ "url": address }));
        assert!(answer.get("errorText").is_none(), "{address}: {answer}");
        self.wait_for(|message| message["method"] == "Page.loadEventFired");
    }

    /// Evaluates an expression that leads to another page, and waits until that is loaded.
    pub(crate) fn follow(&mut self, expression: &str) {
        self.evaluate(expression);
        self.wait_for(|message| message["method"] == "Page.loadEventFired");
    }

    /// Returns the value of an expression of JavaScript. If it is a promise, waits for it.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let parameters = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let mut answer = self.call("Runtime.evaluate", parameters);
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer}");
        answer["result"]["value"].take()
    }

    /// Evaluates a script in every page that is loaded from now on, before its own scripts. A content security policy
    /// does not prevent it.
    pub(crate) fn run_in_every_page(&mut self, script: &str) {
        self.call("Page.addScriptToEvaluateOnNewDocument", json!({ "source": script }));
    }

    /// Returns the document as HTML.
    pub(crate) fn html(&mut self) -> String {
        self.evaluate("document.documentElement.outerHTML").as_str().unwrap().to_owned()
    }

    /// Returns the visible text of the page.
    pub(crate) fn text(&mut self) -> String {
        self.evaluate("document.body.innerText").as_str().unwrap().to_owned()
    }

    /// Sets the width of the window in pixels.
    pub(crate) fn set_width(&mut self, width: u32) {
        let is_phone = width < 600;
        self.call(
            "Emulation.setDeviceMetricsOverride",
            json!({ "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": is_phone }),
        );
    }

    /// Sets the preferred colours: `light` or `dark`.
    pub(crate) fn set_colors(&mut self, scheme: &str) {
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.call("Emulation.setEmulatedMedia", json!({ "features": [feature] }));
    }

    /// Disables or enables the scripts of pages. [`evaluate`](Self::evaluate) works in both cases.
    pub(crate) fn set_scripts(&mut self, are_enabled: bool) {
        self.call("Emulation.setScriptExecutionDisabled", json!({ "value": !are_enabled }));
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Chromium may have ended already, so errors are ignored. It ends its other processes when the pipe is closed.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
