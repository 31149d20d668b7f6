//! One request and one response, with the time of each phase.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use reqwest::{Client, Response, Url};
use tower::Service;

use super::super::ProbeError;
use super::request::Request;
use super::tls::{Presented, Strictness, Trust, client_config_as};
use super::trouble;
use super::way::{self, Reach, Way};

/// How far an exchange came, and when. Filled while it goes on, so that it can be read when the time is up.
#[derive(Debug)]
pub struct Trace {
    pub began: Instant,
    pub resolved: OnceLock<Instant>,
    pub connecting: OnceLock<Instant>,
    pub tls_began: OnceLock<Instant>,
    /// Ready for the request: after TLS, if there is any.
    pub ready: OnceLock<Instant>,
    pub answered: OnceLock<Instant>,
    pub presented: OnceLock<Presented>,
    /// Where the connection was tried, in this order.
    pub addresses: OnceLock<Vec<SocketAddr>>,
    /// The proxy or socket that stands before the server.
    pub via: OnceLock<String>,
}

impl Trace {
    pub fn begin() -> Self {
        Self {
            began: Instant::now(),
            resolved: OnceLock::new(),
            connecting: OnceLock::new(),
            tls_began: OnceLock::new(),
            ready: OnceLock::new(),
            answered: OnceLock::new(),
            presented: OnceLock::new(),
            addresses: OnceLock::new(),
            via: OnceLock::new(),
        }
    }

    pub fn resolve(&self) -> Option<Duration> {
        Some(self.resolved.get()?.duration_since(self.began))
    }

    /// Of the TCP connection alone.
    pub fn connect(&self) -> Option<Duration> {
        let connected = self.tls_began.get().or_else(|| self.ready.get())?;
        Some(connected.duration_since(*self.connecting.get()?))
    }

    pub fn tls(&self) -> Option<Duration> {
        Some(self.ready.get()?.duration_since(*self.tls_began.get()?))
    }

    pub fn first_byte(&self) -> Option<Duration> {
        Some(self.answered.get()?.duration_since(*self.ready.get()?))
    }
}

/// Now is when this point was reached; only the first time counts.
pub fn mark(point: &OnceLock<Instant>) {
    point.set(Instant::now()).ok();
}

/// Which of a host's addresses are used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Family {
    Any,
    V4,
    V6,
}

impl Family {
    /// Those that the input `address` asks for, one look each.
    pub fn of(choice: Option<&str>) -> Vec<Self> {
        match choice {
            Some("4") => vec![Self::V4],
            Some("6") => vec![Self::V6],
            Some("both") => vec![Self::V4, Self::V6],
            _ => vec![Self::Any],
        }
    }

    /// The name of a look at `target` over this family.
    pub fn subject(self, target: impl fmt::Display) -> String {
        match self {
            Self::Any => target.to_string(),
            Self::V4 | Self::V6 => format!("{target} over {}", self.word()),
        }
    }

    pub fn admits(self, address: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::V4 => address.is_ipv4(),
            Self::V6 => address.is_ipv6(),
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Any => "IP",
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }
}

/// Why there is no response.
pub enum Failure {
    /// The target's doing, in plain words.
    NoAnswer(String),
    /// The look could not be taken.
    Unseen(ProbeError),
}

impl From<ProbeError> for Failure {
    fn from(error: ProbeError) -> Self {
        Self::Unseen(error)
    }
}

/// Sends `request` over a connection of its own and waits for the head of the response.
pub async fn send(
    request: &Request,
    family: Family,
    trust: Option<(Trust, Strictness)>,
    trace: &Arc<Trace>,
) -> Result<Response, Failure> {
    send_by(&Way::by(Reach::Named(family), None), request, trust, trace).await
}

/// As [`send`], by a way of its own.
pub async fn send_by(
    way: &Way,
    request: &Request,
    trust: Option<(Trust, Strictness)>,
    trace: &Arc<Trace>,
) -> Result<Response, Failure> {
    if let Some(via) = way.via() {
        trace.via.set(via).ok();
    }
    let tls = client_config_as(way.identity.as_deref(), trust, trace)?;
    let named = resolve(&request.url, &way.reach, trace).await?;
    let timing = Arc::clone(trace);
    let builder = Client::builder()
        .no_gzip()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .pool_max_idle_per_host(0)
        .connector_layer(tower::layer::layer_fn(move |inner| Timed { inner, trace: Arc::clone(&timing) }))
        .tls_backend_preconfigured(tls);
    let named = named.as_deref().zip(trace.addresses.get().map(Vec::as_slice));
    let client = way.apply(builder, named).and_then(reqwest::ClientBuilder::build).map_err(|error| {
        ProbeError::new("http_client", format!("cannot set up the HTTP client: {}", trouble::innermost(&error)))
    })?;
    let sent = request.send(&client).await;
    match sent {
        Ok(response) => {
            mark(&trace.answered);
            Ok(response)
        }
        Err(error) => match way.denied(&error) {
            Some(denied) => Err(Failure::Unseen(denied)),
            None => Err(Failure::NoAnswer(trouble::explain(&error, &request.url, trace))),
        },
    }
}

/// Notes the addresses to connect to in `trace`, and returns the host that they are of if it is a name.
async fn resolve(url: &Url, reach: &Reach, trace: &Trace) -> Result<Option<String>, Failure> {
    let (url, family) = match reach {
        Reach::Socket(_) => return Ok(None),
        Reach::Proxy(proxy) => (proxy, Family::Any),
        Reach::Named(family) => (url, *family),
        Reach::Address(address) => {
            let port = url.port_or_known_default().unwrap_or_default();
            trace.addresses.set(vec![SocketAddr::new(*address, port)]).ok();
            return Ok(url.host_str().map(str::to_owned));
        }
    };
    let host = url.host_str().unwrap_or_default();
    let port = way::port_of(url);
    if let Some(address) = literal(host) {
        trace.addresses.set(vec![SocketAddr::new(address, port)]).ok();
        return Ok(None);
    }
    let addresses = look_up(host, port, family).await.map_err(Failure::NoAnswer)?;
    mark(&trace.resolved);
    trace.addresses.set(addresses).ok();
    Ok(Some(host.to_owned()))
}

/// The addresses of `host` by the system's resolver, at least one; or why there is none, in plain words.
pub async fn look_up(host: &str, port: u16, family: Family) -> Result<Vec<SocketAddr>, String> {
    let found = tokio::net::lookup_host((host, port)).await.map_err(|error| way::unknown(host, &error))?;
    let addresses: Vec<_> = found.filter(|address| family.admits(address.ip())).collect();
    if addresses.is_empty() {
        return Err(format!("{host} has no {} address", family.word()));
    }
    Ok(addresses)
}

/// The address that a URL's host is, if it is no name.
pub fn literal(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// The client's connector with a clock.
#[derive(Clone)]
struct Timed<S> {
    inner: S,
    trace: Arc<Trace>,
}

impl<R, S> Service<R> for Timed<S>
where
    S: Service<R>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut std::task::Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, target: R) -> Self::Future {
        let trace = Arc::clone(&self.trace);
        mark(&trace.connecting);
        let connecting = self.inner.call(target);
        Box::pin(async move {
            let connection = connecting.await?;
            mark(&trace.ready);
            Ok(connection)
        })
    }
}
