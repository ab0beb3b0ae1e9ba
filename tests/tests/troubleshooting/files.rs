//! Files, disks and limits of the system.

use crate::error_case::{Case, Theme};
use crate::scene::Scene;

pub(crate) fn cases() -> Vec<Case> {
    let case = |title, line, remedy, prepare| Case::new(Theme::Files, title, line, remedy, prepare);
    vec![
        case(
            "The file to push does not exist",
            "oras push --oci-layout layout:v2 hi.tx",
            "The hint names a file in that directory with a similar name.",
            Scene::layout,
        ),
        case(
            "The config file does not exist",
            "oras push --config config.jsn:application/json --oci-layout layout:v2 hi.txt",
            "The media type follows the path after a colon.",
            |scene| {
                scene.file("config.json", "{}");
                Scene::layout(scene)
            },
        ),
        case(
            "No file to attach",
            "oras attach --artifact-type application/vnd.example --oci-layout layout:v1",
            "An attached artifact needs a file or an annotation.",
            Scene::layout,
        )
        .advised(),
        case(
            "A malformed annotation",
            "oras push --annotation key --oci-layout layout:v2 hi.txt",
            "The value follows the key after `=`, and may be empty.",
            Scene::layout,
        )
        .advised(),
        case(
            "An absolute path",
            "oras push --oci-layout layout:v2 /etc/hostname",
            "The path becomes the name of the file in the artifact, and an absolute name would overwrite system files.",
            Scene::layout,
        ),
        case(
            "A file is in the way",
            "oras pull --keep-old-files --oci-layout layout:v1",
            "The flag protects files that exist already.",
            Scene::layout,
        ),
        case(
            "A directory is in the way",
            "oras pull --oci-layout layout:v1 -o out",
            "A pull replaces files, and never a directory by a file.",
            |scene| {
                Scene::layout(scene)?;
                scene.file("out/hi.txt/other.txt", "other\n");
                Some(())
            },
        ),
        case(
            "Permission denied",
            "oras pull --oci-layout layout:v1 -o out",
            "The directory belongs to another user.",
            without_permission,
        ),
        case(
            "The disk is full",
            "oras pull --oci-layout layout:v1 -o disk",
            "Earlier files stay as they were: a pull publishes its files when all are complete.",
            |scene| {
                scene.file("big.bin", vec![7; 4 << 20]);
                scene.setup("oras push --oci-layout layout:v1 big.bin")?;
                scene.mount("disk", &["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
            },
        ),
        case(
            "The file system is read-only",
            "oras pull --oci-layout layout:v1 -o disk",
            "Containers often have a read-only root.",
            |scene| {
                Scene::layout(scene)?;
                scene.mount("disk", &["-t", "tmpfs", "-o", "ro", "tmpfs"])
            },
        ),
        case(
            "Too many open files",
            "oras pull {R}/hello:v1",
            "The limit of this process is too low for its connections and files.",
            |scene| {
                Scene::registry(scene)?;
                scene.docker_config("{}");
                scene.wrap("prlimit --nofile=6");
                scene.setup("prlimit --version")
            },
        ),
    ]
}

/// Runs `oras` as a user who may not write to `out`.
fn without_permission(scene: &Scene) -> Option<()> {
    Scene::layout(scene)?;
    std::fs::create_dir(scene.path("out")).ok()?;
    scene.setup("chmod 755 .. && chmod 555 out")?;
    if rustix::process::getuid().is_root() {
        // The permissions of a directory do not bind root.
        scene.wrap("setpriv --reuid=65534 --regid=65534 --clear-groups");
    }
    (scene.play("oras version").status == Some(0)).then_some(())
}
