//! What is made of the lists of items: tables of their own, and views that bring them back together.

use crate::pipeline::Binding;
use crate::table::{Column, DeletePolicy, MetaColumns};

/// What lists that no table is made from become: a table each, with columns that follow the source.
#[derive(Clone, Debug)]
pub struct Lists {
    /// The delete policy of these tables.
    pub delete: DeletePolicy,
    /// The columns that Tributary keeps in them.
    pub meta: MetaColumns,
    /// The columns of the delete policy.
    pub columns: Vec<(Column, Binding)>,
}

/// A view of one table of items with the lists of each item in columns of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The schema, the connection's `search_path` by default.
    pub schema: Option<String>,
    /// The name.
    pub name: String,
    /// The table of items: its position in the pipeline's tables.
    pub table: usize,
}

impl View {
    /// The name as messages show it.
    pub fn qualified_name(&self) -> String {
        match &self.schema {
            Some(schema) => format!("{schema}.{}", self.name),
            None => self.name.clone(),
        }
    }
}
