//! One number, or one for each thing that has it, from wherever it is kept already: Prometheus, what a program exposes,
//! JSON, a database.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use self::prometheus::Window;
use self::report::Report;
use self::selector::Selector;
use self::source::{Of, Place, Source};
use super::http::fetch::{Endpoint, HEADERS};
use super::http::{BEARER, CA, LOGIN};
use super::sql::Sql;
use super::sql::trouble::Trouble;
use super::{Context, Kind, Probe, ProbeError};
use crate::model::fact::{ANSWERS, FactSpec, FactType, Observation, Subject};
use crate::model::input::{InputError, InputSpec, InputType, Inputs, Need};
use crate::model::text::one_line;
use crate::model::unit::{Dimension, Quantity};
use crate::model::value::Value;

pub(crate) mod exposition;
pub(crate) mod prometheus;
mod report;
pub(crate) mod selector;
pub(crate) mod series;
mod source;

const SOURCES: [&str; 4] = ["prometheus", "exposition", "json", "database"];
const UNITS: &[&str] = &[
    "%", "ratio", "us", "ms", "s", "min", "h", "d", "B", "KiB", "MiB", "GiB", "TiB", "kB", "MB", "GB", "TB", "/s",
    "/min",
];
/// Rows of an answer are samples; more are the database's to count.
const MOST_ROWS: usize = 50_000;
const SHOWN: usize = 80;

pub static KIND: Kind = Kind {
    name: "metric",
    about: "a number that is kept already: in Prometheus (or Thanos, Mimir, VictoriaMetrics), in what a program exposes \
            for it, in JSON, in a database. Where the query gives several, each is one result. What the query does not \
            find is missing, never 0",
    inputs: INPUTS,
    facts: FACTS,
    example: include_str!("../../examples/probes/metric.yaml"),
    limit: Duration::from_secs(30),
    build: |inputs| Ok(Arc::new(Metric::new(inputs)?)),
};

const INPUTS: &[InputSpec] = &[
    optional("prometheus", InputType::Text, "the address of a Prometheus, such as http://127.0.0.1:9090"),
    optional(
        "exposition",
        InputType::Text,
        "the URL or the file of metrics in Prometheus's text format or in OpenMetrics, such as \
         http://127.0.0.1:9100/metrics",
    ),
    optional("json", InputType::Text, "the URL or the file of a JSON document"),
    optional("database", InputType::Database, "which database of the site file, as for the probe `sql`"),
    InputSpec {
        name: "query",
        ty: InputType::Text,
        need: Need::Required,
        about: "what to ask there. Of Prometheus: PromQL. Of an exposition: `name` or `name{label=\"value\"}`, with `=`, \
                `!=`, `=~` and `!~` as in PromQL. Of JSON: a dotted path, such as `queue.depth`, to a number or a list of \
                numbers. Of a database: a statement that reads; its last column is the number, the others name what it \
                is the number of, and rows with the same names are samples of one thing",
    },
    optional(
        "over",
        InputType::Text,
        "a second query, of what `query` is a part: fills the facts `ratio` and `over`. With several results those with \
         the same labels belong together, or all belong to the only one of `over`",
    ),
    optional(
        "parameters",
        InputType::Texts,
        "values for the placeholders of a statement, as for the probe `sql`; that of `over` gets them too",
    ),
    optional(
        "window",
        InputType::Duration,
        "with `prometheus`, also look at all samples of this time until now, such as `1h`: fills `average`, `maximum`, \
         `p95`, `rate` and others",
    ),
    optional(
        "step",
        InputType::Duration,
        "how often `query` is evaluated over `window`. Without it, a plain `name{label=\"value\"}` gives all its samples, \
         and any other query is evaluated sixty times",
    ),
    optional(
        "of",
        InputType::Choice(&["sum", "min", "max", "avg"]),
        "with `exposition`, make one number of all that `query` finds",
    ),
    optional(
        "unit",
        InputType::Choice(UNITS),
        "what the numbers are counted in there, so that limits have units: `s` allows `below 200ms`, `ratio` shows 0.25 \
         as 25 %",
    ),
    HEADERS,
    CA,
    LOGIN,
    BEARER,
];

const fn optional(name: &'static str, ty: InputType, about: &'static str) -> InputSpec {
    InputSpec { name, ty, need: Need::Optional, about }
}

const FACTS: &[FactSpec] = &[
    FactSpec::implied(ANSWERS, "the server answered, whatever the number; the file was read"),
    FactSpec::new(
        "value",
        FactType::Any,
        "the number as it is now. Missing when there is none, or no longer: also of a series that stopped. NaN and \
         infinity are said as such, and no limit holds of them",
    ),
    FactSpec::new(
        "ratio",
        FactType::Percent,
        "`query` as a share of `over`. Missing when `over` is 0 or has no result",
    ),
    FactSpec::new("over", FactType::Any, "the number of `over`, such as `at least 100` requests to judge a ratio by"),
    FactSpec::new("average", FactType::Any, "of the samples"),
    FactSpec::new("minimum", FactType::Any, "the smallest sample"),
    FactSpec::new("maximum", FactType::Any, "the largest sample"),
    FactSpec::new("p50", FactType::Any, "half of the samples are at most this"),
    FactSpec::new("p90", FactType::Any, "nine in ten samples are at most this"),
    FactSpec::new(
        "p95",
        FactType::Any,
        "95 % of the samples are at most this. Of the buckets of a histogram, write `histogram_quantile(0.95, ...)` in \
         `query`",
    ),
    FactSpec::new("p99", FactType::Any, "99 % of the samples are at most this"),
    FactSpec::new(
        "increase",
        FactType::Any,
        "how much a counter grew from the first sample of the window to the last; without a window, since the newest \
         earlier run. One that began again at 0 grew by what it shows since then. Seen when a step names it, and of what \
         is known to be a counter",
    ),
    FactSpec::new("rate", FactType::Rate, "`increase` per minute"),
    FactSpec::new("last", FactType::Any, "the newest sample of the window, however old"),
    FactSpec::new(
        "newest_age",
        FactType::Duration,
        "since the newest sample of the window; of a query that is evaluated at steps, to the step. Of an exposition: \
         since the time that it tells, or since its file was written. Of JSON: since its file was written",
    ),
    FactSpec::new("samples", FactType::Count, "how many samples the statistics are made of"),
    FactSpec::new("series", FactType::Count, "how many results the query has; 0 when it finds nothing"),
];

/// What the numbers are counted in: how many base units of which dimension.
#[derive(Clone, Copy)]
struct Unit {
    worth: f64,
    dimension: Dimension,
}

impl Unit {
    fn of(word: Option<&str>) -> Self {
        let (worth, dimension) = match word {
            Some("ratio") => (100.0, Dimension::Percent),
            Some("us") => (1e-6, Dimension::Time),
            Some("/s") => (60.0, Dimension::Rate),
            word => {
                let one = format!("1{}", word.unwrap_or_default()).parse().unwrap_or(Quantity::count(1.0));
                (one.amount(), one.dimension())
            }
        };
        Self { worth, dimension }
    }

    /// What is no finite number is a text, of which no limit holds.
    fn value(self, number: f64) -> Value {
        if number.is_finite() {
            Value::Number(Quantity::new(number * self.worth, self.dimension))
        } else if number.is_nan() {
            Value::text("NaN")
        } else {
            Value::text(if number > 0.0 { "+Inf" } else { "-Inf" })
        }
    }
}

struct Metric {
    source: Source,
    query: String,
    unit: Unit,
}

impl Metric {
    fn new(inputs: &Inputs) -> Result<Self, InputError> {
        let given: Vec<&str> = SOURCES.into_iter().filter(|source| inputs.has(source)).collect();
        let [source] = given[..] else {
            let message = match given[..] {
                [] => "it is not said where the number is".to_owned(),
                _ => format!("there are {} sources: {}", given.len(), given.join(", ")),
            };
            return Err(InputError::new("", message, "name one of `prometheus`, `exposition`, `json` and `database`"));
        };
        refuse_what_does_not_belong(source, inputs)?;
        let query = inputs.text("query").unwrap_or_default();
        let over = inputs.text("over").map(str::to_owned);
        let place = |name: &'static str| Place::of(name, inputs.text(name).unwrap_or_default(), inputs);
        let source = match source {
            "prometheus" => Source::Prometheus {
                endpoint: Box::new(Endpoint::new("prometheus", inputs.text("prometheus").unwrap_or_default(), inputs)?),
                query: query.to_owned(),
                over,
                window: window_of(inputs)?,
            },
            "exposition" => Source::Exposition {
                place: place("exposition")?,
                query: selector_of("query", query)?,
                over: over.map(|over| selector_of("over", &over)).transpose()?,
                of: inputs.text("of").and_then(Of::named),
            },
            "json" => Source::Json { place: place("json")?, query: query.to_owned(), over },
            _ => Source::Database {
                name: inputs.text("database").unwrap_or_default().to_owned(),
                query: Sql::of(inputs, "query", MOST_ROWS)?,
                over: over.map(|_| Sql::of(inputs, "over", MOST_ROWS)).transpose()?,
            },
        };
        Ok(Self { source, query: one_line(query, SHOWN), unit: Unit::of(inputs.text("unit")) })
    }

    /// What a number without labels is called.
    fn name(&self) -> &str {
        match &self.source {
            Source::Database { name, .. } => name,
            Source::Prometheus { .. } | Source::Exposition { .. } | Source::Json { .. } => &self.query,
        }
    }
}

fn selector_of(input: &'static str, text: &str) -> Result<Selector, InputError> {
    Selector::of(text).map_err(|why| {
        let help = "write for example `http_requests_total{code=\"500\"}`";
        InputError::new(input, format!("`{text}` selects no series: {why}"), help)
    })
}

fn window_of(inputs: &Inputs) -> Result<Option<Window>, InputError> {
    let (Some(length), step) = (inputs.duration("window"), inputs.duration("step")) else { return Ok(None) };
    if length < Duration::from_secs(1) {
        return Err(InputError::new("window", "the window is shorter than a second", "write for example `1h`"));
    }
    if let Some(step) = step
        && !(step >= Duration::from_secs(1) && step <= length && length.as_secs() / step.as_secs() <= 11_000)
    {
        let message = "the step is shorter than a second, longer than the window, or a tiny part of it";
        return Err(InputError::new("step", message, "leave it out, or write for example `1m`"));
    }
    Ok(Some(Window { length, step }))
}

/// Inputs that would be given in vain.
fn refuse_what_does_not_belong(source: &str, inputs: &Inputs) -> Result<(), InputError> {
    let is_url = inputs.text(source).is_some_and(|text| text.contains("://"));
    let refuse = |name: &'static str, belongs: &str| {
        let message = format!("`{name}` belongs to {belongs}");
        Err(InputError::new(name, message, format!("leave `{name}` out")))
    };
    for (name, belongs) in [("window", "`prometheus`"), ("of", "`exposition`"), ("parameters", "`database`")] {
        if inputs.has(name) && belongs.trim_matches('`') != source {
            return refuse(name, belongs);
        }
    }
    if inputs.has("step") && !inputs.has("window") {
        return refuse("step", "`window`");
    }
    for name in ["headers", "ca", "basic", "bearer"] {
        if inputs.has(name) && (source == "database" || !is_url) {
            return refuse(name, "a URL");
        }
    }
    if inputs.has("over") && inputs.has("window") {
        let help = "leave `window` out, and write the time into both queries, such as `increase(errors_total[1h])`";
        return Err(InputError::new("over", "a ratio is one of two numbers, and not of two series over a time", help));
    }
    if inputs.has("over") && inputs.has("of") {
        let help = "leave one of them out";
        return Err(InputError::new("of", "`of` makes one number of several, and `over` needs them one by one", help));
    }
    Ok(())
}

impl Probe for Metric {
    fn target(&self) -> String {
        format!("{}: {}", self.source.place(), self.query)
    }

    fn resource(&self) -> Option<String> {
        self.source.resource()
    }

    fn observe<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Observation, ProbeError>> {
        Box::pin(async move {
            match self.source.measure(Instant::now() + cx.limit, cx).await {
                Ok(measured) => Ok(Report::new(self, &measured, cx).await.observation()),
                Err(Trouble::Down(why)) => {
                    let mut subject = Subject::new(self.target()).with(ANSWERS, Value::Bool(false));
                    subject.note(why);
                    Ok(subject.into())
                }
                Err(Trouble::Blind(error)) => Err(error),
            }
        })
    }
}
