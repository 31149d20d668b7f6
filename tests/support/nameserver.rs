//! Name servers (NSD) with a few zones on loopback: each test starts its own, which is gone with it.

use std::net::UdpSocket;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::server;

/// What all zones begin with; the serial is put in.
const ZONE: &str = "$TTL 600
@ SOA ns1 hostmaster SERIAL 3600 600 86400 60
@ NS ns1
@ MX 10 mail
@ MX 20 mail2
@ TXT \"v=spf1 -all\" \" and more\"
@ CAA 0 issue \"ca.example\"
ns1 A 127.0.0.1
mail A 192.0.2.25
www 300 A 192.0.2.10
www 300 A 192.0.2.11
www 900 AAAA 2001:db8::10
only4 A 192.0.2.44
alias 60 CNAME www
_sip._tcp SRV 1 2 5060 www
";

const REVERSE: &str = "$TTL 600
@ SOA ns1.example.test. hostmaster.example.test. 1 3600 600 86400 60
@ NS ns1.example.test.
10 PTR www.example.test.
";

pub struct NameServer {
    pub port: u16,
    _folder: TempDir,
    pid: u32,
}

impl NameServer {
    /// Of `example.test` with this serial, of `2.0.192.in-addr.arpa`, and of `broken.test`, whose file is not there.
    pub fn start(serial: u32) -> Self {
        Self::start_with(serial, "")
    }

    /// The same, with more lines in `example.test`.
    pub fn start_with(serial: u32, more: &str) -> Self {
        Self::start_at(server::free_port(), serial, more)
    }

    pub fn start_at(port: u16, serial: u32, more: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the server");
        let at = folder.path().display().to_string();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("a file");
        write("zone", &(ZONE.replace("SERIAL", &serial.to_string()) + more));
        write("reverse", REVERSE);
        let zones = [("example.test", "zone"), ("2.0.192.in-addr.arpa", "reverse"), ("broken.test", "none")];
        let zones = zones.map(|(name, file)| format!("zone:\n  name: {name}\n  zonefile: {file}\n")).concat();
        write(
            "nsd.conf",
            &format!(
                "server:\n  ip-address: 127.0.0.1@{port}\n  username: \"\"\n  zonesdir: \"{at}\"\n  database: \"\"\n  \
                 pidfile: \"{at}/pid\"\n  xfrdfile: \"{at}/xfrd\"\n  zonelistfile: \"{at}/list\"\n  xfrdir: \"{at}\"\n  \
                 server-count: 1\nremote-control:\n  control-enable: no\n{zones}"
            ),
        );
        let pid = server::start(vec![server::program("nsd"), "-d".into(), "-c".into(), format!("{at}/nsd.conf")]);
        server::wait_until("NSD", || answers(port));
        Self { port, _folder: folder, pid }
    }

    pub fn place(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw).expect("the number of a process");
        // One that is gone is as good.
        let _ = kill_process(pid, Signal::TERM);
    }
}

/// Asks for the root, which it refuses.
fn answers(port: u16) -> bool {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a limit");
    let question = [0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1];
    let sent = socket.connect(("127.0.0.1", port)).and_then(|()| socket.send(&question));
    sent.is_ok() && socket.recv(&mut [0; 512]).is_ok()
}
