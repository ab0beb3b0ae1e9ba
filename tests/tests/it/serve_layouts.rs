//! The layouts that `oras serve` writes are valid at any time, also for other tools.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use oras_spec::{Algorithm, Digest};
use oras_testkit::peers;
use serde_json::{Value, json};

use crate::sandbox::Sandbox;
use crate::serve::Served;
use crate::serve_garbage_collection::{Done, storm};

const CLIENTS: u64 = 3;
/// The test needs more manifests than this.
const FEW: usize = 10;
const LAYOUT: &str = "root/team/app0";

/// Pushes an image that every tool accepts to `reference`.
fn push_image(sandbox: &Sandbox, reference: &str) {
    sandbox.file("files/hello.txt", "hello\n");
    sandbox.ok(Path::new("/bin/tar"), &["-cf", "layer.tar", "-C", "files", "hello.txt"]);
    let layer = std::fs::read(sandbox.path("layer.tar")).unwrap();
    let config = json!({
        "architecture": "amd64", "os": "linux", "config": {},
        "rootfs": { "type": "layers", "diff_ids": [Digest::of(Algorithm::Sha256, &layer).to_string()] },
        "history": [{ "created": "2020-01-01T00:00:00Z", "created_by": "a test" }],
    });
    sandbox.file("config.json", config.to_string());
    let config = "config.json:application/vnd.oci.image.config.v1+json";
    let layer = "layer.tar:application/vnd.oci.image.layer.v1.tar";
    sandbox.oras(&["push", "--config", config, reference, layer]);
}

/// Reads the index and everything that it reaches. Returns the number of blobs.
fn check(layout: &Path) -> usize {
    let read =
        |path: &str| std::fs::read(layout.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let marker: Value = serde_json::from_slice(&read("oci-layout")).unwrap();
    assert_eq!(marker["imageLayoutVersion"], "1.0.0");
    let index: Value = serde_json::from_slice(&read("index.json")).unwrap();
    let mut next = index["manifests"].as_array().unwrap().clone();
    let mut count = 0;
    while let Some(node) = next.pop() {
        let digest = node["digest"].as_str().unwrap();
        let bytes = read(&format!("blobs/{}", digest.replace(':', "/")));
        assert_eq!(Digest::sha256(&bytes).to_string(), digest);
        assert_eq!(node["size"], bytes.len());
        count += 1;
        if node["mediaType"].as_str().unwrap().contains(".manifest.") {
            let manifest: Value = serde_json::from_slice(&bytes).unwrap();
            next.extend(manifest["layers"].as_array().unwrap().iter().chain([&manifest["config"]]).cloned());
        }
    }
    count
}

/// Reads the layout with a tool. It is called repeatedly.
type Reader<'a> = Box<dyn Fn(usize) + Send + Sync + 'a>;

fn readers<'a>(sandbox: &'a Sandbox, test: &str) -> Vec<Reader<'a>> {
    let mut readers: Vec<Reader<'a>> = vec![Box::new(|_| assert!(check(&sandbox.path(LAYOUT)) > 2))];
    let image = format!("{LAYOUT}:v1");
    let manifest = sandbox.oras(&["manifest", "fetch", "--oci-layout", &image]);
    if let Some(go) = peers::find_or_skip(peers::ORAS, test) {
        let (image, manifest) = (image.clone(), manifest.clone());
        readers.push(Box::new(move |number| {
            assert_eq!(sandbox.ok(&go, &["manifest", "fetch", "--oci-layout", &image]), manifest);
            assert!(sandbox.ok(&go, &["repo", "tags", "--oci-layout", LAYOUT]).contains("v1"));
            let copy = format!("go{number}:v1");
            sandbox.ok(&go, &["cp", "--from-oci-layout", &image, "--to-oci-layout", &copy]);
            assert_eq!(check(&sandbox.path(&format!("go{number}"))), 3);
        }));
    }
    if let Some(regctl) = peers::find_or_skip(peers::REGCTL, test) {
        let image = format!("ocidir://{image}");
        readers.push(Box::new(move |number| {
            assert!(sandbox.ok(&regctl, &["tag", "ls", &format!("ocidir://{LAYOUT}")]).contains("v1"));
            sandbox.ok(&regctl, &["image", "copy", &image, &format!("ocidir://regctl{number}:v1")]);
            assert_eq!(check(&sandbox.path(&format!("regctl{number}"))), 3);
        }));
    }
    if let Some(skopeo) = peers::system_or_skip("skopeo", test) {
        let image = format!("oci:{image}");
        readers.push(Box::new(move |number| {
            assert_eq!(sandbox.ok(&skopeo, &["inspect", "--raw", &image]), manifest);
            assert!(sandbox.ok(&skopeo, &["inspect", &image]).contains("amd64"));
            let copy = format!("oci:skopeo{number}:v1");
            sandbox.ok(&skopeo, &["--insecure-policy", "copy", &image, &copy]);
            assert_eq!(check(&sandbox.path(&format!("skopeo{number}"))), 3);
        }));
    }
    if let Some(umoci) = peers::system_or_skip("umoci", test) {
        readers.push(Box::new(move |number| {
            assert!(sandbox.ok(&umoci, &["ls", "--layout", LAYOUT]).contains("v1"));
            assert!(sandbox.ok(&umoci, &["stat", "--image", &image]).contains("a test"));
            let bundle = format!("umoci{number}");
            sandbox.ok(&umoci, &["raw", "unpack", "--rootless", "--image", &image, &bundle]);
            assert_eq!(std::fs::read(sandbox.path(&format!("{bundle}/hello.txt"))).unwrap(), b"hello\n");
        }));
    }
    readers
}

#[test]
fn layouts_stay_valid_during_pushes() {
    let test = "layouts_stay_valid_during_pushes";
    let sandbox = Sandbox::new();
    let served = Served::start(&sandbox, &["--gc-interval", "50ms", "root"]);
    push_image(&sandbox, &format!("{}/team/app0:v1", served.host()));
    let readers = readers(&sandbox, test);
    let (address, done, is_over) = (served.address(), Mutex::new(Done::default()), AtomicBool::new(false));
    let reading = AtomicUsize::new(readers.len());
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (done, is_over) = (&done, &is_over);
            scope.spawn(move || {
                storm(address, (client + 1, false), || is_over.load(Ordering::SeqCst), done).unwrap();
            });
        }
        for reader in &readers {
            let reading = &reading;
            scope.spawn(move || {
                // The writers stop when the readers end, even after a panic.
                let _ends = Ends(reading);
                (0..5).for_each(reader);
            });
        }
        // On a busy machine, the readers may end before the writers have pushed enough manifests.
        let give_up = Instant::now() + Duration::from_secs(60);
        let pushed = || done.lock().unwrap().live.len();
        while reading.load(Ordering::SeqCst) > 0 || pushed() <= FEW && Instant::now() < give_up {
            std::thread::sleep(Duration::from_millis(20));
        }
        is_over.store(true, Ordering::SeqCst);
    });
    let pushed = done.into_inner().unwrap().live.len();
    assert!(pushed > FEW, "{pushed} manifests were pushed meanwhile");
    check(&sandbox.path(LAYOUT));
    check(&sandbox.path("root/team/app1"));
}

struct Ends<'a>(&'a AtomicUsize);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
