//! What the machine tells of itself: the kernel's tables, logs, clocks, crontabs.

use std::collections::HashMap;
use std::path::Path;

use chrono::{DateTime, TimeZone, Utc};

use super::text;
use crate::probe::disk::mounts::MountTable;
use crate::probe::kernel::message::Message;
use crate::probe::log::format::Stamps;
use crate::probe::log::stamp::{Clock, Shape};
use crate::probe::port::{Protocol, diag, sockets};
use crate::probe::schedule::crontab::{self, Column};
use crate::probe::schedule::expression::When;
use crate::probe::service::clock as systemd;
use crate::probe::service::properties::Properties;
use crate::probe::time::{chrony, ntpd, sntp};
use crate::probe::{cpu, io, network, process};

/// The time at which all is read: a summer day.
fn now() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 6, 30, 23, 59, 59).single().expect("a time")
}

/// Tables of `/proc` and `/sys`, records of `/dev/kmsg`, answers of the kernel about sockets.
pub fn kernel(input: &[u8]) {
    let text = text(input);
    cpu::Times::parse(&text);
    io::device::parse(&text);
    network::parse(&text);
    for line in text.lines() {
        Message::parse(line, now());
        process::table::parse_stat(line);
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            sockets::parse(line, protocol);
        }
        sockets::parse_address(line);
    }
    diag::read_packet(input, &mut HashMap::new());
}

/// `/proc/self/mountinfo`.
pub fn mounts(input: &[u8]) {
    let table = MountTable::parse(input);
    for mount in table.real() {
        assert!(table.is_mount_point(&mount.point) && table.holder(&mount.point).is_some());
        table.may_hang(mount);
    }
}

/// Lines of a log, and whatever their timestamps are.
pub fn log(input: &[u8]) {
    for zone in [chrono_tz::UTC, chrono_tz::Europe::Warsaw, chrono_tz::Australia::Lord_Howe] {
        let mut clock = Clock::new(zone, now());
        for shape in [Shape::Iso, Shape::DayFirst, Shape::Ctime, Shape::Rfc3164, Shape::Epoch] {
            if let Some(at) = clock.read(shape, input) {
                assert!(DateTime::from_timestamp_micros(at).is_some(), "{at} is no instant");
                clock.changes_between(at, at.saturating_add(1));
            }
        }
        let lines = || input.split(|byte| *byte == b'\n');
        let mut stamps = Stamps::learn(lines(), clock);
        for line in lines() {
            let (begins, at) = stamps.begins(line);
            assert!(begins || at.is_none());
        }
    }
}

/// A crontab, and each of its lines as an expression.
pub fn cron(input: &[u8]) {
    let text = text(input);
    for column in [Column::User, Column::Of("root")] {
        crontab::jobs(&text, Path::new("crontab"), column, None);
    }
    let local = chrono_tz::Europe::Warsaw.from_utc_datetime(&now().naive_utc());
    for line in text.lines().take(2) {
        assert_eq!(When::is_right(line), When::parse(line).is_some(), "the short way reads it otherwise");
    }
    for when in text.lines().take(2).filter_map(When::parse) {
        let (next, previous) = (when.next(&local), when.previous(&local));
        assert!(next.is_none_or(|next| next > local) && previous.is_none_or(|previous| previous <= local));
        when.period(&local);
    }
}

/// What NTP servers, chronyd, ntpd and systemd tell of time.
pub fn clock(input: &[u8]) {
    let text = text(input);
    chrony::parse(&text, now().timestamp());
    ntpd::parse(&text, now().timestamp());
    systemd::parse_date(&text);
    systemd::parse_elapses(&text);
    systemd::parse_span(&text);
    for unit in Properties::parse(&text) {
        unit.number("NRestarts");
        unit.instant("ActiveEnterTimestampMonotonic");
        unit.span("AccuracyUSec");
        unit.all("TimersCalendar").count();
    }
    let stamp = |at: usize| input.get(at..at + 8)?.try_into().ok().map(u64::from_be_bytes).map(sntp::Stamp);
    // The answer to a question that was asked when it says, and that comes at whatever time.
    if let (Some(asked), Some(arrived)) = (stamp(24), stamp(48).or(stamp(40)))
        && let Some(Ok(answer)) = sntp::Answer::parse(input, asked, arrived)
    {
        answer.clock();
        assert!(answer.latency() >= 0.0);
    }
}
