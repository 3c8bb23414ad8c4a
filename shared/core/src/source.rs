//! Where events come from: pushed to us, or polled by us.

use std::future::Future;

use bytes::Bytes;

use crate::error::Result;
use crate::event::Decoded;
use crate::sink::Budget;

/// A source that pushes: bytes to events. Pure: no clock, no network.
pub trait Decode {
    /// One record: a [`Decoded`] and what the caller needs to group records and to acknowledge them.
    type Record;

    /// Decodes a payload record by record; a broken record never takes the others with it. Records share the payload's
    /// bytes and are decoded as the iterator advances, so that no more than one needs to be in memory.
    ///
    /// # Errors
    /// `Data` when the payload as a whole is not of this source.
    fn decode(&self, payload: Bytes) -> Result<impl Iterator<Item = Self::Record>>;
}

/// A source that is polled: a cursor to the next page.
pub trait Poll {
    /// Reads the page at the cursor.
    ///
    /// # Errors
    /// `Unavailable` when the source doesn't answer, `Auth` when it refuses the credential, `Config` when what the
    /// mapping names isn't there.
    fn next(&mut self, cursor: Option<&str>, budget: &impl Budget) -> impl Future<Output = Result<Page>>;
}

/// A page of a polled source.
#[derive(Debug)]
pub struct Page {
    /// The events, and the records that could not be made one.
    pub events: Vec<Decoded>,
    /// Where the next page begins; `None` when this was the last.
    pub next: Option<String>,
    /// When the source was asked, in microseconds since 1970: every event is the source's state at that time or later.
    /// A repair compares it with what the rows say.
    pub asked_at: i64,
}
