//! Days of the Gregorian calendar, counted from 2000-01-01 and carried back before its invention, as Postgres does.
//!
//! `jiff` and its like end with the year 9999; Postgres goes from 4714-11-24 BC to 294276, and to 5874897 for dates.

/// Days in 400 years, after which the calendar repeats itself.
const CYCLE: i64 = 146_097;
/// Days from 0000-03-01 to 2000-01-01.
const EPOCH: i64 = 730_425;

/// The day's number, or `None` when there is no such day. Year 0 is 1 BC.
pub(super) fn days(year: i64, month: u32, day: u32) -> Option<i64> {
    if !(1..=12).contains(&month) || day < 1 || day > month_length(year, month) {
        return None;
    }
    // Years that begin in March have their leap day at the end, so that each month begins on a fixed day.
    let year = if month <= 2 { year - 1 } else { year };
    let month = i64::from((month + 9) % 12);
    let of_cycle = year.rem_euclid(400);
    let of_year = (153 * month + 2) / 5 + i64::from(day) - 1;
    Some(year.div_euclid(400) * CYCLE + of_cycle * 365 + of_cycle / 4 - of_cycle / 100 + of_year - EPOCH)
}

/// Year, month and day of a day's number.
pub(super) fn civil(days: i64) -> (i64, u32, u32) {
    let days = days + EPOCH;
    let of_cycle = days.rem_euclid(CYCLE);
    let year = (of_cycle - of_cycle / 1_460 + of_cycle / 36_524 - of_cycle / 146_096) / 365;
    let of_year = of_cycle - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let civil_month = if month < 10 { month + 3 } else { month - 9 };
    let year = days.div_euclid(CYCLE) * 400 + year + i64::from(civil_month <= 2);
    (year, civil_month as u32, day as u32)
}

fn month_length(year: i64, month: u32) -> u32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn knows_the_days_that_postgres_knows() {
        // The numbers are those of `select '…'::date - '2000-01-01'::date`.
        for (day, number) in [
            ((2000, 1, 1), 0),
            ((1970, 1, 1), -10_957),
            ((2024, 2, 29), 8_825),
            ((1900, 3, 1), -36_465),
            ((0, 12, 31), -730_120),
            ((-4713, 11, 24), -2_451_545),
            ((294_276, 12, 31), 106_751_982),
            ((5_874_897, 12, 31), 2_145_031_948),
        ] {
            assert_eq!(days(day.0, day.1, day.2), Some(number), "{day:?}");
            assert_eq!(civil(number), day);
        }
        for none in [(2023, 2, 29), (1900, 2, 29), (2024, 4, 31), (2024, 13, 1), (2024, 0, 1), (2024, 1, 0)] {
            assert_eq!(days(none.0, none.1, none.2), None, "{none:?}");
        }
    }

    proptest! {
        #[test]
        fn a_day_and_its_number_are_one(number in -2_451_545i64..=2_145_031_948) {
            let (year, month, day) = civil(number);
            prop_assert_eq!(days(year, month, day), Some(number));
            let (next_year, next_month, next_day) = civil(number + 1);
            prop_assert!((year, month, day) < (next_year, next_month, next_day));
        }
    }
}
