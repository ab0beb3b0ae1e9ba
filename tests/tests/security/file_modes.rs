//! Point 33: permissions of written files.

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use oras_testkit::files::write_file;
use oras_testkit::scripted::{Reply, Scripted};

use crate::case_sandbox::{Said, Stage, check};
use crate::fixtures::{honest_server, limited};
use crate::security_case::{Case, honest, hostile};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = private();
    cases.extend(twins());
    cases
}

fn private() -> Vec<Case> {
    vec![
        hostile(
            33,
            "config_mode_umask_0000",
            "A login makes a file for its user alone, whatever the mask.",
            |stage| created(stage, "umask 0000"),
        ),
        hostile(33, "config_mode_umask_0022", "A login makes a file for its user alone.", |stage| {
            created(stage, "umask 0022")
        }),
        hostile(
            33,
            "config_mode_umask_0777",
            "A mask that takes everything leaves a file of use.",
            |stage| {
                std::fs::create_dir(stage.home(".docker")).unwrap();
                std::fs::set_permissions(stage.home(".docker"), PermissionsExt::from_mode(0o700)).unwrap();
                created(stage, "umask 0777")
            },
        ),
        hostile(
            33,
            "config_is_replaced_at_once",
            "A login never writes into the file that others may be reading: it is replaced.",
            |stage| {
                stage.docker_config(r#"{"auths":{}}"#);
                let path = stage.home(".docker/config.json");
                let before = path.metadata().unwrap().ino();
                login(stage, "umask 0022").works()?;
                let left = stage.files(&stage.home(".docker"));
                check(path.metadata().unwrap().ino() != before, || "writes into the file".to_owned())?;
                check(left.iter().all(|name| !name.contains("tmp")), || format!("leaves {left:?}"))
            },
        ),
        hostile(
            33,
            "config_mode_stays_private",
            "A file for its user alone stays one when a login changes it.",
            |stage| {
                stage.docker_config(r#"{"auths":{}}"#);
                let path = stage.home(".docker/config.json");
                std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
                login(stage, "umask 0000").works()?;
                is(&path, 0o600)
            },
        ),
        hostile(
            33,
            "config_that_was_readable",
            "A file that others could read is for its user alone once there is a secret in it.",
            |stage| {
                stage.docker_config(r#"{"auths":{}}"#);
                let path = stage.home(".docker/config.json");
                std::fs::set_permissions(&path, PermissionsExt::from_mode(0o666)).unwrap();
                login(stage, "umask 0000").works()?;
                is(&path, 0o600)
            },
        ),
    ]
}

fn twins() -> Vec<Case> {
    vec![
        honest(33, "config_is_a_link", "A configuration that is a link stays one, and is used.", |stage| {
            write_file(&stage.home("real/config.json"), r#"{"auths":{},"credsStore":""}"#);
            std::fs::create_dir(stage.home(".docker")).unwrap();
            symlink(stage.home("real/config.json"), stage.home(".docker/config.json")).unwrap();
            login(stage, "umask 0022").works()?;
            let link = stage.home(".docker/config.json");
            check(link.is_symlink(), || "the link is gone".to_owned())?;
            let text = std::fs::read_to_string(stage.home("real/config.json")).unwrap();
            check(text.contains("\"auth\""), || format!("holds {text}"))
        }),
        honest(33, "config_for_a_group", "A configuration that a group may read is used.", |stage| {
            let server = asking();
            let auth = "dXNlcjpwYXNzd29yZA==";
            stage.docker_config(&format!(r#"{{"auths":{{"{}":{{"auth":"{auth}"}}}}}}"#, server.host()));
            let path = stage.home(".docker/config.json");
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
            stage.oras(&["repo", "tags", &format!("{}/a", server.host())]).works()?;
            is(&path, 0o640)
        }),
        honest(
            33,
            "layout_follows_the_mask",
            "Layouts, archives and files have the modes that the mask of their user asks for.",
            |stage| {
                let server = honest_server("file", b"content");
                let name = format!("{}/a:v1", server.host());
                for (mask, mode) in [("0022", 0o644), ("0077", 0o600), ("0002", 0o664)] {
                    let before = format!("umask {mask}");
                    limited(stage, &before, &["pull", &name, "-o", &format!("out{mask}")]).works()?;
                    is(&stage.path(&format!("out{mask}/file")), mode)?;
                    let layout = format!("layout{mask}");
                    limited(stage, &before, &["cp", &name, "--to-oci-layout", &format!("{layout}:v1")])
                        .works()?;
                    is(&stage.path(&layout).join("index.json"), mode)?;
                    is(&stage.path(&layout).join("oci-layout"), mode)?;
                    let tar = format!("all{mask}.tar");
                    limited(stage, &before, &["backup", "-o", &tar, &name]).works()?;
                    is(&stage.path(&tar), mode)?;
                }
                Ok(())
            },
        ),
    ]
}

/// Logs in with a secret, after the shell has run `before`.
fn login(stage: &Stage, before: &str) -> Said {
    let server = asking();
    limited(stage, before, &["login", "-u", "user", "-p", "password", &server.host()])
}

/// Starts a registry that requires the password.
fn asking() -> Scripted {
    Scripted::start(|asked| match asked.header("authorization") {
        Some("Basic dXNlcjpwYXNzd29yZA==") => Reply::new(200).body(r#"{"name":"a","tags":[]}"#),
        _ => Reply::new(401).header("www-authenticate", "Basic realm=\"x\""),
    })
}

fn created(stage: &Stage, before: &str) -> Result<(), String> {
    login(stage, before).works()?;
    is(&stage.home(".docker/config.json"), 0o600)?;
    is(&stage.home(".docker"), 0o700)
}

fn is(path: &Path, mode: u32) -> Result<(), String> {
    let found = path.metadata().map_err(|error| format!("{}: {error}", path.display()))?;
    let found = found.permissions().mode() & 0o777;
    check(found == mode, || format!("{} has mode {found:o}, not {mode:o}", path.display()))
}
