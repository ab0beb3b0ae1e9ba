//! Returns the command line of each tool for each job: words separated by spaces, to run in the data
//! directory. `None` if a tool does not support the job.

use super::tool::Tool;

/// The location of an artifact in the command line of a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// `host/repository:tag`
    Registry(String),
    /// `path:tag` of a layout in a directory.
    Layout(String),
    /// Path of a tar archive of a layout, whose tag is `v1`.
    Tar(String),
}

const PUT: &str = "artifact put --artifact-type application/vnd.bench --file-title";

/// Pushes files or one directory to a registry or a layout.
pub(super) fn push(tool: Tool, files: &[String], to: &Place) -> Option<String> {
    match (tool, to) {
        (Tool::Ours | Tool::GoOras, Place::Registry(to)) => Some(format!("push {to} {}", files.join(" "))),
        (Tool::Ours | Tool::GoOras, Place::Layout(to)) => {
            Some(format!("push --oci-layout {to} {}", files.join(" ")))
        }
        (Tool::Regctl, Place::Registry(to)) => {
            // regctl requires a type for each of several files.
            let file = |file: &String| format!("-m application/octet-stream -f {file}");
            Some(format!("{PUT} {} {to}", files.iter().map(file).collect::<Vec<_>>().join(" ")))
        }
        _ => None,
    }
}

/// Packs and pushes a directory.
pub(super) fn push_dir(tool: Tool, dir: &str, to: &Place) -> Option<String> {
    tool.is_oras().then(|| push(tool, &[dir.to_owned()], to)).flatten()
}

/// Pulls the files of an artifact into a new directory.
pub(super) fn pull(tool: Tool, from: &Place, out: &str) -> Option<String> {
    match (tool, from) {
        (Tool::Ours | Tool::GoOras, Place::Registry(from)) => Some(format!("pull {from} -o {out}")),
        // regctl requires an existing directory.
        (Tool::Regctl, Place::Registry(from)) => Some(format!("artifact get {from} -o ../out")),
        _ => None,
    }
}

/// Copies an artifact, with its referrers if `referrers` is set.
pub(super) fn copy(tool: Tool, from: &Place, to: &Place, referrers: bool) -> Option<String> {
    match tool {
        Tool::Ours | Tool::GoOras => copy_with_oras(from, to, referrers),
        Tool::Regctl => {
            let flag = if referrers { "--referrers " } else { "" };
            Some(format!("image copy {flag}{} {}", regctl_place(from)?, regctl_place(to)?))
        }
        Tool::Crane if !referrers => copy_with_crane(from, to),
        Tool::Skopeo if !referrers => {
            let tls = |place: &Place, side: &str| {
                let plain = matches!(place, Place::Registry(name) if name.starts_with("localhost"));
                if plain { format!(" --{side}-tls-verify=false") } else { String::new() }
            };
            let flags = format!("{}{}", tls(from, "src"), tls(to, "dest"));
            Some(format!("--insecure-policy copy --all{flags} {} {}", skopeo_place(from), skopeo_place(to)))
        }
        Tool::Crane | Tool::Skopeo => None,
    }
}

fn copy_with_oras(from: &Place, to: &Place, referrers: bool) -> Option<String> {
    let flag = if referrers { " -r" } else { "" };
    let from = match from {
        Place::Registry(name) => name.clone(),
        Place::Layout(path) => format!("--from-oci-layout {path}"),
        Place::Tar(_) => return None,
    };
    Some(match to {
        Place::Registry(name) => format!("cp{flag} {from} {name}"),
        Place::Layout(path) => format!("cp{flag} {from} --to-oci-layout {path}"),
        Place::Tar(_) => return None,
    })
}

fn regctl_place(place: &Place) -> Option<String> {
    match place {
        Place::Registry(name) => Some(name.clone()),
        Place::Layout(path) => Some(format!("ocidir://{path}")),
        Place::Tar(_) => None,
    }
}

fn skopeo_place(place: &Place) -> String {
    match place {
        Place::Registry(name) => format!("docker://{name}"),
        Place::Layout(path) => format!("oci:{path}"),
        Place::Tar(path) => format!("oci-archive:{path}:v1"),
    }
}

/// crane identifies a layout by its directory only.
fn copy_with_crane(from: &Place, to: &Place) -> Option<String> {
    let dir = |path: &str| path.rsplit_once(':').map_or(path.to_owned(), |(dir, _)| dir.to_owned());
    match (from, to) {
        (Place::Registry(from), Place::Registry(to)) => Some(format!("copy {from} {to}")),
        (Place::Registry(from), Place::Layout(to)) => Some(format!("pull --format=oci {from} {}", dir(to))),
        (Place::Layout(from), Place::Registry(to)) => Some(format!("push {} {to}", dir(from))),
        _ => None,
    }
}

/// Saves an artifact of a registry in a tar archive.
pub(super) fn backup(tool: Tool, from: &str, tar: &str) -> Option<String> {
    match tool {
        Tool::Ours | Tool::GoOras => Some(format!("backup --output {tar} {from}")),
        Tool::Regctl => Some(format!("image export {from} {tar}")),
        Tool::Skopeo => copy(tool, &Place::Registry(from.into()), &Place::Tar(tar.into()), false),
        Tool::Crane => None,
    }
}

/// Restores an artifact from a tar archive.
pub(super) fn restore(tool: Tool, tar: &str, to: &str) -> Option<String> {
    match tool {
        Tool::Ours | Tool::GoOras => Some(format!("restore --input {tar} {to}")),
        Tool::Regctl => Some(format!("image import {to} {tar}")),
        Tool::Skopeo => copy(tool, &Place::Tar(tar.into()), &Place::Registry(to.into()), false),
        Tool::Crane => None,
    }
}

/// Resolves a tag of a layout to a digest or descriptor.
pub(super) fn resolve(tool: Tool, layout: &str) -> Option<String> {
    match tool {
        Tool::Ours | Tool::GoOras => Some(format!("resolve --oci-layout {layout}")),
        Tool::Regctl => Some(format!("manifest head ocidir://{layout}")),
        Tool::Skopeo => Some(format!("inspect --raw oci:{layout}")),
        Tool::Crane => None,
    }
}

/// Lists all tags of a layout.
pub(super) fn tags(tool: Tool, dir: &str) -> Option<String> {
    match tool {
        Tool::Ours | Tool::GoOras => Some(format!("repo tags --oci-layout {dir}")),
        Tool::Regctl => Some(format!("tag ls ocidir://{dir}")),
        Tool::Crane | Tool::Skopeo => None,
    }
}

/// Lists the referrers of an artifact in a layout.
pub(super) fn discover(tool: Tool, layout: &str) -> Option<String> {
    match tool {
        Tool::Ours | Tool::GoOras => Some(format!("discover --oci-layout {layout}")),
        // In a layout, regctl finds only the referrers that it tagged itself.
        Tool::Regctl | Tool::Crane | Tool::Skopeo => None,
    }
}

/// Prints the version, to measure the start of the tool.
pub(super) fn version(tool: Tool) -> Option<String> {
    Some(if tool == Tool::Skopeo { "--version" } else { "version" }.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_command_line_of_each_tool() {
        let registry = Place::Registry("localhost:1/a:v1".into());
        let secure = Place::Registry("127.0.0.1:1/a:v1".into());
        let layout = Place::Layout("../out/b:v1".into());
        let line = |tool, from, to| copy(tool, from, to, false).unwrap();
        assert_eq!(line(Tool::Ours, &registry, &layout), "cp localhost:1/a:v1 --to-oci-layout ../out/b:v1");
        assert_eq!(line(Tool::Crane, &layout, &registry), "push ../out/b localhost:1/a:v1");
        assert_eq!(
            line(Tool::Skopeo, &registry, &layout),
            "--insecure-policy copy --all --src-tls-verify=false docker://localhost:1/a:v1 oci:../out/b:v1"
        );
        assert!(!line(Tool::Skopeo, &secure, &layout).contains("tls-verify"));
        assert_eq!(copy(Tool::Crane, &layout, &layout, false), None);
        assert_eq!(copy(Tool::Skopeo, &registry, &layout, true), None);
        assert!(copy(Tool::Regctl, &registry, &layout, true).unwrap().contains("--referrers"));
        assert_eq!(push_dir(Tool::Regctl, "tree", &registry), None);
    }
}
