//! Rows that vanish at the source: how many may be deleted at once, and when two passes agree.
//!
//! Pure. A row that a listing of ids doesn't have is asked for by its id before it is deleted; this guards against a source
//! that is wrong about many, such as a server that was restored from an old backup.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::digest::of_bytes;

/// So many rows may vanish at once however few there are, unless none may.
pub(super) const FEW: i64 = 50;
/// Of how many vanished rows a pass leaves a trace for the next.
const SAMPLE: usize = 64;

/// Rows that vanished in a pass and were kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Held {
    /// Marks of some of them: the smallest, so that another pass over the same rows finds the same.
    pub(super) sample: Vec<u64>,
    /// How many they were.
    pub(super) rows: usize,
    /// Whether another pass has agreed, or somebody: they are being deleted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) agreed: bool,
}

/// Whether rows that vanished may be deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// They are few.
    Few,
    /// They are many, and an earlier pass or somebody says the same.
    Agreed(Held),
    /// They are many: another pass must agree.
    Hold(Held),
}

impl Verdict {
    /// What the next pass has to know.
    pub(super) fn held(&self) -> Option<&Held> {
        match self {
            Verdict::Few => None,
            Verdict::Agreed(held) | Verdict::Hold(held) => Some(held),
        }
    }
}

/// Judges rows that vanished, of so many; `share` of them may vanish at once, `before` was held by an earlier pass, and
/// `allowed` tells whether somebody allows it.
pub(super) fn judge<'i>(
    vanished: impl Iterator<Item = &'i str>,
    stored: usize,
    share: f64,
    before: Option<&Held>,
    allowed: bool,
) -> Verdict {
    let marks: HashSet<u64> = vanished.map(|id| of_bytes(id.as_bytes())).collect();
    let rows = marks.len();
    let few = if share > 0.0 { FEW.unsigned_abs() as usize } else { 0 };
    let are_many = |rows: usize| rows > few && rows as f64 > share * stored as f64;
    // What has vanished since the other pass must be few by itself.
    let before = before.filter(|held| !are_many(rows.saturating_sub(held.rows)));
    // What was agreed on may be half done.
    let goes_on = before.is_some_and(|held| held.agreed);
    if !are_many(rows) && !goes_on {
        return Verdict::Few;
    }
    let agrees = |held: &Held| held.sample.iter().all(|mark| marks.contains(mark));
    let agreed = allowed || goes_on || before.is_some_and(agrees);
    let mut sample: Vec<u64> = marks.into_iter().collect();
    sample.sort_unstable();
    sample.truncate(SAMPLE);
    let held = Held { sample, rows, agreed };
    if agreed { Verdict::Agreed(held) } else { Verdict::Hold(held) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(range: std::ops::Range<usize>) -> Vec<String> {
        range.map(|id| format!("uuid:{id}")).collect()
    }

    fn holds(verdict: &Verdict) -> bool {
        matches!(verdict, Verdict::Hold(_))
    }

    fn judged(
        range: std::ops::Range<usize>,
        stored: usize,
        share: f64,
        before: Option<&Held>,
        allowed: bool,
    ) -> Verdict {
        judge(ids(range).iter().map(String::as_str), stored, share, before, allowed)
    }

    #[test]
    fn many_rows_need_two_passes_that_agree() {
        let first = judged(0..100, 200, 0.2, None, false);
        assert!(holds(&first));
        let check = |range: std::ops::Range<usize>, before: Option<&Held>, allowed: bool, expect: bool| {
            assert_eq!(holds(&judged(range.clone(), 200, 0.2, before, allowed)), expect, "{range:?} {allowed}");
        };
        check(0..100, first.held(), false, false);
        // More have gone since.
        check(0..120, first.held(), false, false);
        // The passes differ: some of those are there again, or others.
        check(50..150, first.held(), false, true);
        check(100..200, first.held(), false, true);
        check(0..100, None, true, false);
        // Then the second is what the third has to agree with.
        let second = judged(100..200, 200, 0.2, first.held(), false);
        check(100..200, second.held(), false, false);
    }

    #[test]
    fn few_rows_go_at_once() {
        let check = |rows: usize, stored: usize, share: f64, expect: bool| {
            assert_eq!(holds(&judged(0..rows, stored, share, None, false)), expect, "{rows} of {stored}, {share}");
        };
        check(0, 0, 0.2, false);
        check(50, 50, 0.2, false);
        check(51, 51, 0.2, true);
        check(100, 500, 0.2, false);
        check(101, 500, 0.2, true);
        check(1_000, 1_000, 1.0, false);
        check(1, 1_000, 0.0, true);
        check(0, 1_000, 0.0, false);
    }

    #[test]
    fn what_was_agreed_on_goes_on_when_half_of_it_is_done() {
        let first = judged(0..100, 200, 0.2, None, false);
        let second = judged(0..100, 200, 0.2, first.held(), false);
        assert!(matches!(second, Verdict::Agreed(_)));
        // Half of them are deleted, and the time was over.
        assert!(!holds(&judged(50..100, 150, 0.2, second.held(), false)));
        assert!(!holds(&judged(99..100, 101, 0.2, second.held(), false)));
        // Many more nobody has agreed on.
        assert!(holds(&judged(0..160, 200, 0.2, second.held(), false)));
        assert!(holds(&judged(0..160, 200, 0.2, first.held(), false)));
    }
}
