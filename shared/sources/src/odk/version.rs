//! The version of a row: what it says of itself, then who saw it and when in the order of our requests.
//!
//! A submission's last change, an entity's version, moves with an edit and not with a delete, a restore or a file. So what was
//! seen later by the same holder of the lease is newer, and a later holder's sight is newer than an earlier one's.

use tributary_core::version::Version;
use tributary_core::{Error, Kind, Result};

/// What the second and third part are below.
const PART: u128 = 1_000_000_000_000;
/// What the first part is below: milliseconds until the year 5138.
const FIRST: u64 = 100_000_000_000_000;

/// The version of a row whose [`super::Row::first`] is `first`, as the request of this number saw it under this fence of
/// the lease: fourteen, twelve and twelve digits.
///
/// # Errors
/// `Bug` when a part is out of its range.
pub fn version(first: u64, fence: i64, request: u64) -> Result<Version> {
    let fence = u128::try_from(fence).ok().filter(|fence| *fence < PART);
    let request = Some(u128::from(request)).filter(|request| *request < PART);
    let first = Some(u128::from(first)).filter(|_| first < FIRST);
    let (Some(first), Some(fence), Some(request)) = (first, fence, request) else {
        return Err(Error::new(Kind::Bug, "a part of a version is out of its range"));
    };
    Ok(Version::from_u128(0, (first * PART + fence) * PART + request))
}

/// The first part of such a version; 0 of one that is another's.
pub fn first_of(version: &Version) -> u64 {
    let number = version.to_string().parse::<u128>().ok();
    number.and_then(|number| u64::try_from(number / PART / PART).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_version_is_three_numbers_side_by_side() {
        let check = |first: u64, fence: i64, request: u64, expect: &str| {
            let text = version(first, fence, request).map(|version| version.to_string());
            assert_eq!(text.unwrap_or_default(), expect, "{first} {fence} {request}");
        };
        check(1_795_162_571_277, 12, 3, "1795162571277000000000012000000000003");
        check(0, 0, 7, "7");
        check(FIRST - 1, 999_999_999_999, 999_999_999_999, &"9".repeat(38));
        check(FIRST, 0, 0, "");
        check(1, -1, 0, "");
        check(1, 1_000_000_000_000, 0, "");
        check(1, 0, 1_000_000_000_000, "");
        assert_eq!(first_of(&Version::from_u128(3, 1)), 0);
    }

    proptest! {
        #[test]
        fn the_parts_count_in_their_order(
            a in (0..FIRST, 0..1_000_000_000_000_i64, 0..1_000_000_000_000_u64),
            b in (0..FIRST, 0..1_000_000_000_000_i64, 0..1_000_000_000_000_u64),
        ) {
            let of = |(first, fence, request)| version(first, fence, request).unwrap();
            prop_assert_eq!(of(a).cmp(&of(b)), a.cmp(&b));
            prop_assert_eq!(first_of(&of(a)), a.0);
        }
    }
}
