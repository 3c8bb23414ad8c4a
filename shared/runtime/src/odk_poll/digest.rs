//! A value in 64 bits, the same whatever order a map's fields come in.
//!
//! What the server says of a row is compared with what it said before, which Postgres keeps as `jsonb` in an order of its
//! own. FNV-1a: two that differ by chance look the same once in 2^64.

use tributary_core::value::Value;

const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// The digest of bytes.
pub(super) fn of_bytes(bytes: &[u8]) -> u64 {
    add(BASIS, bytes)
}

/// The digest of a value.
pub(super) fn digest(value: &Value) -> u64 {
    hash(BASIS, value)
}

fn add(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME))
}

/// Text with its end, so that two neighbours don't run into one another.
fn text(hash: u64, kind: u8, text: &[u8]) -> u64 {
    add(add(add(hash, &[kind]), text), &[0xff])
}

fn hash(seed: u64, value: &Value) -> u64 {
    match value {
        Value::Null => add(seed, b"0"),
        Value::Bool(value) => add(seed, &[b'b', u8::from(*value)]),
        Value::Number(number) => text(seed, b'n', number.to_string().as_bytes()),
        Value::Text(value) => text(seed, b't', value.as_bytes()),
        Value::Failed(reason) => text(seed, b'f', reason.as_bytes()),
        Value::Bytes(bytes) => text(seed, b'x', bytes),
        Value::List(items) | Value::Set(items) => add(items.iter().fold(add(seed, b"["), hash), b"]"),
        Value::Map(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_unstable_by_key(|(name, _)| *name);
            let all = fields
                .into_iter()
                .fold(add(seed, b"{"), |seed, (name, value)| hash(text(seed, b'k', name.as_bytes()), value));
            add(all, b"}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_have_equal_digests_and_others_have_others() {
        let of = |text: &str| digest(&tributary_sources::json::read(text).unwrap());
        let check = |one: &str, other: &str, same: bool| assert_eq!(of(one) == of(other), same, "{one} {other}");
        check(r#"{"a":1,"b":null}"#, r#"{ "b": null, "a": 1 }"#, true);
        check(r#"{"a":{"x":"1","y":2}}"#, r#"{"a":{"y":2,"x":"1"}}"#, true);
        check(r#"{"a":1}"#, r#"{"a":"1"}"#, false);
        check(r#"{"a":1}"#, r#"{"a":2}"#, false);
        check(r#"{"a":null}"#, "{}", false);
        check(r#"{"a":"b","c":"d"}"#, r#"{"a":"bc","":"d"}"#, false);
        check(r#"[["a"],"b"]"#, r#"[["a","b"]]"#, false);
        check(r#"{"a":true}"#, r#"{"a":false}"#, false);
    }
}
