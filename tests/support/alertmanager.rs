//! Alertmanager on a free loopback port.

use std::fs;
use std::net::TcpStream;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value as Json;
use tempfile::TempDir;

use super::prometheus::curl;
use super::server::{free_port, program, start, wait_until};

/// An Alertmanager of one test, which is gone with it.
pub struct Alertmanager {
    pub url: String,
    port: u16,
    pid: u32,
    _folder: TempDir,
}

impl Alertmanager {
    /// Critical alerts inhibit warnings of the same `site`.
    pub fn start() -> Self {
        let (folder, port) = (tempfile::tempdir().expect("a folder"), free_port());
        let file = folder.path().join("alertmanager.yml");
        let configuration = "route: { receiver: nobody }\nreceivers: [{ name: nobody }]\ninhibit_rules:\n\
             - { source_matchers: [severity=critical], target_matchers: [severity=warning], equal: [site] }\n";
        fs::write(&file, configuration).expect("a configuration");
        let pid = start(vec![
            program("prometheus-alertmanager"),
            format!("--config.file={}", file.display()),
            format!("--storage.path={}", folder.path().display()),
            format!("--web.listen-address=127.0.0.1:{port}"),
            "--cluster.listen-address=".to_owned(),
        ]);
        let url = format!("http://127.0.0.1:{port}");
        wait_until("Alertmanager", || curl(&[&format!("{url}/-/ready")]).contains("OK"));
        Self { url, port, pid, _folder: folder }
    }

    /// As Prometheus and people's tools do it.
    pub fn post(&self, what: &str, json: &Json) {
        let url = format!("{}/api/v2/{what}", self.url);
        let status = curl(&[
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            "-H",
            "content-type: application/json",
            "-d",
            &json.to_string(),
            &url,
        ]);
        assert_eq!(status, "200", "{url} {json}");
    }
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw).expect("the number of a process");
        let _ = kill_process(pid, Signal::KILL);
        wait_until("the end of Alertmanager", || TcpStream::connect(("127.0.0.1", self.port)).is_err());
    }
}
