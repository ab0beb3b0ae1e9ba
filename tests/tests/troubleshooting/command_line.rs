//! Unknown commands, flags and values.

use crate::error_case::{Case, Theme};
use crate::scene::Scene;

pub(crate) fn cases() -> Vec<Case> {
    let case = |title, line, remedy| Case::new(Theme::CommandLine, title, line, remedy, |_: &Scene| Some(()));
    vec![
        case(
            "ls of other tools",
            "oras ls registry.example",
            "Repositories and tags have separate commands.",
        ),
        case("images of other tools", "oras images", "A registry is asked by name."),
        case(
            "rm of other tools",
            "oras rm registry.example/hello:v1",
            "A tag, a manifest and a blob are deleted by separate commands.",
        ),
        case(
            "tree of other tools",
            "oras tree registry.example/hello:v1",
            "Signatures, SBOMs and other referrers form the tree.",
        ),
        case(
            "mirror of other tools",
            "oras mirror registry.example/hello other.example/hello",
            "One command copies an artifact, two copy a repository.",
        ),
        case(
            "A misspelt command",
            "oras dicsovr registry.example/hello:v1",
            "Commands with similar names are suggested.",
        ),
        case(
            "An unknown command of a group",
            "oras manifest inspect registry.example/hello:v1",
            "`oras help manifest` lists the commands of the group.",
        ),
        case(
            "A misspelt flag",
            "oras pull --progres plain registry.example/hello:v1",
            "`oras help pull` lists the flags of the command.",
        ),
        case(
            "A flag without its hyphen",
            "oras pull --plainhttp registry.example/hello:v1",
            "`oras help pull` lists the flags of the command.",
        ),
        case(
            "A flag of one side",
            "oras cp --plain-http a.example/hello:v1 b.example/hello:v1",
            "`oras cp` has each flag of a connection twice.",
        ),
        case(
            "A flag of another tool",
            "oras pull --tls-verify=false registry.example/hello:v1",
            "The flags of other tools have other names.",
        ),
        case(
            "An invalid value",
            "oras push --compression zip registry.example/hello:v1 dir",
            "The hint lists the values.",
        ),
        case(
            "A misspelt value",
            "oras push --image-spec v1.2 registry.example/hello:v1",
            "The error lists the values, the hint the most similar ones.",
        ),
        case(
            "A word instead of a number",
            "oras pull --concurrency many registry.example/hello:v1",
            "Numbers are decimal, or begin with `0x`.",
        ),
        case(
            "An unknown format",
            "oras pull --format jsn registry.example/hello:v1",
            "`--format json` and `--format go-template=…` are for scripts.",
        ),
        case(
            "A broken template",
            "oras pull --format 'go-template={{.reference' registry.example/hello:v1",
            "The templates are those of Go, with the functions of sprig.",
        ),
    ]
}
