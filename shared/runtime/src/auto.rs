//! `columns: auto` at run time: what a source says of its fields becomes columns, before anything is written to them.
//!
//! The names are stored before the columns are added. So a run that ends in between goes on with the same names, and a
//! column is never taken for somebody else's. What the names are is the business of [`tributary_core::auto`]; called by the
//! pollers at the beginning of a turn and whenever they hear of fields, and by whoever replays.

use std::collections::BTreeMap;
use std::sync::Arc;

use tributary_core::auto::{self, Field, Known, Names, News, PARTITION};
use tributary_core::batch::{Batch, Checkpoint};
use tributary_core::pipeline::{Mapping, Pipeline};
use tributary_core::table::Table;
use tributary_core::view::{Unified, unified};
use tributary_core::{Error, Kind, Result};
use tributary_postgres::{Credentials, Postgres};

use crate::tick::Turn;

/// A pipeline during a turn: as the mapping has it, and with the columns that follow its source.
#[derive(Debug)]
pub struct Following<'m> {
    written: &'m Pipeline,
    names: Names,
    now: Arc<Pipeline>,
    /// What was seen last: mostly it is seen again.
    last: Option<(bool, Vec<Field>)>,
}

impl<'m> Following<'m> {
    /// The pipeline with the columns that it had in its last turn.
    ///
    /// # Errors
    /// As those of [`Postgres::adopt`]; `Config` when what is stored cannot be read.
    pub async fn begin<C: Credentials>(turn: &mut Turn<'_, C>, written: &'m Pipeline) -> Result<Self> {
        let (mut names, mut now) = (Names::default(), written.clone());
        if auto::follows(written) {
            if let Some(stored) = turn.checkpoint(written, PARTITION).await? {
                names = Names::parse(&stored)?;
                now = auto::remembered(written, &names)?;
            }
            adopt(turn.sink(written)?, &now).await?;
        }
        Ok(Following { written, names, now: Arc::new(now), last: None })
    }

    /// The pipeline as it is now.
    pub fn pipeline(&self) -> &Arc<Pipeline> {
        &self.now
    }

    /// Whether it follows its source at all.
    pub fn follows(&self) -> bool {
        auto::follows(self.written)
    }

    /// The source has these fields. Gives whether the pipeline is another one from now on.
    ///
    /// # Errors
    /// As those of [`Postgres::adopt`] and [`Turn::apply`].
    pub async fn see<C: Credentials>(&mut self, turn: &mut Turn<'_, C>, known: Known<'_>) -> Result<bool> {
        let (all, fields) = match known {
            Known::All(fields) => (true, fields),
            Known::Some(fields) => (false, fields),
        };
        let is_same = self.last.as_ref().is_some_and(|(was_all, last)| *was_all == all && last == fields);
        if is_same || !self.follows() {
            return Ok(false);
        }
        let expanded = auto::expand(self.written, known, &self.names, &BTreeMap::new())?;
        if expanded.names == self.names {
            self.last = Some((all, fields.to_vec()));
            return Ok(false);
        }
        // Only now is it worth a question which columns there are.
        let existing = turn.sink(self.written)?.existing(&following(&expanded.pipeline)).await?;
        let expanded = auto::expand(self.written, known, &self.names, &existing)?;
        one_writer(turn.mapping(), self.written, &expanded.pipeline)?;
        let mut batch = Batch::empty(self.written);
        batch.checkpoint = Some(Checkpoint {
            partition: PARTITION.to_owned(),
            position: expanded.names.to_text(),
            at: None,
            fence: turn.fence_of(self.written).cloned(),
        });
        turn.apply(self.written, &batch).await?;
        drop(batch);
        for news in &expanded.news {
            match news {
                // A column and its field disagree from now on.
                News::Retyped { .. } | News::Moved { .. } => turn.note(self.written, news.to_string()),
                _ => turn.tell(self.written, news.to_string()),
            }
        }
        adopt(turn.sink(self.written)?, &expanded.pipeline).await?;
        (self.names, self.now) = (expanded.names, Arc::new(expanded.pipeline));
        self.last = Some((all, fields.to_vec()));
        Ok(true)
    }
}

/// Refuses a list's table that another pipeline of the mapping writes: versions of two sources don't compare.
fn one_writer(mapping: &Mapping, written: &Pipeline, now: &Pipeline) -> Result<()> {
    let place = |table: &Table| (table.schema.clone().unwrap_or_else(|| "public".to_owned()), table.name.clone());
    let others = mapping.pipelines.iter().filter(|other| other.name != written.name && other.sink == written.sink);
    let theirs: Vec<_> =
        others.flat_map(|other| other.tables.iter().map(|table| (place(table), &other.name))).collect();
    for (table, route) in now.tables.iter().zip(&now.routes).skip(written.tables.len()) {
        if let Some((_, other)) = theirs.iter().find(|(their, _)| *their == place(table)) {
            let list = auto::list::of(route).unwrap_or_default();
            let hint =
                format!("name the list's table: `children: {{ {list}: {{ table: …, columns: auto }}, \"*\": auto }}`");
            let name = table.qualified_name();
            return Err(Error::config(format!("the table {name} of the list `{list}` is written by `{other}` too"))
                .with_hint(hint));
        }
    }
    Ok(())
}

/// A pipeline with the columns that it had in its last turn, and their names, for whoever doesn't ask the source. Its
/// tables become tables of the sink.
///
/// # Errors
/// As those of [`Postgres::adopt`].
pub(crate) async fn remembered<C: Credentials>(
    sink: &mut Postgres<C>,
    written: &Pipeline,
) -> Result<(Pipeline, Names)> {
    let stored = sink.checkpoint(&written.name, PARTITION).await?;
    let names = stored.as_deref().map(Names::parse).transpose()?.unwrap_or_default();
    let now = auto::remembered(written, &names)?;
    adopt(sink, &now).await?;
    Ok((now, names))
}

/// Makes the tables of a pipeline, as they are now, tables of the sink. Those that follow the source are added to where they
/// lack something; of the others some may be without the columns of fields that are gone.
async fn adopt<C: Credentials>(sink: &mut Postgres<C>, now: &Pipeline) -> Result<()> {
    sink.adopt(&following(now), true).await?;
    if now.source.kind.keeps_removed() {
        let others = now.tables.iter().zip(&now.routes).filter(|(_, route)| !route.auto);
        let others: Vec<Table> = others.map(|(table, _)| table.clone()).collect();
        sink.adopt(&others, false).await?;
    }
    sink.adopt_views(&views(now)?).await
}

/// The views of a pipeline over the tables that it has now.
///
/// # Errors
/// `Bug` when the rows of a list cannot be found: the mapping's check should have refused it.
pub fn views(now: &Pipeline) -> Result<Vec<Unified>> {
    unified(now).map_err(|apart| {
        let table = apart.table.and_then(|table| now.tables.get(table)).map(Table::qualified_name);
        Error::new(Kind::Bug, format!("a view cannot find the rows of {}", table.as_deref().unwrap_or("a list")))
    })
}

/// The tables that follow the source.
pub fn following(pipeline: &Pipeline) -> Vec<Table> {
    let all = pipeline.tables.iter().zip(&pipeline.routes);
    all.filter(|(_, route)| route.auto).map(|(table, _)| table.clone()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tributary_core::mapping;

    use super::*;

    #[test]
    fn a_list_does_not_take_the_table_of_another_pipeline() {
        let check = |name: &str, expect: Option<&str>| {
            let text = format!(
                "datastores:\n  w: {{ type: postgres, url: {{ env: U }} }}\n  \
                 o: {{ type: odk, base_url: 'https://odk.example.org', auth: {{ secret: s }} }}\npipelines:\n  \
                 a: {{ source: {{ datastore: o, project: 1, form: a }}, sink: {{ datastore: w, tables: {{ s: {{ children: auto }} }} }} }}\n  \
                 b: {{ source: {{ datastore: o, project: 1, form: b }}, sink: {{ datastore: w, tables: {{ {name}: {{ columns: auto }} }} }} }}\n"
            );
            let mapping = mapping::load("t.yaml", &text).mapping.unwrap_or_else(|| panic!("{text}"));
            let field = Field { id: "name".into(), list: Some("people".into()), name: "name".into(), ty: None };
            let names = Names::default();
            let written = &mapping.pipelines[0];
            let known = Known::All(std::slice::from_ref(&field));
            let now = auto::expand(written, known, &names, &BTreeMap::new()).map(|expanded| expanded.pipeline);
            let result = now.and_then(|now| one_writer(&mapping, written, &now));
            assert_eq!(result.err().map(|error| error.to_string()).as_deref(), expect);
        };
        check("other", None);
        check("public.s_people", Some("the table s_people of the list `people` is written by `b` too"));
        check("elsewhere.s_people", None);
    }
}
