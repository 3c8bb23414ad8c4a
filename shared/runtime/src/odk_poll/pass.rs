//! A pass over rows: all of them, or those that were changed since the last one.

use tributary_core::Error;
use tributary_postgres::Credentials;
use tributary_sources::odk::{Filter, Page, Query, Trouble, View};

use super::listing::{Leaf, Turned};
use super::read::{Read, Sight, made_at};
use super::run::{Reach, Run};
use super::state::{Kind, Pass};

/// Rows of a page.
const PAGE: u32 = 250;

/// A page that was asked for, and under which number.
struct Asked {
    request: u64,
    page: Result<Page, Trouble>,
}

impl<'r, C: Credentials> Run<'r, '_, C> {
    /// Reads what is left of the pass under way. Its place moves on with the rows of each page; that all up to its beginning
    /// are in the tables is written with those of the last one.
    pub(super) async fn pass(&mut self) -> Result<Reach, Trouble> {
        let decoder = self.lens().await?;
        // The next page, asked for while the one before it was written.
        let mut ahead: Option<Asked> = None;
        loop {
            if !self.has_time() {
                return Ok(Reach::More);
            }
            let Some(pass) = self.state.pass.clone() else { return Ok(Reach::Done) };
            if pass.start == 0 {
                // The server's clock before the first row is read: whatever changes from now on is for the next pass.
                let (start, _) = self.count().await?;
                self.state.pass = Some(Pass::new(pass.kind, start));
                continue;
            }
            let by_time = pass.kind != Kind::Window;
            let asked = match ahead.take() {
                Some(asked) => asked,
                None => Asked { request: self.turn.request(), page: self.ask(&self.query(&pass)).await },
            };
            let page = match asked.page {
                Err(Trouble::Refused(refusal)) if refusal.status == 400 && pass.listing.token.is_some() => {
                    tracing::info!(pipeline = self.name(), code = refusal.code, "the place in a listing is lost");
                    self.begin_again(by_time).await?;
                    continue;
                }
                other => other?,
            };
            let sight =
                Sight { set: &self.set, decoder: &decoder, fence: self.turn.fence().number, request: asked.request };
            let leaf = leaf(&page);
            let mut read = Read::default();
            for row in page.rows {
                sight.read(row, 0, &mut read)?;
            }
            if self.state.held.as_ref().is_some_and(|held| !held.agreed) {
                read.keep_rows();
            }
            match self.turn_page(leaf, by_time)? {
                Turned::More => ahead = self.apply_and_ask(read).await?,
                Turned::Done => {
                    self.state.complete();
                    self.apply(read).await?;
                    tracing::info!(pipeline = self.name(), kind = ?pass.kind, "a pass is complete");
                    return Ok(Reach::Done);
                }
                Turned::Short => {
                    self.apply(read).await?;
                    return Err(self.short(&pass).into());
                }
            }
        }
    }

    fn ask(&self, query: &Query) -> impl Future<Output = Result<Page, Trouble>> + use<'r, C> {
        let (client, budget, set, query) = (self.client, self.budget, self.set.clone(), query.clone());
        async move { client.page(&set, &query, budget).await }
    }

    /// Writes a page, and asks for the next one meanwhile if there is time for it: still one request after the other.
    async fn apply_and_ask(&mut self, read: Read) -> Result<Option<Asked>, Trouble> {
        let query = self.state.pass.as_ref().filter(|_| self.has_time()).map(|pass| self.query(pass));
        let Some(query) = query else {
            self.apply(read).await?;
            return Ok(None);
        };
        let request = self.turn.request();
        let next = self.ask(&query);
        let (applied, page) = tokio::join!(self.apply(read), next);
        applied?;
        Ok(Some(Asked { request, page }))
    }

    fn turn_page(&mut self, leaf: Leaf, by_time: bool) -> Result<Turned, Error> {
        let pass = self.state.pass.as_mut();
        let pass = pass.ok_or_else(|| Error::new(tributary_core::Kind::Bug, "a page of no pass"))?;
        let turned = pass.listing.turn(leaf, by_time);
        if turned == Turned::Short {
            // The next tick tries as often again.
            pass.listing.forgive();
        }
        Ok(turned)
    }

    /// The place in the listing is lost.
    async fn begin_again(&mut self, by_time: bool) -> Result<(), Trouble> {
        let Some(pass) = &mut self.state.pass else { return Ok(()) };
        let (turned, before) = (pass.listing.again(by_time), pass.clone());
        if turned == Turned::Short {
            pass.listing.forgive();
            self.save().await?;
            return Err(self.short(&before).into());
        }
        Ok(())
    }

    /// Why a listing is given up for now. `pass` is as it was before its last page.
    pub(super) fn short(&self, pass: &Pass) -> Error {
        let (seen, counted) = (pass.listing.seen, pass.listing.counted.unwrap_or_default());
        Error::unavailable(format!(
            "ODK Central counts rows that it doesn't list, again and again ({seen} of {counted} had come before the last page)"
        ))
        .with_hint("nothing is taken for complete that isn't; the next tick goes on, and the server's log may say why")
    }

    fn query(&self, pass: &Pass) -> Query {
        let filter = match pass.kind {
            Kind::Window => {
                Some(Filter::Since { at: self.state.window(pass.start, self.source.overlap), deleted: true })
            }
            Kind::First | Kind::Full | Kind::Manifest => pass.listing.until.map(|at| Filter::Until { at }),
        };
        let view = if pass.kind == Kind::Manifest { View::Manifest } else { View::Whole };
        Query { view, filter, top: PAGE, count: true, skiptoken: pass.listing.token.clone() }
    }

    /// The server's time, and how many rows it has.
    pub(super) async fn count(&mut self) -> Result<(i64, Option<u64>), Trouble> {
        let query = Query { view: View::Manifest, filter: None, top: 1, count: true, skiptoken: None };
        let page = self.client.page(&self.set, &query, self.budget).await?;
        self.now = page.date;
        Ok((page.date, page.count))
    }
}

/// What of a page tells its place.
pub(super) fn leaf(page: &Page) -> Leaf {
    let made = page.rows.iter().filter_map(|row| row.system().and_then(made_at));
    Leaf { rows: page.rows.len() as u64, count: page.count, next: page.next.clone(), lowest: made.min() }
}
