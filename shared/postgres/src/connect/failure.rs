//! What a failure of Postgres means: who has to act, and whether to try again. The only place that reads SQLSTATEs for
//! that. Codes and their classes: appendix A of the PostgreSQL manual.

use std::error::Error as _;

use tokio_postgres::error::DbError;
use tributary_core::{Error, Kind};

use super::cause::{Cause, is_transport};

/// Turns an error of the driver into ours: `cannot {doing}`, with a [`Cause`] that holds no value of a row.
#[expect(clippy::needless_pass_by_value, reason = "the original holds row values and must not live on")]
pub fn classify(error: tokio_postgres::Error, doing: &str) -> Error {
    explain(&error, doing, |kind| kind)
}

/// As [`classify`], where no record is in play that could be at fault.
#[expect(clippy::needless_pass_by_value, reason = "see classify")]
pub(super) fn classify_connecting(error: tokio_postgres::Error, doing: &str) -> Error {
    explain(&error, doing, |kind| if kind == Kind::Data { Kind::Config } else { kind })
}

/// What happened, in words without any value of a row: for a dead letter.
pub(crate) fn describe(error: &tokio_postgres::Error) -> String {
    cause(error).to_string()
}

fn cause(error: &tokio_postgres::Error) -> Cause {
    error.as_db_error().map_or_else(|| Cause::of_driver(error), Cause::of_server)
}

fn explain(error: &tokio_postgres::Error, doing: &str, adjust: impl Fn(Kind) -> Kind) -> Error {
    let (kind, hint) = error.as_db_error().map_or_else(|| judge_driver(error), judge_server);
    let explained = Error::new(adjust(kind), format!("cannot {doing}")).with_source(cause(error));
    match hint {
        Some(hint) => explained.with_hint(hint),
        None => explained,
    }
}

type Verdict = (Kind, Option<&'static str>);

const DISAGREE: &str = "the mapping and the table disagree; `tributary migrate --dry-run` shows how";
const PROXY: &str = "set `proxy: true` in the datastore when it is reached through RDS Proxy or PgBouncer";
const GRANT: &str = "grant the function's role what it needs on the table and on the schema `tributary`";
const CREDENTIAL: &str = "check user and password of the datastore; with `auth: iam` also that the user has the role \
                          rds_iam and the function may do rds-db:connect";

fn judge_server(said: &DbError) -> Verdict {
    let code = said.code().code();
    // A migration changed the table under a prepared statement; a new connection prepares it anew.
    if code == "0A000" && said.routine() == Some("RevalidateCachedQuery") {
        return (Kind::Unavailable, None);
    }
    judge(code)
}

fn judge(code: &str) -> Verdict {
    match code {
        // What a proxy answers to startup parameters and to statements that it doesn't know.
        "08P01" | "0A000" | "26000" | "42P05" => (Kind::Config, Some(PROXY)),
        "21000" | "25P02" => (Kind::Bug, None),
        "42501" => (Kind::Config, Some(GRANT)),
        // An index row that is too large: the key's value is at fault.
        "54000" => (Kind::Data, None),
        _ => match code.get(..2).unwrap_or_default() {
            "22" | "23" | "44" | "P0" => (Kind::Data, None),
            "28" => (Kind::Auth, Some(CREDENTIAL)),
            "3D" => (Kind::Config, Some("create the database, or correct the datastore's `dbname`")),
            "3F" => (Kind::Config, Some("create the schema, or let `tributary migrate` do so")),
            "42" => (Kind::Config, Some(DISAGREE)),
            // 40: deadlock, serialization; 25006: a read-only server during failover; 53: full; 55P03: a lock; 57:
            // shutdown, cancel; 58: its disk; XX: itself. All may pass.
            "08" | "40" | "25" | "53" | "55" | "57" | "58" | "XX" => (Kind::Unavailable, None),
            _ => (Kind::Config, None),
        },
    }
}

fn judge_driver(error: &tokio_postgres::Error) -> Verdict {
    if let Some(verdict) = certificate(error) {
        return verdict;
    }
    match error.to_string().as_str() {
        "connection closed" => (Kind::Unavailable, None),
        "authentication error" => (Kind::Auth, Some(CREDENTIAL)),
        "invalid configuration" => (Kind::Config, Some("check host, user and password of the datastore")),
        _ if is_transport(error) => (Kind::Unavailable, None),
        _ => (Kind::Bug, None),
    }
}

/// Whether trust failed: a retry meets the same certificate.
fn certificate(error: &tokio_postgres::Error) -> Option<Verdict> {
    if error.to_string() != "error performing TLS handshake" {
        return None;
    }
    let source = error.source()?;
    let Some(io) = source.downcast_ref::<std::io::Error>() else {
        let hint = "the server offers no TLS: enable it there, or say `tls: off` where the network alone is trusted";
        return Some((Kind::Config, Some(hint)));
    };
    let hint = match io.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(reason) => match reason {
            rustls::CertificateError::NotValidForName | rustls::CertificateError::NotValidForNameContext { .. } => {
                "connect by the name that is in the certificate, for RDS its endpoint"
            }
            rustls::CertificateError::UnknownIssuer => {
                "say which authority to trust: `tls: { root: rds }`, `tls: { root: system }` or `tls: { root: FILE.pem }`"
            }
            _ => "renew the server's certificate, or check the clock",
        },
        _ => return None,
    };
    Some((Kind::Config, Some(hint)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_of_sqlstate_has_somebody_to_act() {
        let check = |codes: &[&str], expect| {
            for code in codes {
                assert_eq!(judge(code).0, expect, "{code}");
            }
        };
        check(
            &["08006", "40001", "40P01", "53300", "53100", "55P03", "57P01", "57014", "25006", "58030", "XX000"],
            Kind::Unavailable,
        );
        check(&["28000", "28P01"], Kind::Auth);
        check(&["22001", "22P02", "23502", "23505", "23514", "44000", "54000", "P0001"], Kind::Data);
        check(
            &["3D000", "3F000", "42P01", "42703", "42P10", "42501", "0A000", "08P01", "26000", "54001"],
            Kind::Config,
        );
        check(&["21000", "25P02"], Kind::Bug);
    }
}
