//! Version order: `v1.10` comes after `v1.9`, because runs of digits are compared as numbers.

use std::cmp::Ordering;

/// Compares two tags by version. A release comes after its pre-releases: `v1.0.0-rc.1` before `v1.0.0`. Only equal texts
/// are equal.
///
/// ```
/// let mut tags = ["v1.10", "v1.9", "v1.9-rc.1"];
/// tags.sort_by(|a, b| oras_spec::version_order::compare(a, b));
/// assert_eq!(tags, ["v1.9-rc.1", "v1.9", "v1.10"]);
/// ```
pub fn compare(a: &str, b: &str) -> Ordering {
    let ((a_version, a_suffix), (b_version, b_suffix)) = (split(a), split(b));
    let suffixes = || match (a_suffix, b_suffix) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(a), Some(b)) => compare_runs(a, b),
    };
    // Tags such as `1.0` and `01.0` are equal as versions. The comparison as text gives them a fixed order.
    compare_runs(a_version, b_version).then_with(suffixes).then_with(|| a.cmp(b))
}

/// Splits a tag into its version and its suffix.
fn split(tag: &str) -> (&str, Option<&str>) {
    tag.split_once('-').map_or((tag, None), |(version, suffix)| (version, Some(suffix)))
}

/// Compares two texts run by run.
fn compare_runs(mut a: &str, mut b: &str) -> Ordering {
    loop {
        let (left, right) = (take_run(&mut a), take_run(&mut b));
        let order = match (number(left), number(right)) {
            _ if left.is_empty() || right.is_empty() => return left.len().cmp(&right.len()),
            // Without leading zeros, the longer number is larger; parsing it could overflow.
            (Some(x), Some(y)) => x.len().cmp(&y.len()).then_with(|| x.cmp(y)),
            _ => left.cmp(right),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// Removes the next run of digits or of other characters from `text` and returns it.
fn take_run<'a>(text: &mut &'a str) -> &'a str {
    let digit = text.starts_with(|c: char| c.is_ascii_digit());
    let end = text.find(|c: char| c.is_ascii_digit() != digit).unwrap_or(text.len());
    let (run, rest) = text.split_at(end);
    *text = rest;
    run
}

/// Returns the digits of a number without leading zeros, or `None` for other characters.
fn number(run: &str) -> Option<&str> {
    run.starts_with(|c: char| c.is_ascii_digit()).then(|| run.trim_start_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_versions() {
        let ordered = [
            "latest",
            "v1.0.0-alpha",
            "v1.0.0-rc.2",
            "v1.0.0-rc.10",
            "v1.0.0",
            "v1.2",
            "v1.9.1",
            "v1.10",
            "v2",
        ];
        for (place, a) in ordered.iter().enumerate() {
            for b in &ordered[place + 1..] {
                assert_eq!(compare(a, b), Ordering::Less, "{a} {b}");
                assert_eq!(compare(b, a), Ordering::Greater, "{b} {a}");
            }
        }
        assert_eq!(compare("1", "1"), Ordering::Equal);
        assert_eq!(compare("01", "1"), Ordering::Less);
    }
}
