//! Checks that the pages in `docs/` name everything that the code names.
//!
//! The checks read the sources as text. They are here and not beside the code because a published crate has no pages.

#[test]
fn environment_page_names_every_variable() {
    let page = include_str!("../../../docs/environment.md");
    let is_name = |text: &&str| text.len() > 3 && text.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    let source = include_str!("../../../crates/oras-cli/src/env.rs");
    let names: Vec<_> = source.split('"').filter(is_name).collect();
    assert!(names.len() > 10, "{names:?}");
    for name in names {
        assert!(page.contains(&format!("`{name}`")), "{name} is not in docs/environment.md");
    }
}

#[test]
fn registries_page_describes_every_profile() {
    let page = include_str!("../../../docs/registries.md");
    let source = include_str!("../../../crates/oras-remote/src/registry_profile.rs");
    let (_, after_unknown) = source.split_once("/// The profile of a registry that rejects").unwrap();
    let (profiles, _) = after_unknown.split_once("impl Profile {").unwrap();
    let mut names: Vec<_> = ["without_single_post(\"", "name: \""]
        .iter()
        .flat_map(|before| profiles.split(before).skip(1))
        .map(|name| name.split('"').next().unwrap())
        .collect();
    names.sort_unstable();
    names.dedup();
    assert!(names.len() > 7, "{names:?}");
    for name in names {
        assert!(page.contains(&format!("\n## {name}\n")), "{name} is not in docs/registries.md");
    }
}
