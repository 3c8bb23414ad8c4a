//! The certificate authority of the benchmark, and the files in which the programs find whom to trust.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use crate::Failure;

/// Where a Linux system keeps its roots.
const SYSTEM: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];
/// The roots of RDS as they are packed with a function.
const RDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/postgres/src/connect/rds-ca.pem");

/// An authority of its own.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// Its root certificate.
    pub(crate) own: PathBuf,
    /// The roots of this system and its own: as many as a client of AWS has to read.
    pub(crate) system: PathBuf,
    /// The roots of RDS and its own: as many as a client of the database has to read.
    pub(crate) database: PathBuf,
}

impl Authority {
    /// Writes the files into this place.
    pub(crate) fn new(place: &Path) -> Result<Self, Failure> {
        let mut params = CertificateParams::new([])?;
        // Else it has the name of what it signs, and OpenSSL takes that for signed by itself.
        params.distinguished_name.push(DnType::CommonName, "cold start");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let system = SYSTEM.iter().find_map(|file| std::fs::read_to_string(file).ok());
        let system = system.ok_or("this system has no root certificates: install the package ca-certificates")?;
        let write = |name: &str, others: &str| {
            let file = place.join(name);
            std::fs::write(&file, format!("{others}\n{}", issuer.pem())).map(|()| file)
        };
        let own = write("own.pem", "")?;
        let system = write("system.pem", &system)?;
        let database = write("database.pem", &std::fs::read_to_string(RDS)?)?;
        Ok(Authority { issuer, own, system, database })
    }

    /// A certificate for `localhost` and its key.
    pub(crate) fn certify(&self) -> Result<(rcgen::Certificate, KeyPair), Failure> {
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(["localhost".into()])?.signed_by(&key, &self.issuer)?;
        Ok((certificate, key))
    }
}
