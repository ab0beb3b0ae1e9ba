//! Malformed and misplaced references.

use crate::error_case::{Case, Theme};
use crate::scene::Scene;

pub(crate) fn cases() -> Vec<Case> {
    let case = |title, line, remedy, prepare| Case::new(Theme::References, title, line, remedy, prepare);
    let nothing: fn(&Scene) -> Option<()> = |_| Some(());
    let with_file: fn(&Scene) -> Option<()> = |scene| {
        scene.file("hi.txt", "hello world\n");
        Some(())
    };
    vec![
        case(
            "A reference without a registry",
            "oras pull hello:v1",
            "A reference is `<registry>/<repository>:<tag>`. There is no default registry.",
            nothing,
        ),
        case(
            "A reference with https://",
            "oras pull https://registry.example/hello:v1",
            "A reference is not a URL. `oras` uses HTTPS unless a flag selects HTTP.",
            nothing,
        ),
        case(
            "A reference with http://",
            "oras pull http://registry.example/hello:v1",
            "A flag selects HTTP, because a reference has no scheme.",
            nothing,
        ),
        case(
            "Upper case in a repository",
            "oras pull registry.example/Team/Hello:v1",
            "The names of repositories have lower-case letters only. Tags may have upper-case letters.",
            nothing,
        ),
        case(
            "A file before the reference",
            "oras push hi.txt registry.example/hello:v1",
            "The destination is the first argument, and the files follow.",
            with_file,
        ),
        case(
            "A path where a registry is expected",
            "oras pull ./layout:v1",
            "Without `--oci-layout`, every reference names a registry.",
            nothing,
        ),
        case(
            "A layout where a registry is expected",
            "oras pull layout:v1",
            "The directory is an OCI image layout, so the flag is probably missing.",
            Scene::layout,
        ),
        case(
            "A layout as the source of a copy",
            "oras cp layout:v1 registry.example/hello:v1",
            "`oras cp` has one flag for a layout as the source, and one for a layout as the destination.",
            Scene::layout,
        ),
        case(
            "A malformed digest",
            "oras pull registry.example/hello@sha256:abc",
            "Digests cannot be shortened.",
            nothing,
        ),
        case(
            "An unsupported digest algorithm",
            "oras pull registry.example/hello@md5:d41d8cd98f00b204e9800998ecf8427e",
            "A digest that `oras` cannot compute cannot verify the content.",
            nothing,
        ),
        case(
            "A malformed tag",
            "oras pull registry.example/hello:v1+build",
            "A tag cannot contain the `+` of semantic versions. Helm writes `_` instead.",
            nothing,
        ),
        case(
            "No tag",
            "oras manifest fetch registry.example/hello",
            "There is no default tag. Docker's default is `latest`.",
            nothing,
        ),
        case(
            "No digest of a blob",
            "oras blob fetch --output hi.txt registry.example/hello",
            "A blob has a digest and no tag.",
            nothing,
        ),
        case(
            "A tag where a digest is needed",
            "oras blob fetch --output hi.txt registry.example/hello:v1",
            "A tag names a manifest, and the manifest lists the digests of the blobs.",
            nothing,
        ),
    ]
}
