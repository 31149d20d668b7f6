//! What people write: procedures, site files, conditions, templates; and what the program wrote itself.

use std::path::Path;
use std::sync::Arc;

use super::{choice, text};
use crate::model::condition::Condition;
use crate::model::event::Event;
use crate::model::fact::FactType;
use crate::model::id::ProcedureId;
use crate::model::unit::{Quantity, parse_duration, parse_size};
use crate::procedure::diagnostic::{Diagnostics, Source};
use crate::procedure::document;
use crate::procedure::handbook::{self, Form};
use crate::procedure::inputs::Surroundings;
use crate::procedure::library::Library;
use crate::procedure::site::Site;
use crate::procedure::template::{self, Expression, Vars};
use crate::procedure::yaml::{self, Node, NodeKind, full, plain};

/// Paths in documents are relative to this folder, which does not exist.
const NOWHERE: &str = "/nowhere";

fn source(input: &[u8]) -> Arc<Source> {
    Arc::new(Source { name: "input.yaml".to_owned(), text: text(input).into_owned() })
}

fn show(problems: &Diagnostics) {
    assert!(!problems.is_empty(), "refused without a reason");
    for problem in &problems.0 {
        assert!(!problem.place().is_empty() || problem.source.is_none());
    }
    assert!([true, false].iter().all(|colour| !problems.render(*colour).is_empty()));
}

fn vars() -> Vars {
    let scalar = |text: &str| Node { span: 0..0, kind: NodeKind::Scalar { text: text.into(), quoted: false } };
    let list = Node { span: 0..0, kind: NodeKind::List(vec![scalar("one"), scalar("2")]) };
    [("name", scalar("shop")), ("limit", scalar("20")), ("urls", list)]
        .map(|(name, value)| (name.to_owned(), value))
        .into_iter()
        .collect()
}

/// A procedure, as `lint` reads it; one that is right also becomes a chapter of the handbook.
pub fn procedure(input: &[u8]) {
    let id: ProcedureId = "daily/check".parse().expect("an id");
    let databases = ["shop".to_owned()];
    let around = Surroundings { databases: &databases, procedures: None, folder: Path::new(NOWHERE) };
    match document::read(&id, &source(input), &vars(), &around) {
        Ok(procedure) => {
            let site = Site::of_this_machine("host");
            for form in [Form::Markdown, Form::Html] {
                handbook::render(std::slice::from_ref(&procedure), &site, &Library::default(), form)
                    .expect("a chapter");
            }
        }
        Err(problems) => show(&problems),
    }
}

/// A site file, as `lint` reads it.
pub fn site(input: &[u8]) {
    if let Err(problems) = Site::parse(source(input), &Path::new(NOWHERE).join("opsctl.yaml")) {
        show(&problems);
    }
}

/// What the short way through YAML reads, the full one reads alike.
pub fn yaml(input: &[u8]) {
    let source = source(input);
    let full = full::parse(&source);
    if let Some(node) = plain::parse(&source.text) {
        assert_eq!(Some(&node), full.as_ref().ok(), "the short way reads it otherwise");
    }
    match full {
        Ok(node) => drop(node.to_json()),
        Err(problems) => show(&Diagnostics(problems)),
    }
    drop(yaml::parse(&source));
    drop(crate::probe::compose::file::parse(&source.text));
}

/// A condition, and a quantity: what either prints is the same again.
pub fn condition(input: &[u8]) {
    const TYPES: [FactType; 11] = [
        FactType::Bool,
        FactType::Count,
        FactType::Percent,
        FactType::Size,
        FactType::SizeShare,
        FactType::Duration,
        FactType::Rate,
        FactType::Throughput,
        FactType::Text,
        FactType::Texts,
        FactType::Any,
    ];
    let Some((ty, rest)) = choice(&TYPES, input) else { return };
    let text = text(rest);
    match Condition::parse(&text, ty) {
        Ok(condition) => {
            let printed = condition.to_string();
            assert_eq!(Condition::parse(&printed, ty), Ok(condition), "printed as {printed}");
        }
        Err(error) => assert!(!error.message.is_empty()),
    }
    if let Ok(quantity) = text.parse::<Quantity>() {
        assert!(quantity.amount().is_finite() && !quantity.rounded().is_empty());
        assert_eq!(quantity.to_string().parse(), Ok(quantity));
    }
    parse_duration(&text).ok();
    parse_size(&text).ok();
}

/// A template, and an expression of `when` and `for_each`.
pub fn template(input: &[u8]) {
    let text = text(input);
    let context = template::context_of(&vars());
    template::render(&text, &context).ok();
    if let Some(reads) = template::scan::plain_reads(&text) {
        assert_eq!(Expression::read_by_engine(&text), Ok(reads), "the short way reads it otherwise");
    }
    if let Ok(expression) = Expression::new(&text) {
        expression.holds(&context).ok();
        expression.items(&context).ok();
        assert!(!expression.why_not(&context).is_empty());
        drop(expression.reads());
        assert!(expression.roots().chain(expression.vars()).all(|name| text.contains(name)));
    }
}

/// A stored event: read and written, it is the same again.
pub fn event(input: &[u8]) {
    let Ok(event) = serde_json::from_slice::<Event>(input) else { return };
    let written = serde_json::to_string(&event).expect("an event can be written");
    let again = serde_json::from_str::<Event>(&written).expect("what was written can be read");
    assert_eq!(serde_json::to_string(&again).ok(), Some(written), "an event changes when it is stored again");
}
