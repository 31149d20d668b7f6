//! The API of Docker's engine, which Podman speaks as well, over its Unix socket.

use std::io;
use std::path::{Path, PathBuf};

use reqwest::{Client, Method, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use tokio::net::UnixStream;
use tokio::time::{Instant, timeout_at};

use crate::model::input::{InputSpec, InputType, Need};
use crate::model::text::one_line;
use crate::model::unit::Quantity;
use crate::probe::http::trouble::innermost;
use crate::probe::{Context, ProbeError};

/// The list of 10 000 containers has some 15 MB.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// Where engines listen, the first that is there.
const SOCKETS: [&str; 2] = ["/var/run/docker.sock", "/run/podman/podman.sock"];

/// What this was written for. Engines speak several versions, and the newest may mean something else.
const VERSION: Version = Version(1, 44);

pub const SOCKET: InputSpec = InputSpec {
    name: "socket",
    ty: InputType::Path,
    need: Need::Optional,
    about: "where the engine listens; when not given, what DOCKER_HOST says, else /var/run/docker.sock, or \
            /run/podman/podman.sock where only that is there",
};

/// Why the engine told nothing.
#[derive(Debug)]
pub enum Trouble {
    /// It does not run, does not answer in time, or breaks off.
    Down(ProbeError),
    /// It may answer others, but not this.
    Blind(ProbeError),
}

impl From<Trouble> for ProbeError {
    fn from(trouble: Trouble) -> Self {
        let (Trouble::Down(error) | Trouble::Blind(error)) = trouble;
        error
    }
}

fn blind(code: &'static str, message: String, help: &str) -> Trouble {
    Trouble::Blind(ProbeError::new(code, message).help(help))
}

fn down(code: &'static str, message: String, help: &str) -> Trouble {
    Trouble::Down(ProbeError::new(code, message).help(help))
}

const WELL: &str = "`docker info` shows whether it is well";

pub struct Engine<'c> {
    client: Client,
    cx: &'c Context,
    limit: Instant,
    socket: PathBuf,
    /// What each path begins with: the version of the API, as soon as it is known.
    prefix: String,
}

/// An answer: its status and its body.
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Told {
    api_version: Version,
    #[serde(rename = "MinAPIVersion")]
    least: Option<Version>,
}

impl<'c> Engine<'c> {
    /// Finds the engine and agrees on a version of the API. All that is asked later ends before `limit`.
    pub async fn connect(socket: Option<&Path>, limit: Instant, cx: &'c Context) -> Result<Self, Trouble> {
        let socket = match socket {
            Some(socket) => socket.to_owned(),
            None => default_socket()?,
        };
        let place = socket.display();
        if let Err(error) = UnixStream::connect(&socket).await {
            return Err(match error.kind() {
                io::ErrorKind::PermissionDenied => blind(
                    "permission",
                    format!("no permission to use the container engine at {place}"),
                    "run opsctl as root, or put its user into the group of the socket (`docker`)",
                ),
                kind => {
                    let why = match kind {
                        io::ErrorKind::NotFound => "there is no such socket".to_owned(),
                        io::ErrorKind::ConnectionRefused => "nobody listens there".to_owned(),
                        _ => error.to_string(),
                    };
                    let help = "start it (`systemctl start docker`), or correct `socket`";
                    down("no_engine", format!("no container engine answers at {place}: {why}"), help)
                }
            });
        }
        let builder =
            Client::builder().unix_socket(socket.as_path()).no_proxy().redirect(reqwest::redirect::Policy::none());
        let client = builder.tls_backend_preconfigured(no_tls()?).build().map_err(|error| {
            blind("io", format!("cannot make a client for {place}: {}", innermost(&error)), "this is a fault of opsctl")
        })?;
        let mut engine = Self { client, cx, limit, socket, prefix: String::new() };
        let told: Told = engine.json("/version").await?;
        let Version(major, minor) = VERSION.max(told.least.unwrap_or(VERSION)).min(told.api_version);
        engine.prefix = format!("/v{major}.{minor}");
        Ok(engine)
    }

    /// Asks without changing anything.
    pub async fn get(&self, path: &str) -> Result<Answer, Trouble> {
        self.call(Method::GET, path).await
    }

    /// As [`Engine::get`], for what must be there.
    pub async fn json<T: DeserializeOwned>(&self, path: &str) -> Result<T, Trouble> {
        self.read(&self.get(path).await?, path)
    }

    /// As [`Engine::json`], for what may not be there.
    pub async fn find<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, Trouble> {
        let answer = self.get(path).await?;
        if answer.status == 404 { Ok(None) } else { self.read(&answer, path).map(Some) }
    }

    pub async fn call(&self, method: Method, path: &str) -> Result<Answer, Trouble> {
        let shown = format!("{method} {path}");
        self.bounded(&shown, async {
            let mut body = Vec::new();
            let mut response = self.send(method, path).await?;
            let status = response.status().as_u16();
            while let Some(chunk) = response.chunk().await? {
                if body.len() + chunk.len() > MOST_BYTES {
                    return Ok(Err(blind(
                        "bad_answer",
                        format!("{shown} is answered with more than 64 MiB"),
                        "narrow it down: name the containers, or a `label`",
                    )));
                }
                body.extend_from_slice(&chunk);
            }
            Ok(Ok(Answer { status, body }))
        })
        .await?
    }

    /// Reads a long answer piece by piece. What the engine refuses to give comes back as its own words.
    pub async fn stream(&self, path: &str, mut each: impl FnMut(&[u8])) -> Result<Result<(), String>, Trouble> {
        self.bounded(&format!("GET {path}"), async {
            let mut response = self.send(Method::GET, path).await?;
            let status = response.status().as_u16();
            let mut refusal = Vec::new();
            while let Some(chunk) = response.chunk().await? {
                if status == 200 {
                    each(&chunk);
                } else if refusal.len() < 4096 {
                    refusal.extend_from_slice(&chunk);
                }
            }
            Ok(if status == 200 { Ok(()) } else { Err(Answer { status, body: refusal }.message()) })
        })
        .await
    }

    async fn send(&self, method: Method, path: &str) -> reqwest::Result<Response> {
        self.client.request(method, format!("http://engine{}{path}", self.prefix)).send().await
    }

    async fn bounded<T>(&self, shown: &str, answer: impl Future<Output = reqwest::Result<T>>) -> Result<T, Trouble> {
        tokio::select! {
            answer = timeout_at(self.limit, answer) => match answer {
                Ok(Ok(answer)) => Ok(answer),
                Ok(Err(error)) => {
                    let message = format!("{shown} broke off at {}: {}", self.socket.display(), innermost(&error));
                    Err(down("bad_answer", message, WELL))
                }
                Err(_) => {
                    let limit = Quantity::duration(self.cx.limit).rounded();
                    Err(down("time_limit", format!("{shown} was not answered within {limit}"), WELL))
                }
            },
            () = self.cx.cancel.cancelled() => {
                let message = format!("{shown} had begun when the run was ended");
                Err(Trouble::Blind(ProbeError::new("cancelled", message)))
            }
        }
    }

    fn read<T: DeserializeOwned>(&self, answer: &Answer, path: &str) -> Result<T, Trouble> {
        let place = self.socket.display();
        if answer.status != 200 {
            let said = one_line(&answer.message(), 300);
            let message = format!("the container engine at {place} answers GET {path} with {}: {said}", answer.status);
            return Err(if answer.status >= 500 {
                down("bad_answer", message, WELL)
            } else {
                blind("bad_answer", message, "is this the socket of a container engine? `docker info` shows it")
            });
        }
        serde_json::from_slice(&answer.body).map_err(|error| {
            let message = format!("the answer of {place} to GET {path} is not that of a container engine: {error}");
            blind("bad_answer", message, "correct `socket`; `docker info` shows whether the engine is well")
        })
    }
}

impl Answer {
    /// What the engine says of an error.
    pub fn message(&self) -> String {
        let json: Option<Json> = serde_json::from_slice(&self.body).ok();
        let message = json.as_ref().and_then(|json| json.get("message")?.as_str());
        message.map_or_else(|| String::from_utf8_lossy(&self.body).trim().to_owned(), str::to_owned)
    }
}

/// A version of the API, such as `1.44`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Deserialize)]
#[serde(try_from = "String")]
struct Version(u32, u32);

impl TryFrom<String> for Version {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let parts = text.split_once('.').and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
        parts.map(|(major, minor)| Self(major, minor)).ok_or_else(|| format!("`{text}` is no version of the API"))
    }
}

fn default_socket() -> Result<PathBuf, Trouble> {
    let host = std::env::var("DOCKER_HOST").unwrap_or_default();
    if let Some(path) = host.strip_prefix("unix://") {
        return Ok(path.into());
    }
    if !host.is_empty() {
        let message = "DOCKER_HOST names an engine that is not reached over a socket of this machine".to_owned();
        return Err(blind("no_engine", message, "write the `socket` of this machine's engine into the step"));
    }
    let found = SOCKETS.iter().find(|socket| Path::new(socket).exists());
    Ok(found.unwrap_or(&SOCKETS[0]).into())
}

/// The client wants to know how it would speak TLS, which is never spoken over the socket.
fn no_tls() -> Result<rustls::ClientConfig, Trouble> {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder =
        builder.map_err(|error| blind("io", format!("cannot make a client: {error}"), "this is a fault of opsctl"))?;
    Ok(builder.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth())
}

/// A text as part of a query.
pub fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        let version = |text: &str| Version::try_from(text.to_owned());
        assert!(version("1.9") < version("1.44") && version("1.44").is_ok());
        assert!(version("1").is_err() && version("").is_err());
    }
}
