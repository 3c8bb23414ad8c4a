//! Which fields of a record a pipeline takes.

use std::collections::BTreeSet;

use tributary_core::expr::{Names, Program};
use tributary_core::path::Path;
use tributary_core::pipeline::{From, Pipeline, RECORD_CREATED, RECORD_ID, Route, Scope};
use tributary_sources::airtable::record::Wanted;

/// The fields that the tables of a pipeline are made of, as the mapping spells them.
pub(super) fn wanted(pipeline: &Pipeline) -> Wanted {
    let mut names = Names::none();
    for Route { scope, when, key, columns, .. } in &pipeline.routes {
        if let Scope::Document(path) | Scope::Elements(path) = scope {
            names = names.and(first(path));
        }
        let of_root = matches!(scope, Scope::Root);
        let bindings = key.iter().chain(columns).map(|binding| place(&binding.from, of_root));
        names = bindings.chain(when.iter().map(|when| program(when, of_root))).fold(names, Names::and);
    }
    match names {
        Names::All => Wanted::All,
        Names::These(names) => {
            let reserved = [RECORD_ID, RECORD_CREATED];
            Wanted::These(names.into_iter().filter(|name| !reserved.contains(&name.as_str())).collect::<BTreeSet<_>>())
        }
    }
}

fn place(from: &From, of_root: bool) -> Names {
    match from {
        From::Root(path) => first(path),
        From::Row(path) if of_root => first(path),
        From::Whole if of_root => Names::All,
        From::Program(made) => program(made, of_root),
        From::Row(_) | From::Whole | From::Index | From::Nothing => Names::none(),
    }
}

fn first(path: &Path) -> Names {
    Names::These(path.first_field().map(str::to_owned).into_iter().collect())
}

fn program(program: &Program, of_root: bool) -> Names {
    let root = program.root_fields();
    if of_root { root.and(program.row_fields()) } else { root }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pipeline(table: &str) -> Pipeline {
        let text = format!(
            "datastores:\n  w: {{ type: postgres, url: {{ env: DATABASE_URL }} }}\n  a: {{ type: airtable, token: {{ env: T }} }}\n\
             pipelines:\n  homes:\n    source: {{ datastore: a, base: app00000000000001, table: Homes }}\n    \
             sink: {{ datastore: w, tables: {{ {table} }} }}\n"
        );
        let checked = tributary_core::mapping::load("t.yaml", &text);
        let findings: Vec<String> = checked.findings.iter().map(|finding| finding.render(&text)).collect();
        checked.mapping.unwrap_or_else(|| panic!("{}", findings.join("\n"))).pipelines.remove(0)
    }

    #[test]
    fn fields_are_those_that_some_table_takes() {
        let check = |table: &str, expect: &[&str]| {
            let expect = Wanted::These(expect.iter().map(|name| (*name).to_owned()).collect());
            assert_eq!(wanted(&pipeline(table)), expect, "{table}");
        };
        check(
            "homes: { columns: { name: { from: fldA, type: text }, at: { from: $created, type: timestamptz } } }",
            &["fldA"],
        );
        check("homes: { columns: { size: { from: \"\\\"Area (m.²)\\\"\", type: numeric } } }", &["Area (m.²)"]);
        check(
            "homes: { columns: { n: { value: \"row['Unit Count'] + rent\", type: numeric } }, when: not hidden }",
            &["Unit Count", "hidden", "rent"],
        );
        check(
            "tie: { from: \"fldLinks[]\", key: { a: { from: $root.$id, type: text }, b: { from: $value, type: text } }, \
             columns: { name: { from: $root.Name, type: text }, x: { from: inside, type: text } } }",
            &["Name", "fldLinks"],
        );
        let whole = pipeline("homes: { columns: { all: { value: \"row\", type: jsonb } } }");
        assert_eq!(wanted(&whole), Wanted::All);
    }
}
