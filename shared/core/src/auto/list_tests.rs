use std::collections::BTreeMap;

use super::super::{Existing, Field, Known, Names, expand, list, remembered};
use crate::change::{Change, Op};
use crate::column_type::ColumnType;
use crate::event::{Body, Event, Origin};
use crate::mapping;
use crate::pipeline::{From, Pipeline};
use crate::value::Value;
use crate::version::Version;
use crate::view::unified;

fn pipeline(tables: &str) -> Pipeline {
    let text = format!(
        "datastores:\n  w: {{ type: postgres, url: {{ env: DATABASE_URL }} }}\n  \
         o: {{ type: odk, base_url: 'https://odk.example.org', auth: {{ secret: s }} }}\n\
         pipelines:\n  survey:\n    source: {{ datastore: o, project: 1, form: f }}\n    \
         sink: {{ datastore: w, tables: {{ {tables} }} }}\n"
    );
    let checked = mapping::load("t.yaml", &text);
    let findings: Vec<String> = checked.findings.iter().map(|finding| finding.render(&text)).collect();
    checked.mapping.unwrap_or_else(|| panic!("{}", findings.join("\n"))).pipelines.remove(0)
}

/// `name` of the item, or `list:name` of a list's elements; a group's field is `group/name`.
fn field(written: &str) -> Field {
    let (list, id) = written.split_once(':').map_or((None, written), |(list, id)| (Some(list.to_owned()), id));
    let (id, ty) = id.split_once(' ').unwrap_or((id, "text"));
    Field { id: id.into(), list, name: id.replace('/', "_"), ty: ColumnType::parse(ty).ok() }
}

/// `table[!]: column <- place, …` of every table; `!` where it is retired.
fn shown(pipeline: &Pipeline) -> Vec<String> {
    let all = pipeline.tables.iter().zip(&pipeline.routes);
    let of = all.map(|(table, route)| {
        let columns = table.columns.iter().zip(&route.columns).map(|(column, binding)| match &binding.from {
            From::Row(path) if path.to_string() == column.name => column.name.clone(),
            From::Row(path) => format!("{} <- {path}", column.name),
            from => format!("{} <- {from:?}", column.name),
        });
        let retired = if route.retired { "!" } else { "" };
        format!("{}{retired}: {}", table.qualified_name(), columns.collect::<Vec<_>>().join(", "))
    });
    of.collect()
}

struct Followed {
    pipeline: Pipeline,
    names: Names,
    existing: BTreeMap<String, Existing>,
}

impl Followed {
    fn new(tables: &str) -> Self {
        Followed { pipeline: pipeline(tables), names: Names::default(), existing: BTreeMap::new() }
    }

    fn see(&mut self, fields: &[&str], expect: &[&str]) -> Vec<String> {
        let fields: Vec<Field> = fields.iter().map(|written| field(written)).collect();
        let expanded = expand(&self.pipeline, Known::All(&fields), &self.names, &self.existing).unwrap();
        self.names = Names::parse(&expanded.names.to_text()).unwrap();
        assert_eq!(self.names, expanded.names);
        assert_eq!(shown(&expanded.pipeline), expect);
        let again = remembered(&self.pipeline, &self.names).unwrap();
        assert_eq!(shown(&again), expect);
        expanded.news.iter().map(ToString::to_string).collect()
    }

    fn now(&self) -> Pipeline {
        remembered(&self.pipeline, &self.names).unwrap()
    }
}

#[test]
fn lists_become_tables_and_stay_the_same_tables() {
    let mut survey = Followed::new("Survey: { columns: auto, children: auto, view: v }");
    let root = "Survey: _system <- __system, _raw <- $raw";
    let people = "Survey_people: position <- $position, name";
    let income = "Survey_people_income: parent_id <- $parent, position <- $position, amount";
    survey.see(&["note"], &[&format!("{root}, note")]);
    let first = survey.see(
        &["note", "home/rooms integer", "people:name", "people.income:amount numeric", "yard.tree:kind"],
        &[
            &format!("{root}, note, home_rooms <- home.rooms"),
            people,
            income,
            "Survey_yard_tree: position <- $position, kind",
        ],
    );
    assert_eq!(
        first,
        [
            "the new field `home_rooms` has the column Survey.home_rooms, integer",
            "Survey_people follows its source: 1 columns, name",
            "Survey_people_income follows its source: 1 columns, amount",
            "Survey_yard_tree follows its source: 1 columns, kind",
        ]
    );
    // A list that goes keeps its table, with all that it had; so does a field of one that stays.
    let gone = survey.see(
        &["note", "people.income:amount numeric", "people:age integer"],
        &[
            &format!("{root}, note"),
            "Survey_people: position <- $position, age",
            income,
            "Survey_yard_tree!: position <- $position, kind",
        ],
    );
    assert_eq!(
        gone,
        [
            "the list `yard.tree` is gone; its table keeps its rows",
            "the field `home_rooms` is gone; the column Survey.home_rooms keeps its values",
            "the field `name` is gone; the column Survey_people.name keeps its values",
            "the new field `age` has the column Survey_people.age, integer",
        ]
    );
    let back = survey.see(
        &["note", "people:name", "yard.tree:kind"],
        &[
            &format!("{root}, note"),
            people,
            "Survey_people_income!: parent_id <- $parent, position <- $position, amount",
            "Survey_yard_tree: position <- $position, kind",
        ],
    );
    assert!(back.contains(&"the list `yard.tree` is back in its table".to_owned()), "{back:?}");
    let [view] = &unified(&survey.now()).unwrap()[..] else { panic!() };
    let names: Vec<&str> = view.lists.iter().map(|list| list.name.as_str()).collect();
    assert_eq!(names, ["people", "yard_tree"]);
    assert_eq!(view.lists[0].lists[0].name, "income");
    let on = |list: &str, item: &str| (list.to_owned(), item.to_owned());
    assert_eq!(view.lists[0].lists[0].on, [on("submission_id", "submission_id"), on("parent_id", "repeat_id")]);
    assert_eq!(view.columns, ["submission_id", "note"]);
}

#[test]
fn a_list_without_fields_is_a_table_all_the_same() {
    let mut survey = Followed::new("s: { columns: { note: text }, children: auto }");
    let bare = Field { id: String::new(), list: Some("people".into()), name: String::new(), ty: None };
    let fields = [field("note"), field("people.income:amount"), bare];
    survey.names = expand(&survey.pipeline, Known::All(&fields), &survey.names, &survey.existing).unwrap().names;
    survey.see(
        &["note", "people.income:amount", "people:name"],
        &[
            "s: note, _system <- __system",
            "s_people_income: parent_id <- $parent, position <- $position, amount",
            "s_people: position <- $position, name",
        ],
    );
}

#[test]
fn names_of_lists_give_way_to_what_is_there() {
    let mut survey = Followed::new(
        "s: { columns: { note: text }, children: { people: { table: s_dogs, columns: auto }, '*': auto }, view: s_cats }, \
         s_birds: { from: 'fish[]', columns: auto }",
    );
    survey.see(
        &["people:name", "dogs:name", "cats:name", "birds:name", "fish:name", "owl.nest:name", "owl_nest:name"],
        &[
            "s: note, _system <- __system",
            "s_dogs: position <- $position, name",
            "s_birds: position <- $position, name",
            "s_dogs_2: position <- $position, name",
            "s_cats_2: position <- $position, name",
            "s_birds_2: position <- $position, name",
            "s_owl_nest: position <- $position, name",
            "s_owl_nest_2: position <- $position, name",
        ],
    );
    assert_eq!(list::table_name(&"x".repeat(60), "people"), format!("{}_pe", "x".repeat(60)));
}

#[test]
fn a_column_that_the_mapping_names_keeps_its_values_too_when_its_field_goes() {
    let mut survey = Followed::new(
        "s: { columns: { a: text, kind: { from: home.kind, type: text }, made: { value: \"row.a | upper\", type: text } }, \
         children: { people: { columns: { name: text, age: integer } } } }",
    );
    let [root, people] = ["s: a, kind <- home.kind, made <- Program", "s_people: name, age, position <- $position"];
    let program = |text: &str| text.to_owned();
    let seen = |survey: &mut Followed, fields: &[&str]| {
        let fields: Vec<Field> = fields.iter().map(|written| field(written)).collect();
        let expanded = expand(&survey.pipeline, Known::All(&fields), &survey.names, &survey.existing).unwrap();
        survey.names = Names::parse(&expanded.names.to_text()).unwrap();
        let shown = shown(&survey.now()).into_iter().map(|table| match table.split_once("made <- Program") {
            Some((before, _)) => format!("{before}made <- Program"),
            None => program(&table),
        });
        (shown.collect::<Vec<_>>(), expanded.news.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    let all = ["a", "home/kind", "people:name", "people:age"];
    assert_eq!(seen(&mut survey, &all), (vec![root.to_owned(), people.to_owned()], vec![]));
    let (now, news) = seen(&mut survey, &["a", "people:age"]);
    assert_eq!(now, ["s: a, made <- Program", "s_people: age, position <- $position"]);
    assert_eq!(
        news,
        [
            "the field `home/kind` is gone; the column s.kind keeps its values",
            "the field `name` is gone; the column s_people.name keeps its values",
        ]
    );
    let (now, news) = seen(&mut survey, &all);
    assert_eq!(now, [root, people]);
    assert_eq!(news.len(), 2, "{news:?}");
}

fn routed(pipeline: &Pipeline, body: Body) -> Vec<Change> {
    let origin = Origin { position: "1".into(), key: "".into(), payload: Default::default() };
    let event = Event { origin, version: Version::ZERO, at: None, body };
    let (mut changes, mut rejected) = (Vec::new(), Vec::new());
    crate::route::route(pipeline, &event, 0, 0, &mut changes, &mut rejected);
    assert!(rejected.is_empty(), "{rejected:?}");
    changes
}

#[test]
fn an_item_says_nothing_of_a_list_that_is_gone_and_a_delete_takes_its_rows() {
    let mut survey = Followed::new("s: { columns: { note: text }, children: auto }");
    survey.see(
        &["note", "people:name", "dogs:name"],
        &[
            "s: note, _system <- __system",
            "s_people: position <- $position, name",
            "s_dogs: position <- $position, name",
        ],
    );
    let fields = [field("note"), field("people:name")];
    survey.names = expand(&survey.pipeline, Known::All(&fields), &survey.names, &survey.existing).unwrap().names;
    let pipeline = survey.now();
    let item = Value::from([("$id", Value::text("uuid:1")), ("__id", Value::text("uuid:1"))]);
    let changes = routed(&pipeline, Body::Image { now: item.clone(), before: None });
    // An absent list is the empty set; that of `dogs` isn't known to be.
    let tables: Vec<u16> = changes.iter().map(|change| change.table).collect();
    assert_eq!(tables, [0, 1]);
    assert!(matches!(&changes[1].op, Op::Replace(elements) if elements.is_empty()));
    let changes = routed(&pipeline, Body::Gone { key: item, before: None, expired: false });
    assert_eq!(changes.len(), 3, "{changes:?}");
}
