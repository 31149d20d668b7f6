//! Alerts, rules and targets as Prometheus tells them.

use serde_json::Value as Json;
use tokio::time::Instant;

use super::super::Context;
use super::super::http::fetch::{Endpoint, blind};
use super::super::metric::prometheus::Prometheus;
use super::super::sql::trouble::Trouble;
use super::Told;
use super::alert::{Alert, State};
use crate::model::fact::Evidence;
use crate::model::text::one_line;
use crate::model::value::Value;

const SHOWN: usize = 20;

pub async fn ask(endpoint: &Endpoint, deadline: Instant, cx: &Context) -> Result<Told, Trouble> {
    let server = Prometheus { endpoint, deadline, cx };
    let list = list(&server, "/api/v1/alerts", "alerts").await?;
    let alerts = list.iter().filter_map(|json| {
        let state = match json["state"].as_str()? {
            "firing" => State::Active,
            "pending" => State::Pending,
            _ => return None,
        };
        Some(Alert::read(json, state, &json["activeAt"]))
    });
    let mut told = Told { alerts: alerts.collect(), facts: Vec::new(), evidence: Vec::new(), notes: Vec::new() };
    ask_rules(&server, &mut told).await?;
    let asks = |names: &[&str]| cx.asked.is_empty() || cx.asked.iter().any(|fact| names.contains(&fact.as_str()));
    if asks(&["targets", "targets_down"]) {
        ask_targets(&server, &mut told).await?;
    }
    if asks(&["alertmanagers"]) {
        let active = self::list(&server, "/api/v1/alertmanagers", "activeAlertmanagers").await?;
        told.facts.push(("alertmanagers", Value::count(active.len() as u64)));
    }
    Ok(told)
}

/// The list `name` of an answer, which is there even when it is empty.
async fn list(server: &Prometheus<'_>, path: &str, name: &str) -> Result<Vec<Json>, Trouble> {
    let query: &[(&str, &str)] = if path.ends_with("/targets") { &[("state", "active")] } else { &[] };
    let mut data = server.get(path, query).await?.data;
    match data.as_object_mut().and_then(|members| members.remove(name)) {
        Some(Json::Array(list)) => Ok(list),
        _ => {
            let message = format!("{}{path} does not tell `{name}`", server.endpoint.shown());
            Err(blind("bad_answer", message, "check that it is a Prometheus"))
        }
    }
}

async fn ask_rules(server: &Prometheus<'_>, told: &mut Told) -> Result<(), Trouble> {
    let groups = list(server, "/api/v1/rules", "groups").await?;
    let rules = || groups.iter().filter_map(|group| group["rules"].as_array()).flatten();
    let alerting = rules().filter(|rule| rule["type"] == "alerting").count() as u64;
    told.facts.push(("rules", Value::count(alerting)));
    if alerting == 0 {
        told.notes.push("it has no alerting rules, so no alert can fire".to_owned());
    }
    let failing: Vec<String> = rules().filter(|rule| rule["health"] == "err").map(|rule| wrong(rule, "name")).collect();
    told.facts.push(("rules_failing", Value::count(failing.len() as u64)));
    told.evidence.extend(shown(format!("failing rules of {}", server.endpoint.shown()), failing));
    Ok(())
}

async fn ask_targets(server: &Prometheus<'_>, told: &mut Told) -> Result<(), Trouble> {
    let targets = list(server, "/api/v1/targets", "activeTargets").await?;
    let down: Vec<String> =
        targets.iter().filter(|target| target["health"] == "down").map(|target| wrong(target, "scrapeUrl")).collect();
    told.facts.push(("targets", Value::count(targets.len() as u64)));
    told.facts.push(("targets_down", Value::count(down.len() as u64)));
    told.evidence.extend(shown(format!("targets down of {}", server.endpoint.shown()), down));
    Ok(())
}

fn wrong(json: &Json, name: &str) -> String {
    let text = |name: &str| json[name].as_str().unwrap_or_default();
    one_line(&format!("{}: {}", text(name), text("lastError")), 300)
}

fn shown(title: String, mut lines: Vec<String>) -> Option<Evidence> {
    let left_out = lines.len().saturating_sub(SHOWN) as u64;
    lines.truncate(SHOWN);
    (!lines.is_empty()).then(|| Evidence { left_out, ..Evidence::new(title, lines) })
}
