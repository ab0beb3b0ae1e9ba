//! The rows that show a running transfer, fitted to the width of the terminal, and the summary of a finished one.

use std::time::Duration;

use console::{measure_text_width, truncate_str};

use super::transfer_state::{ActiveItem, NotMoved, Totals, TransferState, per_second};
use crate::humanize::binary;

/// The number of characters of a bar.
const BAR: u64 = 20;
/// A name is shortened to this width before a column is left out.
const MIN_NAME: usize = 24;

/// Returns the row of an item. A narrow terminal shows no bar, then no rate, then no size; never no name.
pub(super) fn item_row(word: &str, item: &ActiveItem, columns: usize) -> String {
    let complete = item.complete();
    let sizes = match item.size {
        Some(size) => format!("{:>10} of {:<10}", binary(complete), binary(size)),
        // A directory is packed while it is sent, so its size is not known.
        None => format!("{:>10}{:14}", binary(complete), ""),
    };
    let rate = item.rate.get().map_or_else(String::new, rate);
    let bar = item.size.map_or_else(|| " ".repeat(22), |size| bar(complete, size));
    let ends = [
        format!(" {bar} {sizes} {rate:>12}"),
        format!(" {sizes} {rate:>12}"),
        format!(" {sizes}"),
        format!(" {:>10}", binary(complete)),
        String::new(),
    ];
    let least = MIN_NAME.min(measure_text_width(&item.name));
    let begin = format!("{} ", if item.size.is_some() { word.trim_end() } else { "Packing" });
    let free = |end: &str| columns.checked_sub(measure_text_width(&begin) + measure_text_width(end));
    for end in &ends {
        if let Some(free) = free(end).filter(|free| *free >= least) {
            let name = truncate_str(&item.name, free, "…");
            let padding = free - measure_text_width(&name);
            return format!("{begin}{name}{:padding$}{end}", "").trim_end().to_owned();
        }
    }
    truncate_str(&item.name, columns, "…").into_owned()
}

/// Returns the last row, with the sums: items, bytes, percent, rate, remaining time.
pub(super) fn total_row(state: &TransferState, columns: usize) -> String {
    let (totals, complete) = (&state.totals, state.complete());
    let items = format!("{}/{} {}", totals.items_done, totals.items, totals.unit());
    let total = totals.bytes.filter(|total| *total > 0).map(|total| total.max(complete));
    let percent = total.map(|total| format!("{} %", complete * 100 / total));
    let bytes = match total {
        Some(total) => of_total(complete, total),
        None => binary(complete),
    };
    let rate = state.rate.get().map(rate);
    let eta = state.time_left().map(|time| format!("ETA {}", clock(time)));
    let items = Some(items).filter(|_| totals.items > 0);
    let join = |parts: &[&Option<String>]| {
        let shown: Vec<&str> = parts.iter().filter_map(|part| part.as_deref()).collect();
        shown.join("  ")
    };
    let bytes = Some(bytes);
    let candidates = [
        join(&[&items, &bytes, &percent, &rate, &eta]),
        join(&[&items, &bytes, &percent, &eta]),
        join(&[&items, &percent, &eta]),
        join(&[&items, &percent]),
    ];
    fitting(&candidates, columns)
}

/// Returns the line that stays when the transfer is complete: items, transferred bytes, time, rate, and the bytes that
/// were not transferred, with the reason.
pub(super) fn summary(state: &TransferState, columns: usize) -> String {
    let (totals, time) = (&state.totals, state.started.elapsed());
    let items = match totals.items_done {
        0 => String::new(),
        1 => format!("1 {}: ", totals.unit().trim_end_matches('s')),
        count => format!("{count} {}: ", totals.unit()),
    };
    if totals.moved == 0 && totals.existed.items > 0 && totals.adopted.items == 0 {
        let candidates =
            [format!("{items}nothing transferred, because it exists"), "nothing transferred".to_owned()];
        return fitting(&candidates, columns);
    }
    let moved = format!("{items}{} transferred in {}", binary(totals.moved), seconds(time));
    // A mean over a shorter time says nothing about the network.
    let mean = if totals.moved > 0 && time >= Duration::from_secs(1) {
        format!(" ({})", rate(per_second(totals.moved, time)))
    } else {
        String::new()
    };
    let reasons: Vec<(&str, NotMoved)> = [
        ("existed", totals.existed),
        (if state.words.may_mount { "mounted" } else { state.words.adopted_reason() }, totals.adopted),
        ("resumed", totals.resumed),
    ]
    .into_iter()
    .filter(|(_, not_moved)| not_moved.bytes > 0)
    .collect();
    let saved: u64 = reasons.iter().map(|(_, not_moved)| not_moved.bytes).sum();
    if saved == 0 {
        return fitting(&[format!("{moved}{mean}"), moved], columns);
    }
    let detail: Vec<String> =
        reasons.iter().map(|(reason, not_moved)| format!("{} {reason}", binary(not_moved.bytes))).collect();
    let names: Vec<&str> = reasons.iter().map(|(reason, _)| *reason).collect();
    fitting(
        &[
            format!("{moved}{mean}; not transferred: {}", detail.join(", ")),
            format!("{moved}; {}", detail.join(", ")),
            format!("{moved}; {} {}", binary(saved), names.join(", ")),
            moved,
        ],
        columns,
    )
}

impl Totals {
    fn unit(&self) -> &'static str {
        if self.are_files { "files" } else { "items" }
    }
}

/// Returns the first candidate that fits, or the shortened last one.
fn fitting(candidates: &[String], columns: usize) -> String {
    let fits = candidates.iter().find(|candidate| measure_text_width(candidate) <= columns);
    let last =
        || candidates.last().map_or_else(String::new, |last| truncate_str(last, columns, "…").into_owned());
    fits.cloned().unwrap_or_else(last)
}

/// Formats a part of a sum with one unit if both have the same: `0.7/3.8 GiB`.
pub(super) fn of_total(part: u64, total: u64) -> String {
    let (part, total) = (binary(part), binary(total));
    match (part.split_once(' '), total.split_once(' ')) {
        (Some((number, unit)), Some((_, other))) if unit == other => format!("{number}/{total}"),
        _ => format!("{part}/{total}"),
    }
}

/// Returns how much of an interrupted transfer is complete, for the hint to run the command again. Returns `None` if
/// that is nothing.
pub(super) fn kept(state: &TransferState) -> Option<String> {
    let (kept, word) = (state.resumable(), state.words.partial);
    if kept == 0 || word.is_empty() {
        return None;
    }
    let sizes = match state.totals.bytes.map(|total| of_total(kept, total.max(kept))) {
        Some(sizes) => sizes.replace('/', " of "),
        None => binary(kept),
    };
    Some(format!("{sizes} {word}; run the same command again to continue"))
}

/// Formats a rate.
pub(super) fn rate(per_second: u64) -> String {
    format!("{}/s", binary(per_second))
}

fn bar(complete: u64, size: u64) -> String {
    let filled = (complete * BAR).checked_div(size).unwrap_or(BAR).min(BAR);
    let (filled, free) = (usize::try_from(filled).unwrap_or(0), usize::try_from(BAR - filled).unwrap_or(0));
    format!("[{}{}]", "#".repeat(filled), "-".repeat(free))
}

/// Formats a time in whole seconds: `72` seconds are `1m12s`.
pub(super) fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m{seconds:02}s"),
        (hours, minutes, _) => format!("{hours}h{minutes:02}m"),
    }
}

/// Formats a time with a tenth of a second if it is short.
fn seconds(time: Duration) -> String {
    if time < Duration::from_secs(10) { format!("{:.1}s", time.as_secs_f64()) } else { clock(time) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_sums_with_one_unit() {
        assert_eq!(of_total(7 << 20, 38 << 20), "7.0/38.0 MiB");
        assert_eq!(of_total(1 << 10, 38 << 20), "1.0 KiB/38.0 MiB");
        assert_eq!(of_total(0, 38 << 20), "0 B/38.0 MiB");
    }

    #[test]
    fn formats_times() {
        let shown = [5, 72, 3723].map(|seconds| clock(Duration::from_secs(seconds)));
        assert_eq!(shown, ["5s", "1m12s", "1h02m"]);
        assert_eq!(seconds(Duration::from_millis(1234)), "1.2s");
    }

    #[test]
    fn chooses_the_longest_text_that_fits() {
        let candidates = ["abcdef".to_owned(), "abc".to_owned()];
        assert_eq!([6, 5, 3, 2].map(|columns| fitting(&candidates, columns)), ["abcdef", "abc", "abc", "a…"]);
    }
}
