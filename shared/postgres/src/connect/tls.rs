//! The TLS client configuration: ring, verification always on, and roots that are parsed once a process and only when
//! a connection needs them.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, Der, TrustAnchor};
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres_rustls::MakeRustlsConnect;
use tributary_core::pipeline::Roots;
use tributary_core::{Error, Result};

/// Those of `rds-ca.pem`, see `README.md` beside it: name and key of each, which `build.rs` has read out of it.
static RDS: &[TrustAnchor<'static>] = &include!(concat!(env!("OUT_DIR"), "/rds_roots.rs"));

const fn root(name: &'static [u8], key: &'static [u8]) -> TrustAnchor<'static> {
    TrustAnchor {
        subject: Der::from_slice(name),
        subject_public_key_info: Der::from_slice(key),
        name_constraints: None,
    }
}

/// What was parsed so far. A process uses one set of roots, seldom two.
static PARSED: Mutex<Vec<(Roots, MakeRustlsConnect)>> = Mutex::new(Vec::new());

/// The connector that trusts these roots.
///
/// # Errors
/// `Config` when a file of certificates cannot be read or holds none.
pub(super) fn connector(roots: &Roots) -> Result<MakeRustlsConnect> {
    let mut parsed = PARSED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, connector)) = parsed.iter().find(|(known, _)| known == roots) {
        return Ok(connector.clone());
    }
    let connector = MakeRustlsConnect::new(client(load(roots)?)?);
    parsed.push((roots.clone(), connector.clone()));
    Ok(connector)
}

/// The provider is named, never taken from the process: a library that installs another must not change ours.
fn client(roots: RootCertStore) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::config("cannot set up tls").with_source(error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    // Postgres 17 wants it for direct negotiation, older servers don't look.
    client.alpn_protocols = vec![b"postgresql".to_vec()];
    Ok(client)
}

fn load(roots: &Roots) -> Result<RootCertStore> {
    let mut store = RootCertStore::empty();
    let what = match roots {
        Roots::Rds => {
            store.roots.extend_from_slice(RDS);
            "the built-in RDS certificates".to_owned()
        }
        Roots::System => {
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            "the system's certificates".to_owned()
        }
        Roots::File(path) => {
            let read = |error| Error::config(format!("cannot read certificates from {path}")).with_source(error);
            for certificate in CertificateDer::pem_file_iter(Path::new(path)).map_err(read)? {
                let certificate = certificate.map_err(read)?;
                let add = store.add(certificate);
                add.map_err(|error| {
                    Error::config(format!("{path} holds a certificate that is none")).with_source(error)
                })?;
            }
            path.clone()
        }
    };
    if store.is_empty() {
        let hint = "name a PEM file with the authority's certificate: `tls: { root: FILE.pem }`";
        return Err(Error::config(format!("no certificate authority in {what}")).with_hint(hint));
    }
    Ok(store)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_the_rds_roots_are_usable() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/src/connect/rds-ca.pem");
        let read = load(&Roots::File(file.into())).unwrap();
        assert_eq!(load(&Roots::Rds).unwrap().roots, read.roots);
        assert_eq!(read.len(), 89);
    }

    #[test]
    fn a_file_without_certificates_is_refused() {
        let check = |path: &str, expect: &str| {
            let error = load(&Roots::File(path.into())).unwrap_err();
            assert!(error.to_string().contains(expect), "{error:#}");
        };
        check("/nonexistent/ca.pem", "cannot read certificates from /nonexistent/ca.pem");
        check("/dev/null", "no certificate authority in /dev/null");
    }

    #[test]
    fn roots_are_parsed_once() {
        connector(&Roots::Rds).unwrap();
        let before = PARSED.lock().unwrap().len();
        connector(&Roots::Rds).unwrap();
        assert_eq!(PARSED.lock().unwrap().len(), before);
    }
}
