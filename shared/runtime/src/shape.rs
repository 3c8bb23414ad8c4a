//! What the tables of a pipeline are made of, in one number: when it changes, rows that are there already have to be read
//! once more. Called by the pollers that can.

use tributary_core::pipeline::Pipeline;

/// A number that changes when the tables of a pipeline, or what they are made of, do. FNV-1a, which is the same in every build.
pub(crate) fn shape(pipeline: &Pipeline) -> String {
    let mut text = String::new();
    for (table, route) in pipeline.tables.iter().zip(&pipeline.routes) {
        text.push_str(&table.qualified_name());
        text.push_str(&format!("{:?}{:?}", route.scope, route.when));
        let columns = table.key.iter().zip(&route.key).chain(table.columns.iter().zip(&route.columns));
        for (column, binding) in columns {
            text.push_str(&format!("{} {} {:?};", column.name, column.ty, binding.from));
        }
    }
    let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    format!("{:016x}", text.bytes().fold(0xcbf2_9ce4_8422_2325, hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_changes_with_what_rows_are_made_of() {
        let shape_of = |table: &str| {
            let text = format!(
                "datastores:\n  w: {{ type: postgres, url: {{ env: DATABASE_URL }} }}\n  a: {{ type: airtable, token: {{ env: T }} }}\n\
                 pipelines:\n  homes:\n    source: {{ datastore: a, base: app00000000000001, table: Homes }}\n    \
                 sink: {{ datastore: w, tables: {{ {table} }} }}\n"
            );
            let checked = tributary_core::mapping::load("t.yaml", &text);
            shape(&checked.mapping.unwrap_or_else(|| panic!("{text}")).pipelines[0])
        };
        let one = shape_of("homes: { columns: { name: { from: fldA, type: text } } }");
        assert_eq!(one, shape_of("homes: { columns: { name: { from: fldA, type: text } } }"));
        for other in [
            "homes: { columns: { name: { from: fldB, type: text } } }",
            "homes: { columns: { name: { from: fldA, type: varchar } } }",
            "homes: { columns: { title: { from: fldA, type: text } } }",
            "houses: { columns: { name: { from: fldA, type: text } } }",
        ] {
            assert_ne!(one, shape_of(other), "{other}");
        }
    }
}
