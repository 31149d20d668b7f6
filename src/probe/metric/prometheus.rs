//! Prometheus's HTTP API, which Thanos, Mimir and VictoriaMetrics speak too.

use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;
use reqwest::StatusCode;
use serde_json::Value as Json;
use tokio::time::Instant;

use super::super::Context;
use super::super::http::fetch::{Endpoint, blind};
use super::super::sql::trouble::Trouble;
use super::series::{Labels, Sample, Series};
use crate::model::text::one_line;

/// Of one answer to one question.
pub struct Told {
    pub data: Json,
    /// What the server wants people to know, such as that a part of its store did not answer.
    pub warnings: Vec<String>,
}

/// One Prometheus, for as long as a look may take.
#[derive(Clone, Copy)]
pub struct Prometheus<'a> {
    pub endpoint: &'a Endpoint,
    pub deadline: Instant,
    pub cx: &'a Context,
}

/// Over which time a query is asked, and how.
#[derive(Clone, Copy)]
pub struct Window {
    pub length: Duration,
    /// Always evaluated at steps of this length; without one only what is no plain selector, at a sixtieth.
    pub step: Option<Duration>,
}

/// The result of a query: its series, and what people should know of it.
#[derive(Default)]
pub struct Found {
    pub series: Vec<Series>,
    pub notes: Vec<String>,
}

impl Prometheus<'_> {
    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Told, Trouble> {
        let reply = self.endpoint.get(path, query, self.deadline, self.cx).await?;
        let json = serde_json::from_slice::<Json>(&reply.body).ok();
        let error = json.as_ref().and_then(|json| Some((json["errorType"].as_str()?, json["error"].as_str()?)));
        if let Some((kind, text)) = error {
            let text = one_line(text, 300);
            return Err(match kind {
                "bad_data" | "execution" => blind(
                    "bad_query",
                    format!("{} refuses the query: {text}", reply.place),
                    "try the query on the server's own page",
                ),
                _ => Trouble::Down(format!("{} answered {}: {text}", reply.place, reply.status)),
            });
        }
        let (place, status) = (reply.place.clone(), reply.status);
        reply.ok()?;
        match json {
            Some(mut json) if json["status"] == "success" => {
                Ok(Told { warnings: texts(&json["warnings"]), data: json["data"].take() })
            }
            _ => {
                let message = format!("{place} answered {}, but not as Prometheus does", StatusCode::as_u16(&status));
                Err(blind("bad_answer", message, "write the address of Prometheus without `/api/v1` or `/graph`"))
            }
        }
    }

    /// What `query` is now, by the server's own clock.
    pub async fn now(&self, query: &str) -> Result<Found, Trouble> {
        self.instant(query, None).await
    }

    /// What `query` is now, and what it was over the window.
    pub async fn over(&self, query: &str, window: Window) -> Result<Found, Trouble> {
        // All questions are about one moment, and ages count from it: clocks differ, and time goes on between them.
        let clock = self.instant("time()", None).await?;
        let Some(now) = clock.series.first().and_then(|series| series.value) else {
            let message = format!("{} does not tell the time", self.endpoint.shown());
            return Err(blind("bad_answer", message, "check that it is a Prometheus"));
        };
        let ranged = ranged(query, window);
        let (current, past) = tokio::try_join!(self.instant(query, Some(now)), self.instant(&ranged, Some(now)))?;
        let mut all = current;
        for mut series in past.series {
            if let Some(newest) = series.samples.last().and_then(|newest| newest.at) {
                series.age = Some((now - newest).max(0.0));
            }
            match all.series.iter_mut().find(|known| known.labels == series.labels) {
                Some(known) => *known = Series { value: known.value, ..series },
                None => all.series.push(series),
            }
        }
        all.notes.extend(past.notes);
        all.notes.dedup();
        Ok(all)
    }

    async fn instant(&self, query: &str, at: Option<f64>) -> Result<Found, Trouble> {
        let at = at.map(|at| format!("{at:.3}"));
        let mut parameters = vec![("query", query)];
        parameters.extend(at.as_deref().map(|at| ("time", at)));
        let told = self.get("/api/v1/query", &parameters).await?;
        let notes = told.warnings;
        let result = &told.data["result"];
        let items = || result.as_array().into_iter().flatten();
        let series = match told.data["resultType"].as_str() {
            Some("scalar") => vec![Series { value: sample(result).map(|seen| seen.value), ..Series::default() }],
            Some("vector") => items()
                .map(|item| {
                    let value = sample(&item["value"]).map(|seen| seen.value);
                    Series { labels: labels(item), value, ..Series::default() }
                })
                .collect(),
            Some("matrix") if at.is_none() => {
                let help = "write the query without `[...]`, and the time in `window`";
                return Err(blind("bad_query", "the query gives many values over a time, not one", help));
            }
            Some("matrix") => items()
                .map(|item| {
                    let samples = item["values"].as_array().into_iter().flatten().filter_map(sample).collect();
                    Series { labels: labels(item), samples, ..Series::default() }
                })
                .collect(),
            _ => return Err(blind("bad_query", "the query gives a text, which is no number", "ask for a number")),
        };
        Ok(Found { series, notes })
    }
}

fn texts(list: &Json) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Json::as_str).map(|text| one_line(text, 300)).collect()
}

fn labels(item: &Json) -> Labels {
    let pairs = item["metric"].as_object().into_iter().flatten();
    pairs.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
}

/// `[1435781451.781, "1"]`
fn sample(pair: &Json) -> Option<Sample> {
    Some(Sample { at: pair[0].as_f64(), value: pair[1].as_str()?.parse().ok()? })
}

/// `query` as one over the window: a plain selector with all its samples, anything else evaluated at each step.
fn ranged(query: &str, Window { length, step }: Window) -> String {
    let length = length.as_millis();
    match step {
        None if is_selector(query) => format!("{query}[{length}ms]"),
        _ => {
            let step = step.map_or((length / 60).max(1000), |step| step.as_millis());
            // On a line of its own, the bracket is not part of a comment.
            format!("({query}\n)[{length}ms:{step}ms]")
        }
    }
}

/// Whether `query` is a name, labels in braces, or both.
fn is_selector(query: &str) -> bool {
    static SELECTOR: LazyLock<Option<Regex>> = LazyLock::new(|| {
        let text = r#""(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`"#;
        let braces = format!(r#"\{{(?:[^"'`{{}}#]|{text})*\}}"#);
        Regex::new(&format!(r"^\s*(?:[A-Za-z_:][A-Za-z0-9_:]*\s*(?:{braces})?|{braces})\s*$")).ok()
    });
    SELECTOR.as_ref().is_some_and(|selector| selector.is_match(query))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Window = Window { length: Duration::from_hours(1), step: None };

    #[test]
    fn a_selector_is_asked_for_its_samples() {
        for selector in ["up", "job:errors:rate5m", r#"up{job="a",path=~"}x\"\\.*"}"#, r#"{__name__="up"}"#, " up "] {
            assert_eq!(ranged(selector, HOUR), format!("{selector}[3600000ms]"));
        }
    }

    #[test]
    fn anything_else_is_evaluated_at_steps() {
        for query in ["rate(up[5m])", "up offset 5m", "up == 0", "1", "up # x", "up{a=\"b\"} # }"] {
            assert_eq!(ranged(query, HOUR), format!("({query}\n)[3600000ms:60000ms]"));
        }
        let step = Some(Duration::from_secs(5));
        assert_eq!(ranged("up", Window { step, ..HOUR }), "(up\n)[3600000ms:5000ms]");
    }
}
