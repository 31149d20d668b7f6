//! The answer of INFO: <https://redis.io/docs/latest/commands/info/>.

use std::time::Duration;

use super::super::Context;
use super::super::growth::Earlier;
use crate::model::fact::{Evidence, Subject};
use crate::model::text::one_line;
use crate::model::unit::{Dimension, Quantity};
use crate::model::value::Value;

/// How many replicas are shown as evidence.
const SHOWN: usize = 20;

/// Lines of `field:value`, under headings.
pub struct Info(String);

impl Info {
    pub fn new(text: &[u8]) -> Self {
        Self(String::from_utf8_lossy(text).into_owned())
    }

    fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.lines().filter_map(|line| line.split_once(':'))
    }

    fn text(&self, field: &str) -> Option<&str> {
        self.fields().find(|(name, _)| *name == field).map(|(_, value)| value)
    }

    fn number(&self, field: &str) -> Option<u64> {
        self.text(field)?.parse().ok()
    }

    /// Negative seconds say that there is no such time.
    fn seconds(&self, field: &str) -> Option<Duration> {
        self.number(field).map(Duration::from_secs)
    }

    fn flag(&self, field: &str) -> Option<bool> {
        match self.text(field)? {
            "0" => Some(false),
            "1" => Some(true),
            _ => None,
        }
    }

    fn is_ok(&self, field: &str) -> Option<bool> {
        Some(self.text(field)? == "ok")
    }

    /// A field, or a part of one such as `db0.keys` of `db0:keys=3,expires=0`.
    fn member(&self, path: &str) -> Option<&str> {
        self.text(path).or_else(|| {
            let (field, part) = path.split_once('.')?;
            parts(self.text(field)?).find(|(name, _)| *name == part).map(|(_, value)| value)
        })
    }

    /// Adds the facts and what a person should know besides.
    pub fn describe(&self, subject: &mut Subject, cx: &Context) {
        self.describe_server(subject);
        self.describe_data(subject, cx);
        self.describe_persistence(subject, cx);
        self.describe_replication(subject);
        for path in cx.asked_of("info") {
            match self.member(path) {
                Some(text) => subject.set(format!("info.{path}"), value_of(text)),
                None => subject.note(format!("INFO has no field `{path}`")),
            }
        }
    }

    fn describe_server(&self, subject: &mut Subject) {
        // Valkey calls itself Redis 7.2.4 for the sake of old clients.
        let version = self.text("valkey_version").or_else(|| self.text("redis_version"));
        set(subject, "version", version.map(Value::text));
        let role = self.text("role").map(|role| if role == "slave" { "replica" } else { role });
        set(subject, "role", role.map(Value::text));
        set(subject, "uptime", self.seconds("uptime_in_seconds").map(Value::duration));
        set(subject, "clients", self.number("connected_clients").map(Value::count));
        set(subject, "blocked_clients", self.number("blocked_clients").map(Value::count));
        set(subject, "rejected_connections", self.number("rejected_connections").map(Value::count));
    }

    fn describe_data(&self, subject: &mut Subject, cx: &Context) {
        let (memory, limit) = (self.number("used_memory"), self.number("maxmemory"));
        set(subject, "memory", memory.map(Value::bytes));
        match limit {
            Some(0) if cx.asked.iter().any(|fact| matches!(fact.as_str(), "memory_limit" | "memory_share")) => {
                subject.note("the server has no limit of memory (maxmemory is 0)");
            }
            Some(0) | None => {}
            Some(limit) => {
                subject.set("memory_limit", Value::bytes(limit));
                set(subject, "memory_share", memory.map(|memory| percent(memory, limit)));
            }
        }
        let fragmentation = self.text("mem_fragmentation_ratio").map(value_of);
        set(subject, "fragmentation", fragmentation.filter(|ratio| ratio.number_in(Dimension::Count).is_some()));
        set(subject, "eviction_policy", self.text("maxmemory_policy").map(Value::text));
        set(subject, "evictions", self.number("evicted_keys").map(Value::count));
        set(subject, "keys", self.keys().map(Value::count));
        let (hits, misses) = (self.number("keyspace_hits"), self.number("keyspace_misses"));
        set(subject, "hits", hits.map(Value::count));
        set(subject, "misses", misses.map(Value::count));
        if hits.zip(misses) == Some((0, 0)) && cx.asked.iter().any(|fact| fact == "hit_ratio") {
            subject.note("no key was looked up since the start");
        }
        let looked_up = hits.zip(misses).map(|(hits, misses)| (hits, hits.saturating_add(misses)));
        set(subject, "hit_ratio", looked_up.filter(|(_, all)| *all > 0).map(|(hits, all)| percent(hits, all)));
    }

    /// Adds what happened since the newest earlier run.
    pub fn compare(&self, subject: &mut Subject, slow_commands: Option<u64>, earlier: &Earlier, cx: &Context) {
        let uptime = self.seconds("uptime_in_seconds");
        let growth = |fact: &str, now: Option<u64>| earlier.growth(fact, now?, uptime);
        let refused = growth("rejected_connections", self.number("rejected_connections"));
        set(subject, "recent_rejected_connections", refused.map(Value::count));
        set(subject, "recent_evictions", growth("evictions", self.number("evicted_keys")).map(Value::count));
        set(subject, "recent_slow_commands", growth("slow_commands", slow_commands).map(Value::count));
        let hits = growth("hits", self.number("keyspace_hits"));
        match hits.zip(growth("misses", self.number("keyspace_misses"))) {
            Some((0, 0)) if cx.asked.iter().any(|fact| fact == "recent_hit_ratio") => {
                subject.note("no key was looked up since the newest earlier run");
            }
            Some((0, 0)) | None => {}
            Some((hits, misses)) => subject.set("recent_hit_ratio", percent(hits, hits.saturating_add(misses))),
        }
    }

    /// An empty database has no line.
    fn keys(&self) -> Option<u64> {
        self.0.lines().any(|line| line == "# Keyspace").then(|| {
            let databases = self.numbered("db");
            databases.filter_map(|(_, value)| part(value, "keys")?.parse().ok()).fold(0, u64::saturating_add)
        })
    }

    fn describe_persistence(&self, subject: &mut Subject, cx: &Context) {
        set(subject, "loading", self.flag("loading").map(Value::Bool));
        let writing = self.flag("rdb_bgsave_in_progress").zip(self.flag("aof_rewrite_in_progress"));
        set(subject, "saving", writing.map(|(snapshot, rewrite)| Value::Bool(snapshot || rewrite)));
        // The server's own clock, where it tells it.
        let now = self.number("server_time_usec").map(|time| time / 1_000_000);
        let now = now.or_else(|| u64::try_from(cx.now.timestamp()).ok());
        let saved = now.zip(self.number("rdb_last_save_time"));
        let age = saved.map(|(now, saved)| Duration::from_secs(now.saturating_sub(saved)));
        set(subject, "last_save_age", age.map(Value::duration));
        set(subject, "last_save_ok", self.is_ok("rdb_last_bgsave_status").map(Value::Bool));
        set(subject, "unsaved_changes", self.number("rdb_changes_since_last_save").map(Value::count));
        let aof = self.flag("aof_enabled");
        set(subject, "aof", aof.map(Value::Bool));
        let written = self.is_ok("aof_last_write_status").zip(self.is_ok("aof_last_bgrewrite_status"));
        let aof_ok = written.map(|(write, rewrite)| write && rewrite);
        set(subject, "aof_ok", aof_ok.filter(|_| aof == Some(true)).map(Value::Bool));
    }

    fn describe_replication(&self, subject: &mut Subject) {
        set(subject, "replicas", self.number("connected_slaves").map(Value::count));
        if let Some(link) = self.text("master_link_status") {
            subject.set("link_up", Value::Bool(link == "up"));
            if link != "up" {
                subject.note(self.link_down());
            }
            let received = self.number("slave_read_repl_offset").zip(self.number("slave_repl_offset"));
            set(subject, "lag", received.map(|(read, applied)| Value::bytes(read.saturating_sub(applied))));
            set(subject, "last_io", self.seconds("master_last_io_seconds_ago").map(Value::duration));
            return;
        }
        let replicas = || self.numbered("slave").map(|(_, value)| value);
        let number = |value: &str, name: &str| part(value, name)?.parse::<u64>().ok();
        let furthest = replicas().filter_map(|value| number(value, "offset")).min();
        let behind = self.number("master_repl_offset").zip(furthest);
        set(subject, "lag", behind.map(|(own, theirs)| Value::bytes(own.saturating_sub(theirs))));
        let quietest = replicas().filter_map(|value| number(value, "lag")).max();
        set(subject, "last_io", quietest.map(|seconds| Value::duration(Duration::from_secs(seconds))));
    }

    fn link_down(&self) -> String {
        let of = |field| self.text(field).unwrap_or("?");
        let mut note = format!("the link to the master {}:{} is down", of("master_host"), of("master_port"));
        if let Some(since) = self.seconds("master_link_down_since_seconds") {
            note.push_str(" since ");
            note.push_str(&Quantity::duration(since).rounded());
        }
        note
    }

    /// Fields whose names are `word` and a number.
    fn numbered(&self, word: &str) -> impl Iterator<Item = (&str, &str)> {
        self.fields().filter(move |(name, _)| {
            let number = name.strip_prefix(word).unwrap_or_default();
            !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
        })
    }

    /// One line for each replica of a master.
    pub fn replicas(&self, name: &str) -> Option<Evidence> {
        let mut lines: Vec<String> = self.numbered("slave").map(|(_, value)| one_line(value, 200)).collect();
        let left_out = lines.len().saturating_sub(SHOWN) as u64;
        lines.truncate(SHOWN);
        (!lines.is_empty()).then(|| Evidence { left_out, ..Evidence::new(format!("replicas of {name}"), lines) })
    }
}

fn set(subject: &mut Subject, fact: &str, value: Option<Value>) {
    if let Some(value) = value {
        subject.set(fact, value);
    }
}

fn percent(part: u64, whole: u64) -> Value {
    Value::percent(part as f64 / whole as f64 * 100.0)
}

/// `keys=3,expires=0`
fn parts(value: &str) -> impl Iterator<Item = (&str, &str)> {
    value.split(',').filter_map(|part| part.split_once('='))
}

fn part<'v>(value: &'v str, name: &str) -> Option<&'v str> {
    parts(value).find(|(part, _)| *part == name).map(|(_, value)| value)
}

/// A number where it is written as one: versions, hashes and sizes such as `1.50M` are texts.
fn value_of(text: &str) -> Value {
    let plain = |text: &str| {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        are_digits(whole) && are_digits(fraction) && (whole == "0" || !whole.starts_with('0'))
    };
    if let Some(percent) = text.strip_suffix('%').filter(|number| plain(number)).and_then(|number| number.parse().ok())
    {
        return Value::percent(percent);
    }
    if !plain(text) {
        return Value::text(text);
    }
    match (text.parse(), text.parse()) {
        (Ok(integer), _) => Value::Integer(integer),
        (Err(_), Ok(number)) => Value::Number(Quantity::count(number)),
        (Err(_), Err(_)) => Value::text(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_numbers_and_what_only_looks_like_one_is_not() {
        assert_eq!(value_of("12"), Value::Integer(12));
        assert_eq!(value_of("-1"), Value::Integer(-1));
        assert_eq!(value_of("0"), Value::Integer(0));
        assert_eq!(value_of("1.35"), Value::Number(Quantity::count(1.35)));
        assert_eq!(value_of("99.82%"), Value::percent(99.82));
        for text in ["7.0.15", "1.50M", "00000000", "1e5", "inf", "nan", "", "-", "%", "5."] {
            assert_eq!(value_of(text), Value::text(text));
        }
    }

    #[test]
    fn a_part_of_a_field_is_found_by_its_path() {
        let info =
            Info::new(b"# Keyspace\r\ndb0:keys=3,expires=0\r\nlatency_ping:p50=1.003,p99.9=2.5\r\ndbx:keys=9\r\n");
        assert_eq!(info.member("db0.keys"), Some("3"));
        assert_eq!(info.member("db0"), Some("keys=3,expires=0"));
        assert_eq!(info.member("latency_ping.p99.9"), Some("2.5"));
        assert_eq!((info.member("db1.keys"), info.member("db0.nope"), info.member("nope")), (None, None, None));
        assert_eq!(info.keys(), Some(3));
    }

    #[test]
    fn a_server_that_does_not_tell_of_its_keys_has_no_number_of_them() {
        assert_eq!(Info::new(b"# Server\r\nredis_version:7.0.15\r\n").keys(), None);
        assert_eq!(Info::new(b"# Server\r\n# Keyspace\r\n").keys(), Some(0));
    }
}
