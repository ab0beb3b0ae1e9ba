//! Sizes and durations in the format that the Go tool shows to people.

use std::time::Duration;

/// Formats a size with at most three digits and a fraction: `12  B`, `17 KB`, `1.5 GB`; a kilobyte has 1024 bytes.
pub(crate) fn bytes(size: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KB", "MB", "GB", "TB"];
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let mut value = size as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit > 0 {
        // Three significant digits are shown, as by the Go tool.
        let precision = if value < 10.0 {
            100.0
        } else if value < 100.0 {
            10.0
        } else {
            1.0
        };
        value = (value * precision).round() / precision;
    }
    format!("{value} {:>2}", UNITS[unit])
}

/// Formats a size in binary units with one decimal place: `12 B`, `1.5 KiB`, `3.8 GiB`.
pub(crate) fn binary(size: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if size < 1024 {
        return format!("{size} B");
    }
    // Tenths are rounded down, so that a part never looks complete.
    let shift = |unit: usize| 10 * (unit + 1);
    let unit = (0..UNITS.len()).rev().find(|unit| size >> shift(*unit) > 0).unwrap_or(0);
    let whole = size >> shift(unit);
    let tenth = ((size >> (shift(unit) - 10)) & 1023) * 10 / 1024;
    format!("{whole}.{tenth} {}", UNITS[unit])
}

/// Formats a duration, rounded to its largest unit: `512µs`, `13ms`, `4s`, `1m30s`.
pub(crate) fn duration(time: Duration) -> String {
    const SECOND: Duration = Duration::from_secs(1);
    const MILLISECOND: Duration = Duration::from_millis(1);
    let rounded = |unit: Duration| (time.as_nanos() + unit.as_nanos() / 2) / unit.as_nanos();
    if time > SECOND {
        let seconds = rounded(SECOND);
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        return match (hours, minutes) {
            (0, 0) => format!("{seconds}s"),
            (0, _) => format!("{minutes}m{seconds}s"),
            _ => format!("{hours}h{minutes}m{seconds}s"),
        };
    }
    if time > MILLISECOND {
        let milliseconds = rounded(MILLISECOND);
        return if milliseconds == 1000 { "1s".to_owned() } else { format!("{milliseconds}ms") };
    }
    match rounded(Duration::from_micros(1)) {
        0 => "0s".to_owned(),
        1000 => "1ms".to_owned(),
        microseconds => format!("{microseconds}µs"),
    }
}

/// Formats a number with a noun, such as `1 tag` or `2 tags`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_binary_sizes() {
        let shown = [0, 1023, 1024, 1536, (4 << 20) - 1, 300 << 20, 3 << 40, u64::MAX].map(binary);
        let expected = ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "3.9 MiB", "300.0 MiB", "3.0 TiB", "15.9 EiB"];
        assert_eq!(shown, expected);
    }

    #[test]
    fn formats_sizes_and_durations_like_the_go_tool() {
        let shown = [0, 12, 1023, 1024, 1536, 14_848, 17 * 1024 + 1, 525_000, 3 << 40, 3 << 50].map(bytes);
        let expected =
            ["0  B", "12  B", "1023  B", "1 KB", "1.5 KB", "14.5 KB", "17 KB", "513 KB", "3 TB", "3072 TB"];
        assert_eq!(shown, expected);
        let shown = [0, 512, 1_000, 12_600, 999_900, 1_000_000, 1_400_000, 90_000_000, 3_723_000_000]
            .map(|micros| duration(Duration::from_micros(micros)));
        assert_eq!(shown, ["0s", "512µs", "1ms", "13ms", "1s", "1s", "1s", "1m30s", "1h2m3s"]);
    }
}
