//! Which column each field of a table gets, and what becomes of those that were given before.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;

use super::{Existing, Field, Given, Known, Names, News, OfTable, column_name, free, list};
use crate::pipeline::{Binding, From, Route, Scope, SourceKind};
use crate::table::Table;

/// The columns that a table has by the mapping, and those that are never a field's.
pub(super) fn own_names(table: &Table) -> BTreeSet<String> {
    let meta = &table.meta;
    let kept = [&meta.version, &meta.deleted, &meta.synced_at, &meta.source_at].map(Some);
    let kept = kept.into_iter().chain([meta.errors.as_ref(), meta.versions.as_ref()]).flatten().cloned();
    table.key.iter().chain(&table.columns).map(|column| column.name.clone()).chain(kept).collect()
}

/// The fields that columns of the mapping take whole, as it spells them.
pub(super) struct Mapped(BTreeSet<String>);

impl Mapped {
    pub(super) fn of(route: &Route, kind: &SourceKind) -> Self {
        Mapped(route.key.iter().chain(&route.columns).filter_map(|binding| field_of(binding, route, kind)).collect())
    }

    /// An id wins over a field of that name.
    pub(super) fn has(&self, id: &str, name: &str, all: &OfTable) -> bool {
        self.0.contains(id) || (self.0.contains(name) && !all.is_id(name))
    }
}

/// The field that a column of the mapping takes whole, as it spells it.
pub(super) fn field_of(binding: &Binding, route: &Route, kind: &SourceKind) -> Option<String> {
    match (&binding.from, &route.scope) {
        (From::Row(path), Scope::Root | Scope::Elements(_)) | (From::Root(path), Scope::Root) => kind.id_of(path),
        _ => None,
    }
}

/// One table that follows its source.
pub(super) struct Assignment<'p> {
    pub(super) table: &'p Table,
    pub(super) route: &'p Route,
    pub(super) kind: &'p SourceKind,
    pub(super) existing: &'p Existing,
}

impl Assignment<'_> {
    pub(super) fn assign(&self, known: Known<'_>, names: &mut Names, news: &mut Vec<News>) {
        let of_table = names.tables.entry(self.table.qualified_name()).or_default();
        let is_first = of_table.fields.is_empty();
        let (fields, all) = match known {
            Known::All(fields) => (fields, true),
            Known::Some(fields) => (fields, false),
        };
        let (reserved, list) = match list::of(self.route) {
            Some(list) => (self.kind.reserved_in_elements(), Some(list)),
            None => (self.kind.reserved_fields(), None),
        };
        let fields: Vec<&Field> = fields.iter().filter(|field| field.list == list).collect();
        let mapped = Mapped::of(self.route, self.kind);
        self.meet_mapped(&mapped, &fields, all, of_table, news);
        let is_ours = |field: &&&Field| {
            self.route.auto && !reserved.contains(&field.id.as_str()) && !mapped.has(&field.id, &field.name, of_table)
        };
        let ours: Vec<&Field> = fields.iter().filter(is_ours).copied().collect();
        for field in &ours {
            if let Some(given) = of_table.fields.get_mut(&field.id) {
                self.meet(field, given, news);
            }
        }
        if all && self.route.auto {
            let is_there = |id: &str| fields.iter().any(|field| field.id == id);
            let missing = of_table.fields.iter_mut().filter(|(id, given)| !given.gone && !is_there(id));
            for (_, given) in missing {
                given.gone = true;
                news.push(News::Removed { column: self.shown(&given.column), field: given.name.clone() });
            }
        }
        self.give_way(&mapped, of_table, news);
        // A source that shows its fields one by one may show late what the table has had from the start.
        let added = self.add(&ours, is_first || !all, &mut of_table.fields);
        let given = |id: &String| &of_table.fields[id];
        if is_first && !added.is_empty() {
            let columns = added.iter().map(|id| given(id).column.clone()).collect();
            news.push(News::First { table: self.table.qualified_name(), columns });
        } else {
            news.extend(added.iter().map(|id| News::Added {
                column: self.shown(&given(id).column),
                ty: given(id).r#type.clone(),
                field: given(id).name.clone(),
            }));
        }
        if of_table.fields.is_empty() && (of_table.others.is_empty() || !self.kind.keeps_removed()) {
            names.tables.remove(&self.table.qualified_name());
        }
    }

    /// Fields that the mapping names itself.
    fn meet_mapped(&self, mapped: &Mapped, fields: &[&Field], all: bool, of_table: &mut OfTable, news: &mut Vec<News>) {
        let there: BTreeSet<&String> =
            fields.iter().map(|field| &field.id).filter(|id| mapped.0.contains(*id)).collect();
        of_table.others.extend(there.iter().copied().cloned());
        if !self.kind.keeps_removed() {
            return;
        }
        let column = |id: &str| {
            let columns = self.table.columns.iter().zip(&self.route.columns);
            let mut its =
                columns.filter(|(_, binding)| field_of(binding, self.route, self.kind).as_deref() == Some(id));
            its.next().map(|(column, _)| self.shown(&column.name))
        };
        of_table.absent.retain(|id| {
            let stays = !there.contains(id);
            if let (false, Some(column)) = (stays, column(id)) {
                news.push(News::Restored { column, field: id.clone() });
            }
            stays
        });
        if !all {
            return;
        }
        let gone: Vec<String> = of_table.others.iter().filter(|id| !there.contains(id)).cloned().collect();
        for id in gone {
            let Some(column) = column(&id) else { continue };
            if of_table.absent.insert(id.clone()) {
                news.push(News::Removed { column, field: id });
            }
        }
    }

    /// A field that has a column is there.
    fn meet(&self, field: &Field, given: &mut Given, news: &mut Vec<News>) {
        let column = self.shown(&given.column);
        if given.gone {
            given.gone = false;
            news.push(News::Restored { column: column.clone(), field: field.name.clone() });
        }
        if given.name != field.name {
            let from = std::mem::replace(&mut given.name, field.name.clone());
            news.push(News::Renamed { column: column.clone(), from, to: field.name.clone() });
        }
        let Some(ty) = &field.ty else { return };
        let wants = Some(ty.to_string()).filter(|wants| *wants != given.r#type);
        if given.wants != wants {
            given.wants.clone_from(&wants);
            if let Some(wants) = wants {
                let (ty, field) = (given.r#type.clone(), field.name.clone());
                news.push(News::Retyped { column, ty, field, wants });
            }
        }
    }

    /// A column that the mapping has come to use itself isn't a field's any more.
    fn give_way(&self, mapped: &Mapped, of_table: &mut OfTable, news: &mut Vec<News>) {
        let own = own_names(self.table);
        let mut taken: BTreeSet<String> = of_table.fields.values().map(|given| given.column.clone()).collect();
        let is_due =
            |(id, given): &(&String, &Given)| own.contains(&given.column) && !mapped.has(id, &given.name, of_table);
        let due: Vec<String> = of_table.fields.iter().filter(is_due).map(|(id, _)| id.clone()).collect();
        for id in due {
            let Some(given) = of_table.fields.get_mut(&id) else { continue };
            let is_taken = |name: &str| own.contains(name) || taken.contains(name) || self.existing.contains_key(name);
            let to = free(&column_name(&given.name), is_taken);
            taken.insert(to.clone());
            let from = std::mem::replace(&mut given.column, to.clone());
            let field = given.name.clone();
            news.push(News::Moved { from: self.shown(&from), to: self.shown(&to), field });
        }
    }

    /// Gives new fields their columns; gives the ids of these fields, in the order of the source.
    fn add(&self, fields: &[&Field], adopts: bool, given: &mut IndexMap<String, Given>) -> Vec<String> {
        let is_new = |field: &&Field| field.ty.is_some() && !given.contains_key(&field.id);
        let new: Vec<&Field> = fields.iter().copied().filter(is_new).collect();
        let mut taken = own_names(self.table);
        taken.extend(given.values().map(|given| given.column.clone()));
        if !adopts {
            // Somebody else has added these.
            taken.extend(self.existing.keys().cloned());
        }
        // Of fields that are called alike, the id decides, so that the order of a listing doesn't matter.
        let mut by_id = new.clone();
        by_id.sort_by(|a, b| a.id.cmp(&b.id));
        let mut columns: BTreeMap<&str, String> = BTreeMap::new();
        for field in by_id {
            let column = free(&column_name(&field.name), |name| taken.contains(name));
            taken.insert(column.clone());
            columns.insert(&field.id, column);
        }
        let mut added = Vec::new();
        for field in new {
            let (Some(column), Some(ty)) = (columns.remove(field.id.as_str()), &field.ty) else { continue };
            let wanted = ty.to_string();
            let there = self.existing.get(&column).cloned().flatten().map(|ty| ty.to_string());
            let ty = there.unwrap_or_else(|| wanted.clone());
            let wants = Some(wanted).filter(|wanted| *wanted != ty);
            let entry = Given { column, r#type: ty, name: field.name.clone(), wants, gone: false };
            given.insert(field.id.clone(), entry);
            added.push(field.id.clone());
        }
        added
    }

    fn shown(&self, column: &str) -> String {
        format!("{}.{column}", self.table.qualified_name())
    }
}
