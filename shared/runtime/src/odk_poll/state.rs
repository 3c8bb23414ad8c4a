//! What a pipeline remembers between two ticks, in one checkpoint.
//!
//! It is stored in the transaction of the rows that it speaks of, under the lease. Whatever ends a tick, the next one finds
//! the place up to which rows are in the tables, and reads the rest.

use serde::{Deserialize, Serialize};

use super::guard::Held;
use super::listing::Listing;

/// The state of a pipeline.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct State {
    /// What is read; another form, dataset or server in the mapping begins anew.
    pub(super) of: String,
    /// What the server says its fields are: the form's hash.
    pub(super) hash: String,
    /// What the tables are made of.
    pub(super) shape: String,
    /// All changes up to this time are in the tables, by the server's clock, in microseconds since 1970. `None` until the first
    /// pass is complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) since: Option<i64>,
    /// The gate's mark of the ids that were last compared with the tables, to the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) etag: Option<String>,
    /// Whether the server gives no such mark: then its number of rows is compared.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) blind: bool,
    /// How many rows more the server had than the tables when the ids were last compared: those that are dead letters.
    #[serde(default)]
    pub(super) gap: i64,
    /// The pass under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) pass: Option<Pass>,
    /// The manifest under way: where it began, and its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) manifest: Option<Pass>,
    /// When the last complete manifest began, by our clock, in microseconds since 1970; 0 when one is due.
    #[serde(default)]
    pub(super) manifest_at: i64,
    /// When all rows were last read because some could not be asked for by their ids, by our clock, in microseconds since 1970.
    #[serde(default)]
    pub(super) reread_at: i64,
    /// Rows that vanished and are kept until another pass agrees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) held: Option<Held>,
}

/// A pass over rows.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Pass {
    /// Which rows.
    pub(super) kind: Kind,
    /// When it began, by the server's clock, in microseconds since 1970: what was changed before is in it.
    pub(super) start: i64,
    /// Its place.
    #[serde(flatten)]
    pub(super) listing: Listing,
}

/// Which rows a pass reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    /// All, for the first time.
    First,
    /// All once more: the form, or what the tables are made of, has changed.
    Full,
    /// What was changed since the last pass.
    Window,
    /// Of all rows their ids and what the server knows of them.
    Manifest,
}

impl Pass {
    /// A pass that begins.
    pub(super) fn new(kind: Kind, start: i64) -> Self {
        Pass { kind, start, listing: Listing::default() }
    }
}

impl State {
    /// The name of the checkpoint.
    pub(super) const PARTITION: &str = "odk";

    /// Reads it back. What cannot be read, or is of something else, is none: then all begins anew, which costs a full pass.
    pub(super) fn parse(stored: Option<&str>, of: &str) -> Self {
        let stored: Option<State> = stored.and_then(|text| serde_json::from_str(text).ok());
        stored.filter(|state| state.of == of).unwrap_or_else(|| State { of: of.to_owned(), ..State::default() })
    }

    pub(super) fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The fields of the source, or what the tables are made of, are these. Gives whether they are others than before: then
    /// all rows have to be read, and what a pass has read until now it has read too early.
    pub(super) fn meet(&mut self, hash: &str, shape: &str) -> bool {
        if self.hash == hash && self.shape == shape {
            return false;
        }
        (self.hash, self.shape) = (hash.to_owned(), shape.to_owned());
        self.pass = Some(Pass::new(if self.since.is_some() { Kind::Full } else { Kind::First }, 0));
        self.manifest = None;
        true
    }

    /// The pass under way is at its end: goes into the checkpoint of its last page.
    ///
    /// One that read all rows leaves no mark of the gate: the next comparison of ids finds what came, went and came back while
    /// it read. A clock that was put back asks for a manifest, since windows of time may have missed what came in between.
    pub(super) fn complete(&mut self) {
        let Some(pass) = self.pass.take() else { return };
        let is_back = self.since.is_some_and(|since| pass.start < since);
        // Deletes that wait until another pass agrees are read once more by that one.
        let holds = self.held.as_ref().is_some_and(|held| !held.agreed) && pass.kind == Kind::Window;
        if !holds {
            self.since = Some(pass.start);
        }
        if is_back || pass.kind != Kind::Window {
            self.manifest_at = 0;
            self.manifest = None;
        }
        if pass.kind != Kind::Window {
            self.etag = None;
        }
    }

    /// From which time on changes are looked for, in microseconds since 1970, by a pass that began then.
    pub(super) fn window(&self, start: i64, overlap: std::time::Duration) -> i64 {
        let overlap = i64::try_from(overlap.as_micros()).unwrap_or(i64::MAX);
        self.since.unwrap_or(0).min(start).saturating_sub(overlap)
    }

    /// Whether all rows may be read because some that differ cannot be asked for by their ids: not again and again.
    pub(super) fn may_read_all_anew(&mut self, now: i64, every: std::time::Duration) -> bool {
        let is_due = is_over(self.reread_at, now, every);
        if is_due {
            self.reread_at = now;
        }
        is_due
    }

    /// Whether a manifest is to begin at this time, in microseconds since 1970.
    pub(super) fn begins_manifest(&self, now: i64, every: std::time::Duration) -> bool {
        self.manifest.is_none() && is_over(self.manifest_at, now, every)
    }
}

/// Whether so much time is over. By a clock that was put back it would not be for long.
fn is_over(since: i64, now: i64, time: std::time::Duration) -> bool {
    u128::try_from(now.saturating_sub(since)).map_or(true, |age| age >= time.as_micros())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const HOUR: i64 = 3_600_000_000;

    fn state(since: Option<i64>) -> State {
        State {
            of: "f".into(),
            hash: "h".into(),
            shape: "s".into(),
            since,
            etag: Some("e".into()),
            manifest_at: 5 * HOUR,
            ..State::default()
        }
    }

    #[test]
    fn a_state_of_something_else_is_none() {
        let check = |stored: Option<&str>, expect: Option<i64>| {
            assert_eq!(State::parse(stored, "f").since, expect, "{stored:?}");
        };
        let text = state(Some(7)).to_text();
        check(Some(&text), Some(7));
        check(Some(&text.replace("\"f\"", "\"g\"")), None);
        check(Some("{"), None);
        check(None, None);
    }

    #[test]
    fn a_state_reads_back_as_it_was() {
        let mut all = state(Some(7));
        let listing =
            Listing { token: Some("t".into()), counted: Some(9), seen: 3, until: Some(1), lowest: Some(2), tries: 1 };
        all.pass = Some(Pass { kind: Kind::Full, start: 4, listing: listing.clone() });
        all.manifest = Some(Pass { kind: Kind::Manifest, start: 4, listing });
        all.held = Some(Held { sample: vec![1, u64::MAX], rows: 60, agreed: true });
        assert_eq!(State::parse(Some(&all.to_text()), "f"), all);
    }

    #[test]
    fn other_fields_or_columns_ask_for_all_rows() {
        let check = |since: Option<i64>, hash: &str, shape: &str, expect: Option<Kind>| {
            let mut state = state(since);
            let was = state.meet(hash, shape);
            assert_eq!((was, state.pass.map(|pass| pass.kind)), (expect.is_some(), expect), "{since:?} {hash} {shape}");
        };
        check(Some(7), "h", "s", None);
        check(Some(7), "i", "s", Some(Kind::Full));
        check(Some(7), "h", "t", Some(Kind::Full));
        check(None, "i", "s", Some(Kind::First));
        // What a pass has read of the old form it has read too early.
        let mut state = state(Some(7));
        state.pass = Some(Pass { kind: Kind::Full, start: 3, listing: Listing { seen: 250, ..Listing::default() } });
        assert!(state.meet("i", "s"));
        assert_eq!(state.pass, Some(Pass::new(Kind::Full, 0)));
    }

    #[test]
    fn the_watermark_moves_to_the_start_of_a_pass() {
        let check = |kind: Kind, since: Option<i64>, start: i64, etag: bool, manifest: bool| {
            let mut state = state(since);
            state.pass = Some(Pass::new(kind, start));
            state.complete();
            let due = state.manifest_at == 0;
            let found = (state.since, state.pass, state.etag.is_some(), due);
            assert_eq!(found, (Some(start), None, etag, manifest), "{kind:?} {since:?} {start}");
        };
        check(Kind::First, None, 6 * HOUR, false, true);
        check(Kind::Full, Some(5 * HOUR), 6 * HOUR, false, true);
        check(Kind::Window, Some(5 * HOUR), 6 * HOUR, true, false);
        check(Kind::Window, Some(6 * HOUR), 6 * HOUR, true, false);
        // The server's clock was put back.
        check(Kind::Window, Some(6 * HOUR), 5 * HOUR, true, true);
    }

    #[test]
    fn a_window_begins_before_the_last_pass_and_before_its_own_start() {
        let check = |since: i64, start: i64, expect: i64| {
            assert_eq!(state(Some(since)).window(start, Duration::from_secs(3_600)), expect, "{since} {start}");
        };
        check(5 * HOUR, 6 * HOUR, 4 * HOUR);
        check(5 * HOUR, 3 * HOUR, 2 * HOUR);
        check(0, 6 * HOUR, -HOUR);
    }

    #[test]
    fn the_watermark_waits_for_deletes_that_are_held() {
        let check = |agreed: bool, kind: Kind, expect: i64| {
            let mut state = state(Some(5 * HOUR));
            state.held = Some(Held { agreed, rows: 60, sample: Vec::new() });
            state.pass = Some(Pass::new(kind, 6 * HOUR));
            state.complete();
            assert_eq!(state.since, Some(expect), "{agreed} {kind:?}");
        };
        check(false, Kind::Window, 5 * HOUR);
        check(true, Kind::Window, 6 * HOUR);
        check(false, Kind::Full, 6 * HOUR);
    }

    #[test]
    fn a_manifest_begins_when_it_is_time() {
        let check = |manifest_at: i64, now: i64, under_way: bool, expect: bool| {
            let mut state = State { manifest_at, ..state(Some(1)) };
            state.manifest = under_way.then(|| Pass::new(Kind::Manifest, 1));
            assert_eq!(state.begins_manifest(now, Duration::from_secs(86_400)), expect, "{manifest_at} {now}");
        };
        check(0, 100 * HOUR, false, true);
        check(100 * HOUR, 123 * HOUR, false, false);
        check(100 * HOUR, 124 * HOUR, false, true);
        check(100 * HOUR, 124 * HOUR, true, false);
        check(100 * HOUR, 99 * HOUR, false, true);
    }
}
