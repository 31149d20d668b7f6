//! What one certificate says, beyond its names and its time.

use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use x509_parser::objects::{oid_registry, oid2sn};
use x509_parser::oid_registry::{OID_HASH_SHA1, OID_PKIX_ACCESS_DESCRIPTOR_OCSP, OID_SIG_ED448, OID_SIG_ED25519};
use x509_parser::prelude::{AlgorithmIdentifier, FromDer, GeneralName, ParsedExtension, X509Certificate};
use x509_parser::public_key::PublicKey;
use x509_parser::signature_algorithm::SignatureAlgorithm;

/// RSA keys below this, and those of elliptic curves below the other, are weak: NIST SP 800-57.
const RSA_BITS: u64 = 2048;
const EC_BITS: u64 = 224;

pub struct Details {
    pub serial: String,
    /// SHA-256 of the whole, in hexadecimal.
    pub fingerprint: String,
    pub key_type: &'static str,
    /// Nothing for keys of a kind that has no size of its own.
    pub key_bits: Option<u64>,
    pub signature: String,
    /// Who is asked whether it was revoked.
    pub responder: Option<String>,
    /// It names itself as its issuer.
    pub self_issued: bool,
    /// As it is written in it, in DER.
    pub subject: Vec<u8>,
    pub issuer: Vec<u8>,
    hash_is_broken: bool,
}

impl Details {
    pub fn read(der: &CertificateDer<'_>) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let (key_type, key_bits) = key_of(&certificate);
        let (subject, issuer) = (certificate.subject().as_raw(), certificate.issuer().as_raw());
        Some(Self {
            serial: hexadecimal(certificate.raw_serial()).trim_start_matches("00").to_uppercase(),
            fingerprint: hexadecimal(&Sha256::digest(der)),
            key_type,
            key_bits,
            signature: signature_of(&certificate.signature_algorithm),
            responder: responder_of(&certificate),
            self_issued: subject == issuer,
            subject: subject.to_vec(),
            issuer: issuer.to_vec(),
            hash_is_broken: hash_is_broken(&certificate.signature_algorithm),
        })
    }

    /// Why it is weak. What a certificate says of itself is signed by nobody, so that signature does not count.
    pub fn weakness(&self) -> Option<String> {
        let Self { key_type, signature, .. } = self;
        if self.hash_is_broken && !self.self_issued {
            return Some(format!("signed with {signature}, which can be forged"));
        }
        let (bits, least) = match *key_type {
            "RSA" => (self.key_bits?, RSA_BITS),
            "EC" => (self.key_bits?, EC_BITS),
            _ => return None,
        };
        (bits < least).then(|| format!("its {key_type} key has only {bits} bits"))
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn key_of(certificate: &X509Certificate<'_>) -> (&'static str, Option<u64>) {
    let key = certificate.public_key();
    let algorithm = &key.algorithm.algorithm;
    if *algorithm == OID_SIG_ED25519 {
        return ("Ed25519", Some(256));
    }
    if *algorithm == OID_SIG_ED448 {
        return ("Ed448", Some(456));
    }
    match key.parsed() {
        Ok(PublicKey::RSA(rsa)) => ("RSA", bits(rsa.modulus)),
        // Points of P-521 have 66 bytes for each coordinate.
        Ok(PublicKey::EC(point)) => ("EC", u64::try_from(point.key_size()).ok().map(|size| size.min(521))),
        Ok(PublicKey::DSA(y)) => ("DSA", bits(y)),
        Ok(_) | Err(_) => ("other", None),
    }
}

/// Of a number in big-endian order.
fn bits(number: &[u8]) -> Option<u64> {
    let number = &number[number.iter().position(|byte| *byte != 0)?..];
    let first = u64::from(number.first()?.leading_zeros());
    Some(number.len() as u64 * 8 - first)
}

fn signature_of(algorithm: &AlgorithmIdentifier<'_>) -> String {
    let oid = &algorithm.algorithm;
    let number = oid.to_id_string();
    // Those of old that the registry does not know.
    let known = match number.as_str() {
        "1.2.840.10045.4.1" => Some("ecdsa-with-SHA1"),
        "1.2.840.113549.1.1.2" => Some("md2WithRSAEncryption"),
        "1.2.840.113549.1.1.3" => Some("md4WithRSAEncryption"),
        _ => oid2sn(oid, oid_registry()).ok(),
    };
    known.map_or(number.clone(), str::to_owned)
}

fn hash_is_broken(algorithm: &AlgorithmIdentifier<'_>) -> bool {
    if let Ok(SignatureAlgorithm::RSASSA_PSS(parameters)) = SignatureAlgorithm::try_from(algorithm) {
        return *parameters.hash_algorithm_oid() == OID_HASH_SHA1;
    }
    let name = signature_of(algorithm).to_lowercase();
    ["md2", "md4", "md5", "sha1"].iter().any(|hash| name.replace('-', "").contains(hash))
}

fn responder_of(certificate: &X509Certificate<'_>) -> Option<String> {
    let found = certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityInfoAccess(access) => Some(access),
        _ => None,
    });
    found?.iter().filter(|access| access.access_method == OID_PKIX_ACCESS_DESCRIPTOR_OCSP).find_map(|access| {
        match &access.access_location {
            GeneralName::URI(uri) => Some((*uri).to_owned()),
            _ => None,
        }
    })
}
