//! Series: what a source told of one thing, and what can be made of its samples.

use std::collections::BTreeMap;
use std::fmt::Write as _;

pub type Labels = BTreeMap<String, String>;

/// The label that holds a metric's name.
pub const NAME: &str = "__name__";

/// One number with its labels, over a time or not.
#[derive(Clone, Default, Debug)]
pub struct Series {
    pub labels: Labels,
    /// What it is now; none if that is not known.
    pub value: Option<f64>,
    /// In the order in which they were taken, or in no order where the source knows no time.
    pub samples: Vec<Sample>,
    /// How long ago the newest sample was taken, in seconds; none if the source does not tell.
    pub age: Option<f64>,
    /// The source says that it only grows.
    pub counter: bool,
}

#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// In seconds since 1970.
    pub at: Option<f64>,
    pub value: f64,
}

impl Series {
    /// In Prometheus's notation: `http_requests_total{code="500"}`; empty without name and labels.
    pub fn name(&self) -> String {
        let mut shown = self.labels.get(NAME).cloned().unwrap_or_default();
        let mut labels = self.labels.iter().filter(|(name, _)| *name != NAME).peekable();
        if labels.peek().is_some() {
            let pairs: Vec<String> = labels.map(|(name, value)| format!("{name}={value:?}")).collect();
            let _ = write!(shown, "{{{}}}", pairs.join(","));
        }
        shown
    }

    /// What it has in common with the series of another metric.
    pub fn labels_without_name(&self) -> Labels {
        self.labels
            .iter()
            .filter(|(name, _)| *name != NAME)
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }

    pub fn is_counter(&self) -> bool {
        let name = self.labels.get(NAME).map_or("", String::as_str);
        self.counter || ["_total", "_count", "_sum", "_bucket"].iter().any(|suffix| name.ends_with(suffix))
    }

    /// How much a counter grew from the first sample to the last, and in how many seconds. A counter that began again
    /// grew by what it shows since then.
    pub fn growth(&self) -> Option<(f64, f64)> {
        let seen: Vec<Sample> = self.samples.iter().filter(|sample| !sample.value.is_nan()).copied().collect();
        let time = seen.last()?.at? - seen.first()?.at?;
        let grown = seen.windows(2).map(|pair| grown(pair[0].value, pair[1].value)).sum();
        (time > 0.0).then_some((grown, time))
    }
}

/// From `then` to `now`.
pub fn grown(then: f64, now: f64) -> f64 {
    if now < then { now } else { now - then }
}

/// The samples that are numbers, from the smallest to the largest.
pub struct Sorted(Vec<f64>);

impl Sorted {
    pub fn of(samples: &[Sample]) -> Self {
        let mut numbers: Vec<f64> = samples.iter().map(|sample| sample.value).filter(|value| !value.is_nan()).collect();
        numbers.sort_by(f64::total_cmp);
        Self(numbers)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn minimum(&self) -> Option<f64> {
        self.0.first().copied()
    }

    pub fn maximum(&self) -> Option<f64> {
        self.0.last().copied()
    }

    pub fn average(&self) -> Option<f64> {
        (!self.0.is_empty()).then(|| self.0.iter().sum::<f64>() / self.0.len() as f64)
    }

    /// Between two samples by their distance, as Prometheus's `quantile_over_time` and PostgreSQL's `percentile_cont`.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank within the list")]
    pub fn percentile(&self, percent: f64) -> Option<f64> {
        let rank = percent / 100.0 * (self.0.len().checked_sub(1)? as f64);
        let (below, share) = (rank.floor() as usize, rank.fract());
        let (low, high) = (self.0[below], *self.0.get(below + 1).unwrap_or(&self.0[below]));
        // Nothing of what lies above, also where that is infinite.
        Some(if share == 0.0 || low == high { low } else { low + (high - low) * share })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(values: &[f64]) -> Vec<Sample> {
        let timed = values.iter().zip(0_u32..);
        timed.map(|(value, minute)| Sample { at: Some(f64::from(minute) * 60.0), value: *value }).collect()
    }

    fn sorted(values: &[f64]) -> Sorted {
        Sorted::of(&samples(values))
    }

    #[test]
    fn percentiles_lie_between_samples() {
        let ten = sorted(&[10.0, 1.0, 9.0, 2.0, 8.0, 3.0, 7.0, 4.0, 6.0, 5.0]);
        assert_eq!(ten.percentile(50.0), Some(5.5));
        assert!((ten.percentile(95.0).unwrap() - 9.55).abs() < 1e-9);
        assert_eq!((ten.minimum(), ten.maximum(), ten.average()), (Some(1.0), Some(10.0), Some(5.5)));
        assert_eq!(sorted(&[3.0]).percentile(99.0), Some(3.0));
        assert_eq!(sorted(&[]).percentile(50.0), None);
        assert_eq!(sorted(&[]).percentile(99.0), None);
    }

    #[test]
    fn what_is_not_a_number_is_no_sample_and_infinity_is_one() {
        let seen = sorted(&[1.0, f64::NAN, f64::INFINITY]);
        assert_eq!((seen.len(), seen.minimum(), seen.maximum()), (2, Some(1.0), Some(f64::INFINITY)));
    }

    #[test]
    fn a_counter_that_began_again_goes_on_growing() {
        let series = Series { samples: samples(&[100.0, 130.0, 5.0, 25.0]), ..Series::default() };
        assert_eq!(series.growth(), Some((30.0 + 5.0 + 20.0, 180.0)));
        let one = Series { samples: samples(&[100.0]), ..Series::default() };
        assert_eq!(one.growth(), None);
    }

    #[test]
    fn a_name_is_written_as_in_prometheus() {
        let labels = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            Series { labels: pairs.collect(), ..Series::default() }
        };
        assert_eq!(labels(&[(NAME, "up"), ("job", "a"), ("code", "500")]).name(), r#"up{code="500",job="a"}"#);
        assert_eq!(labels(&[("job", "a\"b")]).name(), r#"{job="a\"b"}"#);
        assert_eq!(labels(&[]).name(), "");
    }
}
