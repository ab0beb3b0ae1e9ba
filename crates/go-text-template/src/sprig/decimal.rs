//! Arithmetic on decimal fractions, in which 0.1 plus 0.2 is 0.3.

use crate::eval::function::Answer;
use crate::print::float::format_float;
use crate::values::value::Value;

/// A decimal fraction: `mantissa` times ten to the power of `exponent`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Decimal {
    mantissa: i128,
    exponent: i32,
}

/// The number of digits after the point of a quotient, as in Go's `shopspring/decimal`.
const QUOTIENT_DIGITS: i32 = 16;

/// An operation. Returns `None` if the result has too many digits, and an error if the result is undefined.
type Operation = fn(Decimal, Decimal) -> Result<Option<Decimal>, String>;

/// Applies an operation to numbers from left to right.
///
/// If the `i128` mantissa overflows, the result is calculated as `f64` by `approximate`. Go's decimals have no such
/// limit.
pub(crate) fn fold(
    mut numbers: impl Iterator<Item = f64>,
    operation: Operation,
    approximate: fn(f64, f64) -> f64,
) -> Answer {
    let mut sum = Decimal::from_float(numbers.next().unwrap_or(0.0))?;
    for number in numbers {
        let other = Decimal::from_float(number)?;
        sum = match operation(sum, other)? {
            Some(result) => result,
            None => {
                let result = approximate(sum.to_float(), other.to_float());
                // A decimal cannot be infinite, so an overflow becomes zero.
                Decimal::from_float(if result.is_finite() { result } else { 0.0 })?
            }
        };
    }
    Ok(Value::Float(sum.to_float()))
}

impl Decimal {
    fn from_float(number: f64) -> Result<Self, String> {
        if !number.is_finite() {
            return Err(format!("Cannot create a Decimal from {}", format_float(number, 'g', None)));
        }
        // The shortest decimal text of the float is the value that the template contains, such as 0.1.
        let text = format!("{number:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let decimals = digits.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        Ok(Self {
            mantissa: digits.replace('.', "").parse().unwrap_or(0),
            exponent: exponent.parse().unwrap_or(0) - decimals as i32,
        })
    }

    fn to_float(self) -> f64 {
        format!("{}e{}", self.mantissa, self.exponent).parse().unwrap_or(0.0)
    }

    /// Returns the mantissa for a smaller exponent.
    fn scaled(self, exponent: i32) -> Option<i128> {
        let power = u32::try_from(self.exponent - exponent).ok()?;
        self.mantissa.checked_mul(10_i128.checked_pow(power)?)
    }

    pub(crate) fn add(self, other: Self) -> Result<Option<Self>, String> {
        let exponent = self.exponent.min(other.exponent);
        let sum = self.scaled(exponent).zip(other.scaled(exponent));
        let sum = sum.and_then(|(one, two)| one.checked_add(two));
        Ok(sum.map(|mantissa| Self { mantissa, exponent }))
    }

    pub(crate) fn sub(self, other: Self) -> Result<Option<Self>, String> {
        self.add(Self { mantissa: -other.mantissa, ..other })
    }

    pub(crate) fn mul(self, other: Self) -> Result<Option<Self>, String> {
        let product = self.mantissa.checked_mul(other.mantissa);
        Ok(product.map(|mantissa| Self { mantissa, exponent: self.exponent + other.exponent }))
    }

    pub(crate) fn div(self, other: Self) -> Result<Option<Self>, String> {
        if other.mantissa == 0 {
            return Err("decimal division by 0".to_owned());
        }
        let shift = self.exponent - other.exponent + QUOTIENT_DIGITS;
        let power = 10_i128.checked_pow(shift.unsigned_abs());
        let terms = power.and_then(|power| {
            if shift >= 0 {
                Some((self.mantissa.checked_mul(power)?, other.mantissa))
            } else {
                Some((self.mantissa, other.mantissa.checked_mul(power)?))
            }
        });
        Ok(terms.map(|(numerator, denominator)| {
            let (quotient, rest) = (numerator / denominator, numerator % denominator);
            // Halves are rounded away from zero, as in Go.
            let up = rest.unsigned_abs() >= denominator.unsigned_abs().div_ceil(2);
            let step = if (numerator < 0) == (denominator < 0) { 1 } else { -1 };
            let mantissa = if up && rest != 0 { quotient + step } else { quotient };
            Self { mantissa, exponent: -QUOTIENT_DIGITS }
        }))
    }
}
