//! Which certificate authorities a connection trusts, or that it needs none: what the mapping says, what the URL says and
//! where the database is, brought together. The stricter wins; a contradiction is an error.

use tokio_postgres::Config;
use tokio_postgres::config::Host;
use tributary_core::pipeline::{Roots, Tls};
use tributary_core::{Error, Result};

use super::target::Policy;
use super::url::Mode;

/// Which roots to trust, or that there is no TLS.
pub(super) fn roots(
    config: &Config,
    policy: &Policy,
    mode: Option<Mode>,
    root: Option<String>,
) -> Result<Option<Roots>> {
    // The address decides where both are given: it is what is dialled.
    let local = match config.get_hostaddrs() {
        [] => config.get_hosts().iter().all(is_local),
        addresses => addresses.iter().all(std::net::IpAddr::is_loopback),
    };
    let root = root.map(|root| if root == "system" { Roots::System } else { Roots::File(root) });
    let refuse = |message: &str, hint: &str| Err(Error::config(message).with_hint(hint));
    let wanted = match (&policy.tls, mode) {
        (Tls::Off, Some(Mode::Tls)) => {
            return refuse(
                "the connection url asks for tls, the mapping turns it off",
                "remove `tls: off` from the datastore",
            );
        }
        (Tls::Off, _) => return Ok(None),
        (Tls::Verify(_), Some(Mode::Weak)) => {
            return refuse(
                "the connection url's sslmode is weaker than the mapping's tls",
                "remove sslmode from the url",
            );
        }
        (Tls::Auto, Some(Mode::Weak)) if !local => {
            return refuse(
                "the connection url's sslmode would let a database on another host go unverified",
                "write sslmode=verify-full, or say `tls: off` in the mapping's datastore",
            );
        }
        (Tls::Auto, None | Some(Mode::Weak)) if local => return Ok(None),
        (Tls::Verify(roots), _) => match root {
            Some(other) if other != *roots => {
                return refuse(
                    "the connection url and the mapping name different certificate authorities",
                    "remove sslrootcert from the url",
                );
            }
            _ => roots.clone(),
        },
        (Tls::Auto, _) => root.unwrap_or_else(|| usual_roots(config)),
    };
    Ok(Some(match (wanted, &policy.rds_roots) {
        (Roots::Rds, Some(file)) => Roots::File(file.clone()),
        (wanted, _) => wanted,
    }))
}

/// Amazon's roots for Amazon's names, and the system's for all others.
fn usual_roots(config: &Config) -> Roots {
    let amazon = |host: &Host| {
        matches!(host, Host::Tcp(name) if {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            name.ends_with(".rds.amazonaws.com") || name.ends_with(".rds.amazonaws.com.cn")
        })
    };
    if config.get_hosts().iter().all(amazon) { Roots::Rds } else { Roots::System }
}

/// Whether a host is this machine: a Unix socket, `localhost` or a loopback address.
fn is_local(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            name.eq_ignore_ascii_case("localhost")
                || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Target;
    use super::*;

    /// `off`, the roots, or the error's message.
    fn decided(url: &str, tls: &Tls) -> String {
        let policy = Policy { tls: tls.clone(), ..Policy::default() };
        match Target::from_url(url, &policy) {
            Ok(target) => target.roots().map_or("off".into(), |roots| format!("{roots:?}")),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn trust_follows_the_address_unless_somebody_says_more() {
        let check = |url: &str, expect: &str| assert_eq!(decided(url, &Tls::Auto), expect, "{url}");
        check("postgres://localhost/x", "off");
        check("postgres://127.0.0.9/x", "off");
        check("postgres://[::1]:5433/x", "off");
        check("postgres:///x?host=/run/postgresql", "off");
        check("host=/run/postgresql dbname=x", "off");
        check("postgres://localhost/x?sslmode=disable", "off");
        check("postgres://localhost/x?sslmode=require", "System");
        check("postgres://localhost,db.example.org/x", "System");
        check("host=localhost hostaddr=10.1.2.3", "System");
        check("host=db.example.org hostaddr=127.0.0.1", "off");
        check("postgres://db.example.org/x", "System");
        check("postgres://db.example.org/x?sslmode=require&sslrootcert=system", "System");
        check("postgres://db.example.org/x?sslmode=verify-full&sslrootcert=/ca%20s.pem", r#"File("/ca s.pem")"#);
        check("host=db.example.org sslmode='verify-full' sslrootcert=/ca.pem", r#"File("/ca.pem")"#);
        check("postgres://a.cluster-b.us-east-2.rds.amazonaws.com/x", "Rds");
        check("postgres://p.proxy-b.cn-north-1.rds.amazonaws.com.cn/x", "Rds");
        check("postgres://rds.amazonaws.com.example.org/x", "System");
    }

    #[test]
    fn a_url_cannot_weaken_tls() {
        let check = |url: &str, tls: &Tls, expect: &str| {
            assert!(decided(url, tls).contains(expect), "{url}: {}", decided(url, tls));
        };
        let verify = Tls::Verify(Roots::Rds);
        for mode in ["disable", "allow", "prefer", "no-verify"] {
            check(&format!("postgres://db.example.org/x?sslmode={mode}"), &Tls::Auto, "would let a database");
            check(&format!("host=db.example.org sslmode={mode}"), &Tls::Auto, "would let a database");
            check(&format!("postgres://localhost/x?sslmode={mode}"), &verify, "weaker than the mapping's tls");
            check(&format!("postgres://db.example.org/x?sslmode={mode}"), &Tls::Off, "off");
        }
        check("postgres://localhost/x", &verify, "Rds");
        check("postgres://db.example.org/x?sslmode=require", &Tls::Off, "asks for tls");
        check("postgres://db.example.org/x?sslmode=require&sslmode=disable", &Tls::Off, "two sslmodes");
        check("postgres://db.example.org/x?sslmode=off", &Tls::Auto, "unknown sslmode");
        check("postgres://db.example.org/x?sslrootcert=/ca.pem", &verify, "different certificate authorities");
    }

    #[test]
    fn a_newer_bundle_stands_in_for_the_built_in_one_only() {
        let check = |tls: Tls, expect: &str| {
            let policy = Policy { tls, rds_roots: Some("/new.pem".into()), proxy: false };
            let target = Target::from_url("postgres://a.us-east-2.rds.amazonaws.com/x", &policy).unwrap();
            assert_eq!(format!("{:?}", target.roots()), expect);
        };
        check(Tls::Auto, r#"Some(File("/new.pem"))"#);
        check(Tls::Verify(Roots::Rds), r#"Some(File("/new.pem"))"#);
        check(Tls::Verify(Roots::System), "Some(System)");
        check(Tls::Off, "None");
    }
}
