//! The formulas that we filter by.
//!
//! <https://support.airtable.com/docs/formula-field-reference>

/// The records of these ids. Ids are letters and digits; what isn't is left out, so that nothing can end the quotes.
pub fn of_records<'i>(ids: impl IntoIterator<Item = &'i str>) -> String {
    let one = |id: &str| format!("RECORD_ID()='{id}'");
    let sane = |id: &&str| !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric());
    format!("OR({})", ids.into_iter().filter(sane).map(one).collect::<Vec<_>>().join(","))
}

/// The records whose `lastModifiedTime` field of this id shows a time between these two, both excluded: RFC 3339, UTC.
pub fn modified_between(field: &str, after: &str, before: &str) -> String {
    format!("AND(IS_AFTER({{{field}}},'{after}'),IS_BEFORE({{{field}}},'{before}'))")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_as_airtable_writes_them() {
        assert_eq!(of_records(["rec1", "re'c", "rec2"]), "OR(RECORD_ID()='rec1',RECORD_ID()='rec2')");
        assert_eq!(
            modified_between("fld1", "2026-01-02T03:04:05.678Z", "2026-01-02T03:05:00.000Z"),
            "AND(IS_AFTER({fld1},'2026-01-02T03:04:05.678Z'),IS_BEFORE({fld1},'2026-01-02T03:05:00.000Z'))"
        );
    }
}
