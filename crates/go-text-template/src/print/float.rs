//! Formats floats as Go's `strconv.FormatFloat` does.

/// The maximum number of decimals that can differ from zero: the smallest `f64` has 1074. Any further decimals are
/// zeros, which `format!` need not calculate.
const MAX_DECIMALS: usize = 1100;

/// Formats a float with one of the verbs `e`, `E`, `f`, `g`, `G`, `b`, `x` and `X`.
///
/// Without a precision the result has the fewest digits that identify the number.
pub(crate) fn format_float(number: f64, verb: char, precision: Option<usize>) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let sign = if number.is_sign_negative() { "-" } else { "" };
    let magnitude = number.abs();
    let digits = match verb.to_ascii_lowercase() {
        'b' => binary(magnitude),
        'x' => hexadecimal(magnitude, precision),
        'f' => match precision {
            Some(precision) => {
                let exact = precision.min(MAX_DECIMALS);
                let text = format!("{magnitude:.exact$}");
                text + &"0".repeat(precision - exact)
            }
            None => positional(&scientific(magnitude, None)),
        },
        'e' => exponential(&scientific(magnitude, precision)),
        _ => general(magnitude, precision),
    };
    let text = format!("{sign}{digits}");
    if verb.is_ascii_uppercase() { text.to_ascii_uppercase() } else { text }
}

/// A number in scientific notation: digits with a point after the first one, and an exponent.
struct Scientific {
    digits: String,
    exponent: i32,
}

fn scientific(magnitude: f64, precision: Option<usize>) -> Scientific {
    let exact = precision.map(|precision| precision.min(MAX_DECIMALS));
    let text = match exact {
        Some(exact) => format!("{magnitude:.exact$e}"),
        None => shortest(magnitude),
    };
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let zeros = precision.unwrap_or(0) - exact.unwrap_or(0);
    Scientific { digits: digits.to_owned() + &"0".repeat(zeros), exponent: exponent.parse().unwrap_or(0) }
}

/// Returns the fewest digits that identify the number, in scientific notation.
///
/// If two such texts are equally close to the number, Rust and Go choose differently. Formatting with the same
/// number of decimals rounds half to even, as Go does.
fn shortest(magnitude: f64) -> String {
    let text = format!("{magnitude:e}");
    let digits = text.split_once('e').map_or(text.as_str(), |(digits, _)| digits);
    let decimals = digits.len().saturating_sub(2);
    let rounded = format!("{magnitude:.decimals$e}");
    if rounded.parse() == Ok(magnitude) { rounded } else { text }
}

/// Writes a number without an exponent.
fn positional(number: &Scientific) -> String {
    let digits = number.digits.replace('.', "");
    match usize::try_from(number.exponent) {
        Ok(exponent) if exponent + 1 >= digits.len() => {
            let zeros = "0".repeat(exponent + 1 - digits.len());
            digits + &zeros
        }
        Ok(exponent) => format!("{}.{}", &digits[..=exponent], &digits[exponent + 1..]),
        Err(_) => {
            let zeros = "0".repeat(number.exponent.unsigned_abs() as usize - 1);
            format!("0.{zeros}{digits}")
        }
    }
}

/// Writes a number with an exponent. The exponent has a sign and at least two digits.
fn exponential(number: &Scientific) -> String {
    let sign = if number.exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", number.digits, number.exponent.abs())
}

fn general(magnitude: f64, precision: Option<usize>) -> String {
    // The precision of `g` is the number of all digits, and zero means one.
    let number = match precision {
        Some(precision) => {
            let mut rounded = scientific(magnitude, Some(precision.max(1) - 1));
            if rounded.digits.contains('.') {
                let significant = rounded.digits.trim_end_matches('0').trim_end_matches('.').len();
                rounded.digits.truncate(significant);
            }
            rounded
        }
        None => scientific(magnitude, None),
    };
    let count = number.digits.bytes().filter(u8::is_ascii_digit).count() as i32;
    // Go writes an exponent if it is below -4 or at least the precision. The shortest form counts as precision 6.
    let mut threshold = precision.map_or(6, |precision| precision.max(1) as i32);
    if precision.is_some() && threshold > count && count > number.exponent {
        threshold = count;
    }
    if number.exponent < -4 || number.exponent >= threshold {
        return exponential(&number);
    }
    let decimals = (count - 1 - number.exponent).max(0) as usize;
    format!("{magnitude:.decimals$}")
}

/// Writes the mantissa as an integer, and the power of two.
fn binary(magnitude: f64) -> String {
    let (mantissa, exponent) = parts(magnitude);
    format!("{mantissa}p{exponent:+}")
}

fn parts(magnitude: f64) -> (u64, i32) {
    let bits = magnitude.to_bits();
    let fraction = bits & ((1 << 52) - 1);
    match (bits >> 52) as i32 & 0x7ff {
        // A subnormal number has the smallest exponent and no implicit leading bit.
        0 => (fraction, -1074),
        biased => (fraction | 1 << 52, biased - 1075),
    }
}

fn hexadecimal(magnitude: f64, precision: Option<usize>) -> String {
    let (mut mantissa, mut exponent) = parts(magnitude);
    exponent += 52;
    if mantissa == 0 {
        exponent = 0;
    } else {
        // A subnormal number is normalized first.
        while mantissa < 1 << 52 {
            mantissa <<= 1;
            exponent -= 1;
        }
    }
    // The mantissa has one bit before the point and 52 after it. Halves are rounded to even.
    if let Some(precision) = precision.filter(|&precision| precision < 13) {
        let drop = 52 - 4 * precision;
        let half = 1_u64 << (drop - 1);
        let rest = mantissa & ((1 << drop) - 1);
        mantissa >>= drop;
        if rest > half || (rest == half && mantissa & 1 == 1) {
            mantissa += 1;
        }
        mantissa <<= drop;
        // Rounding up may add a bit.
        if mantissa >= 1 << 53 {
            mantissa >>= 1;
            exponent += 1;
        }
    }
    let mut fraction = format!("{:013x}", mantissa & ((1 << 52) - 1));
    match precision {
        Some(precision) if precision <= 13 => fraction.truncate(precision),
        Some(precision) => fraction.extend(std::iter::repeat_n('0', precision - 13)),
        None => fraction.truncate(fraction.trim_end_matches('0').len()),
    }
    let point = if fraction.is_empty() { "" } else { "." };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("0x{}{point}{fraction}p{sign}{:02}", mantissa >> 52, exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_shortest_form() {
        let shortest = |number| format_float(number, 'g', None);
        assert_eq!(shortest(999_999.0), "999999");
        assert_eq!(shortest(1e6), "1e+06");
        assert_eq!(shortest(1_073_741_824.0), "1.073741824e+09");
        assert_eq!(shortest(0.0001), "0.0001");
        assert_eq!(shortest(0.00001), "1e-05");
        assert_eq!(shortest(-0.0), "-0");
        assert_eq!(shortest(f64::NEG_INFINITY), "-Inf");
        assert_eq!(shortest(1e21), "1e+21");
    }

    #[test]
    fn formats_with_precision() {
        assert_eq!(format_float(2.34567, 'g', Some(3)), "2.35");
        assert_eq!(format_float(100_000.0, 'g', Some(3)), "1e+05");
        assert_eq!(format_float(100.0, 'g', Some(3)), "100");
        assert_eq!(format_float(2.5, 'f', Some(0)), "2");
        assert_eq!(format_float(1.0, 'E', Some(2)), "1.00E+00");
    }

    #[test]
    fn formats_binary_and_hexadecimal() {
        assert_eq!(format_float(1.0, 'b', None), "4503599627370496p-52");
        assert_eq!(format_float(1.5, 'x', None), "0x1.8p+00");
        assert_eq!(format_float(0.0, 'x', None), "0x0p+00");
        assert_eq!(format_float(3.99, 'X', Some(1)), "0X1.0P+02");
    }
}
