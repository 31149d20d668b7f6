//! TLS servers (`openssl s_server`), each with a certificate of its own kind by an authority of its own.

use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::server::{free_port, program, start, wait_until};

/// An authority with an intermediate one, and a folder for what they issue.
pub struct Authority {
    folder: TempDir,
    intermediate: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let root = CertifiedIssuer::self_signed(authority("own root"), key()).expect("a root");
        fs::write(folder.path().join("ca.pem"), root.pem()).expect("a file");
        fs::write(folder.path().join("ca.key"), root.key().serialize_pem()).expect("a file");
        let intermediate =
            CertifiedIssuer::signed_by(authority("own intermediate"), key(), &root).expect("an intermediate");
        fs::write(folder.path().join("intermediate.pem"), intermediate.pem()).expect("a file");
        fs::write(folder.path().join("intermediate.key"), intermediate.key().serialize_pem()).expect("a file");
        Self { folder, intermediate }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn ca(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// Writes `NAME.pem`, with the intermediate certificate after it, and `NAME.key`.
    pub fn issue(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> PathBuf {
        let path = self.issue_alone(name, change);
        let whole = fs::read_to_string(&path).expect("a certificate") + &self.intermediate.pem();
        fs::write(&path, whole).expect("a file");
        fs::write(self.path(&format!("{name}.chain")), self.intermediate.pem()).expect("a file");
        path
    }

    /// The same without the intermediate certificate.
    pub fn issue_alone(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> PathBuf {
        let hosts = ["localhost", "127.0.0.1"].map(str::to_owned).to_vec();
        let mut params = CertificateParams::new(hosts).expect("host names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_after = date_time_ymd(2090, 1, 1);
        change(&mut params);
        let key = key();
        let certificate = params.signed_by(&key, &self.intermediate).expect("a certificate");
        fs::write(self.path(&format!("{name}.key")), key.serialize_pem()).expect("a file");
        let path = self.path(&format!("{name}.pem"));
        fs::write(&path, certificate.pem()).expect("a file");
        path
    }

    /// Runs `openssl` in the folder; its arguments are separated by spaces.
    pub fn openssl(&self, arguments: &str) {
        let mut command = Command::new(program("openssl"));
        let ran = command.args(arguments.split(' ')).current_dir(self.folder.path()).output().expect("openssl runs");
        assert!(ran.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&ran.stderr));
    }

    /// A server with the first certificate of `NAME.pem`, with the intermediate one if it was issued so, and
    /// `NAME.key`; `options` are separated by spaces.
    pub fn serve(&self, name: &str, options: &str) -> Server {
        let port = free_port();
        let (pem, key) = (self.path(&format!("{name}.pem")), self.path(&format!("{name}.key")));
        let mut command = vec![program("openssl"), "s_server".into(), "-accept".into(), format!("127.0.0.1:{port}")];
        let mut files = vec![("-cert", pem), ("-key", key)];
        let chain = self.path(&format!("{name}.chain"));
        if chain.exists() {
            files.push(("-cert_chain", chain));
        }
        command.extend(files.iter().flat_map(|(option, path)| [(*option).to_owned(), path.display().to_string()]));
        command.extend(["-www".to_owned(), "-quiet".to_owned()]);
        command.extend(options.split_whitespace().map(str::to_owned));
        let pid = start(command);
        wait_until("openssl s_server", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Server { port, pid }
    }
}

pub struct Server {
    pub port: u16,
    pid: u32,
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw).expect("the number of a process");
        // One that is gone is as good.
        let _ = kill_process(pid, Signal::KILL);
    }
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
