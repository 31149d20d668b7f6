//! Metrics as programs expose them: Prometheus's text format 0.0.4 and OpenMetrics.

use std::collections::HashMap;

use super::selector::{self, Matcher, Relation, Selector};
use super::series::{NAME, Sample, Series};

/// What stands in one exposition.
#[derive(Default, Debug)]
pub struct Exposition {
    lines: Vec<Line>,
    /// `counter`, `gauge`, `histogram`, ... by the name of the family.
    types: HashMap<String, String>,
}

#[derive(Debug)]
struct Line {
    name: String,
    labels: Vec<(String, String)>,
    sample: Sample,
}

impl Exposition {
    /// An error says which line is not one, and why.
    pub fn parse(text: &str) -> Result<Self, String> {
        // OpenMetrics ends with this line, and counts time in seconds.
        let open = text.trim_end().lines().last().is_some_and(|last| last.trim() == "# EOF");
        let mut all = Self::default();
        for (number, line) in text.lines().map(str::trim).enumerate() {
            if let Some(comment) = line.strip_prefix('#') {
                let mut words = comment.split_whitespace();
                if let (Some("TYPE"), Some(name), Some(kind)) = (words.next(), words.next(), words.next()) {
                    all.types.insert(name.trim_matches('"').to_owned(), kind.to_owned());
                }
            } else if !line.is_empty() {
                let read = read(line, if open { 1.0 } else { 1e-3 });
                all.lines.push(read.map_err(|why| format!("line {}: {why}", number + 1))?);
            }
        }
        if all.lines.is_empty() && all.types.is_empty() && !open {
            return Err("it is empty".to_owned());
        }
        Ok(all)
    }

    /// The series that `selector` selects; `now` is in seconds since 1970.
    pub fn select(&self, selector: &Selector, now: f64) -> Vec<Series> {
        let chosen = self.lines.iter().filter(|line| selector.selects(&line.name, &line.labels));
        let series = chosen.map(|line| Series {
            labels: line.labels.iter().cloned().chain([(NAME.to_owned(), line.name.clone())]).collect(),
            value: Some(line.sample.value),
            samples: Vec::new(),
            age: line.sample.at.map(|at| (now - at).max(0.0)),
            counter: self.is_counter(&line.name),
        });
        series.collect()
    }

    fn is_counter(&self, name: &str) -> bool {
        // OpenMetrics names the family without `_total`.
        let family = [name, name.strip_suffix("_total").unwrap_or(name)];
        family.iter().any(|name| self.types.get(*name).is_some_and(|kind| kind == "counter"))
    }

    /// Why nothing was selected, if it is plain.
    pub fn hint(&self, selector: &Selector) -> Option<String> {
        let name = selector.name.as_deref()?;
        match self.types.get(name).map(String::as_str) {
            Some(kind @ ("histogram" | "summary")) => {
                Some(format!("`{name}` is a {kind}: name one of its series, such as `{name}_count`"))
            }
            _ => {
                let total = format!("{name}_total");
                let known = |wanted: &str| self.lines.iter().any(|line| line.name == wanted);
                match (known(name), known(&total)) {
                    (true, _) => Some(format!("`{name}` is there, but with other labels")),
                    (false, true) => Some(format!("there is `{total}`")),
                    (false, false) => None,
                }
            }
        }
    }
}

/// `name{label="value"} 1.5 1395066363000`, in OpenMetrics with an exemplar behind it.
fn read(line: &str, tick: f64) -> Result<Line, String> {
    let (Selector { name, matchers }, rest) = selector::parse(line)?;
    let name = name.ok_or("it has no name")?;
    let labels: Result<Vec<_>, &str> = matchers
        .into_iter()
        .map(|Matcher { label, relation }| match relation {
            Relation::Is(value) => Ok((label, value)),
            _ => Err("a label is followed by `=`"),
        })
        .collect();
    let mut words = rest.split_whitespace().take_while(|word| !word.starts_with('#'));
    let value = words.next().ok_or("it has no value")?;
    let value: f64 = value.parse().map_err(|_| format!("`{value}` is not a number"))?;
    let at = words.next().map(|at| at.parse::<f64>().map_err(|_| format!("`{at}` is not a time"))).transpose()?;
    if let Some(more) = words.next() {
        return Err(format!("`{more}` is one word too many"));
    }
    Ok(Line { name, labels: labels?, sample: Sample { at: at.map(|at| at * tick), value } })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn select(text: &str, query: &str) -> Vec<(String, f64, Option<f64>)> {
        let seen = Exposition::parse(text).expect("an exposition");
        let series = seen.select(&Selector::of(query).expect("a selector"), 1_395_066_400.0);
        series.iter().map(|one| (one.name(), one.value.expect("a value"), one.age)).collect()
    }

    fn one(name: &str, value: f64, age: Option<f64>) -> (String, f64, Option<f64>) {
        (name.to_owned(), value, age)
    }

    const CLASSIC: &str = r#"
# HELP http_requests_total The total number of HTTP requests.
# TYPE http_requests_total counter
http_requests_total{method="post",code="200"} 1027 1395066363000
http_requests_total{method="post",code="400",}    3
# Escaping in label values:
msdos_file_access_time_seconds{path="C:\\DIR\\FILE.TXT",error="Cannot find file:\n\"FILE.TXT\""} 1.458255915e9
metric_without_timestamp_and_labels 12.47
something_weird{problem="division by zero"} +Inf -3982045
# TYPE rpc_seconds histogram
rpc_seconds_bucket{le="+Inf"} 7
rpc_seconds_count 7
"#;

    #[test]
    fn the_text_format_is_read_with_labels_escapes_and_times() {
        assert_eq!(
            select(CLASSIC, "metric_without_timestamp_and_labels"),
            [one("metric_without_timestamp_and_labels", 12.47, None)]
        );
        let post = r#"http_requests_total{code="200",method="post"}"#;
        assert_eq!(select(CLASSIC, r#"http_requests_total{code="200"}"#), [one(post, 1027.0, Some(37.0))]);
        assert_eq!(select(CLASSIC, "http_requests_total").len(), 2);
        assert_eq!(select(CLASSIC, r#"http_requests_total{code=~"4..",method!="get"}"#).len(), 1);
        let file = r#"{path="C:\\DIR\\FILE.TXT",error=~"Cannot.*\n.FILE.TXT."}"#;
        assert_eq!(select(CLASSIC, file).len(), 1);
        assert_eq!(select(CLASSIC, "something_weird")[0].1, f64::INFINITY);
    }

    #[test]
    fn openmetrics_counts_time_in_seconds_and_may_have_exemplars() {
        let text = "# TYPE foo counter\nfoo_total 17.0 1395066390.5 # {trace_id=\"a\"} 0.67 1395066390\n\
                    {\"dotted.name\",a=\"b\"} 2\n# EOF\n";
        assert_eq!(select(text, "foo_total"), [one("foo_total", 17.0, Some(9.5))]);
        assert_eq!(select(text, "{\"dotted.name\"}")[0].1, 2.0);
        let seen = Exposition::parse(text).unwrap();
        assert!(seen.select(&Selector::of("foo_total").unwrap(), 0.0)[0].counter);
    }

    #[test]
    fn what_is_no_exposition_is_refused_by_its_line() {
        for (text, line, why) in [
            ("<!doctype html>\n", 1, "no name"),
            ("up 1\nup", 2, "no value"),
            ("up one", 1, "`one` is not a number"),
            ("up 1 soon", 1, "`soon` is not a time"),
            ("up 1 2 3", 1, "too many"),
            ("up{a=\"b} 1", 1, "quote"),
            ("up{a=~\"b\"} 1", 1, "`=`"),
            ("{a=\"b\"} 1", 1, "no name"),
        ] {
            let error = Exposition::parse(text).expect_err(text);
            assert!(error.starts_with(&format!("line {line}: ")) && error.contains(why), "{error}");
        }
        assert!(Exposition::parse("").is_err());
    }

    #[test]
    fn a_name_that_is_not_there_has_a_hint_where_it_is_nearly_there() {
        let seen = Exposition::parse(CLASSIC).unwrap();
        let hint = |query| seen.hint(&Selector::of(query).unwrap()).unwrap_or_default();
        assert!(hint("rpc_seconds").contains("rpc_seconds_count"));
        assert!(hint("http_requests").contains("http_requests_total"));
        assert!(hint("http_requests_total{code=\"7\"}").contains("other labels"));
        assert_eq!(hint("nothing"), "");
    }
}
