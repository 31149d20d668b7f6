//! What only runs with people have.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use super::millis;
use crate::model::event::doing::{Ended, Phase};
use crate::model::event::people::Answer;
use crate::model::incident::{self, Points};
use crate::model::record::{ActionRecord, Record};

#[derive(Serialize)]
pub(super) struct PointsView {
    occurred: Option<String>,
    detected: Option<String>,
    started: Option<String>,
    acknowledged: Option<String>,
    identified: Option<String>,
    mitigated: Option<String>,
    resolved: Option<String>,
    to_acknowledge_ms: Option<f64>,
    to_mitigate_ms: Option<f64>,
    to_resolve_ms: Option<f64>,
}

#[derive(Serialize)]
pub(super) struct EntryView {
    at: String,
    entered: Option<String>,
    kind: &'static str,
    by: Option<String>,
    text: String,
    lines: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct AnswerView<'r> {
    at: String,
    by: &'r str,
    verified: bool,
    item: Option<&'r str>,
    said: String,
}

#[derive(Serialize)]
pub(super) struct ActionView<'r> {
    started: String,
    item: Option<&'r str>,
    phase: Phase,
    action: &'r str,
    target: &'r str,
    does: &'r [String],
    agreed_by: &'r str,
    ended: Option<Ended>,
    took_ms: Option<f64>,
    reason: Option<&'r str>,
    notes: &'r [String],
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

pub(super) fn points(record: &Record) -> PointsView {
    let points = Points::of(record);
    PointsView {
        occurred: points.occurred.map(time),
        detected: points.detected.map(time),
        started: points.started.map(time),
        acknowledged: points.acknowledged.map(time),
        identified: points.identified.map(time),
        mitigated: points.mitigated.map(time),
        resolved: points.resolved.filter(|_| incident::is_led(record)).map(time),
        to_acknowledge_ms: points.to_acknowledge().map(millis),
        to_mitigate_ms: points.to_mitigate().map(millis),
        to_resolve_ms: points.to_resolve().map(millis),
    }
}

pub(super) fn timeline(record: &Record) -> Vec<EntryView> {
    let entries = incident::timeline(record).into_iter();
    let view = |entry: incident::Entry| EntryView {
        at: time(entry.at),
        entered: entry.entered.map(time),
        kind: entry.kind.word(),
        by: entry.by,
        text: entry.text,
        lines: entry.lines,
    };
    entries.map(view).collect()
}

pub(super) fn answer((at, answer): &(DateTime<Utc>, Answer)) -> AnswerView<'_> {
    AnswerView {
        at: time(*at),
        by: &answer.by,
        verified: answer.verified,
        item: answer.item.as_deref(),
        said: incident::said(answer),
    }
}

pub(super) fn action(record: &ActionRecord) -> ActionView<'_> {
    let (start, end) = (&record.start, record.end.as_ref());
    ActionView {
        started: time(record.started),
        item: start.item.as_deref(),
        phase: start.phase,
        action: &start.action,
        target: &start.target,
        does: &start.plan.does,
        agreed_by: &start.agreed_by,
        ended: end.map(|end| end.ended),
        took_ms: end.map(|end| millis(end.took)),
        reason: end.and_then(|end| end.reason.as_deref()),
        notes: end.map(|end| end.notes.as_slice()).unwrap_or_default(),
    }
}
