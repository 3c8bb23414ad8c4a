//! Where events come from: pushed to us, or polled by us.

use std::future::Future;

use crate::error::Result;
use crate::event::{Decoded, Event};
use crate::sink::Budget;

/// A source that pushes: bytes to events. Pure: no clock, no network.
pub trait Decode {
    /// Decodes a payload record by record; a broken record never takes the others with it.
    ///
    /// # Errors
    /// `Data` when the payload as a whole is not of this source.
    fn decode(&self, payload: &[u8]) -> Result<Vec<Decoded>>;
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
    /// The events.
    pub events: Vec<Event>,
    /// Where the next page begins; `None` when this was the last.
    pub next: Option<String>,
}
