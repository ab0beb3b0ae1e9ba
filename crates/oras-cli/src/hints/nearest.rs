//! Names that are similar to a misspelt one.

/// The most names that a hint lists.
const SHOWN: usize = 3;

/// Returns the names that are similar to `wanted`, the most similar first.
pub(super) fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let lower = wanted.to_lowercase();
    // A third of the letters may be wrong. Shorter names then have nothing in common with the wanted one.
    let limit = (wanted.chars().count() / 3).clamp(1, 3);
    let mut found: Vec<_> = names
        .map(|name| (strsim::damerau_levenshtein(&lower, &name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= limit)
        .collect();
    found.sort_unstable();
    found.dedup();
    found.into_iter().map(|(_, name)| name).take(SHOWN).collect()
}

/// Returns names as a list for a sentence: `a, b or c`.
pub(super) fn alternatives(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [rest @ .., last] => format!("{} or {last}", rest.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_similar_names() {
        let tags = ["v1.0", "v1.1", "v2.0", "latest", "stable"];
        let found = |wanted: &str| nearest(wanted, tags.iter().copied()).join(" ");
        assert_eq!(found("v1.2"), "v1.0 v1.1");
        assert_eq!(found("lastest"), "latest");
        assert_eq!(found("LATEST"), "latest");
        assert_eq!(found("nightly"), "");
        assert_eq!(found(""), "");
        assert_eq!(alternatives(&["a", "b", "c"]), "a, b or c");
    }
}
