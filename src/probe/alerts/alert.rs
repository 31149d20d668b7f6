//! One alert, and alerts as evidence.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::{Value as Json, json};

use super::super::Context;
use crate::model::fact::Evidence;
use crate::model::text::one_line;

const SHOWN: usize = 50;
const TEXT: usize = 160;

#[derive(Debug)]
pub struct Alert {
    pub name: String,
    /// Empty where the alert has none.
    pub severity: String,
    pub labels: BTreeMap<String, String>,
    pub state: State,
    pub silenced: bool,
    pub inhibited: bool,
    pub since: Option<DateTime<Utc>>,
    pub summary: String,
}

/// In the order in which people want to see them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum State {
    Active,
    Pending,
    HeldBack,
}

impl Alert {
    /// From what Prometheus and Alertmanager tell alike; `since` is where each has the time of its begin.
    pub fn read(json: &Json, state: State, since: &Json) -> Self {
        let texts = |part: &Json| -> BTreeMap<String, String> {
            let pairs = part.as_object().into_iter().flatten();
            pairs.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
        };
        let (labels, annotations) = (texts(&json["labels"]), texts(&json["annotations"]));
        let summary = ["summary", "message", "description"].iter().find_map(|name| annotations.get(*name));
        let label = |name: &str| labels.get(name).cloned().unwrap_or_default();
        Self {
            name: label("alertname"),
            severity: label("severity"),
            state,
            silenced: false,
            inhibited: false,
            since: since.as_str().and_then(|text| text.parse().ok()),
            summary: summary.map(|text| one_line(text, TEXT)).unwrap_or_default(),
            labels,
        }
    }

    fn state_in_words(&self) -> &'static str {
        match self.state {
            State::Active => "active",
            State::Pending => "pending",
            State::HeldBack if self.silenced => "silenced",
            State::HeldBack => "inhibited",
        }
    }

    fn line(&self, cx: &Context) -> String {
        let since =
            self.since.map(|since| since.with_timezone(&cx.timezone).format("since %Y-%m-%d %H:%M").to_string());
        let others = self.labels.iter().filter(|(name, _)| !matches!(name.as_str(), "alertname" | "severity"));
        let others: Vec<String> = others.map(|(name, value)| format!("{name}={value}")).collect();
        let parts = [
            self.state_in_words(),
            &self.severity,
            &self.name,
            since.as_deref().unwrap_or_default(),
            &self.summary,
            &one_line(&others.join(" "), TEXT),
        ];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("  ")
    }

    fn row(&self) -> serde_json::Map<String, Json> {
        let pairs = [
            ("name", json!(self.name)),
            ("severity", json!(self.severity)),
            ("state", json!(self.state_in_words())),
            ("since", json!(self.since.map(|since| since.to_rfc3339()))),
            ("summary", json!(self.summary)),
        ];
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// None of no alerts.
pub fn evidence(title: String, alerts: &[Alert], cx: &Context) -> Option<Evidence> {
    if alerts.is_empty() {
        return None;
    }
    let mut evidence = Evidence::new(title, alerts.iter().take(SHOWN).map(|alert| alert.line(cx)).collect());
    evidence.left_out = alerts.len().saturating_sub(SHOWN) as u64;
    // What a step goes through one by one has to be all of it.
    if evidence.left_out == 0 {
        evidence.rows = alerts.iter().map(Alert::row).collect();
    }
    Some(evidence)
}
