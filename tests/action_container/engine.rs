//! A server that answers as the Docker Engine API documents it, as far as these tests ask.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value as Json, json};
use tempfile::TempDir;

use crate::support::act::Act;

pub const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
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
    made: u64,
    clock: u64,
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
        let mut state = self.lock();
        state.made += 1;
        let id = format!("{:064x}", state.made);
        state.containers.retain(|other| other.name != name);
        let running = spec.get("running").and_then(Json::as_bool).unwrap_or(true);
        state.containers.push(Container { id, name: name.to_owned(), running, exit: 0, started: 1, spec });
    }

    pub fn id(&self, name: &str) -> String {
        self.lock().containers.iter().find(|one| one.name == name).expect("a container").id.clone()
    }

    pub fn changes(&self) -> Vec<String> {
        self.lock().changes.clone()
    }

    pub fn act(&self, mut inputs: Json) -> Act {
        inputs["socket"] = json!(self.folder.path().join("docker.sock"));
        Act::new("container", inputs)
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
        let Some((status, body)) = state.lock().expect("a state").answer(method, target) else {
            std::thread::park();
            return;
        };
        let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n", body.len());
        // 204 and 304 have no body, nor a length.
        let head = if matches!(status, 204 | 304) { format!("HTTP/1.1 {status} X\r\n\r\n") } else { head };
        let mut stream = stream;
        if stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body)).is_err() {
            return;
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
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        match (method, parts.as_slice()) {
            ("GET", ["containers", "json"]) => Some(fine(&self.list(&decoded(query)))),
            ("GET", ["containers", id, "json"]) => match self.find(id) {
                Some(container) => Some(fine(&container.describe())),
                None => Some(message(404, "No such container")),
            },
            ("GET", ["containers", id, "logs"]) => Some((200, self.find(id)?.log())),
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
                    return Some(fine(&json!({"Id": IMAGE, "RepoDigests": [format!("shop@{DIGEST}")]})));
                }
                Some(message(404, "No such image"))
            }
            _ => Some(message(404, "page not found")),
        }
    }

    fn find(&mut self, id: &str) -> Option<&mut Container> {
        self.containers.iter_mut().find(|one| one.id == id || one.name == id)
    }

    fn list(&self, query: &str) -> Json {
        let filters = query.split('&').find_map(|part| part.strip_prefix("filters="));
        let filters: Json = filters.map_or(Json::Null, |text| serde_json::from_str(text).expect("filters"));
        let wanted: Vec<&str> = filters["label"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
        let has = |one: &&Container, label: &str| {
            let (key, value) = label.split_once('=').expect("a label");
            one.spec["labels"][key] == *value
        };
        let found = self.containers.iter().filter(|one| wanted.iter().all(|label| has(one, label)));
        found.map(|one| json!({"Id": one.id, "Names": [format!("/{}", one.name)]})).collect()
    }
}

impl Container {
    fn describe(&self) -> Json {
        json!({
            "Id": self.id, "Name": format!("/{}", self.name), "Image": IMAGE, "RestartCount": 0,
            "Config": {"Image": "shop:1.0", "Tty": false, "Labels": self.spec["labels"]},
            "HostConfig": {"RestartPolicy": {"Name": self.spec.get("policy").cloned().unwrap_or(json!("no"))}},
            "State": {
                "Status": if self.running { "running" } else { "exited" }, "Running": self.running,
                "Restarting": false, "OOMKilled": false, "ExitCode": self.exit,
                "StartedAt": format!("2026-01-01T00:00:{:02}Z", self.started),
                "Health": {"Status": "healthy", "FailingStreak": 0},
            },
        })
    }

    /// Each line in a frame: which stream, and its length.
    fn log(&self) -> Vec<u8> {
        let lines = self.spec["log"].as_array().into_iter().flatten().filter_map(Json::as_str);
        let frame = |line: &str| {
            let text = format!("{line}\n");
            let length = u32::try_from(text.len()).expect("a short line").to_be_bytes();
            [&[1, 0, 0, 0], &length[..], text.as_bytes()].concat()
        };
        lines.flat_map(frame).collect()
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
