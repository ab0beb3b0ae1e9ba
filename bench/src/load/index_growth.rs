//! Measures what a write into a layout costs with few and with many entries in its index.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde_json::{Value, json};

use super::client::Client;
use super::server_process::Loaded;
use super::transfer::{Blob, digest, push_at_once, put_manifest};
use xtask::files::write;
use xtask::process::{Result, command};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The number of entries of the layouts.
const ENTRIES: [usize; 5] = [100, 1_000, 10_000, 100_000, 200_000];
/// The number of writes that are measured, after one that makes the lookup file.
const WRITES: usize = 41;
/// The pause after the first write.
const PAUSE: Duration = Duration::from_secs(11);
/// The page with the results.
pub(super) const PAGE: &str = "docs/layout-growth.md";

/// The median costs of one write into a layout.
struct Row {
    entries: usize,
    /// `oras push` into the layout: wall time and CPU time of the process.
    push: (Duration, Duration),
    /// Requests to our server: a manifest by digest, with a new tag, and with a tag that moves.
    puts: [Duration; 3],
    /// The CPU time of the server for a push of three requests.
    server: Duration,
}

/// Measures all sizes, and returns the page.
pub(super) fn run(program: &Path, dir: &Path) -> Result<String> {
    let mut rows = Vec::new();
    for entries in ENTRIES {
        let storage = dir.join(format!("growth-{entries}"));
        let layout = storage.join("repository");
        write_layout(&layout, entries)?;
        let push = push_by_command(program, &layout)?;
        let (puts, server) = put_to_server(program, &storage)?;
        rows.push(Row { entries, push, puts, server });
        std::fs::remove_dir_all(&storage)?;
    }
    Ok(page(&rows))
}

/// Writes a layout whose index lists `entries` manifests, every second one with a tag. The manifests themselves are
/// missing, which is valid and which no write notices.
fn write_layout(layout: &Path, entries: usize) -> Result {
    let entry = |number: usize| -> Value {
        let mut entry = json!({
            "mediaType": MANIFEST,
            "digest": digest(format!("manifest {number}").as_bytes(), 1),
            "size": 500,
        });
        if number.is_multiple_of(2) {
            entry["annotations"] = json!({"org.opencontainers.image.ref.name": format!("tag-{number}")});
        }
        entry
    };
    let index = json!({"schemaVersion": 2, "manifests": (0..entries).map(entry).collect::<Vec<_>>()});
    write(&layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
    std::fs::create_dir_all(layout.join("blobs/sha256"))?;
    write(&layout.join("index.json"), index.to_string())
}

fn push_by_command(program: &Path, layout: &Path) -> Result<(Duration, Duration)> {
    let (mut walls, mut cpus) = (Vec::new(), Vec::new());
    let dir = layout.parent().unwrap_or(layout);
    for number in 0..=WRITES {
        if number == 1 {
            // The first write makes the lookup file. The index, which another program has written, is edited later.
            std::thread::sleep(PAUSE);
            (walls, cpus) = (Vec::new(), Vec::new());
        }
        write(&dir.join("file.txt"), format!("file {number}"))?;
        let reference = format!("{}:pushed-{number}", layout.display());
        let mut push = command(program, &["push", "--oci-layout", &reference, "file.txt:text/plain"]);
        push.current_dir(dir).stdout(Stdio::null()).stderr(Stdio::null());
        let (start, cpu) = (Instant::now(), children_cpu()?);
        if !push.status()?.success() {
            return Err(format!("cannot push to {reference}").into());
        }
        walls.push(start.elapsed());
        cpus.push(children_cpu()?.saturating_sub(cpu));
    }
    Ok((median(walls), median(cpus)))
}

/// Returns the CPU time of all processes that ended.
fn children_cpu() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let microseconds = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(u64::try_from(microseconds)?))
}

fn put_to_server(program: &Path, storage: &Path) -> Result<([Duration; 3], Duration)> {
    let server = Loaded::ours_over(program, storage)?;
    let mut client = Client::new(server.address());
    let config = digest(b"{}", 1);
    push_at_once(&mut client, "repository", &Blob { bytes: b"{}", times: 1, digest: &config })?;
    let mut number = 0;
    let mut put = |reference: &dyn Fn(usize, &str) -> String| -> Result<Duration> {
        let mut times = Vec::new();
        for _ in 0..WRITES {
            number += 1;
            let layer = format!("layer {number}");
            let layer_digest = digest(layer.as_bytes(), 1);
            let blob = Blob { bytes: layer.as_bytes(), times: 1, digest: &layer_digest };
            push_at_once(&mut client, "repository", &blob)?;
            let manifest = json!({
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": config, "size": 2},
                "layers": [{"mediaType": "text/plain", "digest": layer_digest, "size": layer.len()}],
            })
            .to_string();
            let reference = reference(number, &digest(manifest.as_bytes(), 1));
            let start = Instant::now();
            put_manifest(&mut client, "repository", &reference, manifest.as_bytes())?;
            times.push(start.elapsed());
        }
        Ok(median(times))
    };
    let cpu = server.cpu();
    let puts = [
        put(&|_, digest| digest.to_owned())?,
        put(&|number, _| format!("new-{number}"))?,
        put(&|_, _| "latest".to_owned())?,
    ];
    let pushes = u32::try_from(3 * WRITES)?;
    Ok((puts, server.cpu().saturating_sub(cpu) / pushes))
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn page(rows: &[Row]) -> String {
    let mut page = "\
<!-- Written by `cargo xtask load --growth`. -->
# What a write into a large layout costs

The median time of a write into a layout whose `index.json` has this many entries, on one machine; compare the lines with each other.
`oras push` is a whole process that pushes one small file with a new tag. The other columns are requests to `oras serve`: a manifest by its
digest, with a new tag, and with a tag that moves from the manifest before. *Server CPU* is the CPU time of the server for a blob and a
manifest.

| entries | `oras push` | its CPU | PUT by digest | PUT new tag | PUT moved tag | server CPU |
|--:|--:|--:|--:|--:|--:|--:|
"
    .to_owned();
    for Row { entries, push: (wall, cpu), puts: [by_digest, new_tag, moved], server } in rows {
        let [wall, cpu, by_digest, new_tag, moved, server] =
            [wall, cpu, by_digest, new_tag, moved, server].map(|time| time.as_secs_f64() * 1000.0);
        let _ = writeln!(
            page,
            "| {entries} | {wall:.1} ms | {cpu:.1} ms | {by_digest:.2} ms | {new_tag:.2} ms | {moved:.2} ms | {server:.2} ms |"
        );
    }
    page
}
