//! A connection on which one question waits for its answer before the next is asked.

use std::io;
use std::sync::Arc;

use redis::Value;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::super::ProbeError;
use super::super::http::exchange::Trace;
use super::super::http::tls::{Strictness, Trust, client_config};
use super::super::http::trouble::explain_tls;
use super::super::sql::trouble::Trouble;
use super::site::{Address, Site};
use crate::model::text::one_line;

/// An answer of INFO has some ten thousand bytes.
const MOST_BYTES: usize = 4 << 20;

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// The crate's own connections drop what a server says before it is asked, such as that it has too many clients.
pub struct Connection {
    stream: Box<dyn Stream>,
}

/// What a server says instead of an answer: `NOAUTH Authentication required.`
pub struct Refusal {
    code: String,
    text: String,
}

impl Connection {
    /// Says in `stage` what it waits for.
    pub async fn open(site: &Site, trust: Option<Trust>, stage: &mut &'static str) -> Result<Self, Trouble> {
        *stage = "no connection";
        let stream: Box<dyn Stream> = match &site.address {
            Address::Unix(path) => Box::new(UnixStream::connect(path).await.map_err(|error| Trouble::io(&error))?),
            Address::Tcp { host, port } => Box::new(connect(host, *port).await?),
            Address::Tls { host, port } => {
                let stream = connect(host, *port).await?;
                *stage = "no answer to the TLS handshake";
                Box::new(handshake(stream, host, trust, &site.place).await?)
            }
        };
        Ok(Self { stream })
    }

    /// Sends `command` and waits for what is said to it.
    pub async fn run(&mut self, command: &redis::Cmd) -> Result<Result<Value, Refusal>, Trouble> {
        // A server that closes the connection may have said why.
        let sent = self.stream.write_all(&command.get_packed_command()).await;
        let mut said = Vec::new();
        loop {
            match self.stream.read_buf(&mut said).await {
                Ok(0) => return Err(closed(&said, sent.err())),
                Ok(_) => {}
                Err(error) => return Err(closed(&said, Some(sent.err().unwrap_or(error)))),
            }
            match redis::parse_redis_value(&said) {
                Ok(Value::ServerError(error)) => return Ok(Err(Refusal::from(&error))),
                Ok(value) => return Ok(Ok(value)),
                Err(unfinished) if unfinished.is_io_error() && said.len() < MOST_BYTES => {}
                Err(_) => return Err(nonsense(&said)),
            }
        }
    }
}

async fn connect(host: &str, port: u16) -> Result<TcpStream, Trouble> {
    let stream = TcpStream::connect((host, port)).await.map_err(|error| Trouble::io(&error))?;
    stream.set_nodelay(true).map_err(|error| Trouble::io(&error))?;
    Ok(stream)
}

async fn handshake(
    stream: TcpStream,
    host: &str,
    trust: Option<Trust>,
    place: &str,
) -> Result<impl Stream + use<>, Trouble> {
    let trace = Arc::new(Trace::begin());
    let mut config = client_config(trust.map(|trust| (trust, Strictness::Verify)), &trace)?;
    config.alpn_protocols.clear();
    let name = ServerName::try_from(host.to_owned()).map_err(|_| {
        let message = format!("`{host}` is not a name that a certificate can be for");
        ProbeError::new("bad_url", message).help("write the name of the host in the URL of the database")
    })?;
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(|error| {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match tls {
            Some(error) => Trouble::Down(format!("no TLS connection: {}", explain_tls(error, place, &trace))),
            None => Trouble::Down("the server closed the connection during the TLS handshake".to_owned()),
        }
    })
}

/// The other side is gone, maybe after some words of another protocol.
fn closed(said: &[u8], error: Option<io::Error>) -> Trouble {
    match error {
        _ if !said.is_empty() => nonsense(said),
        Some(error) => Trouble::io(&error),
        None => Trouble::io(&io::ErrorKind::UnexpectedEof.into()),
    }
}

fn nonsense(said: &[u8]) -> Trouble {
    let beginning = String::from_utf8_lossy(&said[..said.len().min(200)]);
    let printable: String = beginning.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    Trouble::Down(format!("what answers there does not speak the protocol of Redis: `{}`", one_line(&printable, 60)))
}

impl From<&redis::ServerError> for Refusal {
    fn from(error: &redis::ServerError) -> Self {
        let text = format!("{} {}", error.code(), error.details().unwrap_or_default());
        Self { code: error.code().to_owned(), text: one_line(&text, 200) }
    }
}

impl Refusal {
    /// Whether nothing else would be answered either.
    pub fn is_of_everything(&self) -> bool {
        matches!(self.code.as_str(), "NOAUTH" | "NOPERM" | "DENIED")
    }

    pub fn into_text(self) -> String {
        self.text
    }

    pub fn of_login(self) -> Trouble {
        Trouble::Down(format!("the login was refused: {}; check the user and the password in the URL", self.text))
    }

    pub fn of(&self, command: &str) -> Trouble {
        let Self { code, text } = self;
        match code.as_str() {
            "NOPERM" => Trouble::Blind(
                ProbeError::new("permission", format!("the user of the URL may not run {command}: {text}"))
                    .help("allow it on the server: ACL SETUSER NAME +ping +select +info"),
            ),
            "NOAUTH" => Trouble::Down(format!("the server wants a login and the URL has none: {text}")),
            _ => Trouble::Down(format!("{command} was refused: {text}")),
        }
    }
}
