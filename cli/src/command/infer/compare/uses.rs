//! Which fields of a source the columns of a mapping are made of.

use tributary_core::column_type::ColumnType;
use tributary_core::expr::Names;
use tributary_core::pipeline::{ELEMENT_ID, From, Pipeline, SYSTEM, Scope, SourceKind};

/// A column of the mapping that takes a field, or something inside of it; or a table that is made of one.
pub(super) struct Use<'p> {
    pub(super) column: String,
    /// The list whose elements have the field, where lists have schemas of their own.
    pub(super) list: Option<String>,
    /// Its id, as far as the mapping names one.
    pub(super) field: String,
    /// The column's type, where it takes the field whole.
    pub(super) ty: Option<&'p ColumnType>,
}

/// All of a pipeline.
pub(super) struct Uses<'p> {
    pub(super) all: Vec<Use<'p>>,
    /// Lists that get tables without being named.
    pub(super) follows_lists: bool,
    /// Whether fields are places in an item, some below others.
    nested: bool,
    tables: Vec<String>,
    /// Where all fields are taken: in an item, in elements of these lists.
    taken: Vec<Option<String>>,
}

impl<'p> Uses<'p> {
    pub(super) fn of(pipeline: &'p Pipeline) -> Self {
        let kind = &pipeline.source.kind;
        let nested = matches!(kind, SourceKind::Odk(_));
        let mut uses = Uses { all: Vec::new(), follows_lists: false, nested, tables: Vec::new(), taken: Vec::new() };
        for (table, route) in pipeline.tables.iter().zip(&pipeline.routes) {
            let list = match &route.scope {
                Scope::Elements(path) if nested => path.first_field().map(str::to_owned),
                _ => None,
            };
            let of_row = list.is_some() || matches!(route.scope, Scope::Root);
            let shown = |name: &str| format!("{}.{name}", table.qualified_name());
            if let Scope::Document(path) | Scope::Elements(path) = &route.scope {
                let field = path.first_field().unwrap_or_default().to_owned();
                uses.tables.extend(list.clone());
                uses.all.push(Use { column: format!("table {}", table.qualified_name()), list: None, field, ty: None });
            }
            uses.follows_lists |= route.lists.is_some();
            if route.auto {
                uses.taken.push(list.clone());
            }
            let columns = table.key.iter().zip(&route.key).chain(table.columns.iter().zip(&route.columns));
            for (column, binding) in columns {
                let (list, path) = match &binding.from {
                    From::Root(path) => (None, path),
                    From::Row(path) if of_row => (list.clone(), path),
                    From::Whole if of_row => {
                        uses.taken.push(list.clone());
                        continue;
                    }
                    From::Program(program) => {
                        if of_row {
                            uses.add(program.row_fields(), list.as_ref(), &shown(&column.name));
                        }
                        uses.add(program.root_fields(), None, &shown(&column.name));
                        continue;
                    }
                    From::Row(_) | From::Whole | From::Index | From::Nothing => continue,
                };
                let whole = kind.id_of(path);
                let ty = whole.is_some().then_some(&column.ty);
                let field = whole.unwrap_or_else(|| path.first_field().unwrap_or_default().to_owned());
                uses.all.push(Use { column: shown(&column.name), list, field, ty });
            }
        }
        uses.all.retain(|one| {
            let reserved = if one.list.is_some() { kind.reserved_in_elements() } else { kind.reserved_fields() };
            let is_servers = nested && [ELEMENT_ID, SYSTEM].contains(&one.field.as_str());
            !reserved.contains(&one.field.as_str()) && !is_servers
        });
        uses
    }

    fn add(&mut self, names: Names, list: Option<&String>, column: &str) {
        let list = list.cloned();
        match names {
            Names::All => self.taken.push(list),
            Names::These(names) => {
                let one = |field| Use { column: column.to_owned(), list: list.clone(), field, ty: None };
                self.all.extend(names.into_iter().map(one));
            }
        }
    }

    /// Whether no field of an item, or of a list's elements, can be left out.
    pub(super) fn takes_all(&self, list: Option<&str>) -> bool {
        self.taken.iter().any(|taken| taken.as_deref() == list)
    }

    /// Whether a table is made of this list.
    pub(super) fn has_table(&self, list: &str) -> bool {
        self.tables.iter().any(|table| table == list)
    }

    /// Whether one of two fields is in the other: a group that is taken whole, a part of a place on a map.
    pub(super) fn is_near(&self, a: &str, b: &str) -> bool {
        let is_in = |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'));
        self.nested && (is_in(a, b) || is_in(b, a))
    }
}
