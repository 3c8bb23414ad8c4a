//! What stands around the rows in a hook's bodies, and where the version and the event id are.

use crate::path::Path;

/// How a hook's bodies are read.
#[derive(Clone, Debug, PartialEq)]
pub struct Envelope {
    /// What stands around the rows.
    pub shape: Shape,
    /// Where the version stands: in the row, or beside it in the message; `$root.` begins a path at the top of the body.
    pub version: Option<Path>,
    /// Where the sender's event id stands, when not where the sender is known to put it.
    pub id: Option<Place>,
}

impl Envelope {
    /// An envelope without a version or an id of its own.
    pub fn new(shape: Shape) -> Self {
        Envelope { shape, version: None, id: None }
    }

    /// Whether an event may hold a part of its item only.
    pub fn sends_parts(&self) -> bool {
        matches!(&self.shape, Shape::Sequin(sequin) if !sequin.whole)
    }

    /// Whether its bodies hold no rows, and only say that something is to be read or run.
    pub fn is_hint(&self) -> bool {
        matches!(self.shape, Shape::Airtable | Shape::Central | Shape::HasuraSchedule)
    }
}

/// Where an event id stands.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    /// In a header.
    Header(Box<str>),
    /// In each record; `$root.` begins at the top of the body, which is the delivery's id.
    Path(Path),
}

/// What stands around the rows of a sender.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// Nothing: the body is a row, or a list of rows. All are whole, none is deleted.
    Plain,
    /// `{"data": […]}`: a list of rows, as in [`Shape::Plain`].
    Data,
    /// Messages of a Sequin sink, one or `{"data": […]}`.
    Sequin(Sequin),
    /// An event trigger of Hasura.
    Hasura {
        /// The table whose events are taken, `schema.table` or `table`; `None`: any.
        table: Option<Box<str>>,
    },
    /// A scheduled trigger of Hasura: a hint that pipelines shall run, `payload.pipeline`.
    HasuraSchedule,
    /// A database webhook of Supabase.
    Supabase {
        /// As of [`Shape::Hasura`].
        table: Option<Box<str>>,
    },
    /// Events of Stripe; the row is `data.object`.
    Stripe {
        /// The types of objects that are taken, such as `customer`; empty: any.
        objects: Vec<Box<str>>,
    },
    /// Events of GitHub; the row is the whole payload. Its ping is no event.
    Github {
        /// The events that are taken, such as `issues`, by `X-GitHub-Event`; empty: any.
        events: Vec<Box<str>>,
    },
    /// A ping of Airtable: a hint.
    Airtable,
    /// central-webhook of ODK: a hint.
    Central,
    /// Any other, by paths.
    Mapped(Mapped),
}

/// What of a Sequin sink a hook takes, as [`crate::pipeline::SequinSource`] says it of one that is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sequin {
    /// The table whose messages are taken, `schema.table` or `table`; `None`: any.
    pub table: Option<String>,
    /// The columns of the source table's primary key.
    pub key: Option<Vec<String>>,
    /// The epoch of versions.
    pub epoch: u32,
    /// Whether messages are whole: the source table has `replica identity full`.
    pub whole: bool,
}

/// Where a sender puts what.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mapped {
    /// The list of records in the body; `None`: the body is the one record.
    pub rows: Option<Path>,
    /// The row in a record; `None`: the record is the row.
    pub row: Option<Path>,
    /// The row as it was before, where the sender says it.
    pub before: Option<Path>,
    /// The key of a row that is gone: an object, or one value, which gets the path's last name. `None`: the row itself, else
    /// the row before.
    pub key: Option<Path>,
    /// What happened; `None`: nothing is ever deleted.
    pub operation: Option<Operation>,
    /// When it happened: text in ISO 8601, or seconds, milliseconds or microseconds since 1970. For people, not for order.
    pub time: Option<Path>,
}

/// The words of a sender for what happened. A number or a boolean is the word that it is written as.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// Where the word stands.
    pub path: Path,
    /// The row is gone.
    pub delete: Vec<Box<str>>,
    /// The row is as it is said. `None`: any other word, and none at all.
    pub upsert: Option<Vec<Box<str>>>,
    /// The record is nothing to us.
    pub skip: Vec<Box<str>>,
}
