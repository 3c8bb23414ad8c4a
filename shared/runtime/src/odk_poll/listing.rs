//! The place in a listing of rows, and whether its end is the end.
//!
//! Rows come newest first, a page at a time, and the server finds its place by the last row of the page before. When that
//! row was purged in between, the answer is an empty page without a next one, as at the end. So the end is believed only
//! when as many rows have come as the server counted at the beginning; else the rest is asked for by its time.

use serde::{Deserialize, Serialize};

/// How often a listing that is short begins anew before it is given up for now.
const TRIES: u32 = 3;
/// Servers of before v2023.1 keep microseconds and write milliseconds.
const MILLISECOND: i64 = 1_000;

/// A place in a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Listing {
    /// Where the next page begins, in the server's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) token: Option<String>,
    /// How many rows the server counted when it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) counted: Option<u64>,
    /// How many have come.
    #[serde(default)]
    pub(super) seen: u64,
    /// Only rows that were made up to then, in microseconds since 1970: what is left of a listing that was short.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) until: Option<i64>,
    /// When the oldest row that has come was made, in microseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) lowest: Option<i64>,
    /// How often it was short.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) tries: u32,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// A page, as far as its place is concerned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Leaf {
    /// How many rows it has.
    pub(super) rows: u64,
    /// How many the server counts in the whole listing.
    pub(super) count: Option<u64>,
    /// Where the next page begins.
    pub(super) next: Option<String>,
    /// When its oldest row was made, in microseconds since 1970.
    pub(super) lowest: Option<i64>,
}

/// How a listing goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turned {
    /// With another page.
    More,
    /// It is complete.
    Done,
    /// Rows are missing, again and again.
    Short,
}

impl Listing {
    /// A page was read. With `by_time` what is left is asked for by its time, else all anew.
    pub(super) fn turn(&mut self, leaf: Leaf, by_time: bool) -> Turned {
        let counted = *self.counted.get_or_insert(leaf.count.unwrap_or(0));
        self.seen += leaf.rows;
        self.lowest = self.lowest.into_iter().chain(leaf.lowest).min();
        let is_cut = leaf.rows == 0 && self.token.is_some();
        match leaf.next {
            Some(next) if !is_cut => {
                self.token = Some(next);
                Turned::More
            }
            _ if is_cut || self.seen < counted => self.again(by_time),
            _ => Turned::Done,
        }
    }

    /// The place is lost, or rows are missing.
    pub(super) fn again(&mut self, by_time: bool) -> Turned {
        let until = self.lowest.filter(|_| by_time).map(|lowest| lowest.saturating_add(MILLISECOND)).or(self.until);
        // A listing that got further is no vain try.
        let tries = if until == self.until { self.tries + 1 } else { 0 };
        *self = Listing { until, tries, ..Listing::default() };
        if tries < TRIES { Turned::More } else { Turned::Short }
    }

    /// Lets it be tried as often again, by the next tick.
    pub(super) fn forgive(&mut self) {
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server with rows made at these times, newest first, three a page. The token is the last row's time.
    struct Server {
        rows: Vec<i64>,
    }

    impl Server {
        fn page(&self, listing: &Listing) -> (Vec<i64>, Leaf) {
            let of = |row: &&i64| listing.until.is_none_or(|until| **row <= until);
            let count = self.rows.iter().filter(of).count() as u64;
            let anchor = listing.token.as_ref().map(|token| token.parse::<i64>().unwrap());
            let is_there = anchor.is_none_or(|anchor| self.rows.contains(&anchor));
            let left = self.rows.iter().filter(of).filter(|row| is_there && anchor.is_none_or(|anchor| **row < anchor));
            let left: Vec<i64> = left.copied().collect();
            let page: Vec<i64> = left.iter().take(3).copied().collect();
            let next = (left.len() > 3).then(|| page[2].to_string());
            let leaf = Leaf { rows: page.len() as u64, count: Some(count), next, lowest: page.iter().min().copied() };
            (page, leaf)
        }
    }

    /// Reads it all; before the page of that number, those rows are purged. Gives what came, and how it ended.
    fn read(rows: i64, purge: &[(usize, &[i64])], by_time: bool) -> (Vec<i64>, Turned) {
        let mut server = Server { rows: (1..=rows).rev().map(|row| row * 10_000).collect() };
        let (mut listing, mut came) = (Listing::default(), Vec::new());
        for number in 0..100 {
            let gone = purge.iter().filter(|(at, _)| *at == number).flat_map(|(_, rows)| *rows);
            gone.for_each(|gone| server.rows.retain(|row| *row != gone * 10_000));
            let (page, leaf) = server.page(&listing);
            came.extend(page.into_iter().map(|row| row / 10_000));
            let turned = listing.turn(leaf, by_time);
            if turned != Turned::More {
                came.sort_unstable();
                came.dedup();
                return (came, turned);
            }
        }
        panic!("it doesn't end");
    }

    #[test]
    fn every_row_comes_whatever_is_purged_meanwhile() {
        let check = |rows: i64, purge: &[(usize, &[i64])], by_time: bool| {
            let (came, turned) = read(rows, purge, by_time);
            assert_eq!(turned, Turned::Done, "{rows} {purge:?} {by_time}");
            let gone: Vec<i64> = purge.iter().flat_map(|(_, rows)| rows.iter().copied()).collect();
            let missing: Vec<i64> = (1..=rows).filter(|row| !gone.contains(row) && !came.contains(row)).collect();
            assert!(missing.is_empty(), "{rows} {purge:?} {by_time}: {missing:?}");
        };
        for by_time in [true, false] {
            check(0, &[], by_time);
            check(3, &[], by_time);
            check(10, &[], by_time);
            // The row that marks the place, and others.
            check(10, &[(1, &[8])], by_time);
            check(10, &[(1, &[8, 9, 10, 2])], by_time);
            check(10, &[(1, &[8]), (3, &[5])], by_time);
            check(10, &[(2, &[3, 5])], by_time);
            // What is left is gone.
            check(4, &[(1, &[1])], by_time);
            check(4, &[(1, &[1, 2, 3, 4])], by_time);
        }
    }

    #[test]
    fn a_listing_that_stays_short_is_given_up_for_now() {
        let check = |by_time: bool| {
            let mut listing = Listing::default();
            let short = Leaf { rows: 2, count: Some(5), next: None, lowest: Some(70) };
            let turns = (0..10).map(|_| listing.turn(short.clone(), by_time)).take_while(|turn| *turn == Turned::More);
            assert!(turns.count() <= 4, "{by_time}");
        };
        check(true);
        check(false);
        let mut empty = Listing::default();
        let none = || Leaf { rows: 0, count: Some(5), ..Leaf::default() };
        assert_eq!([(); 3].map(|()| empty.turn(none(), true)), [Turned::More, Turned::More, Turned::Short]);
        empty.forgive();
        assert_eq!(empty.turn(none(), true), Turned::More);
    }

    #[test]
    fn what_is_left_is_asked_for_by_time() {
        let mut listing = Listing::default();
        let page = Leaf { rows: 3, count: Some(9), next: Some("a".into()), lowest: Some(70_000) };
        assert_eq!(listing.turn(page, true), Turned::More);
        assert_eq!(listing.turn(Leaf { count: Some(9), ..Leaf::default() }, true), Turned::More);
        assert_eq!(listing, Listing { until: Some(71_000), ..Listing::default() });
    }
}
