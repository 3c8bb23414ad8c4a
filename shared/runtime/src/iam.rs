//! IAM authentication of Postgres: a token, signed here without a call, that stands in for the password for 15 minutes.
//!
//! The token is a presigned request `GET https://host:port/?Action=connect&DBUser=user` of the service `rds-db`, without its
//! scheme (RDS user guide, "Connecting to your DB instance using IAM authentication").

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use tributary_core::{Error, Kind, Result};

use crate::secrets::Secret;

/// As long as RDS takes a token. It is needed at the start of a connection only.
const LIFE: Duration = Duration::from_secs(900);

/// The database and the user that a token is for.
#[derive(Clone, Copy, Debug)]
pub struct Login<'a> {
    /// The endpoint's own name: RDS checks the token against it.
    pub host: &'a str,
    /// The port.
    pub port: u16,
    /// The database user.
    pub user: &'a str,
    /// The database's region.
    pub region: &'a str,
}

/// Makes a token for a login, valid for 15 minutes from `now`.
///
/// # Errors
/// `Bug` when the request cannot be signed.
pub fn token(login: Login<'_>, credentials: &Credentials, now: SystemTime) -> Result<Secret> {
    let bug = |error: &dyn std::fmt::Display| {
        Error::new(Kind::Bug, format!("cannot sign a login for {}: {error}", login.host))
    };
    let Login { host, port, user, region } = login;
    let address = format!("https://{host}:{port}/?Action=connect&DBUser={}", percent_encoded(user));
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(LIFE);
    let identity = credentials.clone().into();
    let params = SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("rds-db")
        .time(now)
        .settings(settings)
        .build()
        .map_err(|error| bug(&error))?
        .into();
    let request = SignableRequest::new("GET", &address, std::iter::empty(), SignableBody::Bytes(&[]))
        .map_err(|error| bug(&error))?;
    let (signed, _) = sign(request, &params).map_err(|error| bug(&error))?.into_parts();
    let mut token = address.trim_start_matches("https://").to_owned();
    for (name, value) in signed.params() {
        token.push_str(&format!("&{name}={}", percent_encoded(value)));
    }
    Ok(Secret::new(token))
}

/// The region in the name of an RDS endpoint, `….REGION.rds.amazonaws.com`.
pub fn region_of(host: &str) -> Option<&str> {
    let host = host.strip_suffix(".cn").unwrap_or(host);
    let name = host.strip_suffix(".rds.amazonaws.com")?;
    name.rsplit('.').next().filter(|region| region.contains('-') && *region != name)
}

/// As SigV4 wants it: all but unreserved characters (RFC 3986).
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Signatures computed apart from this program, by the steps of the SigV4 manual.
    #[test]
    fn a_token_is_signed_as_rds_expects() {
        let check = |login: Login<'_>, credentials: Credentials, at: u64, expect: &[&str]| {
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(at);
            let token = token(login, &credentials, now).unwrap();
            let (start, query) = token.expose().split_once("/?").unwrap();
            assert_eq!(start, format!("{}:{}", login.host, login.port));
            let parts: Vec<&str> = query.split('&').collect();
            for part in expect {
                assert!(parts.contains(part), "{part} is not in {parts:?}");
            }
            assert_eq!(parts.len(), expect.len());
        };
        let (host, user) = ("prod-instance.us-east-1.rds.amazonaws.com", "someusername");
        check(
            Login { host, port: 3306, user, region: "us-east-1" },
            Credentials::new("akid", "skid", None, None, "test"),
            1_478_540_373,
            &[
                "Action=connect",
                "DBUser=someusername",
                "X-Amz-Algorithm=AWS4-HMAC-SHA256",
                "X-Amz-Credential=akid%2F20161107%2Fus-east-1%2Frds-db%2Faws4_request",
                "X-Amz-Date=20161107T173933Z",
                "X-Amz-Expires=900",
                "X-Amz-SignedHeaders=host",
                "X-Amz-Signature=d1138cdbc0ca63eec012ec0fc6c2267e03642168f5884a7795320d4c18374c61",
            ],
        );
        let (host, user) = ("db.us-east-2.rds.amazonaws.com", "sync+er/ä@x");
        check(
            Login { host, port: 5432, user, region: "us-east-2" },
            Credentials::new("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG", Some("Fw/o+Gz==".into()), None, "test"),
            1_795_176_000,
            &[
                "Action=connect",
                "DBUser=sync%2Ber%2F%C3%A4%40x",
                "X-Amz-Algorithm=AWS4-HMAC-SHA256",
                "X-Amz-Credential=AKIDEXAMPLE%2F20261120%2Fus-east-2%2Frds-db%2Faws4_request",
                "X-Amz-Date=20261120T120000Z",
                "X-Amz-Expires=900",
                "X-Amz-Security-Token=Fw%2Fo%2BGz%3D%3D",
                "X-Amz-SignedHeaders=host",
                "X-Amz-Signature=4f32b7c72fbddb3f34cb1a266fc350cc085f03872dc1b84713a61a6b20da200b",
            ],
        );
    }

    #[test]
    fn an_endpoint_names_its_region() {
        let check = |host: &str, expect: Option<&str>| assert_eq!(region_of(host), expect, "{host}");
        check("a.b1c2.us-east-2.rds.amazonaws.com", Some("us-east-2"));
        check("p.proxy-b1c2.cn-north-1.rds.amazonaws.com.cn", Some("cn-north-1"));
        check("us-east-2.rds.amazonaws.com", None);
        check("db.example.org", None);
    }
}
