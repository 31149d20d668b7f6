//! The engine's API over its Unix socket.

use std::io;
use std::path::Path;

use reqwest::{Client, Method, Response};
use serde_json::Value as Json;
use tokio::net::UnixStream;
use tokio::time::{Instant, timeout_at};

use crate::action::{ActionError, Changed, Context};
use crate::model::unit::Quantity;

/// Answers that are longer than this are not read on: the description of a container has some 10 KiB.
const MOST_BYTES: usize = 8 * 1024 * 1024;

pub struct Engine<'c> {
    client: Client,
    cx: &'c Context,
    limit: Instant,
    socket: &'c Path,
}

/// An answer: its status and its body.
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl<'c> Engine<'c> {
    pub async fn connect(socket: &'c Path, cx: &'c Context) -> Result<Self, ActionError> {
        let place = socket.display();
        if let Err(error) = UnixStream::connect(socket).await {
            return Err(match error.kind() {
                io::ErrorKind::PermissionDenied => {
                    ActionError::before("permission", format!("no permission to use the container engine at {place}"))
                        .help("run opsctl as root, or put its user into the group of the socket (`docker`)")
                }
                _ => ActionError::before("no_engine", format!("no container engine answers at {place}: {error}"))
                    .help("start it (`systemctl start docker`), or correct `socket`"),
            });
        }
        let builder = Client::builder().unix_socket(socket).no_proxy().redirect(reqwest::redirect::Policy::none());
        let client = builder
            .tls_backend_preconfigured(no_tls()?)
            .build()
            .map_err(|error| ActionError::before("io", format!("cannot make a client for {place}: {error}")))?;
        Ok(Self { client, cx, limit: crate::action::run::deadline(&cx.look), socket })
    }

    /// Asks without changing anything.
    pub async fn get(&self, path: &str) -> Result<Answer, ActionError> {
        let answer = self.call(Method::GET, path).await;
        answer.map_err(|error| ActionError { changed: Changed::Nothing, ..error })
    }

    /// As [`Engine::get`], for what must be JSON.
    pub async fn json(&self, path: &str) -> Result<Json, ActionError> {
        let answer = self.get(path).await?;
        if answer.status == 200
            && let Ok(json) = serde_json::from_slice(&answer.body)
        {
            return Ok(json);
        }
        let message =
            format!("the container engine at {} answers GET {path} with {}", self.socket.display(), answer.status);
        Err(ActionError::before("bad_answer", format!("{message}: {}", answer.message()))
            .help("`docker info` shows whether it is well"))
    }

    pub async fn post(&self, path: &str) -> Result<Answer, ActionError> {
        self.call(Method::POST, path).await
    }

    async fn call(&self, method: Method, path: &str) -> Result<Answer, ActionError> {
        let shown = format!("{method} {path}");
        let answer = async {
            let response = self.client.request(method, format!("http://engine{path}")).send().await?;
            read(response).await
        };
        let help = "the engine may go on with it: `docker ps -a` and `docker events` show what it does";
        tokio::select! {
            answer = timeout_at(self.limit, answer) => match answer {
                Ok(Ok(answer)) => Ok(answer),
                Ok(Err(error)) => {
                    let message = format!("{shown} broke off at {}: {error}", self.socket.display());
                    Err(ActionError::midway("bad_answer", message).help(help))
                }
                Err(_) => {
                    let limit = Quantity::duration(self.cx.look.limit).rounded();
                    Err(ActionError::midway("time_limit", format!("{shown} was not answered within {limit}")).help(help))
                }
            },
            () = self.cx.look.cancel.cancelled() => {
                Err(ActionError::midway("cancelled", format!("{shown} had begun when the run was ended")).help(help))
            }
        }
    }
}

async fn read(mut response: Response) -> reqwest::Result<Answer> {
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        // The end of a long answer says how it went: the beginning gives way.
        body.extend_from_slice(&chunk);
        let excess = body.len().saturating_sub(MOST_BYTES);
        body.drain(..excess);
    }
    Ok(Answer { status, body })
}

impl Answer {
    /// What the engine says of an error.
    pub fn message(&self) -> String {
        let json: Option<Json> = serde_json::from_slice(&self.body).ok();
        let message = json.as_ref().and_then(|json| json.get("message")?.as_str());
        message.map_or_else(|| String::from_utf8_lossy(&self.body).trim().to_owned(), str::to_owned)
    }
}

/// The client wants to know how it would speak TLS, which is never spoken over the socket.
fn no_tls() -> Result<rustls::ClientConfig, ActionError> {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| ActionError::before("io", format!("cannot make a client: {error}")))?;
    Ok(builder.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth())
}

/// A text as part of a query.
pub fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
