//! Versions: where the mapping says they stand, from a sender's clock, or from ours.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use tributary_core::path::{Path, Step};
use tributary_core::value::Value;
use tributary_core::version::{SEQ_DIGITS, Version};
use tributary_core::{Error, Result};

use super::Context;
use super::identity::from_root;
use super::pick::{find, value, whole};

/// The step from a sender's microsecond to the next: room for a rank and for ours.
const STEP: u128 = 10u128.pow(20);

/// How long a value may be that all records of a body share.
const LONGEST: usize = 1000;

/// The step from a rank to the next.
const RANK: u128 = 10u128.pow(18);

impl Context<'_> {
    /// The version of a row that stands in this record.
    pub(super) fn version(&self, record: &str, row: &Value) -> Result<Version> {
        match &self.envelope.version {
            Some(path) => self.configured(path, record, row),
            None => Ok(self.now()),
        }
    }

    /// The version of a delete of which the row as it was is all that is said: the one after the row's.
    pub(super) fn version_after(&self, record: &str, row: &Value) -> Result<Version> {
        match &self.envelope.version {
            Some(path) => {
                let version = self.configured(path, record, row)?.to_string().parse::<u128>().ok();
                let after = version.and_then(|version| version.checked_add(1));
                after
                    .map(|after| Version::from_u128(0, after))
                    .ok_or_else(|| bad(path, "is too large to delete after it"))
            }
            None => Ok(self.now()),
        }
    }

    /// As [`Context::version`], by the sender's clock where the mapping names no place. Of events at the same time the one of
    /// the higher rank is the newer, and of equal ranks the one that arrived later.
    pub(super) fn version_at(&self, record: &str, row: &Value, at: i64, rank: u8) -> Result<Version> {
        match &self.envelope.version {
            Some(path) => self.configured(path, record, row),
            None => Ok(ranked(at, rank, self.received)),
        }
    }

    /// The time of receipt.
    pub(super) fn now(&self) -> Version {
        Version::from_u128(0, unsigned(self.received))
    }

    fn configured(&self, path: &Path, record: &str, row: &Value) -> Result<Version> {
        let found = self.find(path, record, Some(row))?;
        let found = found.ok_or_else(|| bad(path, "is not in the message"))?;
        of_value(&found).ok_or_else(|| bad(path, "is neither an integer of up to 40 digits nor a time"))
    }

    /// What stands at a path: in the row, else beside it in the record, or from the top of the body.
    pub(super) fn find(&self, path: &Path, record: &str, row: Option<&Value>) -> Result<Option<Value>> {
        if let Some(steps) = from_root(path) {
            return self.at_top(path, steps);
        }
        if let Some(found) = row.and_then(|row| path.find(row)) {
            return Ok(Some(found.clone()));
        }
        find(whole(record)?, path.steps())?.map(|found| value(&path.to_string(), found)).transpose()
    }

    /// What stands at these steps from the top of the body, looked up once for all records.
    fn at_top(&self, path: &Path, steps: &[Step]) -> Result<Option<Value>> {
        let known = self.top.borrow().iter().find(|(of, _)| of == path).map(|(_, found)| found.clone());
        let found = known.unwrap_or_else(|| {
            let found = self.read_top(steps).map_err(|error| error.to_string());
            self.top.borrow_mut().push((path.clone(), found.clone()));
            found
        });
        found.map_err(|what| Error::data(format!("{path}: {what}")))
    }

    /// One value, and a short one: every record gets a copy.
    fn read_top(&self, steps: &[Step]) -> Result<Option<Value>> {
        let body = std::str::from_utf8(self.whole).unwrap_or_default();
        match find(whole(body)?, steps)? {
            None => Ok(None),
            Some(raw) if raw.get().starts_with(['{', '[']) || raw.get().len() > LONGEST => {
                Err(Error::data("is no single short value, and what is at the top of a body is of all its records"))
            }
            Some(raw) => value("the value", raw).map(Some),
        }
    }
}

/// A version from a sender's clock, a rank among events of the same time, and the time of receipt, in microseconds.
pub(super) fn ranked(at: i64, rank: u8, received: i64) -> Version {
    Version::from_u128(0, unsigned(at) * STEP + u128::from(rank) * RANK + unsigned(received).min(RANK - 1))
}

fn unsigned(micros: i64) -> u128 {
    u128::from(micros.max(0).unsigned_abs())
}

fn bad(path: &Path, what: &str) -> Error {
    Error::data(format!("version: `{path}` {what}"))
}

/// An integer as it is, a time in microseconds since 1970.
fn of_value(value: &Value) -> Option<Version> {
    match value {
        Value::Number(number) if number.scale() == 0 && number.integer_digits() as usize <= SEQ_DIGITS => {
            Version::new(0, &number.to_string()).ok()
        }
        Value::Text(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => Version::new(0, text).ok(),
        Value::Text(text) => micros(text).filter(|at| *at >= 0).map(|at| Version::from_u128(0, unsigned(at))),
        _ => None,
    }
}

/// A time as text, in microseconds since 1970; one without a zone is in UTC.
pub(super) fn micros(text: &str) -> Option<i64> {
    let time = text.parse::<Timestamp>().ok().or_else(|| {
        let civil = text.parse::<DateTime>().ok()?;
        TimeZone::UTC.to_timestamp(civil).ok()
    });
    time.map(Timestamp::as_microsecond)
}

/// A time for people, which nothing is ordered by: as [`micros`], or a number since 1970 whose size tells its unit.
pub(super) fn loose_micros(value: &Value) -> Option<i64> {
    match value {
        Value::Text(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => scaled(text.parse().ok()?),
        Value::Text(text) => micros(text),
        Value::Number(number) => scaled(number.to_f64()),
        _ => None,
    }
}

/// Seconds up to the year 5138, milliseconds up to the same, microseconds else.
fn scaled(number: f64) -> Option<i64> {
    let factor = if number < 1e11 {
        1e6
    } else if number < 1e14 {
        1e3
    } else {
        1.0
    };
    // The end of the year 9999.
    (0.0..253_402_300_800e6).contains(&(number * factor)).then_some((number * factor) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_and_times_are_versions() {
        let check = |value: Value, expect: Option<&str>| {
            assert_eq!(of_value(&value).map(|version| version.to_string()).as_deref(), expect, "{value:?}");
        };
        let number = |text: &str| Value::Number(tributary_core::decimal::Decimal::parse(text).unwrap());
        check(Value::from(7), Some("7"));
        check(number("1e39"), Some(&format!("1{}", "0".repeat(39))));
        check(number("1e40"), None);
        check(number("1e100000"), None);
        check(number("1.5"), None);
        check(Value::from(-1), None);
        check(Value::from("007"), Some("7"));
        check(Value::from(""), None);
        check(Value::from("1970-01-01T00:00:01Z"), Some("1000000"));
        check(Value::from("1970-01-01 01:00:01.000002+01"), Some("1000002"));
        check(Value::from("1970-01-01T00:00:01.5"), Some("1500000"));
        check(Value::from("1969-12-31T00:00:00Z"), None);
        check(Value::from("today"), None);
        check(Value::Null, None);
        check(Value::from(true), None);
    }

    #[test]
    fn a_sender_s_clock_comes_first_then_the_rank_then_ours() {
        let ascending =
            [ranked(1, 2, 9), ranked(2, 0, 1), ranked(2, 0, 2), ranked(2, 1, 1), ranked(2, 2, 0), ranked(3, 0, 0)];
        assert!(ascending.is_sorted_by(|a, b| a < b));
        // The largest that there is still is a version.
        assert!(ranked(253_402_300_799_999_999, 2, i64::MAX) > ranked(253_402_300_799_999_998, 2, i64::MAX));
        assert_eq!(ranked(-5, 0, -5).to_string(), "0");
    }

    #[test]
    fn the_size_of_a_number_tells_its_unit() {
        for text in ["1700000000", "1700000000000", "1700000000000000"] {
            assert_eq!(loose_micros(&Value::from(text)), Some(1_700_000_000_000_000), "{text}");
        }
        assert_eq!(loose_micros(&Value::from("x")), None);
        assert_eq!(loose_micros(&Value::from(-1)), None);
    }
}
