//! Where numbers are kept, and how they are had from there.

use std::io::Read as _;
use std::time::SystemTime;

use serde_json::Value as Json;
use tokio::time::Instant;

use super::super::http::answer::member;
use super::super::http::fetch::{Endpoint, blind};
use super::super::sql::Sql;
use super::super::sql::answer::Answer;
use super::super::sql::trouble::Trouble;
use super::super::{Context, ProbeError};
use super::exposition::Exposition;
use super::prometheus::{Found, Prometheus, Window};
use super::selector::Selector;
use super::series::{Labels, Sample, Series};
use crate::model::fact::Evidence;
use crate::model::input::{InputError, Inputs};
use crate::model::unit::Quantity;
use crate::model::value::Value;

/// More cannot be judged one by one.
const MOST_SERIES: usize = 500;
const MOST_BYTES: u64 = 16 << 20;
const EVIDENCE_ROWS: usize = 20;

pub enum Source {
    Prometheus { endpoint: Box<Endpoint>, query: String, over: Option<String>, window: Option<Window> },
    Exposition { place: Place, query: Selector, over: Option<Selector>, of: Option<Of> },
    Json { place: Place, query: String, over: Option<String> },
    Database { name: String, query: Sql, over: Option<Sql> },
}

pub enum Place {
    Url(Box<Endpoint>),
    /// As it is written; a relative one starts at the folder of the site file.
    File(String),
}

/// How several numbers become one.
#[derive(Clone, Copy)]
pub enum Of {
    Sum,
    Minimum,
    Maximum,
    Average,
}

/// What a source told.
#[derive(Default)]
pub struct Measured {
    pub series: Vec<Series>,
    /// The results of the second query, where there is one.
    pub over: Option<Vec<Series>>,
    pub notes: Vec<String>,
    pub evidence: Option<Evidence>,
    /// The series have samples, or would have them.
    pub has_samples: bool,
}

/// A whole document, and how many seconds ago its file was written.
struct Document {
    text: String,
    age: Option<f64>,
}

impl Source {
    /// For people.
    pub fn place(&self) -> String {
        match self {
            Self::Prometheus { endpoint, .. } => endpoint.shown(),
            Self::Exposition { place, .. } | Self::Json { place, .. } => place.shown(),
            Self::Database { name, .. } => format!("database {name}"),
        }
    }

    pub fn resource(&self) -> Option<String> {
        match self {
            Self::Prometheus { endpoint, .. } => endpoint.resource(),
            Self::Exposition { place: Place::Url(endpoint), .. } | Self::Json { place: Place::Url(endpoint), .. } => {
                endpoint.resource()
            }
            Self::Exposition { .. } | Self::Json { .. } => None,
            Self::Database { name, .. } => Some(name.clone()),
        }
    }

    pub async fn measure(&self, deadline: Instant, cx: &Context) -> Result<Measured, Trouble> {
        let measured = match self {
            Self::Prometheus { endpoint, query, over, window } => {
                let server = Prometheus { endpoint, deadline, cx };
                ask_prometheus(server, query, over.as_deref(), *window).await?
            }
            Self::Exposition { place, query, over, of } => {
                let document = place.read(deadline, cx).await?;
                select(place, &document, query, over.as_ref(), *of, cx)?
            }
            Self::Json { place, query, over } => {
                let document = place.read(deadline, cx).await?;
                let json: Json = serde_json::from_str(&document.text).map_err(|error| {
                    blind("bad_answer", format!("{} is not JSON: {error}", place.shown()), "check the address")
                })?;
                let mut measured = Measured::default();
                measured.series.extend(find(&json, query, document.age, &mut measured.notes));
                measured.has_samples = measured.series.iter().any(|series| series.value.is_none());
                measured.over =
                    over.as_ref().map(|over| find(&json, over, None, &mut measured.notes)).map(Vec::from_iter);
                measured
            }
            Self::Database { query, over, .. } => {
                let mut measured = rows(query, cx).await?;
                if let Some(over) = over {
                    let over = rows(over, cx).await?;
                    measured.notes.extend(over.notes);
                    measured.over = Some(over.series);
                }
                measured
            }
        };
        if measured.series.len() > MOST_SERIES {
            let message = format!("the query has {} results, too many to judge each", measured.series.len());
            return Err(blind("too_many", message, "narrow it, or make one number of them, such as with `sum(...)`"));
        }
        Ok(measured)
    }
}

async fn ask_prometheus(
    server: Prometheus<'_>,
    query: &str,
    over: Option<&str>,
    window: Option<Window>,
) -> Result<Measured, Trouble> {
    let mut found = match window {
        Some(window) => server.over(query, window).await?,
        None => server.now(query).await?,
    };
    let over = match over {
        None => None,
        Some(over) => {
            let Found { series, notes } = server.now(over).await?;
            found.notes.extend(notes);
            Some(series)
        }
    };
    Ok(Measured { series: found.series, over, notes: found.notes, evidence: None, has_samples: window.is_some() })
}

impl Place {
    pub fn of(input: &'static str, text: &str, inputs: &Inputs) -> Result<Self, InputError> {
        if text.contains("://") {
            return Ok(Self::Url(Box::new(Endpoint::new(input, text, inputs)?)));
        }
        Ok(Self::File(text.to_owned()))
    }

    fn shown(&self) -> String {
        match self {
            Self::Url(endpoint) => endpoint.shown(),
            Self::File(path) => path.clone(),
        }
    }

    async fn read(&self, deadline: Instant, cx: &Context) -> Result<Document, Trouble> {
        let (bytes, age) = match self {
            Self::Url(endpoint) => (endpoint.get("", &[], deadline, cx).await?.ok()?, None),
            Self::File(path) => {
                let path = cx.folder.join(path);
                let reading = cx.reading(path.display().to_string(), move || {
                    let wrong = |error| ProbeError::io(path.display(), &error);
                    let told = std::fs::metadata(&path).map_err(wrong)?;
                    if !told.is_file() || told.len() > MOST_BYTES {
                        let most = Quantity::bytes(MOST_BYTES).rounded();
                        let message = format!("{} is no file of at most {most}", path.display());
                        return Err(ProbeError::new("bad_file", message).help("check the path"));
                    }
                    let mut bytes = Vec::new();
                    let file = std::fs::File::open(&path).map_err(wrong)?;
                    file.take(MOST_BYTES).read_to_end(&mut bytes).map_err(wrong)?;
                    let written = told.modified().map_err(wrong)?;
                    let age = SystemTime::now().duration_since(written).unwrap_or_default();
                    Ok((bytes, Some(age.as_secs_f64())))
                });
                reading.await?
            }
        };
        let text = String::from_utf8(bytes).map_err(|_| {
            blind("bad_answer", format!("{} is not a text in UTF-8", self.shown()), "check the address")
        })?;
        Ok(Document { text, age })
    }
}

fn select(
    place: &Place,
    document: &Document,
    query: &Selector,
    over: Option<&Selector>,
    of: Option<Of>,
    cx: &Context,
) -> Result<Measured, Trouble> {
    let seen = Exposition::parse(&document.text).map_err(|why| {
        let message = format!("{} holds no metrics in Prometheus's text format: {why}", place.shown());
        blind("bad_answer", message, "check the address; programs expose their metrics under /metrics")
    })?;
    let now = cx.now.timestamp_millis() as f64 / 1000.0;
    let mut series = seen.select(query, now);
    for (index, one) in series.iter().enumerate() {
        if series[..index].iter().any(|other| other.labels == one.labels) {
            let message = format!("{} tells {} twice", place.shown(), one.name());
            return Err(blind("bad_answer", message, "mend what writes it"));
        }
    }
    for one in &mut series {
        one.age = one.age.or(document.age);
    }
    let notes = if series.is_empty() { seen.hint(query).into_iter().collect() } else { Vec::new() };
    if let Some(of) = of {
        series = of.combined(&series).into_iter().collect();
    }
    Ok(Measured { series, over: over.map(|over| seen.select(over, now)), notes, ..Measured::default() })
}

impl Of {
    pub fn named(word: &str) -> Option<Self> {
        Some(match word {
            "sum" => Self::Sum,
            "min" => Self::Minimum,
            "max" => Self::Maximum,
            "avg" => Self::Average,
            _ => return None,
        })
    }

    /// One without labels; as old as the oldest. What is not a number stays so.
    fn combined(self, series: &[Series]) -> Option<Series> {
        let values = || series.iter().filter_map(|one| one.value);
        let sum = values().sum::<f64>();
        let extreme = |other: fn(f64, f64) -> f64| if sum.is_nan() { Some(sum) } else { values().reduce(other) };
        let value = match self {
            Self::Sum => Some(sum),
            Self::Minimum => extreme(f64::min),
            Self::Maximum => extreme(f64::max),
            Self::Average => Some(sum / series.len() as f64),
        };
        let age = series.iter().filter_map(|one| one.age).reduce(f64::max);
        let counter = series.iter().all(Series::is_counter);
        (!series.is_empty()).then(|| Series { value, age, counter, ..Series::default() })
    }
}

/// The number or the numbers at `path`; a note says why there are none.
fn find(json: &Json, path: &str, age: Option<f64>, notes: &mut Vec<String>) -> Option<Series> {
    let found = member(json, path).filter(|found| !found.is_null());
    let Some(found) = found else {
        notes.push(format!("there is no `{path}`"));
        return None;
    };
    if let Some(items) = found.as_array()
        && let Some(numbers) = items.iter().map(number).collect::<Option<Vec<f64>>>()
    {
        let samples = numbers.into_iter().map(|value| Sample { at: None, value }).collect();
        return Some(Series { samples, age, ..Series::default() });
    }
    let value = number(found);
    if value.is_none() {
        let kind = match found {
            Json::Array(_) => "a list that holds other things than numbers",
            Json::Object(_) => "an object",
            Json::Bool(_) => "yes or no",
            Json::String(_) => "a text",
            Json::Number(_) | Json::Null => "no number",
        };
        notes.push(format!("`{path}` is {kind}, and no number"));
    }
    value.map(|value| Series { value: Some(value), age, ..Series::default() })
}

/// A text that is wholly a number counts as one: some programs write all values as texts.
fn number(json: &Json) -> Option<f64> {
    json.as_f64().or_else(|| json.as_str()?.trim().parse().ok())
}

/// The rows of an answer, by what their first columns name.
async fn rows(query: &Sql, cx: &Context) -> Result<Measured, Trouble> {
    let (answer, down) = query.answer(cx).await?;
    if let Some(why) = down {
        return Err(Trouble::Down(why));
    }
    if answer.rows > answer.kept().len() as u64 {
        let message = format!("the query returns more than {} rows", answer.kept().len());
        return Err(blind("too_many", message, "let the database do the counting, or narrow the query"));
    }
    let mut measured = Measured { has_samples: true, evidence: evidence(&answer), ..Measured::default() };
    let mut nulls = 0;
    let mut by_labels = indexmap::IndexMap::<Labels, Series>::new();
    for row in answer.kept() {
        let Some((cell, named)) = row.split_last() else { continue };
        let named = answer.names().iter().zip(named);
        let labels: Labels = named
            .map(|(name, cell)| (name.clone(), cell.as_ref().map_or_else(|| "NULL".to_owned(), Value::to_string)))
            .collect();
        let series = by_labels.entry(labels.clone()).or_insert_with(|| Series { labels, ..Series::default() });
        match cell {
            None => nulls += 1,
            Some(cell) => match number_of(cell) {
                Some(value) => series.samples.push(Sample { at: None, value }),
                None => {
                    let message = format!("`{cell}` in the last column is not a number");
                    return Err(blind("bad_answer", message, "put the number into the last column"));
                }
            },
        }
    }
    measured.series.extend(by_labels.into_values().filter(|series| !series.samples.is_empty()));
    for series in &mut measured.series {
        series.value = if let [only] = series.samples[..] { Some(only.value) } else { None };
    }
    if nulls > 0 {
        measured.notes.push(format!("{nulls} of {} values are NULL", answer.rows));
    }
    Ok(measured)
}

fn number_of(cell: &Value) -> Option<f64> {
    match cell {
        Value::Integer(integer) => Some(*integer as f64),
        Value::Number(quantity) => Some(quantity.amount()),
        Value::Text(text) => text.trim().parse().ok(),
        Value::Bool(_) | Value::Share { .. } | Value::List(_) => None,
    }
}

/// The first rows.
fn evidence(answer: &Answer) -> Option<Evidence> {
    let mut evidence = answer.evidence("rows")?;
    let more = evidence.lines.len().saturating_sub(EVIDENCE_ROWS + 1);
    if more > 0 {
        evidence.lines.truncate(EVIDENCE_ROWS + 1);
        evidence.rows.clear();
        evidence.left_out += more as u64;
    }
    Some(evidence)
}
