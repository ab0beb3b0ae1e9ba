//! OCI image layouts and archives.

use crate::error_case::{Case, Theme};
use crate::scene::Scene;

pub(crate) fn cases() -> Vec<Case> {
    let case = |title, line, remedy, prepare| Case::new(Theme::Layouts, title, line, remedy, prepare);
    vec![
        case(
            "The layout does not exist",
            "oras pull --oci-layout layuot:v1",
            "The path is misspelt, or is relative to another directory.",
            Scene::layout,
        ),
        case(
            "A registry where a layout is expected",
            "oras pull --oci-layout registry.example/hello:v1",
            "With the flag, the argument is a path.",
            |_| Some(()),
        ),
        case(
            "The directory is not a layout",
            "oras pull --oci-layout files:v1",
            "A layout has the files `oci-layout` and `index.json` and the directory `blobs`.",
            |scene| {
                scene.file("files/hi.txt", "hello world\n");
                Some(())
            },
        ),
        case(
            "The layout has no file oci-layout",
            "oras pull --oci-layout layout:v1",
            "The layout was probably copied without this file.",
            |scene| {
                Scene::layout(scene)?;
                std::fs::remove_file(scene.path("layout/oci-layout")).ok()
            },
        ),
        case(
            "The layout has another version",
            "oras pull --oci-layout layout:v1",
            "The image-spec has only version 1.0.0 so far.",
            |scene| {
                Scene::layout(scene)?;
                scene.file("layout/oci-layout", "{\"imageLayoutVersion\":\"2.0.0\"}");
                Some(())
            },
        ),
        case(
            "The layout does not have the tag",
            "oras pull --oci-layout layout:v2",
            "The hint lists the tags with similar names.",
            Scene::layout,
        ),
        case(
            "The file is not an archive",
            "oras pull --oci-layout hi.txt:v1",
            "A layout in one file is an uncompressed tar archive, as `oras backup` and `docker save` write it.",
            Scene::layout,
        ),
        case(
            "The archive is compressed",
            "oras pull --oci-layout layout.tar.gz:v1",
            "An archive is read in place, which compression prevents.",
            |scene| {
                Scene::layout(scene)?;
                scene.setup("tar -czf layout.tar.gz -C layout .")
            },
        ),
        case(
            "An archive where a directory is expected",
            "oras push --oci-layout layout.tar:v2 hi.txt",
            "An archive can be read, and not changed.",
            |scene| {
                Scene::layout(scene)?;
                scene.setup("tar -cf layout.tar -C layout .")
            },
        ),
        case(
            "The archive has no index",
            "oras pull --oci-layout layout.tar:v1",
            "The archive is a part of a layout only.",
            |scene| {
                Scene::layout(scene)?;
                scene.setup("tar -cf layout.tar -C layout ./oci-layout ./blobs")
            },
        ),
        case(
            "A blob of the layout is damaged",
            "oras pull --oci-layout layout:v1 -o out",
            "All content is verified, so a damaged file never reaches its destination.",
            |scene| {
                Scene::layout(scene)?;
                scene.setup("for f in layout/blobs/sha256/*; do grep -q '^hello world' $f && chmod 644 $f && echo 'hello_world' >$f; done; true")
            },
        ),
    ]
}
