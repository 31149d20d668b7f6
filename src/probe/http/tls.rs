//! Whom a look trusts, and what the server presented: the whole chain and the verdict on it, whatever came of it.

use std::io::Read as _;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier, verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::sync::OnceCell;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::super::{Context, ProbeError};
use super::exchange::{Trace, mark};
use super::way::Identity;

/// The system's bundle of all authorities has about 200 KiB.
const MOST_BYTES: u64 = 4 << 20;

/// The authorities that may vouch for a server.
#[derive(Clone, Debug)]
pub struct Trust {
    authorities: Arc<WebPkiServerVerifier>,
    roots: Arc<RootCertStore>,
    /// Of an own CA file: a server's self-signed certificate in it is trusted as such.
    own: Arc<[CertificateDer<'static>]>,
}

/// The system's authorities, read once in a process and only when something needs them.
static SYSTEM: OnceCell<Trust> = OnceCell::const_new();

/// A file of certificates or keys; `place` is what messages call it. Devices and pipes have no end.
pub(crate) fn read_pem(path: &Path, place: &str) -> Result<Vec<u8>, ProbeError> {
    let trouble = |error| ProbeError::io(place, &error);
    if !std::fs::metadata(path).map_err(trouble)?.is_file() {
        return Err(ProbeError::new("bad_file", format!("{place} is no regular file")));
    }
    let mut pem = Vec::new();
    std::fs::File::open(path).map_err(trouble)?.take(MOST_BYTES).read_to_end(&mut pem).map_err(trouble)?;
    Ok(pem)
}

impl Trust {
    /// The system's authorities; those built into the program where the system has none.
    pub async fn system(cx: &Context) -> Result<Self, ProbeError> {
        let load = || {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            }
            Self::new(roots, Arc::new([]))
        };
        SYSTEM.get_or_try_init(|| cx.blocking(load)).await.cloned()
    }

    /// Only the authorities in the PEM file at `path`.
    pub async fn file(path: &Path, cx: &Context) -> Result<Self, ProbeError> {
        let path = path.to_owned();
        let place = format!("the CA file {}", path.display());
        cx.reading(place.clone(), move || {
            let pem = read_pem(&path, &place)?;
            let own: Vec<_> = CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok).collect();
            let mut roots = RootCertStore::empty();
            let (usable, _) = roots.add_parsable_certificates(own.iter().cloned());
            if usable == 0 {
                return Err(ProbeError::new("bad_file", format!("{place} holds no certificate"))
                    .help("write the certificates as PEM, beginning with -----BEGIN CERTIFICATE-----"));
            }
            Self::new(roots, own.into())
        })
        .await
    }

    fn new(roots: RootCertStore, own: Arc<[CertificateDer<'static>]>) -> Result<Self, ProbeError> {
        let roots = Arc::new(roots);
        let authorities = WebPkiServerVerifier::builder_with_provider(Arc::clone(&roots), provider())
            .build()
            .map_err(|error| ProbeError::new("tls", format!("cannot set up TLS: {error}")))?;
        Ok(Self { authorities, roots, own })
    }

    /// Whether the chain leads to an authority, is valid at `now` and for `name`.
    pub fn judge(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        if let Some(vouched) = self.vouch_for_own(end_entity, now) {
            vouched?;
            return verify_server_name(&ParsedCertificate::try_from(end_entity)?, name);
        }
        self.authorities.verify_server_cert(end_entity, intermediates, name, &[], now).map(|_| ())
    }

    /// Whether the chain leads to an authority and is valid at `now`, whatever name it is for.
    pub fn vouch(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        if let Some(vouched) = self.vouch_for_own(end_entity, now) {
            return vouched;
        }
        let parsed = ParsedCertificate::try_from(end_entity)?;
        let algorithms = provider().signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&parsed, &self.roots, intermediates, now, algorithms)
    }

    /// Of a certificate that is trusted as such: nothing but its time can be wrong.
    fn vouch_for_own(&self, end_entity: &CertificateDer<'_>, now: UnixTime) -> Option<Result<(), rustls::Error>> {
        self.own.iter().find(|own| *own == end_entity)?;
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        Some(match Certificate::read(end_entity) {
            Some(own) if now < own.begins.timestamp() => Err(CertificateError::NotValidYet.into()),
            Some(own) if now <= own.expires.timestamp() => Ok(()),
            Some(_) | None => Err(CertificateError::Expired.into()),
        })
    }

    /// Whether an authority has this name, in DER.
    pub fn knows(&self, name: &[u8]) -> bool {
        self.roots.subjects().iter().any(|subject| subject.as_ref() == name)
    }
}

pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// How strictly the server's certificate is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Strictness {
    /// A certificate that does not hold ends the handshake.
    Verify,
    /// It is judged all the same, but the handshake goes on.
    Record,
}

/// TLS with `trust`, or without any trust for a look that uses plain HTTP: that one costs next to nothing.
pub fn client_config(trust: Option<(Trust, Strictness)>, trace: &Arc<Trace>) -> Result<ClientConfig, ProbeError> {
    client_config_as(None, trust, trace)
}

/// As [`client_config`], with a certificate for servers that demand one.
pub fn client_config_as(
    identity: Option<&Identity>,
    trust: Option<(Trust, Strictness)>,
    trace: &Arc<Trace>,
) -> Result<ClientConfig, ProbeError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| ProbeError::new("tls", format!("cannot set up TLS: {error}")))?;
    let Some((trust, strictness)) = trust else {
        return Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth());
    };
    let witness = Witness { trust, strictness, trace: Arc::clone(trace) };
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(witness));
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let (chain, key) = (identity.chain.clone(), identity.key.clone_key());
            builder.with_client_auth_cert(chain, key).map_err(|error| {
                ProbeError::new("bad_file", format!("the client certificate cannot be used: {error}"))
                    .help("see that `key` belongs to `certificate`")
            })?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// Verifies a chain, and keeps it together with the verdict.
#[derive(Debug)]
struct Witness {
    trust: Trust,
    strictness: Strictness,
    trace: Arc<Trace>,
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verdict = self.trust.judge(end_entity, intermediates, server_name, now);
        let ders = std::iter::once(end_entity).chain(intermediates).map(|der| der.clone().into_owned()).collect();
        let presented = Presented {
            stapled: !ocsp_response.is_empty(),
            verdict: verdict.clone().err(),
            ..Presented::new(ders, server_name.to_str().into_owned())
        };
        self.trace.presented.set(presented).ok();
        match (verdict, self.strictness) {
            (Err(error), Strictness::Verify) => Err(error),
            (Err(_), Strictness::Record) | (Ok(()), _) => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.trust.authorities.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.trust.authorities.verify_tls13_signature(message, cert, dss)
    }

    /// rustls asks for this when it writes the first message of the handshake, so it marks the end of connecting.
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        mark(&self.trace.tls_began);
        self.trust.authorities.supported_verify_schemes()
    }
}

/// What the server showed of itself, in the order in which it sent it.
#[derive(Debug)]
pub struct Presented {
    pub chain: Vec<Certificate>,
    /// The same as they were sent, those included that could not be read.
    pub ders: Vec<CertificateDer<'static>>,
    /// It sent an OCSP response along.
    pub stapled: bool,
    pub verdict: Option<rustls::Error>,
    /// The name that was asked for.
    pub name: String,
}

impl Presented {
    /// A chain on which there is no verdict yet.
    pub fn new(ders: Vec<CertificateDer<'static>>, name: String) -> Self {
        Self { chain: ders.iter().filter_map(Certificate::read).collect(), ders, stapled: false, verdict: None, name }
    }

    /// The certificate that expires first, and its place in the chain: 0 is the server's own.
    pub fn first_to_expire(&self) -> Option<(usize, &Certificate)> {
        self.chain.iter().enumerate().min_by_key(|(_, certificate)| certificate.expires)
    }
}

#[derive(Debug)]
pub struct Certificate {
    pub subject: String,
    pub issuer: String,
    pub begins: DateTime<Utc>,
    pub expires: DateTime<Utc>,
    /// The hosts and addresses that it is for.
    pub names: Vec<String>,
}

impl Certificate {
    pub fn read(der: &CertificateDer<'_>) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let names = certificate.subject_alternative_name().ok().flatten().map(|names| &names.value.general_names);
        Some(Self {
            subject: certificate.subject().to_string(),
            issuer: certificate.issuer().to_string(),
            begins: DateTime::from_timestamp(certificate.validity().not_before.timestamp(), 0)?,
            expires: DateTime::from_timestamp(certificate.validity().not_after.timestamp(), 0)?,
            names: names.into_iter().flatten().filter_map(name_of).collect(),
        })
    }
}

pub fn name_of(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let address = <[u8; 4]>::try_from(*bytes)
                .map(IpAddr::from)
                .or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from));
            address.ok().map(|address| address.to_string())
        }
        _ => None,
    }
}
