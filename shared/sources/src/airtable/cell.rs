//! What a cell says, in the form in which records are listed ("V1"): option names, record ids, flat lists of lookups.
//!
//! Webhook payloads have another form of most cells and are not read for their cells at all; see [`super::payload`].

use tributary_core::value::Value;

/// What stays of an attachment. Its `url` and `thumbnails` expire within hours, so that a row with them would change with
/// every reading; width and height follow from the file.
const OF_AN_ATTACHMENT: [&str; 4] = ["id", "filename", "size", "type"];
/// A field of collaborators that is such an address too.
const PICTURE: &str = "profilePicUrl";

/// The value of a cell: without what changes by itself, and with what Airtable could not compute as [`Value::Failed`].
pub fn cell(value: Value) -> Value {
    match value {
        Value::List(items) => Value::List(items.into_iter().map(cell).collect()),
        Value::Map(_) => match failure(&value) {
            Some(reason) => Value::Failed(reason),
            None => lasting(value),
        },
        other => other,
    }
}

/// `{"error": "#ERROR!"}` and `{"specialValue": "NaN"}`, which stand where a formula, rollup or lookup has no value.
fn failure(value: &Value) -> Option<Box<str>> {
    let Value::Map(fields) = value else { return None };
    let (name, reason) = fields.first().filter(|_| fields.len() == 1)?;
    if !matches!(&**name, "error" | "specialValue") {
        return None;
    }
    match reason {
        // Codes are words of Airtable's own. What looks otherwise might be a value, which must not get into a note.
        Value::Text(code) if code.len() <= 40 && code.bytes().all(|b| b.is_ascii_graphic()) => Some(code.clone()),
        _ => Some("an error".into()),
    }
}

fn lasting(value: Value) -> Value {
    let Value::Map(mut fields) = value else { return value };
    let begins = |name: &str, prefix: &str| matches!(fields.get(name), Some(Value::Text(id)) if id.starts_with(prefix));
    if begins("id", "att") && fields.contains_key("url") {
        fields.retain(|name, _| OF_AN_ATTACHMENT.contains(&&**name));
        return Value::Map(fields);
    }
    if begins("id", "usr") {
        fields.shift_remove(PICTURE);
    }
    let inner = |value| match value {
        Value::List(items) => Value::List(items.into_iter().map(lasting).collect()),
        other => lasting(other),
    };
    Value::Map(fields.into_iter().map(|(name, value)| (name, inner(value))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::read;

    fn check(json: &str, expect: &Value) {
        assert_eq!(cell(read(json).unwrap()), *expect, "{json}");
    }

    fn failed(reason: &str) -> Value {
        Value::Failed(reason.into())
    }

    #[test]
    fn what_could_not_be_computed_is_no_value() {
        check(r##"{"error":"#ERROR!"}"##, &failed("#ERROR!"));
        check(r#"{"specialValue":"NaN"}"#, &failed("NaN"));
        check(r#"{"specialValue":"Infinity"}"#, &failed("Infinity"));
        check(r#"{"error":"a whole sentence that might quote a cell"}"#, &failed("an error"));
        check(r#"{"error":true}"#, &failed("an error"));
        check(r##"[1,{"error":"#ERROR!"},"x"]"##, &Value::List(vec![1.into(), failed("#ERROR!"), "x".into()]));
        // An AI cell tells its own errors beside its value.
        let ai = r#"{"state":"error","errorType":"emptyDependency","isStale":false,"value":null}"#;
        check(ai, &read(ai).unwrap());
    }

    #[test]
    fn what_changes_by_itself_is_left_out() {
        let photo = r#"{"id":"att1","width":3,"height":4,"url":"https://x/1","filename":"a.jpg","size":12,"type":"image/jpeg","thumbnails":{"small":{"url":"https://x/2"}}}"#;
        let kept = r#"{"id":"att1","filename":"a.jpg","size":12,"type":"image/jpeg"}"#;
        let value = |json: &str| read(json).unwrap();
        check(&format!("[{photo},{photo}]"), &value(&format!("[{kept},{kept}]")));
        check(
            &format!(r#"{{"valuesByLinkedRecordId":{{"rec1":[{photo}]}}}}"#),
            &value(&format!(r#"{{"valuesByLinkedRecordId":{{"rec1":[{kept}]}}}}"#)),
        );
        check(
            r#"{"id":"usr1","email":"a@b.c","profilePicUrl":"https://x"}"#,
            &value(r#"{"id":"usr1","email":"a@b.c"}"#),
        );
        // A button's address is what somebody wrote.
        let button = r#"{"label":"Open","url":"https://x"}"#;
        check(button, &value(button));
    }

    #[test]
    fn numbers_keep_their_digits() {
        check("0.1000000000000000055511151231257827", &read("0.1000000000000000055511151231257827").unwrap());
        check(r#"[9007199254740993]"#, &read("[9007199254740993]").unwrap());
    }
}
