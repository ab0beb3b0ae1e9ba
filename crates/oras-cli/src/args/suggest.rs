//! Commands whose names are like a word that is no command.

use clap::Command;

/// The most edits between a word and the name it was meant to be.
const NEAR: usize = 2;

/// The commands of `group` that `word` may have been meant to be, in their order.
pub(crate) fn alike<'a>(group: &'a Command, word: &str) -> Vec<&'a str> {
    let word = word.to_lowercase();
    let shown = group.get_subcommands().filter(|command| !command.is_hide_set() && !word.is_empty());
    shown
        .map(Command::get_name)
        .filter(|name| name.starts_with(&word) || distance(name, &word) <= NEAR)
        .collect()
}

/// The number of characters to insert, remove or change.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
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
    fn counts_edits() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("push", "pull"), 2);
        assert_eq!(distance("pull", "plul"), 2);
        assert_eq!(distance("same", "same"), 0);
    }
}
