use proptest::prelude::*;

use super::*;

/// The codes of the findings, and what a user sees of them.
fn found(text: &str) -> (Vec<&'static str>, String) {
    let Checked { mapping, findings, warnings } = load("tributary.yaml", text);
    assert_eq!(mapping.is_some(), findings.is_empty());
    for finding in findings.iter().chain(&warnings) {
        assert!(finding.span.end <= text.len() && finding.hint.is_some(), "{finding:?}");
    }
    let shown = findings.iter().map(|finding| finding.render(text) + "\n").collect();
    (findings.iter().map(|finding| finding.code).collect(), shown)
}

#[test]
fn bad_files_have_just_these_findings() {
    let tables = samples::TABLES.iter().map(|(codes, table)| (*codes, around(table)));
    let files = samples::FILES
        .iter()
        .chain(samples::polled::BAD)
        .chain(samples::odk::BAD)
        .chain(samples::webhook::BAD)
        .map(|(codes, file)| (*codes, (*file).to_owned()));
    let mut all = String::new();
    let mut wrong = String::new();
    for (codes, text) in tables.chain(files) {
        let (got, shown) = found(&text);
        assert!(!shown.contains("hunter2"), "{shown}");
        if got != codes {
            wrong += &format!("expected {codes:?}, got {got:?}\n{shown}\n");
        }
        all += &shown;
        all += "--------\n";
    }
    assert!(wrong.is_empty(), "{wrong}");
    insta::assert_snapshot!(all);
}

#[test]
fn all_findings_come_at_once() {
    let mut text = around("key: { id: text }\ncolumns:");
    for column in 0..50 {
        text += &format!("            c{column}: {{ type: text, wrong{column}: 1 }}\n");
    }
    assert_eq!(found(&text).0, ["unknown-key"; 50]);
}

#[test]
fn a_finding_names_line_and_column_and_says_what_to_write() {
    let text = around("key: { id: text }\ncolums: {}");
    let finding = &load("a/b.yaml", &text).findings[0];
    assert_eq!((finding.line, finding.column, &text[finding.span.clone()]), (12, 11, "colums"));
    assert_eq!(finding.hint.as_deref(), Some("write `columns`"));
    assert!(finding.render(&text).contains("--> a/b.yaml:12:11\n"));
}

#[test]
fn a_huge_or_exploding_file_is_refused() {
    assert_eq!(found(&" ".repeat(LARGEST_FILE + 1)).0, ["too-large"]);
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let inner = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb += &format!("a{level}: &a{level} [{inner}]\n");
    }
    assert_eq!(found(&bomb).0, ["yaml"]);
    assert_eq!(found(&"[".repeat(100_000)).0, ["yaml"]);
    assert_eq!(found(&"a: ".repeat(1000)).0, ["yaml"]);
    assert_eq!(found(&(0..5000).map(|n| format!("{}k:\n", " ".repeat(n.min(100)))).collect::<String>()).0, ["yaml"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_mutation_of_a_file_panics(
        edits in prop::collection::vec((0usize..4000, 0usize..12, "[ -~\n\u{e4}\u{65e5}]{0,6}"), 1..6),
    ) {
        let mut text = REFERENCE.to_owned();
        for (at, cut, put) in edits {
            let boundary = |mut at: usize| { at = at.min(text.len()); while !text.is_char_boundary(at) { at -= 1; } at };
            let (start, end) = (boundary(at), boundary(at + cut));
            text.replace_range(start..end, &put);
        }
        found(&text);
    }

    #[test]
    fn no_text_panics(text in "[a-z:{}\\[\\]&*!|>'\"#%,\n -]{0,80}") {
        found(&text);
    }
}
