//! Clocks, with a real chronyd that never touches the clock of this machine (`-x`).

use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::StreamExt;
use opsctl::model::fact::Subject;
use opsctl::model::unit::Dimension;
use opsctl::model::value::Value;
use serde_json::json;
use zbus::{MessageStream, Variant};

use crate::support::again::again_under;
use crate::support::lab::again_inside;
use crate::support::look::Look;
use crate::support::server::{free_port, program, stand_in, start, wait_until};

/// Starts chronyd with this configuration.
fn chronyd(folder: &Path, name: &str, configuration: &str) {
    let file = folder.join(name);
    let pid_file = folder.join(format!("{name}.pid"));
    fs::write(&file, format!("{configuration}\npidfile {}\n", pid_file.display())).expect("a configuration");
    start(vec![program("chronyd"), "-x".to_owned(), "-d".to_owned(), "-f".to_owned(), file.display().to_string()]);
}

/// A time server on loopback that takes its own clock for right.
fn time_server(folder: &Path) -> u16 {
    let port = free_port();
    let configuration =
        format!("local stratum 8\nport {port}\ncmdport 0\nbindaddress 127.0.0.1\nbindcmdaddress /\nallow 127.0.0.1");
    chronyd(folder, "server", &configuration);
    port
}

fn seconds(subject: &Subject, fact: &str) -> f64 {
    subject.facts[fact].number_in(Dimension::Time).unwrap_or_else(|| panic!("no {fact} in {subject:?}"))
}

fn answers(subject: &Subject) -> bool {
    subject.facts["answers"] == Value::Bool(true)
}

#[test]
fn a_time_server_tells_how_far_the_clock_is_off() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = format!("127.0.0.1:{}", time_server(folder.path()));
    let look = || Look::new("time", json!({ "server": server })).subject();
    wait_until("chronyd", || answers(&look()));
    let seen = look();
    assert_eq!((seen.name.as_str(), &seen.facts["synchronised"]), (server.as_str(), &Value::Bool(true)));
    assert_eq!((&seen.facts["stratum"], &seen.facts["source"]), (&Value::count(8), &Value::text("127.127.1.1")));
    // It is the same clock, asked over loopback.
    assert!(seconds(&seen, "offset") <= seconds(&seen, "latency") && seconds(&seen, "latency") > 0.0, "{seen:?}");
    assert!(seen.inapplicable.contains(&"service".to_owned()), "{seen:?}");
}

#[test]
fn a_clock_that_is_wrong_is_seen_with_a_stand_in_for_a_time_server() {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let server = socket.local_addr().expect("its port").to_string();
    let serving = std::thread::spawn(move || {
        let mut packet = [0; 64];
        let (_, client) = socket.recv_from(&mut packet).expect("a question");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a date").as_secs();
        // An hour ahead, since 1900.
        let time = ((now + 2_208_988_800 + 3600) << 32).to_be_bytes();
        let mut answer = vec![0x24, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        answer.extend(b"GPS\0");
        answer.extend(time);
        answer.extend(&packet[40..48]);
        answer.extend(time);
        answer.extend(time);
        // One that answers nobody's question comes first.
        let mut other = answer.clone();
        other[24] ^= 1;
        socket.send_to(&other, client).expect("a client");
        socket.send_to(&answer, client).expect("a client");
    });
    let seen = Look::new("time", json!({ "server": server })).subject();
    serving.join().expect("the stand-in");
    assert!((3500.0..=3601.0).contains(&seconds(&seen, "offset")), "{seen:?}");
    assert_eq!(seen.facts["source"], Value::text("GPS"));
}

#[test]
fn a_time_server_that_is_not_there_does_not_answer_and_the_others_still_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let there = format!("127.0.0.1:{}", time_server(folder.path()));
    let silent = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let silent = (silent.local_addr().expect("its port").to_string(), silent);
    let gone = format!("127.0.0.1:{}", free_port());
    wait_until("chronyd", || answers(&Look::new("time", json!({ "server": there })).subject()));
    let look = Look::new("time", json!({ "server": [gone, silent.0, there, "no-such-name.invalid"] }));
    let seen = look.limit(std::time::Duration::from_secs(2)).run().expect("a look").subjects;
    assert_eq!(seen.iter().map(answers).collect::<Vec<_>>(), [false, false, true, false]);
    assert_eq!(seen[0].notes, [format!("no time server listens at {gone} (UDP)")]);
    assert!(seen[1].notes[0].starts_with("no answer within 1.6 s"), "{seen:?}");
    assert!(seen[3].notes[0].starts_with("the name no-such-name.invalid has no address"), "{seen:?}");
}

#[test]
fn chrony_that_follows_a_server_keeps_the_clock_synchronised() {
    again_inside(&[], || {
        let folder = tempfile::tempdir().expect("a folder");
        let port = time_server(folder.path());
        // Asks often, so that it trusts the server soon.
        let client = format!("server 127.0.0.1 port {port} iburst minpoll -6 maxpoll -6\nport 0");
        chronyd(folder.path(), "client", &client);
        let look = || Look::new("time", json!({})).subject();
        let is_synchronised = |seen: &Subject| seen.facts.get("synchronised") == Some(&Value::Bool(true));
        wait_until("a synchronised chronyd", || is_synchronised(&look()));
        let seen = look();
        let facts = ["service", "source", "stratum", "sources"].map(|fact| seen.facts[fact].to_string());
        assert_eq!(facts, ["chrony", "127.0.0.1", "9", "1"]);
        assert!(seconds(&seen, "offset") < 60.0 && seconds(&seen, "last_sync") < 3600.0, "{seen:?}");
        assert!(seen.inapplicable.contains(&"latency".to_owned()), "{seen:?}");
    });
}

#[test]
fn chrony_that_follows_nothing_but_itself_does_not_count_as_synchronised() {
    again_inside(&[], || {
        let folder = tempfile::tempdir().expect("a folder");
        chronyd(folder.path(), "alone", "local stratum 10\nport 0");
        let look = || Look::new("time", json!({})).subject();
        let is_local = |seen: &Subject| seen.notes.iter().any(|note| note.contains("follows nothing but the clock"));
        wait_until("chronyd with its own clock", || is_local(&look()));
        let seen = look();
        assert_eq!((&seen.facts["answers"], &seen.facts["synchronised"]), (&Value::Bool(true), &Value::Bool(false)));
        assert!(!seen.facts.contains_key("offset"), "{seen:?}");
    });
}

#[test]
fn without_a_time_service_the_kernel_says_whether_something_keeps_the_clock() {
    again_inside(&["dbus.service"], || {
        let seen = Look::new("time", json!({})).subject();
        let said = Command::new("timedatectl").args(["show", "-p", "NTPSynchronized", "--value"]).output();
        let said = String::from_utf8(said.expect("timedatectl starts").stdout).expect("a text");
        assert_eq!(seen.facts["synchronised"], Value::Bool(said.trim() == "yes"), "{seen:?}");
        assert!(!seen.facts.contains_key("service") && !seen.notes.is_empty(), "{seen:?}");
    });
}

#[test]
fn a_machine_where_nothing_tells_of_the_clock_does_not_answer() {
    // No program is found, and systemd cannot be asked.
    let nothing = tempfile::tempdir().expect("a folder");
    let path = format!("PATH={}", nothing.path().display());
    again_under(&["env", &path], || {
        assert!(!Path::new("/run/systemd/system").exists(), "this test is of a machine without systemd");
        let seen = Look::new("time", json!({})).subject();
        assert_eq!(seen.facts["answers"], Value::Bool(false));
        assert!(seen.notes[0].contains("in a container it is that of the host"), "{seen:?}");
    });
}

#[test]
fn ntpd_tells_of_the_clock_with_a_stand_in_for_ntpq() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = "#!/bin/sh\necho 'associd=0 status=0615 leap_none, sync_ntp, 1 event, clock_sync,'\n\
                      echo 'leap=00, stratum=3, refid=192.0.2.7, offset=-1.500,'\n\
                      echo 'reftime=e8f4a3c1.1eb851eb  Tue, Nov  7 2023 10:00:01.120'\n";
    let path = stand_in(folder.path(), "ntpq", script);
    again_under(&["env", &path], || {
        let seen = Look::new("time", json!({})).subject();
        let facts = ["synchronised", "service", "source", "stratum", "offset"].map(|fact| seen.facts[fact].to_string());
        assert_eq!(facts, ["true", "ntpd", "192.0.2.7", "3", "1.5 ms"]);
    });
}

/// Answers for systemd-timesyncd on the system bus, for ever.
async fn timesyncd(bus: zbus::Connection) {
    let mut calls = MessageStream::from(&bus);
    while let Some(Ok(call)) = calls.next().await {
        if call.header().member().is_none_or(|member| member != "Get") {
            continue;
        }
        let (_, property): (String, String) = call.body().deserialize().expect("a property");
        let value = match property.as_str() {
            "ServerName" => Variant::from("time.example.org"),
            "NTPMessage" => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a date").as_micros();
                let at = |before: u64| u64::try_from(now).expect("a date") - before;
                // A minute ago, under way for 10 ms each way; the server is 2 s ahead.
                let (asked, answered, arrived) = (at(60_000_000), at(57_990_000), at(59_980_000));
                let from = vec![192_u8, 0, 2, 1];
                let times = (asked, answered, answered, arrived);
                let message = (0_u32, 4_u32, 4_u32, 2_u32, -25_i32, 0_u64, 0_u64, from);
                let (leap, version, mode, stratum, precision, delay, dispersion, from) = message;
                Variant::from((
                    leap, version, mode, stratum, precision, delay, dispersion, from, times.0, times.1, times.2,
                    times.3, false, 3_u64, 0_u64,
                ))
            }
            other => panic!("no property {other}"),
        };
        bus.reply(&call.header(), &value).await.expect("an answer");
    }
}

#[test]
fn timesyncd_tells_of_the_clock_with_a_stand_in_for_timesyncd() {
    again_inside(&["dbus.service"], || {
        let policy = "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\" \
                      \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n<busconfig><policy user=\"root\">\
                      <allow own=\"org.freedesktop.timesync1\"/></policy><policy context=\"default\">\
                      <allow send_destination=\"org.freedesktop.timesync1\"/></policy></busconfig>\n";
        fs::create_dir_all("/etc/dbus-1/system.d").expect("a folder");
        fs::write("/etc/dbus-1/system.d/timesync1-stand-in.conf", policy).expect("a policy");
        let reload = ["call", "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "ReloadConfig"];
        assert!(Command::new("busctl").args(reload).status().expect("busctl starts").success());
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let builder = zbus::connection::Builder::system().name("org.freedesktop.timesync1");
            tokio::spawn(timesyncd(builder.build().await.expect("the system bus")));
        });
        let seen = Look::new("time", json!({})).subject();
        let facts = ["synchronised", "service", "source", "stratum"].map(|fact| seen.facts[fact].to_string());
        assert_eq!(facts, ["true", "systemd-timesyncd", "time.example.org", "2"]);
        assert!((1.9..2.1).contains(&seconds(&seen, "offset")), "{seen:?}");
        assert!((30.0..3600.0).contains(&seconds(&seen, "last_sync")), "{seen:?}");
    });
}
