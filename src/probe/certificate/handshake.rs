//! A TLS handshake with a server, as far as it comes: what counts is what the server presents.

use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ProtocolVersion};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use super::starttls::StartTls;
use crate::probe::http::exchange::{Family, Trace};
use crate::probe::http::tls::{Presented, Strictness, Trust, client_config};
use crate::probe::http::trouble::{explain_tls, shown};
use crate::probe::tcp::connect::{Way, connect};
use crate::probe::tcp::place::Place;
use crate::probe::{Context, ProbeError};

/// Whom to ask, and how.
pub struct Call<'a> {
    pub place: &'a Place,
    pub family: Family,
    pub starttls: StartTls,
    pub name: ServerName<'static>,
}

#[derive(Default)]
pub struct Shown {
    pub way: Way,
    /// Nothing when the handshake did not come so far.
    pub presented: Option<Presented>,
    pub version: Option<String>,
    /// Why the handshake did not come to its end.
    pub trouble: Option<String>,
}

impl Call<'_> {
    /// # Errors
    /// TLS cannot be set up here.
    pub async fn make(&self, trust: &Trust, end: Instant, cx: &Context) -> Result<Shown, ProbeError> {
        let trace = Arc::new(Trace::begin());
        let mut config = client_config(Some((trust.clone(), Strictness::Record)), &trace)?;
        config.alpn_protocols.clear();
        let mut shown = Shown::default();
        let stream = match connect(self.place, self.family, end, &mut shown.way).await {
            Ok(stream) => stream,
            Err(why) => return Ok(Shown { trouble: Some(why), ..shown }),
        };
        match self.talk(stream, config, end, &trace, cx).await {
            Ok(version) => shown.version = version,
            Err(why) => shown.trouble = Some(why),
        }
        shown.presented = Arc::into_inner(trace).and_then(|trace| trace.presented.into_inner());
        Ok(shown)
    }

    /// The version of TLS.
    async fn talk(
        &self,
        stream: TcpStream,
        config: ClientConfig,
        end: Instant,
        trace: &Trace,
        cx: &Context,
    ) -> Result<Option<String>, String> {
        let Self { place, .. } = self;
        let late = |what: &str| format!("connected to {place}, but no answer to {what} within {}", shown(cx.limit));
        let stream = timeout_at(end, self.starttls.ask(stream))
            .await
            .map_err(|_| late("STARTTLS"))?
            .map_err(|why| format!("{place} {why}"))?;
        let shaken = timeout_at(end, TlsConnector::from(Arc::new(config)).connect(self.name.clone(), stream)).await;
        match shaken.map_err(|_| late("the TLS handshake"))? {
            Ok(stream) => Ok(stream.get_ref().1.protocol_version().map(version)),
            Err(error) => {
                let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
                Err(match tls {
                    Some(error) => explain_tls(error, &place.to_string(), trace),
                    None => format!("{place} closed the connection during the TLS handshake"),
                })
            }
        }
    }
}

fn version(version: ProtocolVersion) -> String {
    match version {
        ProtocolVersion::TLSv1_2 => "TLS 1.2".to_owned(),
        ProtocolVersion::TLSv1_3 => "TLS 1.3".to_owned(),
        other => format!("{other:?}"),
    }
}
