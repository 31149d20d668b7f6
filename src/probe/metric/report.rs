//! From series to facts.

use std::collections::HashMap;

use chrono::DateTime;

use super::super::Context;
use super::Metric;
use super::series::{Sample, Series, Sorted, grown};
use super::source::Measured;
use crate::model::expectation::Reading;
use crate::model::fact::{ANSWERS, Evidence, Observation, Subject};
use crate::model::unit::Quantity;
use crate::model::value::Value;

/// Of so many series the extremes are shown as evidence.
const SHOWN: usize = 10;

const PERCENTILES: [(&str, f64); 4] = [("p50", 50.0), ("p90", 90.0), ("p95", 95.0), ("p99", 99.0)];

/// What one look measured, on its way to people.
pub struct Report<'a> {
    metric: &'a Metric,
    measured: &'a Measured,
    cx: &'a Context,
    before: HashMap<(String, String), Reading>,
}

impl<'a> Report<'a> {
    pub async fn new(metric: &'a Metric, measured: &'a Measured, cx: &'a Context) -> Self {
        let asks = measured.series.iter().any(|series| wants_growth(series, cx));
        let before = if asks && !measured.has_samples { cx.past.newest(&["value"]).await } else { HashMap::new() };
        Self { metric, measured, cx, before }
    }

    pub fn observation(&self) -> Observation {
        let Measured { series, notes, .. } = self.measured;
        let mut seen = Observation::default();
        if series.is_empty() {
            let mut subject =
                Subject::new(self.metric.name()).with(ANSWERS, Value::Bool(true)).with("series", Value::count(0));
            subject.note("the query finds nothing, so there is no number");
            subject.notes.extend(notes.iter().cloned());
            seen.subjects.push(subject);
        }
        for (index, one) in series.iter().enumerate() {
            let mut subject = self.subject(one);
            subject.set("series", Value::count(series.len() as u64));
            if index == 0 {
                subject.notes.extend(notes.iter().cloned());
            }
            seen.subjects.push(subject);
        }
        seen.evidence.extend(self.measured.evidence.clone().or_else(|| self.extremes()));
        seen
    }

    fn name(&self, series: &Series) -> String {
        Some(series.name()).filter(|name| !name.is_empty()).unwrap_or_else(|| self.metric.name().to_owned())
    }

    fn subject(&self, series: &Series) -> Subject {
        let unit = self.metric.unit;
        let mut subject = Subject::new(self.name(series)).with(ANSWERS, Value::Bool(true));
        if let Some(value) = series.value {
            subject.set("value", unit.value(value));
        }
        self.set_ratio(&mut subject, series);
        if self.measured.has_samples {
            self.set_statistics(&mut subject, series);
        } else {
            self.set_growth_since_earlier_run(&mut subject, series);
        }
        if let Some(age) = series.age {
            subject.set("newest_age", Value::Number(Quantity::seconds(age)));
        }
        if self.measured.has_samples {
            subject.set("samples", Value::count(Sorted::of(&series.samples).len() as u64));
        }
        subject
    }

    fn set_ratio(&self, subject: &mut Subject, series: &Series) {
        let Some(over) = &self.measured.over else { return };
        let labels = series.labels_without_name();
        let whole = match &over[..] {
            [only] => Some(only),
            several => several.iter().find(|other| other.labels_without_name() == labels),
        };
        let Some(whole) = whole.and_then(|whole| whole.value) else {
            subject.note("`over` finds nothing that belongs to it, so there is no ratio");
            return;
        };
        subject.set("over", self.metric.unit.value(whole));
        match series.value {
            Some(part) if whole != 0.0 && (part / whole).is_finite() => {
                subject.set("ratio", Value::percent(part / whole * 100.0));
            }
            Some(part) => subject.note(format!("{part} of {whole} is no ratio")),
            None => {}
        }
    }

    fn set_statistics(&self, subject: &mut Subject, series: &Series) {
        let unit = self.metric.unit;
        let sorted = Sorted::of(&series.samples);
        let statistics =
            [("average", sorted.average()), ("minimum", sorted.minimum()), ("maximum", sorted.maximum())].into_iter();
        let percentiles = PERCENTILES.into_iter().map(|(name, percent)| (name, sorted.percentile(percent)));
        for (name, number) in statistics.chain(percentiles) {
            if let Some(number) = number {
                subject.set(name, unit.value(number));
            }
        }
        let odd = series.samples.len() - sorted.len();
        if odd > 0 {
            subject.note(format!("{odd} of {} samples are not a number and do not count", series.samples.len()));
        }
        if let Some((grown, seconds)) = series.growth().filter(|_| wants_growth(series, self.cx)) {
            subject.set("increase", unit.value(grown));
            subject.set("rate", Value::Number(Quantity::per_minute(grown * unit.worth / seconds * 60.0)));
        }
        if let Some(Sample { at: Some(_), value }) = series.samples.last() {
            subject.set("last", unit.value(*value));
            if series.value.is_none() {
                subject.note("it has no value any more; `last` is what it was");
            }
        }
    }

    fn set_growth_since_earlier_run(&self, subject: &mut Subject, series: &Series) {
        let Some(Value::Number(now)) = subject.facts.get("value").cloned() else { return };
        let Some(before) = self.before.get(&(subject.name.clone(), "value".to_owned())) else { return };
        let minutes = (self.cx.now - before.at).as_seconds_f64() / 60.0;
        if !wants_growth(series, self.cx) || before.value.dimension() != now.dimension() || minutes <= 0.0 {
            return;
        }
        let grown = grown(before.value.amount(), now.amount());
        if now.amount() < before.value.amount() {
            subject.note("it began again since the earlier run");
        }
        subject.set("increase", Value::Number(Quantity::new(grown, now.dimension())));
        subject.set("rate", Value::Number(Quantity::per_minute(grown / minutes)));
    }

    /// The highest and the lowest sample of each series, and when they were.
    fn extremes(&self) -> Option<Evidence> {
        let mut lines = Vec::new();
        for series in self.measured.series.iter().take(SHOWN) {
            let timed = || series.samples.iter().filter(|sample| !sample.value.is_nan() && sample.at.is_some());
            let by_value = |a: &&Sample, b: &&Sample| a.value.total_cmp(&b.value);
            for (word, sample) in [("highest", timed().max_by(by_value)), ("lowest", timed().min_by(by_value))] {
                lines.extend(sample.map(|sample| self.line(word, &self.name(series), sample)));
            }
        }
        let left_out = self.measured.series.len().saturating_sub(SHOWN) as u64;
        let title = format!("{} over its window", self.metric.query);
        (!lines.is_empty()).then(|| Evidence { left_out, ..Evidence::new(title, lines) })
    }

    fn line(&self, word: &str, name: &str, sample: &Sample) -> String {
        #[expect(clippy::cast_possible_truncation, reason = "milliseconds since 1970")]
        let at = sample.at.and_then(|at| DateTime::from_timestamp_millis((at * 1000.0) as i64)).unwrap_or_default();
        let at = at.with_timezone(&self.cx.timezone).format("%Y-%m-%d %H:%M:%S");
        format!("{word:<7}  {at}  {}  {name}", self.metric.unit.value(sample.value))
    }
}

/// Whether to say how much it grew: of what falls too, that would be nonsense.
fn wants_growth(series: &Series, cx: &Context) -> bool {
    series.is_counter() || cx.asked.iter().any(|fact| matches!(fact.as_str(), "increase" | "rate"))
}
