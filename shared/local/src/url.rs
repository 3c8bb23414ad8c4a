//! libpq URLs, as far as naming another database goes. It is no parser: tokio-postgres has one.

/// The same server, another database. Understands URLs and the `key=value` form, of which the last `dbname` counts.
pub(crate) fn with_database(url: &str, database: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        let quoted = database.replace('\\', "\\\\").replace('\'', "\\'");
        return format!("{url} dbname='{quoted}'");
    };
    let (place, query) = match rest.split_once('?') {
        Some((place, query)) => (place, Some(query)),
        None => (rest, None),
    };
    let authority = place.split_once('/').map_or(place, |(authority, _)| authority);
    let mut answer = format!("{scheme}://{authority}/{}", percent_encoded(database));
    // `?dbname=` would win over the path.
    let kept: Vec<&str> = query.unwrap_or("").split('&').filter(|part| !part.is_empty()).collect();
    let kept: Vec<&str> = kept.into_iter().filter(|part| !part.starts_with("dbname=")).collect();
    if !kept.is_empty() {
        answer.push('?');
        answer.push_str(&kept.join("&"));
    }
    answer
}

fn percent_encoded(text: &str) -> String {
    let mut answer = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            answer.push(char::from(byte));
        } else {
            answer.push_str(&format!("%{byte:02X}"));
        }
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_database_changes() {
        let check = |url: &str, database: &str, expect: &str| assert_eq!(with_database(url, database), expect);
        check(
            "postgres://u:p@127.0.0.1:5432/a?sslmode=disable",
            "b",
            "postgres://u:p@127.0.0.1:5432/b?sslmode=disable",
        );
        check("postgresql://127.0.0.1", "b", "postgresql://127.0.0.1/b");
        check("postgres://h/a?dbname=c&x=1", "b", "postgres://h/b?x=1");
        check("postgres://h/a", "ö /", "postgres://h/%C3%B6%20%2F");
        check("host=h dbname=a", "it's", "host=h dbname=a dbname='it\\'s'");
    }
}
