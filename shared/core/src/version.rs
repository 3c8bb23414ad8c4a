//! The version of a row at its source: what decides which of two changes is the newer one.

use std::fmt;

use crate::error::{Error, Result};

/// How many decimal digits a sequence number may have. DynamoDB documents 21 to 40
/// (API reference, `StreamRecord.SequenceNumber`), which is more than a `u128` holds.
pub const SEQ_DIGITS: usize = 40;

/// `(epoch, seq)`, compared in that order; in SQL one `numeric`, `epoch · 10^40 + seq`.
///
/// `epoch` changes when a source starts to count anew (a stream that was enabled again), `seq` counts within it,
/// 0 ≤ seq < 10^40. The digits are kept in base 10 000, most significant first, because that is how Postgres sends a
/// `numeric` and because ten such digits are exactly 40 decimal ones: comparing is comparing arrays.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    epoch: u64,
    seq: [u16; 10],
}

impl Version {
    /// The oldest version there is: epoch 0, seq 0.
    pub const ZERO: Version = Version { epoch: 0, seq: [0; 10] };

    /// A version from a sequence number in decimal text, as DynamoDB sends it.
    ///
    /// # Errors
    /// `Data` when the epoch is negative, or when `seq` is empty, longer than 40 digits or not all digits.
    pub fn new(epoch: i64, seq: &str) -> Result<Self> {
        let epoch = u64::try_from(epoch).map_err(|_| Error::data("a version's epoch is negative"))?;
        let digits = seq.as_bytes();
        let significant = &digits[digits.iter().take_while(|d| **d == b'0').count()..];
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return Err(Error::data("a sequence number must be decimal digits"));
        }
        if significant.len() > SEQ_DIGITS {
            return Err(Error::data(format!("a sequence number has at most {SEQ_DIGITS} digits")));
        }
        let mut seq = [0u16; 10];
        for (place, digit) in significant.iter().rev().enumerate() {
            seq[9 - place / 4] += u16::from(digit - b'0') * 10u16.pow((place % 4) as u32);
        }
        Ok(Version { epoch, seq })
    }

    /// A version from a sequence number that fits a machine word.
    pub fn from_u128(epoch: u32, mut seq: u128) -> Self {
        let mut digits = [0u16; 10];
        for digit in digits.iter_mut().rev() {
            *digit = (seq % 10_000) as u16;
            seq /= 10_000;
        }
        Version { epoch: u64::from(epoch), seq: digits }
    }

    /// The first version of an epoch: what a backfill writes, so that every change of the stream wins over it.
    ///
    /// # Errors
    /// `Data` when the epoch is negative.
    pub fn start_of(epoch: i64) -> Result<Self> {
        Version::new(epoch, "0")
    }

    /// Reads `epoch · 10^40 + seq` as Postgres prints it. `None` for a negative number: a row that was there before its
    /// table was adopted has version −1, older than anything.
    ///
    /// # Errors
    /// `Data` when the text is no integer of that range (`NaN`, a fraction).
    pub fn from_sql(text: &str) -> Result<Option<Self>> {
        if text.starts_with('-') {
            return Ok(None);
        }
        let split = text.len().saturating_sub(SEQ_DIGITS);
        let (epoch, seq) = text.split_at(split);
        let epoch = if epoch.is_empty() { Ok(0) } else { epoch.parse() };
        let epoch: i64 = epoch.map_err(|e| Error::data("a stored version is out of range").with_source(e))?;
        Version::new(epoch, seq).map(Some)
    }

    /// The epoch: microseconds or a configured number, by source.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The digits of `epoch · 10^40 + seq` in base 10 000, most significant first, without leading zeros.
    /// Fifteen are enough for any version. Returns the digits and how many there are.
    pub fn base_10000(&self) -> ([u16; 15], usize) {
        let mut all = [0u16; 15];
        let mut epoch = self.epoch;
        for place in (0..5).rev() {
            all[place] = (epoch % 10_000) as u16;
            epoch /= 10_000;
        }
        all[5..].copy_from_slice(&self.seq);
        let leading = all.iter().take_while(|digit| **digit == 0).count();
        all.rotate_left(leading);
        (all, 15 - leading)
    }
}

/// The decimal text of `epoch · 10^40 + seq`, as it stands in SQL.
impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (digits, len) = self.base_10000();
        let Some((first, rest)) = digits[..len].split_first() else { return f.write_str("0") };
        write!(f, "{first}")?;
        rest.iter().try_for_each(|digit| write!(f, "{digit:04}"))
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Version({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sequence_numbers_compare_as_numbers_not_as_text() {
        let older = Version::new(0, "800000000003126276362").unwrap();
        let newer = Version::new(0, "6200000000002513011398").unwrap();
        assert!(older < newer);
        assert!(Version::new(1, "0").unwrap() > Version::new(0, &"9".repeat(40)).unwrap());
    }

    #[test]
    fn refuses_what_is_no_sequence_number() {
        for bad in ["", "-1", "1.5", "x", &"9".repeat(41)] {
            assert!(Version::new(0, bad).is_err(), "{bad}");
        }
        assert!(Version::new(-1, "1").is_err());
        assert_eq!(Version::new(0, &format!("{}7", "0".repeat(60))).unwrap().to_string(), "7");
    }

    #[test]
    fn rows_from_before_the_adoption_have_no_version() {
        assert_eq!(Version::from_sql("-1").unwrap(), None);
        assert!(Version::from_sql("NaN").is_err());
    }

    proptest! {
        #[test]
        fn sql_text_round_trips(epoch in 0i64.., seq in "[0-9]{1,40}") {
            let version = Version::new(epoch, &seq).unwrap();
            prop_assert_eq!(Version::from_sql(&version.to_string()).unwrap(), Some(version));
        }

        #[test]
        fn machine_words_agree_with_text(epoch in 0u32.., seq in any::<u128>()) {
            prop_assert_eq!(Version::from_u128(epoch, seq), Version::new(i64::from(epoch), &seq.to_string()).unwrap());
        }
    }
}
