use super::*;
use crate::decimal::Decimal;

fn number(text: &str) -> Value {
    Value::Number(Decimal::parse(text).unwrap())
}

fn item() -> Value {
    Value::from([
        ("name", Value::from("Ada")),
        ("o__total", number("1200.5")),
        ("user_id", number("42")),
        ("big", number("12345678901234567890123456789012345678")),
        ("fine", number("1.2345678901234567890123456789012345678")),
        ("huge", number("1e100")),
        ("gone", Value::Null),
        ("tags", Value::Set(vec![Value::from("a"), Value::from("b")])),
        ("raw", Value::Bytes(vec![0xff, 0].into())),
        ("appearance", Value::from([("mode", Value::from("dark"))])),
        ("str", Value::from("field")),
        ("zip code", Value::from("10115")),
    ])
}

#[track_caller]
fn check(source: &str, expect: Value) {
    let item = item();
    let context = Context { row: &item, root: &item, index: Some(3) };
    let program = Program::compile(source).unwrap_or_else(|e| panic!("{source}: {e:?}"));
    assert_eq!(program.eval(&context).map_err(|e| format!("{e:?}")), Ok(expect), "{source}");
}

#[test]
fn the_spellings_of_old_configurations_mean_what_they_meant() {
    check("{{ name }} - ${{ o__total }}", "Ada - $1200.5".into());
    check("user:{{ user_id }}", "user:42".into());
    check("TMPL(/creditscore?user_id={{user_id}})", "/creditscore?user_id=42".into());
    check("lambda r: 1 if r[\"o__total\"]>1000 else 0", 1.into());
    check("lambda v: {\"redis_name\":v[\"name\"]}", Value::from([("redis_name", "Ada".into())]));
    check("lambda: 7 // 2", 3.into());
    check("lambda r: r.get('nothing', 'x') + r['name'][1:].upper()", "xDA".into());
    check("lambda x: str(x.name) if x.user_id in [41, 42] and not x.gone else None", "Ada".into());
    check("lambda r: 'mode' in r['appearance']", true.into());
}

#[test]
fn what_is_missing_is_null_and_never_an_error() {
    for missing in [
        "bio",
        "gone",
        "{{ bio }}",
        "{{ gone }}",
        "bio.deep.er",
        "row.bio",
        "r['bio']['x']",
        "bio.upper()",
        "int(gone)",
        "len(bio)",
        "round(bio)",
        "None",
        "appearance.theme",
    ] {
        check(missing, Value::Null);
    }
    check("bio or name", "Ada".into());
    check("gone or name", "Ada".into());
    check("bio|default('x') ~ gone|default('y')", "xy".into());
    check(
        "[bio is none, gone is None, gone is defined, name is not none]",
        Value::List(vec![true.into(), true.into(), false.into(), true.into()]),
    );
    check("{{ name }}{{ bio }}{{ gone }}", "Ada".into());
}

#[test]
fn numbers_stay_exact_or_are_refused() {
    check("big + 1", number("12345678901234567890123456789012345679"));
    check("fine", number("1.2345678901234567890123456789012345678"));
    check("{{ fine }}", "1.2345678901234567890123456789012345678".into());
    check("huge", number("1e100"));
    check("o__total * 2", number("2401"));
    check("0.1 + 0.2", number("0.30000000000000004"));
    check("raw", Value::Bytes(vec![0xff, 0].into()));
    check("tags", Value::List(vec!["a".into(), "b".into()]));
    check("int('12') + int(3.9)", 15.into());
    check("round(2.5)", 2.into());
    check("round(2.675, 2)", number("2.67"));
    check("row", item_as_lists());
}

fn item_as_lists() -> Value {
    let Value::Map(mut fields) = item() else { unreachable!() };
    fields["tags"] = Value::List(vec!["a".into(), "b".into()]);
    Value::Map(fields)
}

#[test]
fn an_evaluation_fails_without_a_value_in_the_text() {
    let item = item();
    let context = Context { row: &item, root: &item, index: None };
    let endless = "{% for a in range(9999) %}{% for b in range(9999) %}{{ a }}{% endfor %}{% endfor %}";
    for (source, text) in [
        ("name + 1", "tried to use + operator on unsupported types string and number at `name + 1`"),
        ("fine + 1", "tried to use + operator on unsupported types number of many digits and number at `fine + 1`"),
        ("int(name)", "int does not take this string at `int(name)`"),
        ("{{ raw }}", "binary that is no UTF-8 cannot be printed"),
        ("name|int", "invalid operation at `int`"),
        (endless, "engine ran out of fuel at `a`"),
    ] {
        let error = Program::compile(source).unwrap().eval(&context).unwrap_err();
        assert_eq!(error.kind(), crate::Kind::Data, "{source}");
        assert_eq!(format!("{error:#}"), format!("an expression failed: {text}"), "{source}");
    }
    for (source, text) in [
        ("fine > 1", "a number has more digits than an expression can compare"),
        ("1e308 * 10", "an expression gave a number that is not finite"),
    ] {
        let error = Program::compile(source).unwrap().eval(&context).unwrap_err();
        assert_eq!(format!("{error:#}"), text, "{source}");
    }
}

#[test]
fn a_source_that_cannot_work_is_refused_when_compiled() {
    for (source, message, place) in [
        ("name +", "syntax error: unexpected end of input, expected expression", "+"),
        ("lambda r: r.name +", "syntax error: unexpected end of input, expected expression", "+"),
        ("TMPL({{ name )", "syntax error: unexpected end of input, expected end of variable block", "name"),
        ("lambda: datetime.datetime.now()", "unknown method `now`", "now"),
        ("open('x')", "unknown function `open`", "open"),
        ("{{ name|shout }}", "unknown filter `shout`", "shout"),
        ("name is loud", "unknown test `loud`", "loud"),
        ("{% include 'x' %}", "`include` has no place in a mapping", "include"),
        ("name.__class__()", "unknown method `__class__`", "__class__"),
        ("name == None", "a missing value is never equal to anything", "=="),
        ("lambda a, b: a", "a lambda here takes one parameter, the row", "lambda a, b:"),
        ("", "the expression is empty", ""),
    ] {
        let flaw = Program::parse(source).unwrap_err();
        assert_eq!((flaw.message.as_str(), &source[flaw.range.unwrap()]), (message, place), "{source}");
    }
}

#[test]
fn a_field_that_is_named_like_a_function_is_reached_through_the_row() {
    check("row.str + str(1)", "field1".into());
    check("row['zip code']", "10115".into());
    check("index", 3.into());
    check("root.name", "Ada".into());
}

#[test]
fn a_program_knows_what_it_reads() {
    let fields = |source: &str| Program::compile(source).unwrap().row_fields();
    let these = |names: &[&str]| Names::These(names.iter().map(|n| (*n).to_owned()).collect());
    assert_eq!(fields("a.b ~ c|upper ~ str(d) ~ \"x\" ~ root.e"), these(&["a", "c", "d"]));
    assert_eq!(fields("lambda q: q.a + q['b'] + q.get('c', 1)"), these(&["a", "b", "c"]));
    assert_eq!(fields("lambda q: q.get('c' ~ d)"), Names::All);
    assert_eq!(fields("r.items()"), Names::All);
    assert_eq!(Program::compile("root.id ~ root['k']").unwrap().root_fields(), these(&["id", "k"]));
    assert!(Program::compile("index + 1").unwrap().uses_index());
}

#[test]
fn templates_have_loops_macros_and_names_of_their_own() {
    check("{% for t in tags %}{{ t }}{{ loop.index }},{% endfor %}", "a1,b2,".into());
    check("{% macro m(x) %}<{{ x }}>{% endmacro %}{{ m(name) }}", "<Ada>".into());
    check("{% set name = name|upper %}{{ name }}!", "ADA!".into());
    check("{% for name in tags %}{{ name }}{% endfor %}{{ name }}", "abAda".into());
    check("{{ '%05d'|format(user_id) }}", "00042".into());
}

#[test]
fn a_condition_is_a_truth_of_the_row() {
    let item = item();
    let context = Context { row: &item, root: &item, index: None };
    let holds = |source: &str| Program::compile(source).unwrap().holds(&context);
    assert!(holds("name == 'Ada' and user_id > 41").unwrap());
    assert!(!holds("bio").unwrap());
    assert!(!holds("{{ gone }}").unwrap());
    assert!(holds("{{ name }} {{ gone }}").is_err());
}

#[test]
fn programs_are_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Program>();
}

proptest::proptest! {
    #[test]
    fn no_source_panics(source in "[a-z0-9 .|'\"{}%#()\\[\\]<>=+*~:\\\\ü-]{0,40}") {
        let item = item();
        if let Ok(program) = Program::compile(&source) {
            let _ = program.eval(&Context { row: &item, root: &item, index: None });
        }
    }
}
