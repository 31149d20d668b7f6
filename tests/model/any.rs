//! Anything that can be: texts that look like something else, every form of condition, every value.

use chrono::{DateTime, Duration, Utc};
use opsctl::model::condition::{Condition, Direction, Earlier, Literal, Period, Relation};
use opsctl::model::expectation::{Baseline, Reading};
use opsctl::model::fact::FactType;
use opsctl::model::pattern::Pattern;
use opsctl::model::unit::{Dimension, Quantity};
use opsctl::model::value::Value;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

pub const DIMENSIONS: [Dimension; 6] =
    [Dimension::Count, Dimension::Percent, Dimension::Size, Dimension::Time, Dimension::Rate, Dimension::Throughput];

pub const TYPES: [FactType; 11] = [
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

/// Texts that look like something else in the grammar.
const TRICKY: &[&str] = &[
    "not",
    "not x",
    "one of [a]",
    "all of",
    "any of [a, b]",
    "above 5",
    "at most 10",
    "> 5",
    "<",
    "5..7",
    "a..b",
    "contains x",
    "matches",
    "starts with",
    "within 30% of previous",
    "rises below 5% per day",
    "true",
    "false",
    "007",
    "+5",
    "1_000",
    "5",
    "5.0",
    "20%",
    "1 GiB",
    "10/min",
    "5MiB/s",
    "\"",
    "\"quoted\"",
    "a \"b\" c",
    "a, b",
    "[",
    "]",
    "[a, b]",
    "\\",
    "a\\",
    "\\\"",
    " x",
    "x ",
    "a\nb",
    "\t",
    "\u{a0}x",
    "zażółć",
    "日本",
    "𝄞",
    "e\u{301}",
    "\u{2028}",
    "\u{feff}",
    "null",
    "~",
    "{{ x }}",
    "'",
    "#",
    "a: b",
    "-",
];

pub fn text() -> impl Strategy<Value = String> {
    let part = prop_oneof![select(TRICKY).prop_map(str::to_owned), any::<String>(), "[a-z ,\\[\\]\"\\\\.]{0,8}"];
    prop_oneof![3 => part.clone(), 1 => (part.clone(), part).prop_map(|(one, other)| format!("{one} {other}"))]
}

fn some_text() -> impl Strategy<Value = String> {
    text().prop_filter("every text contains the empty one", |text| !text.is_empty())
}

pub fn amount() -> impl Strategy<Value = f64> {
    use proptest::num::f64::{NEGATIVE, NORMAL, POSITIVE, SUBNORMAL, ZERO};
    prop_oneof![
        POSITIVE | NEGATIVE | NORMAL | SUBNORMAL | ZERO,
        (-1e6..1e6_f64),
        (-5_000_i32..5_000).prop_map(f64::from),
        (0_u32..5_000, select(&[1024.0, 1_048_576.0, 60.0, 3600.0, 86_400.0, 1e-3, 0.1]))
            .prop_map(|(n, by)| f64::from(n) * by),
    ]
}

pub fn quantity_in(dimension: Dimension) -> impl Strategy<Value = Quantity> {
    amount().prop_map(move |amount| Quantity::new(amount, dimension))
}

fn dimension_of(ty: FactType) -> impl Strategy<Value = Dimension> {
    select(DIMENSIONS.into_iter().filter(|dimension| ty.admits(*dimension)).collect::<Vec<_>>())
}

fn quantity_for(ty: FactType) -> impl Strategy<Value = Quantity> {
    dimension_of(ty).prop_flat_map(quantity_in)
}

/// A whole number without a unit is an integer, however it was written.
fn number(quantity: Quantity) -> Literal {
    let amount = quantity.amount();
    let whole = quantity.dimension() == Dimension::Count && amount.fract() == 0.0 && amount.abs() < 9e18;
    if whole {
        #[expect(clippy::cast_possible_truncation, reason = "checked just above")]
        Literal::Integer(amount as i64)
    } else {
        Literal::Number(quantity)
    }
}

fn literal(ty: FactType) -> BoxedStrategy<Literal> {
    let flag = any::<bool>().prop_map(Literal::Bool);
    match ty {
        FactType::Bool => flag.boxed(),
        FactType::Text => text().prop_map(Literal::Text).boxed(),
        FactType::Any => prop_oneof![
            flag,
            text().prop_map(Literal::Text),
            any::<i64>().prop_map(Literal::Integer),
            quantity_for(ty).prop_map(number),
        ]
        .boxed(),
        FactType::Count => {
            prop_oneof![any::<i64>().prop_map(Literal::Integer), quantity_for(ty).prop_map(number)].boxed()
        }
        FactType::Percent
        | FactType::Size
        | FactType::SizeShare
        | FactType::Duration
        | FactType::Rate
        | FactType::Throughput => quantity_for(ty).prop_map(number).boxed(),
        FactType::Texts => unreachable!("a list equals nothing"),
    }
}

fn relation() -> impl Strategy<Value = Relation> {
    select(&[Relation::Above, Relation::AtLeast, Relation::Below, Relation::AtMost])
}

fn earlier() -> impl Strategy<Value = Earlier> {
    prop_oneof![Just(Earlier::Previous), (1_usize..=1000).prop_map(Earlier::Median)]
}

fn limits(ty: FactType) -> BoxedStrategy<Condition> {
    let between = dimension_of(ty).prop_flat_map(|dimension| (quantity_in(dimension), quantity_in(dimension)));
    let between = between.prop_map(|(one, other)| {
        if one.amount() <= other.amount() { Condition::Between(one, other) } else { Condition::Between(other, one) }
    });
    let by = prop_oneof![quantity_for(ty), quantity_in(Dimension::Percent)];
    let changes = (
        select(&[Direction::Rises, Direction::Falls]),
        relation(),
        by,
        select(&[Period::Hour, Period::Day, Period::Week]),
    )
        .prop_map(|(direction, relation, by, per)| Condition::Changes { direction, relation, by, per });
    prop_oneof![
        between,
        (relation(), quantity_for(ty)).prop_map(|(relation, limit)| Condition::Limit(relation, limit)),
        (0.0..1e5_f64, earlier()).prop_map(|(percent, of)| Condition::Within { percent, of }),
        (relation(), amount(), earlier()).prop_map(|(relation, percent, of)| Condition::Relative {
            relation,
            percent,
            of
        }),
        changes,
    ]
    .boxed()
}

fn text_tests(ty: FactType) -> BoxedStrategy<Condition> {
    let patterns =
        select(&["^ok$", "a|b", "[a-z, ]+", "\\berror\\b", "\"quoted\"", "not ok", "(?i)x", " ", "5..7"][..]);
    let matches = patterns.prop_map(|pattern| Condition::Matches(Pattern::new(pattern).expect("a pattern")));
    let contains = some_text().prop_map(Condition::Contains);
    if ty == FactType::Texts {
        return prop_oneof![contains, matches].boxed();
    }
    let (starts, ends) = (some_text().prop_map(Condition::StartsWith), some_text().prop_map(Condition::EndsWith));
    prop_oneof![contains, matches, starts, ends].boxed()
}

fn equals(ty: FactType) -> BoxedStrategy<Condition> {
    prop_oneof![literal(ty).prop_map(Condition::Is), vec(literal(ty), 1..4).prop_map(Condition::OneOf)].boxed()
}

/// Every form that a fact of type `ty` admits, nested.
pub fn condition(ty: FactType) -> BoxedStrategy<Condition> {
    let leaf = match ty {
        FactType::Bool => equals(ty),
        FactType::Text => prop_oneof![equals(ty), text_tests(ty)].boxed(),
        FactType::Texts => text_tests(ty),
        FactType::Any => prop_oneof![equals(ty), text_tests(ty), limits(ty)].boxed(),
        FactType::Count
        | FactType::Percent
        | FactType::Size
        | FactType::SizeShare
        | FactType::Duration
        | FactType::Rate
        | FactType::Throughput => prop_oneof![equals(ty), limits(ty)].boxed(),
    };
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|inner| Condition::Not(Box::new(inner))),
            vec(inner.clone(), 1..4).prop_map(Condition::All),
            vec(inner, 1..4).prop_map(Condition::Any),
        ]
    })
    .boxed()
}

pub fn any_condition() -> impl Strategy<Value = Condition> {
    select(&TYPES).prop_flat_map(condition)
}

/// Every value; `numbers` makes the amounts.
pub fn value_of(numbers: BoxedStrategy<f64>) -> impl Strategy<Value = Value> {
    let quantity =
        (numbers.clone(), select(&DIMENSIONS)).prop_map(|(amount, dimension)| Quantity::new(amount, dimension));
    let share =
        (numbers, any::<u64>()).prop_map(|(percent, bytes)| Value::Share { percent, amount: Quantity::bytes(bytes) });
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Integer),
        quantity.clone().prop_map(Value::Number),
        share,
        text().prop_map(Value::Text),
    ];
    leaf.prop_recursive(2, 8, 4, |inner| vec(inner, 0..4).prop_map(Value::List))
}

/// A value with any finite number.
pub fn value() -> impl Strategy<Value = Value> {
    value_of(amount().boxed())
}

/// A past that is the same for every fact.
#[derive(Clone, Debug)]
pub struct Past {
    pub now: DateTime<Utc>,
    pub readings: Vec<Reading>,
}

impl Baseline for Past {
    fn now(&self) -> DateTime<Utc> {
        self.now
    }

    fn earlier(&self, _subject: &str, _fact: &str) -> &[Reading] {
        &self.readings
    }
}

/// Any readings, those of the future included: clocks are set back.
pub fn past(now: DateTime<Utc>) -> impl Strategy<Value = Past> {
    let reading =
        (-1000_i64..100_000, any::<f64>(), select(&DIMENSIONS)).prop_map(move |(minutes, amount, dimension)| Reading {
            at: now - Duration::minutes(minutes),
            value: Quantity::new(amount, dimension),
        });
    vec(reading, 0..8).prop_map(move |readings| Past { now, readings })
}
