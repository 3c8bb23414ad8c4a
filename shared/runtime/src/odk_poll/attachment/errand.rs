//! The way of one file: from the server to the disk of this machine, and from there to its place unless it is there.

use std::borrow::Cow;
use std::time::Duration;

use tributary_core::pipeline::{KeyTemplate, Placeholder};
use tributary_core::sink::Budget as _;
use tributary_core::{Error, Kind};
use tributary_postgres::Due;
use tributary_sources::odk::{Central, File, Got, Trouble};

use super::store::{Content, Store};
use crate::tick::Share;

/// What is left of the time when a file must be done with: it has to be written down.
const TIME_TO_SETTLE: Duration = Duration::from_secs(1);

/// What all files of a run have in common.
pub(super) struct Errand<'e> {
    pub(super) central: &'e Central,
    pub(super) store: &'e Store,
    pub(super) project: u64,
    pub(super) form: &'e str,
    pub(super) pipeline: &'e str,
    pub(super) path: &'e KeyTemplate,
}

/// What became of a file.
#[derive(Debug)]
pub(super) enum Became {
    /// It is at its place.
    Stored {
        location: String,
        md5: String,
        size: u64,
        content_type: Option<String>,
        /// Whether it was put there just now.
        put: bool,
    },
    /// It is what it was.
    Same,
    /// The server doesn't have it.
    Missing,
    /// It cannot be had or stored.
    Failed {
        error: Error,
        /// Whether others will have the same trouble.
        of_all: bool,
    },
    /// The time ended first.
    Late,
    /// The run as a whole cannot go on.
    Ended(Trouble),
}

impl Errand<'_> {
    /// Fetches and stores a file, in the time that the budget has.
    pub(super) async fn run(&self, due: &Due, budget: Share) -> Became {
        let Some(left) = budget.remaining() else { return Box::pin(self.fetch(due, &budget)).await };
        let time = left.saturating_sub(TIME_TO_SETTLE);
        let share = budget.at_most(time);
        let became = tokio::time::timeout(time, Box::pin(self.fetch(due, &share))).await.unwrap_or(Became::Late);
        match became {
            // Whatever was cut off by the end of the time failed by nobody's fault.
            Became::Failed { error, .. } if error.retry() && !share.allows(TIME_TO_SETTLE) => Became::Late,
            other => other,
        }
    }

    async fn fetch(&self, due: &Due, budget: &Share) -> Became {
        let key = self.key(due);
        let location = self.store.location(&key);
        // What is known is known of the place where it was stored: the mapping may name another one now.
        let known = due.md5.as_deref().filter(|_| due.location.as_deref() == Some(location.as_str()));
        let mut spool = match self.store.spool().await {
            Ok(spool) => spool,
            Err(error) => return of_store(error),
        };
        let file = File { project: self.project, form: self.form, submission: &due.instance, name: &due.name };
        let (size, md5, content_type) = match self.central.attachment(&file, known, &mut spool, budget).await {
            Ok(Got::Same) => return Became::Same,
            Ok(Got::Missing) => return Became::Missing,
            Ok(Got::Stored { size, md5, content_type }) => (size, md5, content_type),
            Err(trouble) => return of_source(trouble, spool.trouble()),
        };
        let content = Content { size, md5: &md5, content_type: content_type.as_deref() };
        let put = match self.store.holds(&key, content).await {
            Ok(holds) => !holds,
            Err(error) => return of_store(error),
        };
        if put && let Err(error) = self.store.put(&key, spool, content).await {
            return of_store(error);
        }
        Became::Stored { location, md5, size, content_type, put }
    }

    fn key(&self, due: &Due) -> String {
        self.path.fill(|place| match place {
            Placeholder::Pipeline => Cow::Borrowed(self.pipeline),
            Placeholder::Project => Cow::Owned(self.project.to_string()),
            Placeholder::Form => Cow::Borrowed(self.form),
            Placeholder::Submission => Cow::Borrowed(due.submission.as_str()),
            Placeholder::Field => Cow::Borrowed(due.field.as_deref().unwrap_or_default()),
            Placeholder::Name => Cow::Borrowed(due.name.as_str()),
        })
    }
}

fn of_store(error: Error) -> Became {
    let of_all = matches!(error.kind(), Kind::Config | Kind::Auth);
    Became::Failed { error, of_all }
}

/// `disk`: what kept the file from being written, which isn't the server's fault.
fn of_source(trouble: Trouble, disk: Option<Error>) -> Became {
    if let Some(error) = disk {
        return of_store(error);
    }
    match trouble {
        Trouble::OutOfTime => Became::Late,
        Trouble::Refused(refusal) if refusal.status == 401 => Became::Ended(Trouble::Refused(refusal)),
        Trouble::Refused(refusal) => {
            let of_all = refusal.status == 403;
            Became::Failed { error: Trouble::Refused(refusal).into(), of_all }
        }
        Trouble::Failed(error) => Became::Failed { error, of_all: false },
    }
}
