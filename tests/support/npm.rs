//! A registry of JavaScript packages on a free loopback port, and projects that use it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value as Json, json};
use tempfile::TempDir;

#[derive(Default)]
struct Known {
    packages: BTreeMap<String, Json>,
    advisories: Json,
}

pub struct Registry {
    pub url: String,
    known: Arc<Mutex<Known>>,
}

impl Registry {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}/", listener.local_addr().expect("an address"));
        let known = Arc::new(Mutex::new(Known { advisories: json!({}), ..Known::default() }));
        let shared = Arc::clone(&known);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let known = Arc::clone(&shared);
                // An error is a client that has gone.
                std::thread::spawn(move || answer(&stream, &known).ok());
            }
        });
        Self { url, known }
    }

    /// The last of `versions` is the latest.
    pub fn package(&self, name: &str, versions: &[&str]) {
        let one = |version: &&str| {
            let dist = json!({"tarball": format!("{}{name}/-/{name}-{version}.tgz", self.url), "shasum": "0"});
            ((*version).to_owned(), json!({"name": name, "version": version, "dist": dist}))
        };
        let all: serde_json::Map<String, Json> = versions.iter().map(one).collect();
        let told = json!({"name": name, "dist-tags": {"latest": versions.last()}, "versions": all});
        self.known.lock().expect("packages").packages.insert(name.to_owned(), told);
    }

    /// What is known of packages, as the bulk endpoint tells it.
    pub fn advisories(&self, advisories: Json) {
        self.known.lock().expect("packages").advisories = advisories;
    }

    /// A project that requires `packages` (name, range, installed version; none is installed where that is empty).
    pub fn project(&self, packages: &[(&str, &str, &str)]) -> TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |path: &str, text: String| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, text).expect("a file");
        };
        let requires: BTreeMap<&str, &str> = packages.iter().map(|(name, range, _)| (*name, *range)).collect();
        let project = json!({"name": "shop", "version": "1.0.0", "dependencies": requires});
        let mut locked = json!({"": project});
        for (name, _, version) in packages.iter().filter(|(_, _, version)| !version.is_empty()) {
            let package = json!({"name": name, "version": version});
            write(&format!("node_modules/{name}/package.json"), package.to_string());
            let tarball = format!("{}{name}/-/{name}-{version}.tgz", self.url);
            locked[format!("node_modules/{name}")] = json!({"version": version, "resolved": tarball});
        }
        write("package.json", project.to_string());
        let lock = json!({"name": "shop", "version": "1.0.0", "lockfileVersion": 3, "packages": locked});
        write("package-lock.json", lock.to_string());
        write(".npmrc", format!("registry={}\naudit=true\n", self.url));
        folder
    }
}

fn answer(mut stream: &TcpStream, known: &Mutex<Known>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let (mut request, mut length) = (String::new(), 0);
    reader.read_line(&mut request)?;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? <= 2 {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
    }
    std::io::copy(&mut reader.take(length), &mut std::io::sink())?;
    let path = request.split(' ').nth(1).unwrap_or_default().trim_start_matches('/').to_owned();
    let (status, body) = {
        let known = known.lock().expect("packages");
        match (known.packages.get(&path), path.as_str()) {
            (Some(told), _) => (200, told.to_string()),
            (None, "-/npm/v1/security/advisories/bulk") => (200, known.advisories.to_string()),
            (None, _) => (404, r#"{"error": "not found"}"#.to_owned()),
        }
    };
    write!(
        stream,
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}
