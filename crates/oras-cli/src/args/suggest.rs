//! Suggests commands whose names are similar to an unknown word, by the rules of cobra.

use clap::Command;

/// The largest edit distance of a suggestion, as in cobra.
const MAX_DISTANCE: usize = 2;

/// Returns the commands of `group` that are similar to `word`, in their order.
pub(crate) fn similar_commands<'a>(group: &'a Command, word: &str) -> Vec<&'a str> {
    let word = word.to_lowercase();
    // Every name starts with the empty word, so an empty word has no suggestions.
    let shown = group.get_subcommands().filter(|command| !command.is_hide_set() && !word.is_empty());
    shown
        .map(Command::get_name)
        .filter(|name| name.starts_with(&word) || distance(name, &word) <= MAX_DISTANCE)
        .collect()
}

/// Returns the edit distance (Levenshtein): the number of characters to insert, delete or replace.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    // A row of the distance table depends only on the row above, so one row is stored and updated in place.
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_edit_distance() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("push", "pull"), 2);
        assert_eq!(distance("pull", "plul"), 2);
        assert_eq!(distance("same", "same"), 0);
    }
}
