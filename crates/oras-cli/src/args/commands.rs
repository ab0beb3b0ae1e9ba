//! Every command, with its flags and examples.

use clap::{Arg, Command};

use super::flags::{
    common, concurrency, distribution_spec, format, layout, list, no_tty, number, pack, platform, positional,
    remote, switch, text, verbose,
};

/// The whole command line.
pub(crate) fn root() -> Command {
    Command::new("oras")
        .about("Move artifacts in and out of OCI registries and OCI image layouts")
        .disable_version_flag(true)
        .disable_help_subcommand(false)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .args_override_self(true)
        .subcommands([
            pull(),
            push(),
            login(),
            logout(),
            version(),
            discover(),
            resolve(),
            cp(),
            tag(),
            attach(),
            blob(),
            manifest(),
            repo(),
        ])
}

fn command(name: &'static str, about: &'static str, examples: &'static str) -> Command {
    Command::new(name).about(about).after_help(examples).args_override_self(true)
}

fn group(name: &'static str, about: &'static str) -> Command {
    Command::new(name).about(about).subcommand_required(true).arg_required_else_help(true)
}

fn push() -> Command {
    command("push", "Push files to a registry or an OCI layout", concat!(
        "Examples:\n",
        "  oras push localhost:5000/hello:v1 hi.txt\n",
        "  oras push localhost:5000/hello:v1,latest hi.txt:text/plain assets/ --artifact-type application/vnd.me\n",
        "  oras push --oci-layout ./layout:v1 hi.txt -a key=value"
    ))
    .args(common())
    .args(remote(""))
    .args(layout(""))
    .args(format())
    .args(pack())
    .args([
        no_tty(),
        verbose(),
        text("artifact-type", "TYPE", "Type of the artifact"),
        text("config", "PATH[:TYPE]", "Use this file as the config"),
        text("artifact-platform", "PLATFORM", "Make a config that names this platform"),
        text("image-spec", "VERSION", "Pack by image-spec v1.1 or v1.0").value_parser(|value: &str| match value {
            "v1.1" | "v1.0" => Ok(value.to_owned()),
            _ => Err(format!("unknown image specification flag: {value}\nAvailable options: v1.1, v1.0")),
        }),
        switch("force", "Look below manifests that the destination has"),
        concurrency(),
        positional("<name>[:<tag>[,<tag>][...]] <file>[:<type>]", "Destination, then files"),
    ])
}

fn attach() -> Command {
    command(
        "attach",
        "Attach files to an existing artifact",
        concat!(
            "Examples:\n",
            "  oras attach --artifact-type application/spdx+json localhost:5000/hello:v1 sbom.json\n",
            "  oras attach --artifact-type doc/example localhost:5000/hello:v1 -a key=value"
        ),
    )
    .args(common())
    .args(remote(""))
    .args(layout(""))
    .args(format())
    .args(pack())
    .args([
        no_tty(),
        verbose(),
        platform(),
        distribution_spec(""),
        text("artifact-type", "TYPE", "Type of the artifact (required)"),
        text("config", "PATH[:TYPE]", "Use this file as the config"),
        concurrency(),
        positional("<name>{:<tag>|@<digest>} <file>[:<type>]", "Subject, then files"),
    ])
}

fn pull() -> Command {
    command(
        "pull",
        "Pull the files of an artifact",
        concat!(
            "Examples:\n",
            "  oras pull localhost:5000/hello:v1\n",
            "  oras pull -o out localhost:5000/hello@sha256:…\n",
            "  oras pull --oci-layout ./layout:v1"
        ),
    )
    .args(common())
    .args(remote(""))
    .args(layout(""))
    .args(format())
    .args([
        no_tty(),
        verbose(),
        platform(),
        text("output", "DIR", "Write files below this directory").short('o'),
        switch("keep-old-files", "Fail instead of replacing files").short('k'),
        switch("allow-path-traversal", "Allow files outside of the output directory").short('T'),
        switch("include-subject", "Pull the files of the subject too"),
        text("config", "PATH[:TYPE]", "Write the config to this file"),
        concurrency(),
        positional("<name>{:<tag>|@<digest>}", "Artifact"),
    ])
}

fn cp() -> Command {
    command(
        "cp",
        "Copy an artifact between registries and OCI layouts",
        concat!(
            "Examples:\n",
            "  oras cp localhost:5000/hello:v1 localhost:6000/hello:v1,latest\n",
            "  oras cp -r localhost:5000/hello:v1 --to-oci-layout ./layout:v1\n",
            "  oras cp --from-oci-layout ./layout:v1 localhost:5000/hello:v1"
        ),
    )
    .visible_alias("copy")
    .args(common())
    .args(remote("from-"))
    .args(layout("from-"))
    .args(remote("to-"))
    .args(layout("to-"))
    .args([
        no_tty(),
        verbose(),
        distribution_spec("from-"),
        distribution_spec("to-"),
        list("resolve", "HOST:PORT:ADDRESS[:PORT]", "Like --from-resolve and --to-resolve"),
        switch("recursive", "Copy the referrers too").short('r'),
        switch("force", "Look below manifests that the destination has"),
        platform(),
        concurrency(),
        positional("<from>{:<tag>|@<digest>} <to>[:<tag>[,<tag>][...]]", "Source and destination"),
    ])
}

fn discover() -> Command {
    command(
        "discover",
        "Show what refers to an artifact",
        concat!(
            "Examples:\n",
            "  oras discover localhost:5000/hello:v1\n",
            "  oras discover --format json --artifact-type application/spdx+json localhost:5000/hello:v1"
        ),
    )
    .args(common())
    .args(remote(""))
    .args(layout(""))
    .args(format())
    .args([
        no_tty(),
        verbose(),
        platform(),
        distribution_spec(""),
        text("artifact-type", "TYPE", "Only referrers of this type"),
        number("depth", "Levels of referrers to show [default: all]"),
        positional("<name>{:<tag>|@<digest>}", "Artifact"),
    ])
}

fn resolve() -> Command {
    command("resolve", "Print the digest of a reference", "Examples:\n  oras resolve localhost:5000/hello:v1")
        .visible_alias("digest")
        .args(common())
        .args(remote(""))
        .args(layout(""))
        .args([
            verbose(),
            platform(),
            switch("full-reference", "Print the name too").short('l'),
            positional("<name>{:<tag>|@<digest>}", "Artifact"),
        ])
}

fn tag() -> Command {
    command("tag", "Give an artifact more tags", "Examples:\n  oras tag localhost:5000/hello:v1 v1.0 latest")
        .args(common())
        .args(remote(""))
        .args(layout(""))
        .args([
            verbose(),
            concurrency(),
            positional("<name>{:<tag>|@<digest>} <new_tag>", "Artifact, then tags"),
        ])
}

fn login() -> Command {
    command(
        "login",
        "Log in to a registry",
        concat!(
            "Examples:\n",
            "  oras login localhost:5000\n",
            "  echo $TOKEN | oras login -u user --password-stdin localhost:5000"
        ),
    )
    .args(common())
    .args(remote(""))
    .args([verbose(), positional("<registry>", "Registry")])
}

fn logout() -> Command {
    command("logout", "Forget the credential of a registry", "Examples:\n  oras logout localhost:5000")
        .args(common())
        .args([
            list("registry-config", "PATH", "Remove the credential from this file"),
            positional("<registry>", "Registry"),
        ])
}

fn version() -> Command {
    command("version", "Print the version", "Examples:\n  oras version").arg(positional("", ""))
}

fn blob() -> Command {
    group("blob", "Work with blobs")
        .subcommand(
            command(
                "fetch",
                "Fetch a blob",
                "Examples:\n  oras blob fetch -o file localhost:5000/hello@sha256:…",
            )
            .visible_alias("get")
            .args(common())
            .args(remote(""))
            .args(layout(""))
            .args(descriptor())
            .args([
                no_tty(),
                verbose(),
                text("output", "PATH", "Write to this file; - is standard output").short('o'),
                positional("<name>@<digest>", "Blob"),
            ]),
        )
        .subcommand(
            command("push", "Push a blob", "Examples:\n  oras blob push localhost:5000/hello hi.txt")
                .args(common())
                .args(remote(""))
                .args(layout(""))
                .args(descriptor())
                .args([
                    no_tty(),
                    verbose(),
                    number("size", "Size of the blob, required for standard input"),
                    text("media-type", "TYPE", "Media type in the printed descriptor"),
                    positional("<name>[@digest] <file>", "Repository, then a file or -"),
                ]),
        )
}

fn descriptor() -> [Arg; 2] {
    [switch("descriptor", "Print the descriptor"), switch("pretty", "Indent the JSON")]
}

fn manifest() -> Command {
    group("manifest", "Work with manifests").subcommand(
        command(
            "fetch",
            "Fetch a manifest",
            "Examples:\n  oras manifest fetch --pretty localhost:5000/hello:v1",
        )
        .visible_aliases(["get", "show"])
        .args(common())
        .args(remote(""))
        .args(layout(""))
        .args(format())
        .args(descriptor())
        .args([
            verbose(),
            platform(),
            list("media-type", "TYPE", "Ask the registry for these types only").value_delimiter(','),
            text("output", "PATH", "Write to this file; - is standard output").short('o'),
            positional("<name>{:<tag>|@<digest>}", "Manifest"),
        ]),
    )
}

fn repo() -> Command {
    group("repo", "Work with repositories")
        .visible_alias("repository")
        .subcommand(
            command("ls", "List the repositories of a registry", "Examples:\n  oras repo ls localhost:5000")
                .visible_alias("list")
                .args(common())
                .args(remote(""))
                .args(format())
                .args([
                    verbose(),
                    text("last", "NAME", "Start after this repository"),
                    positional("<registry>", "Registry, or registry and namespace"),
                ]),
        )
        .subcommand(
            command(
                "tags",
                "List the tags of a repository",
                "Examples:\n  oras repo tags localhost:5000/hello",
            )
            .visible_alias("show-tags")
            .args(common())
            .args(remote(""))
            .args(layout(""))
            .args(format())
            .args([
                verbose(),
                text("last", "TAG", "Start after this tag"),
                switch("exclude-digest-tags", "Leave out tags such as sha256-…"),
                positional("<name>", "Repository"),
            ]),
        )
}
