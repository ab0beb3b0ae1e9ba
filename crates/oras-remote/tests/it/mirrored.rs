//! Repositories that are read through the mirrors of `registries.conf`.

use oras_remote::{Mirrored, RegistriesConf};
use oras_spec::MediaType;
use oras_store::Source;
use oras_testkit::files::write_file;
use oras_testkit::scripted::{Asked, Reply, Scripted};

use crate::{manifest, options, repository};

/// A registry that has one manifest under every reference.
fn registry(mark: &str) -> Scripted {
    let body = manifest(mark, None).in_memory().unwrap().to_vec();
    Scripted::start(move |_: &Asked| {
        Reply::new(200).header("content-type", MediaType::IMAGE_MANIFEST).body(body.clone())
    })
}

#[tokio::test]
async fn full_reference_follows_the_rule_of_its_tag_or_digest() {
    let digest = manifest("one", None).descriptor().digest.clone();
    for rule in ["digest-only", "tag-only"] {
        let (home, mirror) = (registry("one"), registry("one"));
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("registries.conf");
        let location = format!("{}/a", home.host());
        write_file(
            &file,
            format!(
                "[[registry]]\nlocation = \"{location}\"\n[[registry.mirror]]\nlocation = \"{}/m\"\n\
                 pull-from-mirror = \"{rule}\"\n",
                mirror.host()
            ),
        );
        let registries = RegistriesConf::load(Some(&file), &[]).unwrap();
        let store = repository(options().registries(registries), &location);
        let mirrored = Mirrored::new(&store).unwrap().unwrap();
        for (reference, target, by_digest) in [
            ("v1".to_owned(), "v1".to_owned(), false),
            (format!("{location}:v1"), "v1".to_owned(), false),
            (format!("{location}@{digest}"), digest.to_string(), true),
            (format!("{location}:v1@{digest}"), digest.to_string(), true),
            (format!("v1@{digest}"), digest.to_string(), true),
            (digest.to_string(), digest.to_string(), true),
        ] {
            let before = [home.lines().len(), mirror.lines().len()];
            assert_eq!(mirrored.resolve(&reference).await.unwrap().digest, digest, "{reference}");
            let (descriptor, _) = mirrored.resolve_with_bytes(&reference).await.unwrap();
            assert_eq!(descriptor.digest, digest, "{reference}");
            let asked = [home.lines()[before[0]..].to_vec(), mirror.lines()[before[1]..].to_vec()];
            let used = usize::from(by_digest == (rule == "digest-only"));
            let path = format!("/v2/{}/manifests/{target}", ["a", "m"][used]);
            assert!(asked[used].iter().all(|line| line.ends_with(&path)), "{rule} {reference}: {asked:?}");
            assert!(!asked[used].is_empty() && asked[1 - used].is_empty(), "{rule} {reference}: {asked:?}");
        }
    }
}
