//! The name of a column, made of what people call a field.

/// Postgres cuts longer names in silence (`NAMEDATALEN`).
const LONGEST: usize = 63;

/// What a field without any letter or digit in its name is called.
const NAMELESS: &str = "field";

/// Every table of Postgres has these, so that no column can be named so (documentation, "System Columns").
const OF_POSTGRES: [&str; 6] = ["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"];

/// A column's name for a field of this name: lowercase words joined by `_`, accents of Latin letters dropped, letters of
/// other scripts kept; what is neither letter nor digit parts words. Never empty, at most 63 bytes.
pub fn column_name(field: &str) -> String {
    let letters: Vec<char> = field.chars().collect();
    let mut name = String::new();
    let mut apart = false;
    for (at, letter) in letters.iter().copied().enumerate() {
        if is_dropped(letter) {
            continue;
        }
        if !letter.is_alphanumeric() {
            apart = true;
            continue;
        }
        let previous = at.checked_sub(1).map(|before| letters[before]);
        if (apart || begins_word(previous, letter, &letters[at + 1..])) && !name.is_empty() {
            name.push('_');
        }
        apart = false;
        match folded(letter) {
            Some(plain) => name.push_str(plain),
            None => name.extend(letter.to_lowercase().filter(|lower| lower.is_alphanumeric())),
        }
    }
    if name.starts_with(|first: char| first.is_ascii_digit()) {
        // What begins with a digit would have to be quoted in every query.
        name.insert(0, '_');
    }
    if name.is_empty() { NAMELESS.to_owned() } else { cut(&name, LONGEST).to_owned() }
}

/// The first of `name`, `name_2`, `name_3`, … that is not taken, and that Postgres lets a column have.
pub fn free(name: &str, is_taken: impl Fn(&str) -> bool) -> String {
    let is_taken = |name: &str| OF_POSTGRES.contains(&name) || is_taken(name);
    if !is_taken(name) {
        return name.to_owned();
    }
    let mut number: u64 = 2;
    loop {
        let suffix = format!("_{number}");
        let candidate = format!("{}{suffix}", cut(name, LONGEST - suffix.len()).trim_end_matches('_'));
        if !is_taken(&candidate) {
            return candidate;
        }
        number += 1;
    }
}

/// At most so many bytes, whole letters.
pub(super) fn cut(name: &str, bytes: usize) -> &str {
    let mut end = bytes.min(name.len());
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name[..end].trim_end_matches('_')
}

/// Apostrophes, combining accents, and what joins or colours emoji: they part no words.
fn is_dropped(letter: char) -> bool {
    matches!(letter, '\'' | '’' | 'ʼ' | '\u{300}'..='\u{36f}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}' | '\u{20e3}')
}

/// `unitCount`, `Q1Total`, `HTTPServer`; but `URLs` is one word.
fn begins_word(previous: Option<char>, letter: char, rest: &[char]) -> bool {
    let Some(previous) = previous.filter(|_| letter.is_uppercase()) else { return false };
    let lower = |at: usize| rest.get(at).is_some_and(|next| next.is_lowercase());
    previous.is_lowercase() || previous.is_numeric() && lower(0) || previous.is_uppercase() && lower(0) && lower(1)
}

/// Latin letters without their accents.
fn folded(letter: char) -> Option<&'static str> {
    if letter.is_ascii() {
        return None;
    }
    const FOLDED: [(&str, &str); 34] = [
        ("a", "àáâãäåāăąÀÁÂÃÄÅĀĂĄª"),
        ("ae", "æÆ"),
        ("c", "çćĉċčÇĆĈĊČ"),
        ("d", "ďđðĎĐÐ"),
        ("e", "èéêëēĕėęěÈÉÊËĒĔĖĘĚ"),
        ("g", "ĝğġģĜĞĠĢ"),
        ("h", "ĥħĤĦ"),
        ("i", "ìíîïĩīĭįıÌÍÎÏĨĪĬĮİ"),
        ("ij", "ĳĲ"),
        ("j", "ĵĴ"),
        ("k", "ķĸĶ"),
        ("l", "ĺļľŀłĹĻĽĿŁ"),
        ("n", "ñńņňŋÑŃŅŇŊ"),
        ("o", "òóôõöøōŏőÒÓÔÕÖØŌŎŐº"),
        ("oe", "œŒ"),
        ("r", "ŕŗřŔŖŘ"),
        ("s", "śŝşšșſŚŜŞŠȘ"),
        ("ss", "ßẞ"),
        ("t", "ţťŧțŢŤŦȚ"),
        ("th", "þÞ"),
        ("u", "ùúûüũūŭůűųÙÚÛÜŨŪŬŮŰŲ"),
        ("w", "ŵŴ"),
        ("y", "ýÿŷÝŶŸ"),
        ("z", "źżžŹŻŽ"),
        ("0", "⁰₀"),
        ("1", "¹₁"),
        ("2", "²₂"),
        ("3", "³₃"),
        ("4", "⁴₄"),
        ("5", "⁵₅"),
        ("6", "⁶₆"),
        ("7", "⁷₇"),
        ("8", "⁸₈"),
        ("9", "⁹₉"),
    ];
    FOLDED.iter().find(|(_, letters)| letters.contains(letter)).map(|(plain, _)| *plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_fields_name_becomes_words() {
        let check = |field: &str, expect: &str| assert_eq!(column_name(field), expect, "{field}");
        check("Name", "name");
        check("Unit Count", "unit_count");
        check("  Area (m²) ", "area_m2");
        check("unitCount", "unit_count");
        check("HTTPServer", "http_server");
        check("URLs", "urls");
        check("Q1Total", "q1_total");
        check("3D model", "_3d_model");
        check("Owner's e-mail", "owners_e_mail");
        check("🏠 Home 👨‍👩‍👧", "home");
        check("1️⃣ First", "_1_first");
        check("❤️", "field");
        check("", "field");
        check("---", "field");
        check("Straße / Größe", "strasse_grosse");
        check("Łódź Ærø", "lodz_aero");
        check("e\u{301}te\u{301}", "ete");
        check("Дом", "дом");
        check("名前", "名前");
        check("_version", "version");
        check("order", "order");
        check("a.b[0]", "a_b_0");
        check("% paid #", "paid");
        check(&"x".repeat(80), &"x".repeat(63));
        check(&"ж".repeat(40), &"ж".repeat(31));
    }

    #[test]
    fn a_name_that_is_taken_gets_a_number() {
        let check = |name: &str, taken: &[&str], expect: &str| {
            assert_eq!(free(name, |name| taken.contains(&name)), expect, "{name} {taken:?}");
        };
        check("rent", &[], "rent");
        check("rent", &["rent"], "rent_2");
        check("rent", &["rent", "rent_2"], "rent_3");
        check("xmin", &[], "xmin_2");
        let long = "x".repeat(63);
        check(&long, &[&long], &format!("{}_2", "x".repeat(61)));
    }

    proptest! {
        #[test]
        fn every_text_gives_a_name(field in "\\PC*") {
            let name = column_name(&field);
            prop_assert!(!name.is_empty() && name.len() <= LONGEST);
            prop_assert!(name.chars().all(|c| c == '_' || c.is_alphanumeric()), "{name}");
            prop_assert!(!name.ends_with('_') && !name.contains("__"), "{name}");
        }
    }
}
