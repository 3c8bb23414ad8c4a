//! Reads dates and times as ISO 8601, RFC 3339 and Postgres itself write them. What they mean for a column is not
//! decided here, but in `time`.
//!
//! Of what Postgres reads, that which depends on its settings is left out: `1/2/2024`, names of months and of zones.
//! Besides, years with a sign and six digits are read, which is how JavaScript writes those beyond 9999.

use crate::cast::calendar;

/// Microseconds of a day.
pub(super) const DAY: i64 = 86_400_000_000;

/// What a text says, as far as it says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    /// Days since 2000-01-01.
    pub(super) days: i64,
    /// Microseconds since midnight; a whole day for 24:00:00.
    pub(super) micros: i64,
    /// Seconds east of UTC.
    pub(super) offset: Option<i64>,
}

/// Why a text is no date or time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is something else.
    Form,
    /// There is no such day, hour or offset.
    Range,
}

/// Reads a day, alone or with a time, an offset and `BC`.
pub(super) fn moment(text: &str) -> Result<Moment, Fault> {
    let mut reader = Reader { rest: text.trim_ascii().as_bytes() };
    let (mut year, month, day) = reader.day()?;
    let mut micros = 0;
    if reader.skip(b"Tt") {
        micros = reader.time_of_day()?;
    } else if reader.rest.first() == Some(&b'-') {
        // `2024-01-01-05`: an offset to some, an hour to others, and nothing to Postgres.
        return Err(Fault::Form);
    } else {
        reader.spaces();
        if reader.rest.first().is_some_and(u8::is_ascii_digit) {
            micros = reader.time_of_day()?;
        }
    }
    let offset = reader.offset()?;
    reader.spaces();
    if reader.word("bc") {
        if year < 1 {
            return Err(Fault::Range);
        }
        year = 1 - year;
    }
    reader.end()?;
    let days = calendar::days(year, month, day).ok_or(Fault::Range)?;
    Ok(Moment { days, micros, offset })
}

/// Reads a time of day and its offset.
pub(super) fn time_of_day(text: &str) -> Result<(i64, Option<i64>), Fault> {
    let mut reader = Reader { rest: text.trim_ascii().as_bytes() };
    reader.skip(b"Tt");
    let micros = reader.time_of_day()?;
    let offset = reader.offset()?;
    reader.end()?;
    Ok((micros, offset))
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn skip(&mut self, any: &[u8]) -> bool {
        match self.rest {
            [first, rest @ ..] if any.contains(first) => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    fn spaces(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }

    fn word(&mut self, word: &str) -> bool {
        match self.rest.split_at_checked(word.len()) {
            Some((start, rest)) if start.eq_ignore_ascii_case(word.as_bytes()) => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    fn end(&self) -> Result<(), Fault> {
        if self.rest.is_empty() { Ok(()) } else { Err(Fault::Form) }
    }

    fn run(&mut self) -> &'a [u8] {
        let length = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (run, rest) = self.rest.split_at(length);
        self.rest = rest;
        run
    }

    /// One or two digits.
    fn short(&mut self) -> Result<u32, Fault> {
        match self.run() {
            run @ ([_] | [_, _]) => Ok(number(run)),
            _ => Err(Fault::Form),
        }
    }

    fn day(&mut self) -> Result<(i64, u32, u32), Fault> {
        let sign = self.rest.first().copied().filter(|first| matches!(first, b'+' | b'-'));
        self.rest = &self.rest[usize::from(sign.is_some())..];
        let digits = self.run();
        if let (None, [year @ .., m1, m0, d1, d0], false) = (sign, digits, self.rest.starts_with(b"-"))
            && year.len() == 4
        {
            return Ok((i64::from(number(year)), number(&[*m1, *m0]), number(&[*d1, *d0])));
        }
        let year = match (sign, digits.len()) {
            (None, 4..=7) | (Some(_), 6) => i64::from(number(digits)),
            _ => return Err(Fault::Form),
        };
        if year == 0 && sign != Some(b'+') {
            return Err(Fault::Range);
        }
        if !self.skip(b"-") {
            return Err(Fault::Form);
        }
        let month = self.short()?;
        if !self.skip(b"-") {
            return Err(Fault::Form);
        }
        Ok((if sign == Some(b'-') { -year } else { year }, month, self.short()?))
    }

    fn time_of_day(&mut self) -> Result<i64, Fault> {
        let (hour, minute, second) = match self.run() {
            [h1, h0, m1, m0, s1, s0] => (number(&[*h1, *h0]), number(&[*m1, *m0]), Some(number(&[*s1, *s0]))),
            [h1, h0, m1, m0] => (number(&[*h1, *h0]), number(&[*m1, *m0]), None),
            hour @ ([_] | [_, _]) if self.skip(b":") => {
                let minute = self.short()?;
                let second = if self.skip(b":") { Some(self.short()?) } else { None };
                (number(hour), minute, second)
            }
            _ => return Err(Fault::Form),
        };
        let fraction = if second.is_some() && self.skip(b".,") { self.fraction()? } else { 0 };
        let second = second.unwrap_or(0);
        let micros = (i64::from(hour) * 3_600 + i64::from(minute) * 60 + i64::from(second)) * 1_000_000 + fraction;
        // A leap second is the first of the next minute; the day ends with 24:00:00.
        if hour > 24 || minute > 59 || second > 60 || micros > DAY {
            return Err(Fault::Range);
        }
        Ok(micros)
    }

    /// The microseconds of a fraction. Beyond six digits it is rounded as Postgres rounds: as a double, halves to even.
    fn fraction(&mut self) -> Result<i64, Fault> {
        match self.run() {
            [] => Err(Fault::Form),
            run if run.len() <= 6 => Ok(i64::from(number(run)) * 10i64.pow(6 - run.len() as u32)),
            run => {
                let text = format!("0.{}", String::from_utf8_lossy(run));
                let fraction: f64 = text.parse().map_err(|_| Fault::Form)?;
                Ok((fraction * 1e6).round_ties_even() as i64)
            }
        }
    }

    /// `Z`, `UTC`, `GMT`, `±HH`, `±HHMM`, `±HH:MM`, `±HH:MM:SS`, up to a minute short of 16 hours as in Postgres.
    fn offset(&mut self) -> Result<Option<i64>, Fault> {
        self.spaces();
        if self.word("utc") || self.word("gmt") || self.skip(b"Zz") {
            return Ok(Some(0));
        }
        let sign = match self.rest.first() {
            Some(b'+') => 1,
            Some(b'-') => -1,
            _ => return Ok(None),
        };
        self.rest = &self.rest[1..];
        let (hour, minute, second) = match self.run() {
            [h1, h0, m1, m0] => (number(&[*h1, *h0]), number(&[*m1, *m0]), 0),
            hour @ ([_] | [_, _]) => {
                let minute = if self.skip(b":") { self.short()? } else { 0 };
                let second = if self.skip(b":") { self.short()? } else { 0 };
                (number(hour), minute, second)
            }
            _ => return Err(Fault::Form),
        };
        if hour > 15 || minute > 59 || second > 59 {
            return Err(Fault::Range);
        }
        Ok(Some(sign * i64::from(hour * 3_600 + minute * 60 + second)))
    }
}

/// The value of up to nine ASCII digits.
fn number(digits: &[u8]) -> u32 {
    digits.iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'))
}
