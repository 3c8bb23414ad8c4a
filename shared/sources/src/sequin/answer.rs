//! What both products answer with: a list of messages, cut into its elements without a copy.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use tributary_core::{Error, Result};

/// The elements of `{"data": […]}`, or of a bare list: the documents of the former Sequin show both. They share the
/// answer's bytes.
///
/// # Errors
/// `Data` when it is neither. The message has the place, never the content.
pub(super) fn elements(answer: &Bytes) -> Result<Vec<Bytes>> {
    #[derive(Deserialize)]
    struct Enveloped<'a> {
        #[serde(borrow)]
        data: Vec<&'a RawValue>,
    }
    let is_list = answer.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    let elements = if is_list {
        serde_json::from_slice::<Vec<&RawValue>>(answer)
    } else {
        serde_json::from_slice::<Enveloped<'_>>(answer).map(|enveloped| enveloped.data)
    };
    let elements = elements.map_err(|e| {
        let problem = if e.is_eof() { "it ends too early" } else { "it is no list of messages" };
        // The parser's own words may quote the answer.
        Error::data(format!("cannot read Sequin's answer: {problem}, line {}, column {}", e.line(), e.column()))
            .with_hint("look whether `base_url` is the Sequin server itself, and `protocol` the one that it speaks")
    })?;
    Ok(elements.into_iter().map(|raw| answer.slice_ref(raw.get().as_bytes())).collect())
}

/// FNV-1a, 64 bits: the same in every version of this program, unlike the standard library's hash.
pub(super) fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_cut_into_its_elements() {
        let check = |text: &'static str, expect: &[&str]| {
            let answer = Bytes::from_static(text.as_bytes());
            let cut = elements(&answer).unwrap();
            assert_eq!(cut, expect, "{text}");
            assert!(cut.iter().all(|part| answer.as_ptr_range().contains(&part.as_ptr())), "{text}: copied");
        };
        check(r#"{"data": []}"#, &[]);
        check(r#" {"info":{"num_pending":1},"data":[{"a":1}, {"b": [2]}]} "#, &[r#"{"a":1}"#, r#"{"b": [2]}"#]);
        check(r#" [{"ack_token":"NjA1"}]"#, &[r#"{"ack_token":"NjA1"}"#]);
    }

    #[test]
    fn what_is_no_answer_is_refused_and_not_quoted() {
        let check = |text: &'static str, expect: &str| {
            let error = elements(&Bytes::from_static(text.as_bytes())).unwrap_err();
            assert!(error.to_string().contains(expect) && !error.chain().contains("hunter2"), "{text}: {error}");
        };
        check("", "ends too early");
        check(r#"{"data":[{"a":"hunter2"#, "ends too early");
        check("<html>hunter2</html>", "no list");
        check(r#"{"summary":"hunter2"}"#, "no list");
        check(r#"{"data":"hunter2"}"#, "no list");
    }
}
