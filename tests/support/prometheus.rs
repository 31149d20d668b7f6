//! Prometheus and what it scrapes, on free loopback ports.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};

use chrono::Utc;

use super::server::{folder, free_port, program, start, wait_until};
use super::web;

/// The user and password of [`secure`].
pub const USER: &str = "operator";
pub const PASSWORD: &str = "correct-horse";
const PASSWORD_HASH: &str = "$2y$05$h3x/XPWCZRD0qIeghUY7F.UaeWAoW6LrV2.Q7bB30w8ElUL.QLzPm";

/// What a program exposes; it can be changed at any time.
pub struct Target {
    pub port: u16,
    text: Arc<Mutex<String>>,
}

impl Target {
    pub fn start(text: &str) -> Self {
        let text = Arc::new(Mutex::new(text.to_owned()));
        let shown = Arc::clone(&text);
        let port = web::misbehaving(move |mut connection| {
            web::request(&connection);
            let body = shown.lock().expect("a text").clone();
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\nconnection: close\r\n";
            connection.write_all(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).as_bytes()).ok();
        });
        Self { port, text }
    }

    pub fn set(&self, text: &str) {
        text.clone_into(&mut self.text.lock().expect("a text"));
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/metrics", self.port)
    }
}

/// A Prometheus of all tests that change nothing of it: it scrapes a target every second, has rules, and a past.
pub struct Shared {
    pub url: String,
    /// Exposes `requests_total` and `queue_depth`.
    pub target: Target,
    /// Exposes `vanishing`, until its test takes that away.
    pub changing: Target,
}

/// What the past of [`shared`] holds, each sample so many seconds before its start.
const PAST: [(&str, &[(i64, &str)]); 4] = [
    // Began again at 5.
    ("jobs_total{queue=\"mail\"}", &[(1800, "100"), (1200, "130"), (600, "5"), (300, "25")]),
    ("stopped", &[(1800, "7"), (1200, "8")]),
    ("odd", &[(900, "1"), (600, "NaN"), (300, "3")]),
    ("endless", &[(600, "1"), (300, "+Inf")]),
];

const RULES: &str = "
groups:
  - name: test
    interval: 1s
    rules:
      - { alert: Watchdog, expr: vector(1), labels: { severity: none }, annotations: { summary: alerting works } }
      - { alert: QueueTooLong, expr: queue_depth > 10, labels: { severity: critical },
          annotations: { summary: 'the queue {{ $labels.queue }} is long' } }
      - { alert: QueueStillLong, expr: queue_depth > 10, for: 1h, labels: { severity: warning } }
      - { record: broken, expr: requests_total * on(job) requests_total }
";

pub fn shared() -> &'static Shared {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    SHARED.get_or_init(|| {
        let folder = folder("prometheus");
        let target = Target::start(
            "# TYPE requests_total counter\nrequests_total{code=\"200\"} 990\nrequests_total{code=\"500\"} 10\n\
             # TYPE queue_depth gauge\nqueue_depth{queue=\"mail\"} 12.5\nqueue_depth{queue=\"print\"} 0\n",
        );
        let changing = Target::start("vanishing 4\n");
        write_past(&folder);
        fs::write(folder.join("rules.yml"), RULES).expect("rules");
        let configuration = format!(
            "global: {{ scrape_interval: 1s, scrape_timeout: 1s }}\nrule_files: [rules.yml]\nscrape_configs:\n\
             \x20 - {{ job_name: shop, static_configs: [{{ targets: ['127.0.0.1:{}'] }}] }}\n\
             \x20 - {{ job_name: changing, static_configs: [{{ targets: ['127.0.0.1:{}'] }}] }}\n\
             \x20 - {{ job_name: gone, static_configs: [{{ targets: ['127.0.0.1:{}'] }}] }}\n",
            target.port,
            changing.port,
            free_port()
        );
        let url = format!("http://127.0.0.1:{}", start_prometheus(&folder, &configuration, &[]));
        wait_until("a scrape by Prometheus", || {
            curl(&[&format!("{url}/api/v1/query?query=queue_depth")]).contains("mail")
        });
        Shared { url, target, changing }
    })
}

/// A Prometheus with TLS and a password, by the authority of [`web::local`].
pub fn secure() -> &'static str {
    static SECURE: OnceLock<String> = OnceLock::new();
    SECURE.get_or_init(|| {
        let (folder, web) = (folder("prometheus-secure"), web::local());
        let protected = format!(
            "tls_server_config: {{ cert_file: {}, key_file: {} }}\nbasic_auth_users: {{ {USER}: '{PASSWORD_HASH}' }}\n",
            web.certificate.display(),
            web.key.display()
        );
        let file = folder.join("web.yml");
        fs::write(&file, protected).expect("a file");
        format!(
            "https://localhost:{}",
            start_prometheus(&folder, "", &[&format!("--web.config.file={}", file.display())])
        )
    })
}

/// Returns its port.
fn start_prometheus(folder: &Path, configuration: &str, options: &[&str]) -> u16 {
    let (port, file) = (free_port(), folder.join("prometheus.yml"));
    fs::write(&file, configuration).expect("a configuration");
    let mut command = vec![
        program("prometheus"),
        format!("--config.file={}", file.display()),
        format!("--storage.tsdb.path={}", folder.join("data").display()),
        format!("--web.listen-address=127.0.0.1:{port}"),
    ];
    command.extend(options.iter().map(|option| (*option).to_owned()));
    start(command);
    wait_until("Prometheus", || {
        let plain = format!("http://127.0.0.1:{port}/-/ready");
        let protected = format!("https://127.0.0.1:{port}/-/ready");
        let login = format!("{USER}:{PASSWORD}");
        curl(&[&plain]).contains("Ready") || curl(&["-k", "-u", &login, &protected]).contains("Ready")
    });
    port
}

/// Blocks of the time before the start. `latency_ms` goes through 1 to 100, one every 30 seconds.
fn write_past(folder: &Path) {
    let now = Utc::now().timestamp();
    let mut lines: Vec<String> =
        (1..=100).map(|number| format!("latency_ms {number} {}\n", now - 3600 + 30 * number)).collect();
    for (series, samples) in PAST {
        lines.extend(samples.iter().map(|(ago, value)| format!("{series} {value} {}\n", now - ago)));
    }
    let text = lines.concat() + "# EOF\n";
    let (file, data) = (folder.join("past.txt"), folder.join("data"));
    fs::write(&file, text).expect("a file");
    let made = Command::new(program("promtool"))
        .args(["tsdb", "create-blocks-from", "openmetrics"])
        .args([&file, &data])
        .output()
        .expect("promtool runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// The body of an answer; empty when there is none.
pub fn curl(arguments: &[&str]) -> String {
    let done = Command::new(program("curl")).args(["-s", "-m", "10"]).args(arguments).stderr(Stdio::null()).output();
    String::from_utf8_lossy(&done.expect("curl runs").stdout).into_owned()
}
