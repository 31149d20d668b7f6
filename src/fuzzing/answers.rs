//! What servers, tools and files of others say.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use indexmap::IndexMap;
use rustls::pki_types::CertificateDer;
use tokio_util::sync::CancellationToken;

use super::{choice, text};
use crate::model::fact::Subject;
use crate::model::secret::Mask;
use crate::probe::backup::decode::Compression;
use crate::probe::backup::tar;
use crate::probe::certificate::read::Details;
use crate::probe::command::{json as of_command, plugin as of_plugin};
use crate::probe::container::log::{Lines, readable};
use crate::probe::database::policy::{Findings, Inspector, Into};
use crate::probe::http::answer;
use crate::probe::journal::entry::Entry;
use crate::probe::metric::exposition::Exposition;
use crate::probe::metric::selector::Selector;
use crate::probe::packages::simulation;
use crate::probe::redis::info::Info;
use crate::probe::redis::site::Site as RedisSite;
use crate::probe::smart::report::Report as SmartReport;
use crate::probe::sql::site::Site as SqlSite;
use crate::probe::sql::statement::{self, Dialect};
use crate::probe::tcp::place::Place;
use crate::probe::vulnerability::report as vulnerability;
use crate::probe::{Context, NoPast};

const DIALECTS: [Dialect; 3] = [Dialect::MySql, Dialect::Postgres, Dialect::Sqlite];

fn context(asked: &[&str]) -> Context {
    Context {
        now: DateTime::UNIX_EPOCH,
        timezone: chrono_tz::UTC,
        limit: Duration::from_secs(1),
        cancel: CancellationToken::new(),
        asked: asked.iter().map(|fact| (*fact).to_owned()).collect(),
        databases: Arc::new(IndexMap::new()),
        services: Arc::new(IndexMap::new()),
        mask: Mask::default(),
        folder: "/nowhere".into(),
        past: Arc::new(NoPast),
    }
}

/// What was seen can be stored and read.
fn store(subject: &Subject) {
    let stored = serde_json::to_string(subject).expect("what was seen can be stored");
    serde_json::from_str::<Subject>(&stored).expect("what was stored can be read");
}

/// A path in the first line, and JSON behind it: an answer of a server, and the output of a command.
pub fn json(input: &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (path, body) = (text(&input[..end]), input.get(end + 1..).unwrap_or_default());
    let fact = format!("json.{path}");
    let (mut of_server, mut of_tool) = (Subject::new("x"), Subject::new("x"));
    answer::set_body(&mut of_server, body, &context(&[&fact]));
    store(&of_server);
    if let Ok(body) = std::str::from_utf8(body) {
        of_command::facts(&mut of_tool, body, &[&path]);
        assert_eq!(of_server.facts.get(&fact), of_tool.facts.get(&fact), "one path, two members");
    }
    answer::graphql_errors(body);
    answer::excerpt("x".to_owned(), body);
}

/// The exit status of a monitoring plugin, and its output.
pub fn plugin(input: &[u8]) {
    let Some((exit, rest)) = choice(&[Some(0), Some(1), Some(2), Some(3), Some(4), None], input) else { return };
    let mut subject = Subject::new("x");
    of_plugin::facts(&mut subject, exit, &text(rest));
    store(&subject);
}

/// The answer of Redis to INFO.
pub fn redis_info(input: &[u8]) {
    let info = Info::new(input);
    let mut subject = Subject::new("x");
    info.describe(&mut subject, &context(&["memory_limit", "hit_ratio", "info.db0.keys", "info.a", "info.a.b"]));
    store(&subject);
    info.replicas("x");
}

/// A selector in the first line, and the metrics of a program behind it.
pub fn metric(input: &[u8]) {
    let text = text(input);
    let (selector, metrics) = text.split_once('\n').unwrap_or((&text, ""));
    let (selector, metrics) = (Selector::of(selector), Exposition::parse(metrics));
    if let (Ok(selector), Ok(metrics)) = (&selector, &metrics) {
        let found = metrics.select(selector, 1e9);
        assert!(found.iter().all(|series| series.age.is_none_or(|age| age >= 0.0 || age.is_nan())));
        metrics.hint(selector);
    }
    Exposition::parse(&text).ok();
}

/// SQL of a query, and of a dump: wherever the pieces end in which it is read, it means the same.
pub fn sql(input: &[u8]) {
    let Some((dialect, rest)) = choice(&DIALECTS, input) else { return };
    if let Ok(sql) = std::str::from_utf8(rest) {
        statement::reads(sql).ok();
        if let Ok(one) = statement::single(sql, dialect) {
            assert!(sql.starts_with(one));
        }
        statement::tokens(sql, dialect).ok();
    }
    let inspect = |into: Into, piece: usize| -> Findings {
        let mut inspector = Inspector::new(dialect, into);
        for piece in rest.chunks(piece) {
            inspector.feed_and(piece, |end| assert!(end <= piece.len()));
        }
        inspector.finish()
    };
    for into in [Into::Scratch, Into::Database("shop".to_owned())] {
        let whole = inspect(into.clone(), rest.len().max(1));
        for piece in [1, 7] {
            assert_eq!(inspect(into.clone(), piece), whole, "pieces of {piece}");
        }
    }
}

/// A tar archive: wherever the pieces end in which it is read, it means the same.
pub fn archive(input: &[u8]) {
    let walk = |piece: usize| {
        let mut walk = tar::Walk::default();
        input.chunks(piece).for_each(|piece| walk.feed(piece));
        walk.trouble()
    };
    tar::is_tar(input);
    assert!(!Compression::of(input).word().is_empty());
    let whole = walk(input.len().max(1));
    assert_eq!(walk(1), whole);
    assert_eq!(walk(700), whole);
}

/// The log of a container, in frames or not: wherever the pieces end, the lines are the same.
pub fn container_log(input: &[u8]) {
    for terminal in [false, true] {
        let read = |piece: usize| {
            let (mut lines, mut all) = (Lines::new(terminal), Vec::new());
            let mut each = |line: &[u8]| all.push(readable(line));
            input.chunks(piece).for_each(|piece| lines.feed(piece, &mut each));
            lines.end(&mut each);
            all
        };
        let whole = read(input.len().max(1));
        assert_eq!(read(1), whole);
        assert_eq!(read(5), whole);
    }
}

/// A certificate, in DER.
pub fn certificate(input: &[u8]) {
    if let Some(details) = Details::read(&CertificateDer::from(input)) {
        details.weakness();
        assert!(!details.fingerprint.is_empty());
    }
}

/// Reports of scanners and of smartctl, an entry of systemd's journal, what apt-get would do.
pub fn report(input: &[u8]) {
    if let Ok(report) = vulnerability::read(input, None) {
        for finding in vulnerability::each_once(report.findings) {
            assert!(!finding.describe().is_empty());
        }
    }
    if let Ok(json) = serde_json::from_slice(input) {
        let (subject, _) = SmartReport { status: Some(0b100), json }.describe("/dev/sda".to_owned());
        store(&subject);
    }
    Entry::parse(input);
    simulation::lines(&text(input)).count();
}

/// Where a server is: as the address of a database, and as host and port. No error shows any part of an address.
pub fn address(input: &[u8]) {
    let text = text(input);
    let mask = Mask::default();
    RedisSite::parse("shop", &text, &mask).ok();
    SqlSite::parse("shop", &text, Path::new("/nowhere")).ok();
    for file in crate::probe::sql::site::tls_files(&text) {
        assert!(text.contains('?'), "{}", file.display());
    }
    if let Some(place) = Place::parse(&text, Some(80)) {
        assert_eq!(Place::parse(&place.to_string(), None).map(|again| again.to_string()), Some(place.to_string()));
    }
    assert!(crate::probe::sql::site::percent_decoded(&text).len() <= text.len() * 3);
}
