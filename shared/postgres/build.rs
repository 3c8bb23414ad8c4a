//! Makes of the RDS certificates what a client needs of them, name and key: a fifth of the size, and nothing to parse when
//! a function starts.

use std::fmt::Write as _;
use std::path::Path;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

const FILE: &str = "src/connect/rds-ca.pem";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed={FILE}");
    let mut roots = String::from("[\n");
    for certificate in CertificateDer::pem_file_iter(FILE)? {
        let certificate = certificate?;
        let root = webpki::anchor_from_trusted_cert(&certificate)?;
        let (name, key) = (root.subject.escape_ascii(), root.subject_public_key_info.escape_ascii());
        assert!(root.name_constraints.is_none(), "name constraints would be lost");
        writeln!(roots, "    root(b\"{name}\", b\"{key}\"),")?;
    }
    roots.push(']');
    let file = Path::new(&std::env::var("OUT_DIR")?).join("rds_roots.rs");
    Ok(std::fs::write(file, roots)?)
}
