//! One connection, with the statements that are prepared on it.

use std::collections::{HashMap, HashSet};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::try_join_all;
use tokio::task::JoinHandle;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Row};
use tributary_core::Result;
use tributary_core::batch::Counts;

use crate::chunk::Step;
use crate::connect::{Target, connect};
use crate::encode::Column;
use crate::tally::{self, Tallied};

/// After this long without use, a connection is checked before it is trusted: an execution environment that was frozen
/// wakes up with a socket that looks open.
const IDLE: Duration = Duration::from_secs(30);
const PING: Duration = Duration::from_secs(2);

/// A connection to Postgres.
pub(crate) struct Session {
    client: Arc<Client>,
    task: JoinHandle<()>,
    last_used: Instant,
    prepared: HashMap<String, tokio_postgres::Statement>,
    /// Statements that ran unnamed and are worth preparing before they run again.
    wanted: HashSet<(String, Vec<Type>)>,
    /// Behind a proxy nothing is prepared: a named statement would pin the connection.
    proxy: bool,
    /// What became of batches and is not stored yet.
    tallies: Vec<Tallied>,
    posted: Option<JoinHandle<()>>,
}

/// What a statement did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Done {
    /// How many rows it touched.
    pub(crate) rows: u64,
    /// What it counted itself, where it does.
    pub(crate) counts: Counts,
}

type Pending<'a> = Pin<Box<dyn Future<Output = Result<Done, Error>> + 'a>>;

impl Done {
    /// So many rows were touched.
    pub(crate) fn of(rows: u64) -> Self {
        Done { rows, counts: Counts::default() }
    }
}

impl Session {
    pub(crate) async fn open(target: &Target) -> Result<Self> {
        let (client, task) = connect(target).await?;
        Ok(Session {
            client: Arc::new(client),
            task,
            last_used: Instant::now(),
            prepared: HashMap::new(),
            wanted: HashSet::new(),
            proxy: target.proxy(),
            tallies: Vec::new(),
            posted: None,
        })
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Whether the connection still answers. Costs a round trip only after a pause.
    pub(crate) async fn is_alive(&mut self) -> bool {
        if self.client.is_closed() {
            return false;
        }
        if self.last_used.elapsed() > IDLE {
            let answer = tokio::time::timeout(PING, self.client.check_connection()).await;
            if !matches!(answer, Ok(Ok(()))) {
                return false;
            }
        }
        self.last_used = Instant::now();
        true
    }

    /// Prepares statements, all in one round trip.
    pub(crate) async fn prepare(
        &mut self,
        statements: impl IntoIterator<Item = (String, Vec<Type>)>,
    ) -> Result<(), Error> {
        if self.proxy {
            return Ok(());
        }
        let missing: Vec<_> = statements.into_iter().filter(|(sql, _)| !self.prepared.contains_key(sql)).collect();
        let prepared = try_join_all(missing.iter().map(|(sql, types)| self.client.prepare_typed(sql, types))).await?;
        self.prepared.extend(missing.into_iter().map(|(sql, _)| sql).zip(prepared));
        Ok(())
    }

    /// Prepares what ran unnamed last time.
    pub(crate) async fn prepare_wanted(&mut self) -> Result<(), Error> {
        let wanted = std::mem::take(&mut self.wanted);
        if wanted.is_empty() { Ok(()) } else { self.prepare(wanted).await }
    }

    /// Notes that a statement should be prepared before it runs again.
    pub(crate) fn want(&mut self, sql: &str, types: &[Type]) {
        if !self.proxy && !self.prepared.contains_key(sql) {
            self.wanted.insert((sql.to_owned(), types.to_vec()));
        }
    }

    /// Runs a statement over its lines. Sent at the first poll, so that statements polled in order form one flush.
    pub(crate) fn run<'a>(&'a self, step: &'a Step<'a>) -> Pending<'a> {
        Box::pin(async move {
            let Step { statement, lines, elements, began, .. } = step;
            let columns: Vec<Column<'_>> = (statement.parameters.iter().map(|(part, _)| Column { lines, part: *part }))
                .chain(statement.elements.iter().map(|(part, _)| Column { lines: elements, part: *part }))
                .collect();
            let values = columns.iter().map(|column| column as &(dyn ToSql + Sync));
            let values = values.chain(statement.began.then_some(began as &(dyn ToSql + Sync)));
            let parameters: Vec<(&(dyn ToSql + Sync), Type)> = values.zip(statement.types()).collect();
            if statement.counted {
                return self.count(&statement.sql, &parameters).await;
            }
            Ok(Done::of(self.execute(&statement.sql, &parameters).await?))
        })
    }

    /// Runs a statement that answers with [`Counts`].
    async fn count(&self, sql: &str, parameters: &[(&(dyn ToSql + Sync), Type)]) -> Result<Done, Error> {
        let rows = self.query(sql, parameters).await?;
        let Some(row) = rows.first() else { return Ok(Done::default()) };
        let figure = |at: usize| row.try_get::<_, i64>(at).map(i64::unsigned_abs);
        let counts = Counts {
            inserted: figure(0)?,
            updated: figure(1)?,
            deleted: figure(2)?,
            restored: figure(3)?,
            unchanged: figure(4)?,
        };
        Ok(Done { rows: counts.written(), counts })
    }

    /// Runs a statement that answers with rows, prepared where it is, unnamed otherwise. Sent at the first poll.
    pub(crate) async fn query(&self, sql: &str, parameters: &[(&(dyn ToSql + Sync), Type)]) -> Result<Vec<Row>, Error> {
        match self.prepared.get(sql) {
            Some(statement) => {
                let values: Vec<&(dyn ToSql + Sync)> = parameters.iter().map(|(value, _)| *value).collect();
                self.client.query(statement, &values).await
            }
            None => self.client.query_typed(sql, parameters).await,
        }
    }

    /// Runs a statement, prepared where it is, unnamed otherwise. Sent at the first poll.
    pub(crate) async fn execute(&self, sql: &str, parameters: &[(&(dyn ToSql + Sync), Type)]) -> Result<u64, Error> {
        match self.prepared.get(sql) {
            Some(statement) => self.client.execute_raw(statement, parameters.iter().map(|(value, _)| *value)).await,
            None => self.client.execute_typed(sql, parameters).await,
        }
    }

    /// Runs a command without parameters. Sent at the first poll.
    pub(crate) fn command<'a>(&'a self, sql: &'a str) -> Pending<'a> {
        Box::pin(async move { self.client.batch_execute(sql).await.map(|()| Done::default()) })
    }

    /// Notes what became of a batch. It is stored with the next batch, or by [`Session::post`].
    pub(crate) fn note(&mut self, tally: Tallied) {
        self.tallies.push(tally);
    }

    /// What is noted and not stored yet.
    pub(crate) fn tallies(&self) -> &[Tallied] {
        &self.tallies
    }

    /// Forgets the notes that were there before a batch, which has stored them.
    pub(crate) fn tallies_stored(&mut self) {
        self.tallies.clear();
    }

    /// Sends what is noted without waiting for the answer: it is on its way before the caller answers its source, and
    /// costs no round trip on the clock. A lost note is a lost figure, nothing else. It is sent here and not by the task:
    /// that one may get its turn in the middle of the next transaction, which would fail with it.
    pub(crate) fn post(&mut self) {
        let tallies = std::mem::take(&mut self.tallies);
        if tallies.is_empty() {
            return;
        }
        let client = Arc::clone(&self.client);
        let mut stored = Box::pin(async move {
            let rows = tally::Rows::new(&tallies);
            if let Err(error) = client.execute_typed(tally::STORE, &rows.parameters()).await {
                tracing::warn!(code = ?error.code(), "cannot write the statistics of a batch");
            }
        });
        if (&mut stored).now_or_never().is_none() {
            self.posted = Some(tokio::spawn(stored));
        }
    }

    /// Sends what is noted and waits until it is stored.
    pub(crate) async fn settle(&mut self) {
        self.post();
        if let Some(posted) = self.posted.take()
            && let Err(error) = posted.await
        {
            tracing::warn!(%error, "cannot write the statistics of a batch");
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Polls all of them, in order, until all are done. The order of the first polls is the order on the wire, which
/// `join_all` doesn't promise for long lists. After each the connection's task gets its turn, so that the server works
/// on one statement while we encode the next.
///
/// One that never reached the server is the last: the server knows of no error, and would commit without it.
pub(crate) async fn in_order(mut pending: Vec<Pending<'_>>) -> Vec<Result<Done, Error>> {
    let mut results: Vec<Option<Result<Done, Error>>> = pending.iter().map(|_| None).collect();
    let mut sent = 0;
    for (future, result) in pending.iter_mut().zip(&mut results) {
        *result = poll_fn(|context| Poll::Ready(at_once(future.as_mut().poll(context)))).await;
        sent += 1;
        if matches!(result, Some(Err(error)) if error.as_db_error().is_none()) {
            break;
        }
        tokio::task::yield_now().await;
    }
    pending.truncate(sent);
    results.truncate(sent);
    poll_fn(move |context| {
        let mut done = true;
        for (future, result) in pending.iter_mut().zip(&mut results) {
            if result.is_none() {
                *result = at_once(future.as_mut().poll(context));
                done &= result.is_some();
            }
        }
        if done { Poll::Ready(results.iter_mut().filter_map(Option::take).collect()) } else { Poll::Pending }
    })
    .await
}

fn at_once<T>(poll: Poll<T>) -> Option<T> {
    match poll {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[tokio::test]
    async fn nothing_is_sent_after_what_could_not_be_sent() {
        let check = async |failing: Option<usize>, expect: &[usize]| {
            let sent = RefCell::new(Vec::new());
            let sent_one = |number: usize| -> Pending<'_> {
                let sent = &sent;
                Box::pin(async move {
                    if failing == Some(number) {
                        return Err(Error::__private_api_timeout());
                    }
                    sent.borrow_mut().push(number);
                    tokio::task::yield_now().await;
                    Ok(Done::of(1))
                })
            };
            let results = in_order((0..4).map(sent_one).collect()).await;
            assert_eq!(*sent.borrow(), expect, "{failing:?}");
            assert_eq!(results.iter().any(Result::is_err), failing.is_some(), "{failing:?}");
        };
        check(None, &[0, 1, 2, 3]).await;
        check(Some(0), &[]).await;
        check(Some(2), &[0, 1]).await;
        check(Some(3), &[0, 1, 2]).await;
    }
}
