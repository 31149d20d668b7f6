//! Web servers: one Apache and one nginx for all tests, certificates of an own authority, and servers that misbehave.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use chrono::{Datelike, Utc};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};

use super::server::{free_port, program, start, wait_until};

/// The user and password of `/private/`.
pub const USER: &str = "operator";
pub const PASSWORD: &str = "correct-horse";
const PASSWORD_LINE: &str = "operator:$apr1$opsctl01$iJidEoWFOQdbUWlUOO2i3/\n";

/// Until when the certificate of [`Apache::expired`] was valid.
pub const EXPIRED_ON: &str = "2026-01-02";
/// In how many days the intermediate certificate of [`Apache::chain`] expires.
pub const INTERMEDIATE_DAYS: i64 = 5;

/// Apache on 127.0.0.1; each field but the paths is a port.
pub struct Apache {
    pub plain: u16,
    /// TLS with a certificate for localhost and 127.0.0.1; HTTP/2 and HTTP/1.1.
    pub tls: u16,
    pub expired: u16,
    /// Its certificate is for other.example.
    pub other_name: u16,
    /// Its certificate was issued by an intermediate authority that expires long before it.
    pub chain: u16,
    /// Its certificate is self-signed and an authority too, as `openssl req -x509` makes it.
    pub self_signed: u16,
    /// TLS only with a client certificate, such as that of [`client`].
    pub mutual: u16,
    /// A forward proxy for everybody.
    pub proxy: u16,
    /// A forward proxy for [`USER`].
    pub private_proxy: u16,
    /// The authority of all of them but that one.
    pub ca: PathBuf,
    pub self_signed_certificate: PathBuf,
}

/// nginx on 127.0.0.1; each field is a port.
pub struct Nginx {
    pub plain: u16,
    /// TLS with HTTP/2, by [`Apache::ca`].
    pub tls: u16,
    /// TLS 1.1 and nothing newer.
    pub old_tls: u16,
    /// A Unix socket.
    pub socket: PathBuf,
}

/// What a server of another kind needs to speak TLS, as files.
pub struct Local {
    /// For localhost and 127.0.0.1.
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// The authority that issued it.
    pub ca: PathBuf,
    /// An authority that did not.
    pub other_ca: PathBuf,
}

pub fn local() -> Local {
    let file = |name: &str| certificates().folder.join(name);
    Local { certificate: file("good.pem"), key: file("good.key"), ca: file("ca.pem"), other_ca: file("self.pem") }
}

/// A client certificate that [`Apache::mutual`] takes, and its key.
pub fn client() -> (PathBuf, PathBuf) {
    let file = |name: &str| certificates().folder.join(name);
    (file("client.pem"), file("client.key"))
}

/// The certificates of the tests, as files.
struct Certificates {
    folder: PathBuf,
}

pub fn apache() -> &'static Apache {
    static APACHE: OnceLock<Apache> = OnceLock::new();
    APACHE.get_or_init(|| {
        let folder = folder("apache");
        let apache = Apache {
            plain: free_port(),
            tls: free_port(),
            expired: free_port(),
            other_name: free_port(),
            chain: free_port(),
            self_signed: free_port(),
            mutual: free_port(),
            proxy: free_port(),
            private_proxy: free_port(),
            ca: certificates().folder.join("ca.pem"),
            self_signed_certificate: certificates().folder.join("self.pem"),
        };
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).expect("a folder for its own files");
        write_pages(&folder.join("pages"));
        write(&folder.join("users"), PASSWORD_LINE);
        let configuration = folder.join("apache.conf");
        write(&configuration, &apache.configuration(&folder));
        start_unprivileged(&[&program("apache2"), "-X", "-f", &configuration.display().to_string()]);
        wait_until("Apache", || TcpStream::connect(("127.0.0.1", apache.plain)).is_ok());
        apache
    })
}

pub fn nginx() -> &'static Nginx {
    static NGINX: OnceLock<Nginx> = OnceLock::new();
    NGINX.get_or_init(|| {
        let folder = folder("nginx");
        let socket = folder.join("app.sock");
        let nginx = Nginx { plain: free_port(), tls: free_port(), old_tls: free_port(), socket };
        write_pages(&folder.join("pages"));
        let configuration = folder.join("nginx.conf");
        write(&configuration, &nginx.configuration(&folder));
        start(vec![program("nginx"), "-c".into(), configuration.display().to_string()]);
        wait_until("nginx", || TcpStream::connect(("127.0.0.1", nginx.plain)).is_ok());
        nginx
    })
}

/// Starts a server that would give up the rights of root itself: with them it would lose the death signal of
/// [`start`], and outlive the tests. So it is started without them.
fn start_unprivileged(command: &[&str]) {
    let drop_rights = ["setpriv", "--reuid=www-data", "--regid=www-data", "--clear-groups", "--pdeathsig=KILL", "--"];
    let prefix: &[&str] = if rustix::process::geteuid().is_root() { &drop_rights } else { &[] };
    start(prefix.iter().chain(command).map(|word| (*word).to_owned()).collect());
}

impl Apache {
    fn configuration(&self, folder: &Path) -> String {
        let modules = [
            "mpm_event",
            "authn_core",
            "authn_file",
            "authz_core",
            "authz_user",
            "auth_basic",
            "alias",
            "mime",
            "dir",
            "filter",
            "deflate",
            "ssl",
            "http2",
            "proxy",
            "proxy_http",
            "proxy_connect",
        ]
        .map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so"))
        .join("\n");
        let hosts = [
            (self.tls, "good"),
            (self.expired, "expired"),
            (self.other_name, "other"),
            (self.chain, "chain"),
            (self.self_signed, "self"),
        ]
        .map(|(port, name)| {
            let stem = certificates().folder.join(name).display().to_string();
            format!(
                "Listen 127.0.0.1:{port}\n<VirtualHost 127.0.0.1:{port}>\nSSLEngine on\nProtocols h2 http/1.1\n\
                 SSLCertificateFile {stem}.pem\nSSLCertificateKeyFile {stem}.key\n</VirtualHost>\n"
            )
        })
        .concat();
        let more = self.more_hosts(folder);
        let at = folder.display();
        let plain = self.plain;
        format!(
            "{modules}\nServerRoot {at}\nServerName localhost\nPidFile {at}/pid\nErrorLog {at}/error.log\n\
             DefaultRuntimeDir {at}\nListen 127.0.0.1:{plain}\n\
             TypesConfig /etc/mime.types\nDirectoryIndex index.html\nDocumentRoot {at}/pages\n\
             AddOutputFilterByType DEFLATE text/css\n\
             Redirect 302 /old /new.html\nRedirect 302 /account /login.html\nRedirect 302 /loop /loop\n\
             Redirect 302 /elsewhere http://localhost:{plain}/new.html\n\
             <Directory {at}/pages>\nRequire all granted\n</Directory>\n\
             <Directory {at}/pages/private>\nAuthType Basic\nAuthName private\nAuthUserFile {at}/users\n\
             Require valid-user\n</Directory>\n{hosts}{more}"
        )
    }
}

impl Apache {
    /// The host for clients with a certificate, and the proxies.
    fn more_hosts(&self, folder: &Path) -> String {
        let Self { mutual, proxy, private_proxy, ca, .. } = self;
        let (at, ca) = (folder.display(), ca.display());
        let stem = certificates().folder.join("good").display().to_string();
        format!(
            "Listen 127.0.0.1:{mutual}\n<VirtualHost 127.0.0.1:{mutual}>\nSSLEngine on\n\
             SSLCertificateFile {stem}.pem\nSSLCertificateKeyFile {stem}.key\n\
             SSLCACertificateFile {ca}\nSSLVerifyClient require\n</VirtualHost>\n\
             Listen 127.0.0.1:{proxy}\n<VirtualHost 127.0.0.1:{proxy}>\nProxyRequests On\nAllowCONNECT 1-65535\n\
             ProxyVia On\n<Proxy \"*\">\nRequire all granted\n</Proxy>\n</VirtualHost>\n\
             Listen 127.0.0.1:{private_proxy}\n<VirtualHost 127.0.0.1:{private_proxy}>\nProxyRequests On\n\
             AllowCONNECT 1-65535\nProxyVia On\n<Proxy \"*\">\nAuthType Basic\nAuthName proxy\n\
             AuthUserFile {at}/users\nRequire valid-user\n</Proxy>\n</VirtualHost>\n"
        )
    }
}

impl Nginx {
    fn configuration(&self, folder: &Path) -> String {
        let at = folder.display();
        let stem = certificates().folder.join("good").display().to_string();
        let Self { plain, tls, old_tls, socket } = self;
        let socket = socket.display();
        format!(
            "daemon off; master_process off; pid {at}/pid; error_log {at}/error.log;\n\
             events {{}}\nhttp {{\n  include /etc/nginx/mime.types; access_log off; root {at}/pages;\n\
             client_body_temp_path {at}/t1; proxy_temp_path {at}/t2; fastcgi_temp_path {at}/t3;\n\
             uwsgi_temp_path {at}/t4; scgi_temp_path {at}/t5;\n\
             ssl_certificate {stem}.pem; ssl_certificate_key {stem}.key;\n\
             server {{ listen 127.0.0.1:{plain}; listen unix:{socket};\n\
             location /upload {{ client_max_body_size 1m; return 200 taken; }} }}\n\
             server {{ listen 127.0.0.1:{tls} ssl http2; }}\n\
             server {{ listen 127.0.0.1:{old_tls} ssl; ssl_protocols TLSv1.1; ssl_ciphers DEFAULT:@SECLEVEL=0; }}\n}}\n"
        )
    }
}

fn write_pages(pages: &Path) {
    make_folder(&pages.join("private"));
    write(&pages.join("index.html"), "<h1>Welcome</h1>\n");
    write(&pages.join("new.html"), "the new page\n");
    write(&pages.join("login.html"), "<form>please log in</form>\n");
    write(&pages.join("private/index.html"), "only for operators\n");
    write(&pages.join("style.css"), &"body { color: black }\n".repeat(1000));
    let health =
        r#"{ "status": "ok", "queue": { "depth": 3, "age": null }, "load": 1.9, "items": [{ "name": "db" }] }"#;
    write(&pages.join("health.json"), health);
}

/// The authority of the tests, and the stem of the `.pem` and `.key` of a certificate by it for localhost.
pub fn authority_and_stem() -> (PathBuf, String) {
    let folder = &certificates().folder;
    (folder.join("ca.pem"), folder.join("good").display().to_string())
}

fn certificates() -> &'static Certificates {
    static CERTIFICATES: OnceLock<Certificates> = OnceLock::new();
    CERTIFICATES.get_or_init(|| {
        let folder = folder("certificates");
        let root = CertifiedIssuer::self_signed(authority("opsctl test root"), key()).expect("a root");
        write(&folder.join("ca.pem"), &root.pem());
        let leaf =
            |name: &str, hosts: &[&str], expires: (i32, u8, u8), issuer: &CertifiedIssuer<'_, KeyPair>, rest: &str| {
                let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
                let mut params = CertificateParams::new(hosts).expect("host names");
                params.distinguished_name.push(DnType::CommonName, name);
                params.not_after = date_time_ymd(expires.0, expires.1, expires.2);
                let key = key();
                let certificate = params.signed_by(&key, issuer).expect("a certificate");
                write(&folder.join(format!("{name}.pem")), &(certificate.pem() + rest));
                write(&folder.join(format!("{name}.key")), &key.serialize_pem());
            };
        let local = ["localhost", "127.0.0.1"];
        leaf("good", &local, (2090, 1, 1), &root, "");
        leaf("expired", &local, (2026, 1, 2), &root, "");
        leaf("other", &["other.example"], (2090, 1, 1), &root, "");
        leaf("client", &["monitor.example"], (2090, 1, 1), &root, "");
        let mut params = authority("opsctl test intermediate");
        let soon = Utc::now().date_naive() + chrono::Days::new(INTERMEDIATE_DAYS.unsigned_abs());
        let day = |number: u32| u8::try_from(number).expect("a day or month");
        params.not_after = date_time_ymd(soon.year(), day(soon.month()), day(soon.day()));
        let intermediate = CertifiedIssuer::signed_by(params, key(), &root).expect("an intermediate");
        leaf("chain", &local, (2090, 1, 1), &intermediate, &intermediate.pem());
        let mut params = authority("opsctl test itself");
        params.subject_alt_names = CertificateParams::new(local.map(str::to_owned)).expect("names").subject_alt_names;
        let own = CertifiedIssuer::self_signed(params, key()).expect("a certificate");
        write(&folder.join("self.pem"), &own.pem());
        write(&folder.join("self.key"), &own.key().serialize_pem());
        Certificates { folder }
    })
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).expect("no host names");
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

/// A folder of this test process that a server's unprivileged user may read; those of ended processes are removed.
fn folder(name: &str) -> PathBuf {
    let all = std::env::temp_dir().join("opsctl-web");
    make_folder(&all);
    for old in fs::read_dir(&all).into_iter().flatten().flatten() {
        if !Path::new("/proc").join(old.file_name()).exists() {
            fs::remove_dir_all(old.path()).ok();
        }
    }
    let own = all.join(std::process::id().to_string());
    make_folder(&own);
    let folder = own.join(name);
    make_folder(&folder);
    folder
}

fn make_folder(path: &Path) {
    fs::create_dir_all(path).expect("a folder");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a readable folder");
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).expect("a file");
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).expect("a readable file");
}

/// A server that does `behave` with each connection, and nothing else. Returns its port.
pub fn misbehaving(behave: impl Fn(TcpStream) + Send + Sync + Clone + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("a local address").port();
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let behave = behave.clone();
            std::thread::spawn(move || behave(connection));
        }
    });
    port
}

/// A server that gives each request the same answer and keeps what was asked.
pub fn recording(answer: String) -> (u16, std::sync::mpsc::Receiver<String>) {
    let (sender, receiver) = std::sync::mpsc::channel();
    let port = misbehaving(move |mut connection| {
        sender.send(request(&connection)).ok();
        connection.write_all(answer.as_bytes()).ok();
    });
    (port, receiver)
}

/// Reads one request from `connection`: its head, and its body as far as `content-length` says.
pub fn request(connection: &TcpStream) -> String {
    let mut reader = BufReader::new(connection);
    let (mut text, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
        text.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok();
    text + "\n" + &String::from_utf8_lossy(&body)
}
