//! A mapping as text, with what is known beside it as comments.

use tributary_core::path::Path;

use super::{Answer, Column, Seen};

/// What stands between the parts of a comment.
pub(super) const APART: &str = " · ";

/// A mapping of everything that was seen.
pub(super) fn render(answer: &Answer) -> String {
    let mut lines = vec![
        "datastores:".to_owned(),
        "  warehouse: { type: postgres, url: { env: DATABASE_URL } }".to_owned(),
        format!("  {}:", answer.name),
    ];
    lines.extend(answer.datastore.iter().map(|(key, value)| format!("    {key}: {value}")));
    lines.push("\npipelines:".to_owned());
    for (number, seen) in answer.seen.iter().enumerate() {
        if number > 0 {
            lines.push(String::new());
        }
        pipeline(seen, answer.name, &mut lines);
    }
    lines.push(String::new());
    lines.join("\n")
}

fn pipeline(seen: &Seen, datastore: &str, lines: &mut Vec<String>) {
    lines.push(format!("  # {}", one_line(&seen.title)));
    lines.extend(seen.remarks.iter().map(|remark| format!("  # {}", one_line(remark))));
    lines.push(format!("  {}:", scalar(&seen.name)));
    lines.push("    source:".to_owned());
    lines.push(format!("      datastore: {datastore}"));
    for (key, value, remark) in &seen.source {
        lines.push(beside(format!("      {key}: {value}"), remark));
    }
    lines.push("    sink:".to_owned());
    lines.push("      datastore: warehouse".to_owned());
    lines.push("      tables:".to_owned());
    lines.push(format!("        {}:", scalar(&seen.name)));
    part("          ", "key", &seen.key, &[], lines);
    part("          ", "columns", &seen.columns, &seen.others, lines);
    if seen.key.is_empty() && seen.columns.is_empty() && seen.others.is_empty() {
        lines.push("          columns: {}".to_owned());
    }
    if !seen.lists.is_empty() {
        lines.push("          children:".to_owned());
    }
    for list in &seen.lists {
        lines.push(format!("            {}:", scalar(&list.name)));
        part("              ", "columns", &list.columns, &list.others, lines);
    }
    lines.extend(seen.lines.iter().map(|(key, value)| format!("          {key}: {value}")));
    lines.extend(seen.asides.iter().map(|aside| format!("        # {}", aside.trim_end())));
}

/// A part of a table, so far to the right.
fn part(left: &str, name: &str, columns: &[Column], others: &[Column], lines: &mut Vec<String>) {
    if columns.is_empty() && others.is_empty() {
        return;
    }
    lines.push(format!("{left}{name}:"));
    for column in columns.iter().chain(others) {
        let remark: Vec<String> = [&column.label, &column.remark]
            .into_iter()
            .map(|text| one_line(text))
            .filter(|text| !text.is_empty())
            .collect();
        let (name, ty) = (scalar(&column.name), scalar(&column.ty.to_string()));
        match &column.place {
            None => lines.push(format!("{left}  # no path can name the field: {}", remark.join(APART))),
            Some(path) if *path == column.name => {
                lines.push(beside(format!("{left}  {name}: {ty}"), &one_line(&column.remark)));
            }
            Some(path) => {
                let text = format!("{left}  {name}: {{ from: {}, type: {ty} }}", scalar(path));
                lines.push(beside(text, &remark.join(APART)));
            }
        }
    }
}

/// The path of a field at the top of an item, as a mapping writes it.
pub(super) fn place(field: &str) -> Option<String> {
    let letters = |c: char| c.is_alphanumeric() || matches!(c, '_' | ' ' | '-');
    let is_plain = field.chars().all(letters) && field.trim() == field && !field.is_empty();
    let path = if is_plain { field.to_owned() } else { format!("\"{field}\"") };
    path.parse::<Path>().ok().filter(|parsed| *parsed == Path::field(field)).map(|_| path)
}

/// A scalar of YAML, quoted where it must be.
pub(super) fn scalar(text: &str) -> String {
    const WORDS: [&str; 9] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '$'))
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '$' | '.' | '-'))
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    if is_plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

fn beside(line: String, remark: &str) -> String {
    if remark.is_empty() { line } else { format!("{line}   # {remark}") }
}

/// What people write may have any letters; a comment has one line.
pub(super) fn one_line(text: &str) -> String {
    const LONGEST: usize = 160;
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    crate::output::short(text.trim(), LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_where_they_must_be() {
        let check = |field: &str, expect: Option<&str>| assert_eq!(place(field).as_deref(), expect, "{field}");
        check("name", Some("name"));
        check("Unit Count", Some("Unit Count"));
        check("a.b", Some("\"a.b\""));
        check("Rent (€)", Some("\"Rent (€)\""));
        check("$id", Some("\"$id\""));
        check(" x", Some("\" x\""));
        check("say \"hi\"", None);
        check("", Some("\"\""));
        let check = |text: &str, expect: &str| assert_eq!(scalar(text), expect);
        check("name", "name");
        check("text[]", "\"text[]\"");
        check("no", "\"no\"");
        check("7", "\"7\"");
        check("\"a.b\"", r#""\"a.b\"""#);
        check("http://127.0.0.1:1", "\"http://127.0.0.1:1\"");
    }
}
