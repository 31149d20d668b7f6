//! Alertmanager's API, version 2.

use serde_json::Value as Json;
use tokio::time::Instant;

use super::super::Context;
use super::super::http::fetch::{Endpoint, blind};
use super::super::sql::trouble::Trouble;
use super::Told;
use super::alert::{Alert, State};

const PATH: &str = "/api/v2/alerts";

pub async fn ask(endpoint: &Endpoint, deadline: Instant, cx: &Context) -> Result<Told, Trouble> {
    let body = endpoint.get(PATH, &[], deadline, cx).await?.ok()?;
    let json: Option<Json> = serde_json::from_slice(&body).ok();
    // Only a list tells that there are none.
    let Some(list) = json.as_ref().and_then(Json::as_array) else {
        let message = format!("{}{PATH} does not answer as Alertmanager does", endpoint.shown());
        return Err(blind("bad_answer", message, "write the address of Alertmanager without `/api/v2` or `/#/alerts`"));
    };
    Ok(Told { alerts: list.iter().map(read).collect(), facts: Vec::new(), evidence: Vec::new(), notes: Vec::new() })
}

fn read(json: &Json) -> Alert {
    let held_by = |name: &str| json["status"][name].as_array().is_some_and(|by| !by.is_empty());
    let (silenced, inhibited) = (held_by("silencedBy"), held_by("inhibitedBy"));
    let state = if silenced || inhibited { State::HeldBack } else { State::Active };
    Alert { silenced, inhibited, ..Alert::read(json, state, &json["startsAt"]) }
}
