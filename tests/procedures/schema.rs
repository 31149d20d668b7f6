//! Editors read the schema, the program reads the file: both accept, or both refuse.

use std::sync::Arc;

use opsctl::procedure::diagnostic::Source;
use opsctl::procedure::{schema, yaml};
use proptest::prelude::*;
use serde_json::Value as Json;

use super::Case;
use crate::model::cases;

use super::corpus::{PROCEDURES, Refused, SITES, STEP, STEPS};

fn json(text: &str) -> Json {
    let source = Arc::new(Source { name: "a.yaml".to_owned(), text: text.to_owned() });
    yaml::parse(&source).unwrap_or_else(|_| panic!("no YAML: {text}")).to_json()
}

fn validator(schema: &Json) -> jsonschema::Validator {
    jsonschema::draft202012::meta::validate(schema).expect("the schema is a JSON Schema");
    jsonschema::validator_for(schema).expect("the schema can be used")
}

/// The lines on which the two do not say what they should.
fn disagreements<'c>(
    schema: &Json,
    corpus: impl Iterator<Item = (Refused, &'c str, String)>,
    load: impl Fn(&str) -> String,
) -> Vec<String> {
    let validator = validator(schema);
    let mut wrong = Vec::new();
    for (wanted, line, text) in corpus {
        let (said, by_schema) =
            (load(&text), validator.iter_errors(&json(&text)).map(|error| error.to_string()).collect::<Vec<_>>());
        let seen = match (said.is_empty(), by_schema.is_empty()) {
            (true, true) => Some(Refused::Nobody),
            (false, false) => Some(Refused::Both),
            (false, true) => Some(Refused::LoaderOnly),
            (true, false) => None,
        };
        if seen != Some(wanted) {
            let first = said.lines().next().unwrap_or("accepts");
            let schema = by_schema.first().map_or("accepts", String::as_str);
            let schema: String = schema.chars().take(300).collect();
            wrong.push(format!("{line}\n  wanted {wanted:?}\n  loader: {first}\n  schema: {schema}"));
        }
    }
    wrong
}

#[track_caller]
fn assert_none(wrong: &[String]) {
    assert!(wrong.is_empty(), "{}\n{} in all", wrong.join("\n"), wrong.len());
}

fn procedure(text: &str) -> String {
    Case::new().with("pack/daily/check.yaml", text).complaints()
}

#[test]
fn schema_and_loader_agree_on_steps() {
    let corpus = STEPS.iter().map(|&(refused, step)| (refused, step, format!("title: A\nsteps:\n  - {step}\n")));
    assert_none(&disagreements(&schema::procedure(), corpus, procedure));
}

proptest! {
    #![proptest_config(cases(500))]

    /// Numbers with units, as people write them and as they mistype them.
    #[test]
    fn schema_and_loader_agree_on_what_a_limit_is(
        words in "(above|at least|> ?|below|within|rises below|not at most|)",
        number in " ?[-+]?[0-9_.]{1,4} ?",
        rest in "(%|GiB|kB|s|/min|x|)( of previous| of median\\(3\\)| per day| per year|)",
    ) {
        let condition = format!("{words}{number}{rest}");
        let step = format!("{{ id: a, probe: {{ memory: }}, expect: {{ available: '{condition}' }} }}");
        let text = format!("title: A\nsteps:\n  - {step}\n");
        let valid = LIMITS.get_or_init(|| validator(&schema::procedure())).is_valid(&json(&text));
        let said = procedure(&text);
        prop_assert_eq!(valid, said.is_empty(), "`{}`: {}", condition, said);
    }
}

static LIMITS: std::sync::OnceLock<jsonschema::Validator> = std::sync::OnceLock::new();

#[test]
fn schema_and_loader_agree_on_procedures() {
    let corpus = PROCEDURES.iter().map(|&(refused, text)| {
        let whole = text
            .replace("[S", &format!("[{STEP}"))
            .replace("S]", &format!("{STEP}]"))
            .replace(": S ", &format!(": {STEP} "));
        (refused, text, whole)
    });
    assert_none(&disagreements(&schema::procedure(), corpus, procedure));
}

#[test]
fn schema_and_loader_agree_on_site_files() {
    let corpus = SITES.iter().map(|&(refused, text)| (refused, text, text.to_owned()));
    let load = |text: &str| match Case::new().with("opsctl.yaml", text).site() {
        Ok(_) => String::new(),
        Err(wrong) => wrong.render(false),
    };
    assert_none(&disagreements(&schema::site(), corpus, load));
}
