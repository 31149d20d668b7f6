//! Why there was no answer, in words that tell an operator where to look.

use std::error::Error;
use std::fmt::Write;
use std::io::{self, ErrorKind};
use std::time::Duration;

use reqwest::Url;
use rustls::{AlertDescription, CertificateError, InvalidMessage, PeerIncompatible};

use super::exchange::Trace;
use super::tls::{Certificate, Presented};
use super::way::place_of;
use crate::model::unit::Quantity;

/// A failed exchange.
pub fn explain(error: &reqwest::Error, url: &Url, trace: &Trace) -> String {
    let at = place(url, trace);
    if let Some(tls) = find::<rustls::Error>(error) {
        return explain_tls(tls, &at, trace);
    }
    let handshake = trace.tls_began.get().is_some() && trace.ready.get().is_none();
    let io = find_io(error).map(io::Error::kind);
    match io {
        Some(ErrorKind::ConnectionRefused) => format!("connection refused by {at}"),
        Some(ErrorKind::NotFound) if trace.ready.get().is_none() => format!("{at} does not exist"),
        Some(ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) if handshake => {
            format!("{at} closed the connection during the TLS handshake")
        }
        Some(ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {
            format!("{at} closed the connection without an answer")
        }
        _ if trace.ready.get().is_none() => match innermost(error).as_str() {
            "tunnel error: proxy authorization required" => format!("{at} demands a login: see `proxy_login`"),
            "tunnel error: unsuccessful" => format!("{at} does not connect to {}", place_of(url)),
            other => format!("cannot connect to {at}: {other}"),
        },
        _ => match innermost(error).as_str() {
            "connection closed before message completed" => format!("{at} closed the connection without an answer"),
            parse @ ("invalid HTTP version parsed"
            | "invalid HTTP version parsed (found HTTP2 preface)"
            | "invalid HTTP header parsed"
            | "invalid HTTP status-code parsed"
            | "message head is too large") => format!("the answer of {at} is not HTTP: {parse}"),
            "received unexpected message from connection" => {
                format!("the answer of {at} is not HTTP: it came before the request")
            }
            // Before the request was sent: how is not told.
            "connection was not ready" | "connection closed" => {
                format!("{at} closed the connection or spoke first, as servers of other protocols do")
            }
            other => format!("no answer from {at}: {other}"),
        },
    }
}

/// An exchange that the time limit ended.
pub fn too_late(limit: Duration, url: &Url, trace: &Trace) -> String {
    let begin = format!("no answer within {}", shown(limit));
    let at = place(url, trace);
    match (trace.connect(), trace.tls()) {
        (Some(connect), Some(tls)) => {
            format!("{begin}: connected to {at} after {}, TLS after {}, then no response", shown(connect), shown(tls))
        }
        (Some(connect), None) if trace.tls_began.get().is_some() => {
            format!("{begin}: connected to {at} after {}, TLS handshake not finished", shown(connect))
        }
        (Some(connect), None) => format!("{begin}: connected to {at} after {}, then no response", shown(connect)),
        (None, _) if trace.addresses.get().is_some() || trace.via.get().is_some() => {
            format!("{begin}: not connected to {at}")
        }
        (None, _) => format!("{begin}: the name {} was not resolved", url.host_str().unwrap_or_default()),
    }
}

pub fn shown(duration: Duration) -> String {
    Quantity::duration(duration).rounded()
}

/// Why a name could not be looked up, without the preamble of the system's resolver.
pub fn lookup(error: &io::Error) -> String {
    let text = error.to_string();
    text.rsplit_once("information: ").map_or(text.as_str(), |(_, reason)| reason).to_owned()
}

/// The address that was asked; all that were tried while none is connected, and the host where it is one of several.
/// What stands before the server, as long as the talk is not with the server itself.
fn place(url: &Url, trace: &Trace) -> String {
    let connected = trace.connect().is_some();
    if let Some(via) = trace.via.get() {
        return if trace.tls_began.get().is_some() { format!("{} through {via}", place_of(url)) } else { via.clone() };
    }
    match trace.addresses.get() {
        Some(addresses) if addresses.len() == 1 || !connected => {
            addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
        }
        Some(_) | None => place_of(url),
    }
}

/// Why there is no TLS connection with the server that people know as `at`.
pub fn explain_tls(error: &rustls::Error, at: &str, trace: &Trace) -> String {
    use rustls::Error as Tls;
    match error {
        Tls::InvalidCertificate(error) => match trace.presented.get() {
            Some(presented) => explain_certificate(error, presented),
            None => format!("the certificate of {at} is not valid: {error}"),
        },
        Tls::InvalidMessage(InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion) => {
            format!("{at} does not speak TLS")
        }
        Tls::AlertReceived(AlertDescription::ProtocolVersion)
        | Tls::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled,
        ) => format!("{at} speaks only TLS 1.1 or older, which is not secure"),
        Tls::AlertReceived(AlertDescription::CertificateRequired) => format!("{at} demands a client certificate"),
        Tls::AlertReceived(alert) => format!("{at} refused the TLS handshake: {alert:?}"),
        other => format!("TLS with {at} failed: {other}"),
    }
}

/// What is wrong with a presented chain.
pub fn explain_certificate(error: &CertificateError, presented: &Presented) -> String {
    let own = presented.chain.first();
    match error {
        CertificateError::Expired => expired(own),
        CertificateError::ExpiredContext { not_after, .. } => {
            let at = i64::try_from(not_after.as_secs()).unwrap_or(i64::MAX);
            match presented.chain.iter().position(|certificate| certificate.expires.timestamp() == at) {
                Some(0) => expired(own),
                Some(place) => format!("intermediate {}", expired(presented.chain.get(place))),
                None => "the certificate of the authority expired".to_owned(),
            }
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "certificate is not valid yet".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            let names = own.map(|own| own.names.join(", ")).filter(|names| !names.is_empty());
            match names {
                Some(names) => format!("certificate is for {names}, not for {}", presented.name),
                None => format!("certificate names no host, not even {}", presented.name),
            }
        }
        CertificateError::UnknownIssuer => unknown_issuer(presented),
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "certificate uses a signature algorithm that cannot be verified here, such as one with P-521".to_owned()
        }
        other => {
            let self_signed = own.is_some_and(|own| own.subject == own.issuer);
            if self_signed { unknown_issuer(presented) } else { format!("certificate is not valid: {other}") }
        }
    }
}

fn expired(certificate: Option<&Certificate>) -> String {
    match certificate {
        Some(certificate) => format!("certificate expired on {}", certificate.expires.format("%Y-%m-%d")),
        None => "certificate expired".to_owned(),
    }
}

fn unknown_issuer(presented: &Presented) -> String {
    let Some(last) = presented.chain.last() else { return "certificate is not trusted here".to_owned() };
    if presented.chain.len() == 1 && last.subject == last.issuer {
        return format!("certificate is self-signed by `{}` and not trusted here", last.subject);
    }
    let mut text = format!("certificate was issued by `{}`, which is not trusted here", last.issuer);
    if presented.chain.len() == 1 {
        let _ = write!(text, "; it comes without an intermediate certificate");
    }
    text
}

/// The first cause of type `E`, also inside I/O errors, which hide theirs.
fn find<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

/// The I/O error that says something: the innermost.
pub fn find_io<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e io::Error> {
    causes(error).filter_map(|cause| cause.downcast_ref()).last()
}

pub fn innermost(error: &(dyn Error + 'static)) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}

fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&cause| {
        let hidden = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        match hidden {
            Some(inner) => Some(inner as &(dyn Error + 'static)),
            None => cause.source(),
        }
    })
}
