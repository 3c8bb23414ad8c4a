//! Decimal numbers as exact text. A number is never a float on its way from the source to Postgres.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use crate::error::{Error, Result};

/// A decimal number in canonical plain or scientific text.
///
/// Two decimals are equal when their values are (`1` and `1.0`), and their text is kept as the source sent it, less
/// superfluous zeros, so that 38 digits of DynamoDB and integers beyond 2^53 survive.
#[derive(Clone)]
pub struct Decimal {
    negative: bool,
    /// Significant digits, no leading and no trailing zero; empty for zero.
    digits: Box<str>,
    /// Power of ten of the last digit.
    exponent: i32,
}

impl Decimal {
    /// Reads `[+-]digits[.digits][e[+-]digits]`, the grammar of JSON numbers and of DynamoDB's `N`.
    ///
    /// # Errors
    /// `Data` when the text is no such number, or its exponent is beyond ±100 000.
    pub fn parse(text: &str) -> Result<Self> {
        let bad = || Error::data("not a decimal number");
        let (negative, rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| bad())?),
            None => (rest, 0),
        };
        if !(-100_000..=100_000).contains(&exponent) {
            return Err(Error::data("a number's exponent is out of range"));
        }
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if whole.len() + fraction.len() == 0 || !(whole.bytes().chain(fraction.bytes())).all(|b| b.is_ascii_digit()) {
            return Err(bad());
        }
        let mut digits = String::with_capacity(whole.len() + fraction.len());
        digits.push_str(whole);
        digits.push_str(fraction);
        let kept = digits.trim_end_matches('0').len();
        let exponent = exponent - fraction.len() as i32 + (digits.len() - kept) as i32;
        digits.truncate(kept);
        let digits: Box<str> = digits.trim_start_matches('0').into();
        if digits.is_empty() {
            return Ok(Decimal { negative: false, digits, exponent: 0 });
        }
        Ok(Decimal { negative, digits, exponent })
    }

    /// Whether the number is below zero.
    pub fn is_negative(&self) -> bool {
        self.negative
    }

    /// The significant digits, without leading or trailing zeros; empty for zero.
    pub fn digits(&self) -> &str {
        &self.digits
    }

    /// The power of ten of the last significant digit.
    pub fn exponent(&self) -> i32 {
        self.exponent
    }

    /// How many digits stand right of the decimal point.
    pub fn scale(&self) -> u32 {
        self.exponent.min(0).unsigned_abs()
    }

    /// How many digits stand left of the decimal point; 0 for numbers below one.
    pub fn integer_digits(&self) -> u32 {
        u32::try_from(self.digits.len() as i64 + i64::from(self.exponent)).unwrap_or(0)
    }

    /// The number as an `i128`, when it is an integer that fits one.
    pub fn to_i128(&self) -> Option<i128> {
        if self.digits.is_empty() {
            return Some(0);
        }
        let shift = u32::try_from(self.exponent).ok().filter(|shift| *shift < 39)?;
        let magnitude = self.digits.parse::<i128>().ok()?.checked_mul(10i128.pow(shift))?;
        Some(if self.negative { -magnitude } else { magnitude })
    }

    /// The nearest `f64`; the column's type said that this is enough.
    pub fn to_f64(&self) -> f64 {
        format!(
            "{}{}e{}",
            if self.negative { "-" } else { "" },
            if self.digits.is_empty() { "0" } else { &self.digits },
            self.exponent
        )
        .parse()
        .unwrap_or(f64::NAN)
    }
}

impl From<i64> for Decimal {
    fn from(number: i64) -> Self {
        let text = number.unsigned_abs().to_string();
        let digits = text.trim_end_matches('0');
        let exponent = if digits.is_empty() { 0 } else { (text.len() - digits.len()) as i32 };
        Decimal { negative: number < 0, digits: digits.into(), exponent }
    }
}

/// Plain digits, as Postgres prints a `numeric`; never an exponent.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.digits.is_empty() {
            return f.write_str("0");
        }
        if self.negative {
            f.write_str("-")?;
        }
        let point = self.digits.len() as i64 + i64::from(self.exponent);
        if self.exponent >= 0 {
            f.write_str(&self.digits)?;
            (0..self.exponent).try_for_each(|_| f.write_str("0"))
        } else if point > 0 {
            let (whole, fraction) = self.digits.split_at(point as usize);
            write!(f, "{whole}.{fraction}")
        } else {
            f.write_str("0.")?;
            (point..0).try_for_each(|_| f.write_str("0"))?;
            f.write_str(&self.digits)
        }
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        (self.negative, self.exponent, &self.digits) == (other.negative, other.exponent, &other.digits)
    }
}

impl Eq for Decimal {}

impl Hash for Decimal {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.negative, self.exponent, &self.digits).hash(state);
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = |d: &Decimal| {
            if d.digits.is_empty() {
                0
            } else if d.negative {
                -1
            } else {
                1
            }
        };
        let magnitude = |a: &Decimal, b: &Decimal| {
            let top = |d: &Decimal| d.digits.len() as i64 + i64::from(d.exponent);
            top(a).cmp(&top(b)).then_with(|| a.digits.cmp(&b.digits))
        };
        sign(self).cmp(&sign(other)).then_with(|| match sign(self) {
            0 => Ordering::Equal,
            1 => magnitude(self, other),
            _ => magnitude(other, self),
        })
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn prints_plain_digits() {
        for (text, plain) in [
            ("1.0", "1"),
            ("-0", "0"),
            ("1.23E+5", "123000"),
            ("100", "100"),
            ("1e-3", "0.001"),
            ("-12.50", "-12.5"),
            ("12345678901234567890123456789012345678", "12345678901234567890123456789012345678"),
        ] {
            assert_eq!(Decimal::parse(text).unwrap().to_string(), plain, "{text}");
        }
        for bad in ["", "-", ".", "e5", "1e", "0x10", "1 ", "NaN", "1e999999999"] {
            assert!(Decimal::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn order_and_text_agree_with_integers(a in any::<i64>(), b in any::<i64>()) {
            prop_assert_eq!(Decimal::from(a).cmp(&Decimal::from(b)), a.cmp(&b));
            prop_assert_eq!(Decimal::from(a), Decimal::parse(&a.to_string()).unwrap());
            prop_assert_eq!(Decimal::from(a).to_string(), a.to_string());
            prop_assert_eq!(Decimal::from(a).to_i128(), Some(i128::from(a)));
        }

        #[test]
        fn text_round_trips(text in "-?[0-9]{1,30}(\\.[0-9]{1,30})?(e-?[0-9]{1,2})?") {
            let once = Decimal::parse(&text).unwrap();
            prop_assert_eq!(Decimal::parse(&once.to_string()).unwrap(), once);
        }
    }
}
