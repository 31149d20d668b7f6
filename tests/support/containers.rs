//! A stand-in for Docker: a server on a Unix socket that answers as the Docker Engine API documents it, as far as the
//! tests ask. No engine runs where the tests run, so their names say what they ask.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value as Json, json};
use tempfile::TempDir;

use super::act::Act;
use super::look::Look;

pub const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
/// An image without a digest, and with a date that says nothing.
pub const BUILT_HERE: &str = "sha256:2222222222222222222222222222222222222222222222222222222222222222";
const IMAGE: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";

pub struct Engine {
    folder: TempDir,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    containers: Vec<Container>,
    /// References of images that were pulled.
    images: Vec<String>,
    /// The calls that change something.
    changes: Vec<String>,
    /// The version of the API of the newest call.
    version: String,
    /// The newest and the oldest version that it speaks.
    versions: Option<(&'static str, &'static str)>,
    usage: Json,
    /// How calls are answered whose path contains this.
    manner: Option<(&'static str, Manner)>,
    made: u64,
    clock: u64,
}

/// How an answer comes, when it is not simply sent.
#[derive(Clone, Copy)]
pub enum Manner {
    /// In chunks of so many bytes.
    Chunks(usize),
    /// It ends in the middle.
    Cut,
    /// It never comes.
    Never,
    /// It is something else.
    Says(u16, &'static str),
}

struct Container {
    id: String,
    name: String,
    running: bool,
    exit: i64,
    started: u64,
    spec: Json,
}

impl Engine {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = UnixListener::bind(folder.path().join("docker.sock")).expect("a socket");
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                std::thread::spawn(move || serve(&stream, &state));
            }
        });
        Self { folder, state }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("a state")
    }

    /// A container that runs, unless `spec` says otherwise; it takes the place of one with the same name.
    pub fn container(&self, name: &str, spec: Json) {
        self.lock().containers.retain(|other| other.name != name);
        self.container_quickly(name, spec);
    }

    /// A container with a name that no other has.
    pub fn container_quickly(&self, name: &str, spec: Json) {
        let mut state = self.lock();
        state.made += 1;
        let id = format!("{:064x}", state.made);
        let running = spec.get("running").and_then(Json::as_bool).unwrap_or(true);
        state.containers.push(Container { id, name: name.to_owned(), running, exit: 0, started: 1, spec });
    }

    pub fn id(&self, name: &str) -> String {
        self.lock().containers.iter().find(|one| one.name == name).expect("a container").id.clone()
    }

    /// The newest and the oldest version of the API that it speaks.
    pub fn speaks(&self, newest: &'static str, oldest: &'static str) {
        self.lock().versions = Some((newest, oldest));
    }

    /// The version of the API of the newest call.
    pub fn version(&self) -> String {
        self.lock().version.clone()
    }

    /// Calls whose path contains `path` are answered in this manner.
    pub fn answers(&self, path: &'static str, manner: Manner) {
        self.lock().manner = Some((path, manner));
    }

    /// What `GET /system/df` tells.
    pub fn usage(&self, usage: Json) {
        self.lock().usage = usage;
    }

    pub fn changes(&self) -> Vec<String> {
        self.lock().changes.clone()
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("docker.sock")
    }

    pub fn act(&self, mut inputs: Json) -> Act {
        inputs["socket"] = json!(self.socket());
        Act::new("container", inputs)
    }

    pub fn look(&self, kind: &'static str, mut inputs: Json) -> Look {
        inputs["socket"] = json!(self.socket());
        Look::new(kind, inputs)
    }
}

fn serve(stream: &UnixStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream.try_clone().expect("a stream"));
    loop {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if line == "\r\n" {
                break;
            }
            head.push(line);
        }
        let mut words = head[0].split(' ');
        let (method, target) = (words.next().expect("a method"), words.next().expect("a target"));
        let (answer, manner) = {
            let mut state = state.lock().expect("a state");
            let manner = state.manner.filter(|(path, _)| target.contains(path)).map(|(_, manner)| manner);
            (state.answer(method, target), manner)
        };
        let (Some(answer), false) = (answer, matches!(manner, Some(Manner::Never))) else {
            std::thread::park();
            return;
        };
        if write(stream, answer, manner).is_err() {
            return;
        }
    }
}

fn write(mut stream: &UnixStream, (status, body): Answer, manner: Option<Manner>) -> std::io::Result<()> {
    let length = body.len();
    match manner {
        Some(Manner::Chunks(size)) => {
            write!(stream, "HTTP/1.1 {status} X\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            for chunk in body.chunks(size) {
                write!(stream, "{:x}\r\n", chunk.len())?;
                stream.write_all(chunk)?;
                stream.write_all(b"\r\n")?;
            }
            stream.write_all(b"0\r\n\r\n")
        }
        Some(Manner::Cut) => {
            write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n")?;
            stream.write_all(&body[..length / 2])?;
            stream.shutdown(std::net::Shutdown::Both)
        }
        Some(Manner::Says(status, text)) => {
            write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{text}", text.len())
        }
        // These have no body, nor a length.
        None | Some(Manner::Never) if matches!(status, 204 | 304) => write!(stream, "HTTP/1.1 {status} X\r\n\r\n"),
        None | Some(Manner::Never) => {
            write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n")?;
            stream.write_all(&body)
        }
    }
}

type Answer = (u16, Vec<u8>);

fn message(status: u16, text: &str) -> Answer {
    (status, json!({"message": text}).to_string().into_bytes())
}

fn fine(json: &Json) -> Answer {
    (200, json.to_string().into_bytes())
}

impl State {
    /// The status and the body; none for a container whose calls are never answered.
    fn answer(&mut self, method: &str, target: &str) -> Option<Answer> {
        let (newest, oldest) = self.versions.unwrap_or(("1.47", "1.24"));
        if target == "/version" {
            return Some(fine(&json!({"Version": "27.3.1", "ApiVersion": newest, "MinAPIVersion": oldest})));
        }
        let (version, target) = target[2..].split_at(target[2..].find('/').expect("a path after the version"));
        version.clone_into(&mut self.version);
        let number =
            |version: &str| version.split('.').map(|part| part.parse().expect("a number")).collect::<Vec<u32>>();
        if number(version) > number(newest) || number(version) < number(oldest) {
            return Some(message(400, "client version is too new or too old"));
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        match (method, parts.as_slice()) {
            ("GET", ["containers", "json"]) => Some(fine(&self.list(&decoded(query)))),
            ("GET", ["containers", id, "json"]) => match self.find(id) {
                Some(container) => Some(fine(&container.describe())),
                None => Some(message(404, "No such container")),
            },
            ("GET", ["containers", id, "logs"]) => Some(self.find(id)?.log(query)),
            ("GET", ["containers", id, "stats"]) => Some(fine(&self.find(id)?.spec["stats"])),
            ("GET", ["system", "df"]) => Some(fine(&self.usage)),
            ("POST", ["containers", id, verb]) => {
                self.changes.push(target.to_owned());
                self.clock += 1;
                let clock = self.clock;
                self.find(id)?.change(verb, clock)
            }
            ("POST", ["images", "create"]) => {
                self.changes.push(target.to_owned());
                let query = decoded(query);
                if !query.contains(DIGEST) {
                    let lines = "{\"status\":\"Pulling\"}\r\n{\"errorDetail\":{\"message\":\"manifest unknown\"},\"error\":\"manifest unknown\"}\r\n";
                    return Some((200, lines.into()));
                }
                let (name, tag) = query.split_once("&tag=").expect("a tag");
                self.images.push(format!("{}@{tag}", name.trim_start_matches("fromImage=")));
                Some((200, b"{\"status\":\"Pulling\"}\r\n{\"status\":\"Status: Downloaded\"}\r\n".to_vec()))
            }
            ("GET", ["images", image @ .., "json"]) => {
                let image = image.join("/");
                if image == IMAGE || self.images.contains(&image) {
                    let digests = [format!("shop@{DIGEST}")];
                    return Some(fine(
                        &json!({"Id": IMAGE, "RepoDigests": digests, "Created": "2025-12-25T00:00:00.123Z"}),
                    ));
                }
                if image == BUILT_HERE {
                    return Some(fine(
                        &json!({"Id": BUILT_HERE, "RepoDigests": null, "Created": "1970-01-01T00:00:00Z"}),
                    ));
                }
                Some(message(404, "No such image"))
            }
            _ => Some(message(404, "page not found")),
        }
    }

    fn find(&mut self, id: &str) -> Option<&mut Container> {
        let place = |fits: &dyn Fn(&Container) -> bool| self.containers.iter().position(fits);
        let found = place(&|one| one.id == id).or_else(|| place(&|one| one.name == id));
        // As Docker does it: the beginning of an id is as good as a name.
        let found = found.or_else(|| place(&|one| one.id.starts_with(id)))?;
        self.containers.get_mut(found)
    }

    fn list(&self, query: &str) -> Json {
        let filters = query.split('&').find_map(|part| part.strip_prefix("filters="));
        let filters: Json = filters.map_or(Json::Null, |text| serde_json::from_str(text).expect("filters"));
        let wanted: Vec<&str> = filters["label"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
        let has = |one: &&Container, label: &str| {
            let (key, value) = label.split_once('=').map_or((label, None), |(key, value)| (key, Some(value)));
            let has = one.spec["labels"].get(key);
            has.is_some_and(|has| value.is_none_or(|value| has == value))
        };
        let found = self.containers.iter().filter(|one| wanted.iter().all(|label| has(one, label)));
        found
            .map(|one| json!({"Id": one.id, "Names": [format!("/{}", one.name)], "Labels": one.spec["labels"]}))
            .collect()
    }
}

impl Container {
    fn describe(&self) -> Json {
        let spec = |key: &str, default: Json| self.spec.get(key).cloned().unwrap_or(default);
        let status = spec("status", json!(if self.running { "running" } else { "exited" }));
        json!({
            "Id": self.id, "Name": format!("/{}", self.name), "Image": spec("image", json!(IMAGE)),
            "Created": spec("created", json!("2025-12-31T00:00:00Z")), "RestartCount": spec("restarts", json!(0)),
            "Config": {"Image": "shop:1.0", "Tty": spec("tty", json!(false)), "Labels": self.spec["labels"]},
            "HostConfig": {"RestartPolicy": {"Name": spec("policy", json!("no"))}},
            "State": {
                "Status": status, "Running": self.running, "Error": spec("error", json!("")),
                "Restarting": status == "restarting", "OOMKilled": spec("oom", json!(false)),
                "ExitCode": spec("exit", json!(self.exit)),
                "StartedAt": format!("2026-01-01T00:00:{:02}Z", self.started),
                "FinishedAt": spec("finished", json!("0001-01-01T00:00:00Z")),
                "Health": spec("health", json!({"Status": "healthy", "FailingStreak": 0, "Log": null})),
            },
        })
    }

    /// Each line in a frame: which stream, and its length. What a terminal shows has no frames.
    fn log(&self, query: &str) -> Answer {
        if let Some(refusal) = self.spec.get("log_refused").and_then(Json::as_str) {
            return message(501, refusal);
        }
        let lines: Vec<&str> = self.spec["log"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
        let tail = query.split('&').find_map(|part| part.strip_prefix("tail=")?.parse().ok()).unwrap_or(lines.len());
        let is_terminal = self.spec["tty"] == true;
        let frame = |line: &&str| {
            let text = if is_terminal { format!("{line}\r\n") } else { format!("{line}\n") };
            if is_terminal {
                return text.into_bytes();
            }
            let length = u32::try_from(text.len()).expect("a short line").to_be_bytes();
            let stream = if line.starts_with("ERROR") { 2 } else { 1 };
            [&[stream, 0, 0, 0], &length[..], text.as_bytes()].concat()
        };
        (200, lines[lines.len().saturating_sub(tail)..].iter().flat_map(frame).collect())
    }

    fn change(&mut self, verb: &str, clock: u64) -> Option<Answer> {
        if self.spec.get("hangs").is_some() {
            return None;
        }
        if let Some(refusal) = self.spec.get("refuses").and_then(Json::as_str) {
            return Some(message(500, refusal));
        }
        let runs = verb != "stop";
        if self.running == runs && verb != "restart" {
            return Some((304, Vec::new()));
        }
        self.running = runs && self.spec.get("ends").is_none();
        self.exit = if self.running { 0 } else { self.spec.get("ends").and_then(Json::as_i64).unwrap_or(0) };
        if runs {
            self.started = 1 + clock;
        }
        Some((204, Vec::new()))
    }
}

fn decoded(query: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = query.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next(), rest.next()].map(|digit| char::from(digit.expect("a digit")));
            bytes.push(u8::from_str_radix(&digits.iter().collect::<String>(), 16).expect("a byte"));
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).expect("text")
}
