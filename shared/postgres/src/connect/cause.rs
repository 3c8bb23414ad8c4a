//! What Postgres or the driver said, without any value of a row. The cause of every error of this crate.
//!
//! The server's messages of class 22 quote the offending value, its DETAIL holds whole keys and rows, and a trigger may
//! say anything. None of that may reach a log line or a dead letter's error text.

use std::fmt;

use tokio_postgres::error::DbError;
use tokio_postgres::types::WrongType;

/// What Postgres or the driver said, safe to log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cause {
    /// The SQLSTATE, when the server spoke.
    pub sqlstate: Option<String>,
    /// The words, without values.
    pub message: String,
    /// The table, with its schema.
    pub table: Option<String>,
    /// The column.
    pub column: Option<String>,
    /// The constraint or unique index.
    pub constraint: Option<String>,
}

impl Cause {
    /// The cause behind an error, when Postgres or the driver is behind it.
    pub fn of(error: &tributary_core::Error) -> Option<&Cause> {
        let mut next = std::error::Error::source(error);
        while let Some(source) = next {
            if let Some(cause) = source.downcast_ref() {
                return Some(cause);
            }
            next = source.source();
        }
        None
    }

    pub(crate) fn of_server(said: &DbError) -> Cause {
        Cause {
            sqlstate: Some(said.code().code().to_owned()),
            message: words(said.code().code(), said.routine(), said.message()),
            table: said.table().map(|table| match said.schema() {
                Some(schema) => format!("{schema}.{table}"),
                None => table.to_owned(),
            }),
            column: said.column().map(str::to_owned),
            constraint: said.constraint().map(str::to_owned),
        }
    }

    /// From an error of the driver itself. The cause of a failed encoding is left out unless it is about types alone:
    /// encoders quote what they could not encode.
    pub(crate) fn of_driver(error: &tokio_postgres::Error) -> Cause {
        let source = std::error::Error::source(error);
        let message = match source {
            Some(source) if source.is::<WrongType>() || is_transport(error) => format!("{error}: {source}"),
            _ => error.to_string(),
        };
        Cause { message, ..Cause::default() }
    }
}

/// Whether the driver's error is about the connection, so that its own cause holds no value.
pub(super) fn is_transport(error: &tokio_postgres::Error) -> bool {
    TRANSPORT.contains(&error.to_string().as_str())
}

/// The driver keeps its kinds to itself; these are the words of those that are about the connection. A test opens
/// connections that fail in these ways, so a driver that words them anew is noticed.
const TRANSPORT: [&str; 7] = [
    "error communicating with the server",
    "unexpected message from server",
    "error performing TLS handshake",
    "authentication error",
    "invalid configuration",
    "error connecting to server",
    "timeout waiting for server",
];

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        let facts = [
            ("sqlstate", &self.sqlstate),
            ("table", &self.table),
            ("column", &self.column),
            ("constraint", &self.constraint),
        ];
        let mut opening = " (";
        for (name, fact) in facts {
            if let Some(fact) = fact {
                write!(f, "{opening}{name} {fact}")?;
                opening = ", ";
            }
        }
        if opening == ", " { f.write_str(")") } else { Ok(()) }
    }
}

impl std::error::Error for Cause {}

/// The server's words, as far as they cannot hold a value.
fn words(sqlstate: &str, routine: Option<&str>, message: &str) -> String {
    // What a trigger, a function or an unknown server says is anybody's text.
    let ours = routine.is_some_and(|routine| {
        !["exec_stmt_raise", "PLy_", "plperl", "pltcl", "plv8"].iter().any(|language| routine.starts_with(language))
    });
    match sqlstate.get(..2).unwrap_or_default() {
        // Names of roles, hosts, tables and columns; our statements hold no literal of a row. A server may leave out
        // the routine here: RDS Proxy and PgBouncer do.
        "08" | "0A" | "25" | "26" | "28" | "3D" | "3F" | "40" | "53" | "55" | "57" => message.to_owned(),
        "42" | "23" if ours => message.to_owned(),
        _ if ours => without_values(message),
        _ => "the message is withheld, it may hold values: it comes from a trigger or a function".to_owned(),
    }
}

/// Cuts what is quoted, from the first quotation mark to the last since the value itself may hold some, and what follows
/// a colon.
fn without_values(message: &str) -> String {
    const MARKS: [char; 13] = ['"', '\'', '`', '«', '»', '„', '“', '”', '‚', '‘', '’', '「', '」'];
    let colon = message.find(": ").map(|at| at + 1).unwrap_or(message.len());
    match message.find(MARKS) {
        Some(first) if first < colon => {
            let last = message.rfind(MARKS).unwrap_or(first);
            let after = if last == first { "" } else { message[last..].trim_start_matches(MARKS) };
            let after = after.split(": ").next().unwrap_or_default();
            format!("{}…{after}", &message[..first])
        }
        _ if colon < message.len() => format!("{} …", &message[..colon]),
        _ => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_hold_no_values() {
        let check = |sqlstate, routine, message, expect| {
            assert_eq!(words(sqlstate, routine, message), expect, "{message}");
        };
        let c = Some("ereport_in_c");
        check("22P02", c, r#"invalid input syntax for type uuid: "se"cr"et""#, "invalid input syntax for type uuid: …");
        check("22003", c, r#"value "99" is out of range for type integer"#, "value … is out of range for type integer");
        check(
            "22001",
            c,
            "value too long for type character varying(3)",
            "value too long for type character varying(3)",
        );
        check("22021", c, r#"invalid byte sequence for encoding "UTF8": 0xe9"#, "invalid byte sequence for encoding …");
        check("22008", c, "date field value out of range: 2026-02-30", "date field value out of range: …");
        check("22P02", c, "syntaxe invalide : « secret »", "syntaxe invalide : …");
        check("22P02", c, "an odd \"secret", "an odd …");
        check(
            "23505",
            c,
            r#"duplicate key value violates unique constraint "k""#,
            r#"duplicate key value violates unique constraint "k""#,
        );
        check("42703", c, r#"column "a" does not exist"#, r#"column "a" does not exist"#);
        for (sqlstate, routine) in [
            ("P0001", Some("exec_stmt_raise")),
            ("23505", Some("exec_stmt_raise")),
            ("22023", Some("PLy_output")),
            ("XX000", None),
        ] {
            assert!(!words(sqlstate, routine, "no secret here").contains("secret"), "{sqlstate}");
        }
    }

    #[test]
    fn a_cause_prints_what_it_knows() {
        let check = |cause: Cause, expect| assert_eq!(cause.to_string(), expect);
        let message = "connection closed".to_owned();
        check(Cause { message, ..Cause::default() }, "connection closed");
        let known = Cause {
            sqlstate: Some("23505".into()),
            message: "a duplicate".into(),
            table: Some("public.t".into()),
            column: None,
            constraint: Some("t_pkey".into()),
        };
        check(known, "a duplicate (sqlstate 23505, table public.t, constraint t_pkey)");
    }
}
