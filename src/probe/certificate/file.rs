//! Certificates and keys in files.

use std::path::Path;

use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::probe::ProbeError;
use crate::probe::http::tls::read_pem;

pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ProbeError> {
    let place = path.display();
    let pem = read_pem(path, &path.display().to_string())?;
    let found: Vec<_> = CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok).collect();
    if found.is_empty() {
        return Err(ProbeError::new("bad_file", format!("{place} holds no certificate as PEM")));
    }
    Ok(found)
}

/// The public half of a private key, in DER.
pub fn public_half(path: &Path) -> Result<Vec<u8>, ProbeError> {
    let place = path.display();
    let pem = read_pem(path, &path.display().to_string())?;
    let bad = |why: &str| {
        ProbeError::new("bad_file", format!("{place} {why}"))
            .help("name a private key as PEM, without a passphrase, of RSA, ECDSA with P-256 or P-384, or Ed25519")
    };
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| bad("holds no private key that can be read"))?;
    let key = any_supported_type(&key).map_err(|_| bad("holds a private key of a kind that is not known"))?;
    let public = key.public_key().ok_or_else(|| bad("holds a private key of a kind that is not known"))?;
    Ok(public.to_vec())
}

/// The public key of a certificate, in DER.
pub fn public_key(der: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Some(certificate.public_key().raw.to_vec())
}
