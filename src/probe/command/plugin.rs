//! The answer of a monitoring plugin, by the development guidelines of the Monitoring Plugins project.

use crate::model::fact::Subject;
use crate::model::unit::{Dimension, Quantity};
use crate::model::value::Value;

/// Sets `state`, `message` and `perf.LABEL`.
pub fn facts(subject: &mut Subject, exit: Option<i32>, stdout: &str) {
    match exit {
        Some(0) => subject.set("state", Value::text("ok")),
        Some(1) => subject.set("state", Value::text("warning")),
        Some(2) => subject.set("state", Value::text("critical")),
        Some(3) => subject.set("state", Value::text("unknown")),
        Some(other) => subject.note(format!("exit status {other} is none of a monitoring plugin (0 to 3)")),
        None => {}
    }
    let mut lines = stdout.lines();
    let (message, first) = split(lines.next().unwrap_or_default());
    if !message.is_empty() {
        subject.set("message", Value::text(message));
    }
    let mut data = vec![first];
    // After the first line comes more text for people, then after one `|` nothing but performance data.
    let mut is_data = false;
    for line in lines {
        if is_data {
            data.push(line);
        } else if line.contains('|') {
            is_data = true;
            data.push(split(line).1);
        }
    }
    for (label, value) in data.into_iter().flat_map(readings) {
        subject.set(format!("perf.{label}"), value);
    }
}

fn split(line: &str) -> (&str, &str) {
    let (text, data) = line.split_once('|').unwrap_or((line, ""));
    (text.trim(), data.trim())
}

/// The readings of `'label'=value[unit];warn;crit;min;max ...`; what is no number (`U`: unknown) is left out.
fn readings(data: &str) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    let mut rest = data.trim_start();
    while let Some((label, after)) = label(rest) {
        let end = after.find(char::is_whitespace).unwrap_or(after.len());
        let value = after[..end].split(';').next().unwrap_or_default();
        found.extend(reading(value).map(|value| (label, value)));
        rest = after[end..].trim_start();
    }
    found
}

/// The label before `=`, and what follows it. In a quoted label `''` stands for a quote.
fn label(text: &str) -> Option<(String, &str)> {
    let Some(mut rest) = text.strip_prefix('\'') else {
        let (label, after) = text.split_once('=')?;
        return Some((label.to_owned(), after));
    };
    let mut label = String::new();
    loop {
        let (part, after) = rest.split_once('\'')?;
        label.push_str(part);
        match after.strip_prefix('\'') {
            Some(more) => {
                label.push('\'');
                rest = more;
            }
            None => return Some((label, after.strip_prefix('=')?)),
        }
    }
}

fn reading(text: &str) -> Option<Value> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-' | '+'))).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let (worth, dimension) = match unit {
        "" | "c" => {
            if let Ok(integer) = digits.parse() {
                return Some(Value::Integer(integer));
            }
            (1.0, Dimension::Count)
        }
        "s" => (1.0, Dimension::Time),
        "ms" => (1e-3, Dimension::Time),
        "us" | "µs" => (1e-6, Dimension::Time),
        "%" => (1.0, Dimension::Percent),
        _ => (bytes(unit).unwrap_or(1.0), if bytes(unit).is_some() { Dimension::Size } else { Dimension::Count }),
    };
    digits.parse::<f64>().ok().map(|amount| Value::Number(Quantity::new(amount * worth, dimension)))
}

/// What a unit of size is worth. `KB` is 1,000 bytes, as everywhere in procedures, so that a limit of `100MB` means the
/// number that the plugin prints.
fn bytes(unit: &str) -> Option<f64> {
    let (prefix, base) = match unit.strip_suffix('B')? {
        "" => return Some(1.0),
        prefix => match prefix.strip_suffix('i') {
            Some(prefix) => (prefix, 1024.0_f64),
            None => (prefix, 1000.0),
        },
    };
    let power = ["K", "M", "G", "T", "P"].iter().position(|known| known.eq_ignore_ascii_case(prefix))?;
    Some(base.powi(i32::try_from(power).ok()? + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn perf(data: &str) -> Vec<(String, String)> {
        readings(data).into_iter().map(|(label, value)| (label, format!("{value:?}"))).collect()
    }

    fn one(data: &str) -> Value {
        readings(&format!("x={data}")).remove(0).1
    }

    #[test]
    fn units_become_units() {
        let number = |amount, dimension| Value::Number(Quantity::new(amount, dimension));
        assert_eq!(one("0.25s;1;2;0;10"), number(0.25, Dimension::Time));
        assert_eq!(one("250ms"), number(0.25, Dimension::Time));
        assert_eq!(one("500000us"), number(0.5, Dimension::Time));
        assert_eq!(one("2643MB;5948;5958;0;5968"), number(2.643e9, Dimension::Size));
        assert_eq!(one("2GiB"), number(2_147_483_648.0, Dimension::Size));
        assert_eq!(one("12B"), number(12.0, Dimension::Size));
        assert_eq!(one("93.5%"), number(93.5, Dimension::Percent));
        assert_eq!(one("-1.9"), number(-1.9, Dimension::Count));
        assert_eq!(one("42"), Value::Integer(42));
        assert_eq!(one("123456789c"), Value::Integer(123_456_789));
        assert_eq!(one("1500rpm"), number(1500.0, Dimension::Count));
    }

    #[test]
    fn labels_may_be_quoted_and_unknown_values_are_left_out() {
        let seen = perf("'C:\\ it''s used'=5 gone=U /var=7;;;;  load1=0.5 rubbish");
        let labels: Vec<&str> = seen.iter().map(|(label, _)| label.as_str()).collect();
        assert_eq!(labels, ["C:\\ it's used", "/var", "load1"]);
        assert_eq!(perf("'open=5"), []);
        assert_eq!(perf("=;"), []);
    }

    #[test]
    fn performance_data_goes_on_after_the_text_for_people() {
        let mut subject = Subject::new("x");
        facts(
            &mut subject,
            Some(2),
            "DISK CRITICAL - / full | /=9MB\nmore for people\nand more | /var=1MB\n/tmp=2MB\n",
        );
        let names: Vec<&str> = subject.facts.keys().map(String::as_str).collect();
        assert_eq!(names, ["state", "message", "perf./", "perf./var", "perf./tmp"]);
        assert_eq!(subject.facts["state"], Value::text("critical"));
        assert_eq!(subject.facts["message"], Value::text("DISK CRITICAL - / full"));
    }
}
