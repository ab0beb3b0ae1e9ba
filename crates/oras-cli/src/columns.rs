//! Tables and headers for people: columns that fit the terminal, and plain text in pipes.

use std::io::IsTerminal;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::terminal_text;

/// The number of columns between two cells.
const GAP: usize = 2;
/// The width of a digest of which only the first twelve digits are shown: `sha256:` and the digits.
const SHORT_DIGEST: usize = 19;
/// The column of values in a header.
const LABEL: usize = 9;

/// How the cells of a column give way on a narrow terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    /// Cells keep their width.
    Keep,
    /// Cells lose their beginning, since media types differ at their end.
    Tail,
    /// Cells lose their middle, so that a name keeps its extension.
    Name,
    /// Digests are shortened.
    Digest,
    /// Digests are shortened, and then left out.
    SpareDigest,
}

/// A table with a row of titles.
pub(crate) struct Table {
    fits: Vec<Fit>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Creates a table of these columns, each with its title.
    pub(crate) fn new<const N: usize>(columns: [(&str, Fit); N]) -> Self {
        let titles = columns.iter().map(|(title, _)| (*title).to_owned()).collect();
        Self { fits: columns.iter().map(|(_, fit)| *fit).collect(), rows: vec![titles] }
    }

    /// Adds a row. Control characters in the cells are replaced, so that a row is one line.
    pub(crate) fn row<const N: usize>(&mut self, cells: [&str; N]) {
        debug_assert_eq!(N, self.fits.len());
        self.rows.push(cells.iter().map(|cell| terminal_text::name(cell)).collect());
    }

    /// Draws the table, indented by two columns. With a `width`, rows are at most that wide where that is possible.
    pub(crate) fn draw(mut self, width: Option<usize>) -> String {
        if let Some(width) = width {
            self.shrink(width);
        }
        let widths = self.widths();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(&" ".repeat(GAP));
                line.push_str(cell);
                line.push_str(&" ".repeat(width - cell.width()));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    fn widths(&self) -> Vec<usize> {
        let width = |column: usize| self.rows.iter().map(|row| row[column].width()).max().unwrap_or(0);
        (0..self.fits.len()).map(width).collect()
    }

    fn shrink(&mut self, width: usize) {
        if self.excess(width) > 0 {
            self.clip(|fit| matches!(fit, Fit::Digest | Fit::SpareDigest), |_| SHORT_DIGEST, end_clipped);
        }
        let width_after =
            |excess: usize, least: usize| move |now: usize| now.saturating_sub(excess).max(least);
        // Types give way first, then spare digests, then names. A name is the last to become short.
        self.clip(|fit| fit == Fit::Tail, width_after(self.excess(width), 24), start_clipped);
        if self.excess(width) > 0
            && let Some(column) = self.fits.iter().position(|fit| *fit == Fit::SpareDigest)
        {
            self.fits.remove(column);
            self.rows.iter_mut().for_each(|row| drop(row.remove(column)));
        }
        self.clip(|fit| fit == Fit::Name, width_after(self.excess(width), 16), middle_clipped);
        self.clip(|fit| fit == Fit::Tail, width_after(self.excess(width), 8), start_clipped);
        self.clip(|fit| fit == Fit::Name, width_after(self.excess(width), 6), middle_clipped);
    }

    /// Returns the number of columns by which the rows are too wide.
    fn excess(&self, width: usize) -> usize {
        (self.widths().iter().sum::<usize>() + GAP * self.fits.len()).saturating_sub(width)
    }

    /// Clips the cells of the columns that `applies` selects to the width that `limit` makes of the present one.
    fn clip(
        &mut self,
        applies: impl Fn(Fit) -> bool,
        limit: impl Fn(usize) -> usize,
        clipped: impl Fn(&str, usize) -> String,
    ) {
        for (column, now) in self.widths().into_iter().enumerate() {
            let limit = limit(now);
            if applies(self.fits[column]) && limit < now {
                self.rows.iter_mut().for_each(|row| row[column] = clipped(&row[column], limit));
            }
        }
    }
}

/// Returns a line of a header: a label, and a value that fits the terminal. A digest gives way at its end.
pub(crate) fn header(label: &str, value: &str, width: Option<usize>) -> String {
    let value = terminal_text::name(value);
    let value = match width.map(|width| width.saturating_sub(LABEL).max(SHORT_DIGEST)) {
        Some(room) if value.width() > room => middle_clipped(&value, room),
        _ => value,
    };
    format!("{:<LABEL$}{value}\n", format!("{label}:"))
}

/// Returns a line of text that fits the terminal.
pub(crate) fn line(text: &str, width: Option<usize>) -> String {
    let text = terminal_text::name(text);
    match width {
        Some(width) if text.width() > width => end_clipped(&text, width) + "\n",
        _ => text + "\n",
    }
}

/// Returns text beside a label, both on one line. With a `width`, the text is broken at spaces into lines that fit it,
/// below each other. The label takes `indent` columns.
pub(crate) fn wrapped(label: &str, text: &str, indent: usize, width: Option<usize>) -> String {
    let text = terminal_text::name(text);
    let room = width.map_or(usize::MAX, |width| width.saturating_sub(indent).max(16));
    let mut lines = vec![String::new()];
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let used = lines.last().map_or(0, |line| line.width());
        if used > 0 && used + 1 + word.width() > room {
            lines.push(String::new());
        }
        let mut rest = word;
        while let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            // A word that is longer than a line, such as a digest, is broken.
            let piece = beginning(rest, room);
            line.push_str(piece);
            rest = &rest[piece.len()..];
            if rest.is_empty() || piece.is_empty() {
                break;
            }
            lines.push(String::new());
        }
    }
    let labels = std::iter::once(label).chain(std::iter::repeat(""));
    lines.iter().zip(labels).map(|(line, label)| format!("{label:<indent$}{line}\n")).collect()
}

/// Returns the width of the terminal on standard output, or `None` if standard output is no terminal.
pub(crate) fn terminal_width() -> Option<usize> {
    let stdout = std::io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    Some(console::Term::stdout().size_checked().map_or(80, |(_, columns)| usize::from(columns)))
}

/// Returns the longest beginning of `text` that is at most `width` columns wide.
fn beginning(text: &str, width: usize) -> &str {
    let mut used = 0;
    for (place, c) in text.char_indices() {
        used += c.width().unwrap_or(0);
        if used > width {
            return &text[..place];
        }
    }
    text
}

/// Returns the longest end of `text` that is at most `width` columns wide.
fn end(text: &str, width: usize) -> &str {
    let mut used = 0;
    for (place, c) in text.char_indices().rev() {
        used += c.width().unwrap_or(0);
        if used > width {
            return &text[place + c.len_utf8()..];
        }
    }
    text
}

fn end_clipped(text: &str, width: usize) -> String {
    match text.width() <= width {
        true => text.to_owned(),
        // A digest of twelve digits is a usual short form, and needs no mark.
        false if width == SHORT_DIGEST => beginning(text, width).to_owned(),
        false => format!("{}…", beginning(text, width.saturating_sub(1))),
    }
}

fn start_clipped(text: &str, width: usize) -> String {
    if text.width() <= width { text.to_owned() } else { format!("…{}", end(text, width.saturating_sub(1))) }
}

/// Returns text that is at most `width` columns wide, without its middle if it is longer.
pub(crate) fn middle_clipped(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let room = width.saturating_sub(1);
    format!("{}…{}", beginning(text, room - room / 2), end(text, room / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str, media_type: &str) -> Table {
        let mut table = Table::new([
            ("SIZE", Fit::Keep),
            ("TYPE", Fit::Tail),
            ("NAME", Fit::Name),
            ("DIGEST", Fit::SpareDigest),
        ]);
        let digest = format!("sha256:{}", "0".repeat(64));
        table.row(["1.5 MiB", media_type, name, &digest]);
        table
    }

    #[test]
    fn tables_fit_the_terminal() {
        let (name, media_type) =
            ("some-long-name-".repeat(20) + "end.bin", "application/vnd.oci.image.layer.v1.tar+gzip");
        for width in [60, 80, 100, 120, 200] {
            for name in [&name, "a", &"日本".repeat(60)] {
                let text = table(name, media_type).draw(Some(width));
                for line in text.lines() {
                    assert!(line.width() <= width, "{width}: {line}");
                }
            }
        }
        let text = table("some-long-name.bin", media_type).draw(Some(60));
        assert!(text.contains("some-long-name.bin") && text.contains("tar+gzip"), "{text}");
        let text = table("a", media_type).draw(Some(120));
        assert!(text.contains("sha256:000000000000") && text.contains(media_type), "{text}");
    }

    #[test]
    fn platforms_and_kinds_fit_60_columns() {
        let digest = format!("sha256:{}", "0".repeat(64));
        let columns =
            [("PLATFORM", Fit::Keep), ("KIND", Fit::Name), ("SIZE", Fit::Keep), ("DIGEST", Fit::Digest)];
        let mut manifests = Table::new(columns);
        manifests.row(["linux/arm64/v8", "attestation (BuildKit)", "1023.9 MiB", &digest]);
        let mut referrers = Table::new([("KIND", Fit::Name), ("TYPE", Fit::Tail), ("DIGEST", Fit::Digest)]);
        let kind = "vulnerability report (CycloneDX VEX)";
        referrers.row([kind, "application/vnd.cyclonedx.vex+json", &digest]);
        for table in [manifests, referrers] {
            let text = table.draw(Some(60));
            assert!(text.lines().all(|line| line.width() <= 60), "{text}");
            assert!(text.contains("sha256:000000000000"), "{text}");
        }
    }

    #[test]
    fn pipes_get_whole_cells_on_one_line() {
        let name = "line\nbreak\u{1b}[2J".to_owned() + &"x".repeat(300);
        let text = table(&name, "text/plain").draw(None);
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.contains(&"x".repeat(300)) && text.contains(&"0".repeat(64)));
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn headers_fit_the_terminal() {
        let digest = format!("sha256:{}", "0".repeat(64));
        assert_eq!(header("Digest", &digest, Some(80)).trim_end().len(), 80);
        assert!(header("Digest", &digest, Some(60)).trim_end().width() <= 60);
        assert_eq!(header("Kind", "a\u{202e}b\n", None), "Kind:    a\u{fffd}b\u{fffd}\n");
        assert_eq!(line("日本語", Some(4)), "日…\n");
    }

    #[test]
    fn wraps_text_beside_its_label() {
        let text = wrapped("ok  name", "some words and a-very-long-word-of-thirty-letters", 10, Some(30));
        let expected = "ok  name  some words and\n          a-very-long-word-of-\n          thirty-letters\n";
        assert_eq!(text, expected);
        assert_eq!(wrapped("ok", "a\nb c", 4, None), "ok  a\u{fffd}b c\n");
        assert_eq!(wrapped("ok", "", 4, Some(80)), "ok  \n");
    }
}
