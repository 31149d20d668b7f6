//! The written form of conditions and quantities.

use opsctl::model::condition::{Condition, Literal};
use opsctl::model::fact::FactType;
use opsctl::model::unit::{Quantity, parse_duration, parse_size};
use proptest::prelude::*;
use proptest::sample::select;

use super::any::{self, DIMENSIONS, TYPES};
use super::{cases, parse};

proptest! {
    #![proptest_config(cases(2000))]

    #[test]
    fn what_a_condition_prints_is_the_same_condition(
        (ty, condition) in select(&TYPES).prop_flat_map(|ty| (Just(ty), any::condition(ty)))
    ) {
        let printed = condition.to_string();
        prop_assert_eq!(Condition::parse(&printed, ty), Ok(condition), "printed as {}", printed);
    }

    #[test]
    fn what_was_parsed_prints_as_the_same_condition(text in any::text(), ty in select(&TYPES)) {
        if let Ok(condition) = Condition::parse(&text, ty) {
            let printed = condition.to_string();
            prop_assert_eq!(Condition::parse(&printed, ty), Ok(condition), "printed as {}", printed);
        }
    }

    #[test]
    fn what_a_quantity_prints_is_the_same_quantity(
        quantity in select(&DIMENSIONS).prop_flat_map(any::quantity_in)
    ) {
        prop_assert_eq!(quantity.to_string().parse::<Quantity>(), Ok(quantity));
        prop_assert!(!quantity.rounded().is_empty());
    }

    #[test]
    fn no_text_is_a_quantity_that_is_not_finite(text in "[-+]?[0-9]{1,400}(\\.[0-9]{1,20})? ?(%|B|TiB|w|ms|/min|/s|Gbit/s)?") {
        if let Ok(quantity) = text.parse::<Quantity>() {
            prop_assert!(quantity.amount().is_finite());
        }
        parse_duration(&text).ok();
        parse_size(&text).ok();
    }
}

#[test]
fn a_number_too_large_for_its_unit_is_refused_and_not_zero() {
    let text = format!("{}TiB", "9".repeat(305));
    assert!(text.parse::<Quantity>().is_err());
}

#[test]
fn a_whole_number_is_an_integer_however_it_is_written() {
    for text in ["5", "5.0", "+5", "5.00"] {
        assert_eq!(parse(text, FactType::Any), Condition::Is(Literal::Integer(5)), "{text}");
        assert_eq!(parse(text, FactType::Count), Condition::Is(Literal::Integer(5)), "{text}");
    }
}

#[test]
fn symbols_and_words_say_the_same() {
    for (symbol, word) in
        [("> 20%", "above 20%"), (">= 20%", "at least 20%"), ("<20%", "below 20%"), ("<= 20%", "at most 20%")]
    {
        assert_eq!(parse(symbol, FactType::Percent), parse(word, FactType::Percent));
    }
}

/// What is refused, with the message and the help.
#[test]
fn conditions_that_do_not_fit_are_refused_with_an_example() {
    let refused = |text: &str, ty: FactType| {
        let error = Condition::parse(text, ty).expect_err(text);
        format!("{} | {}", error.message, error.help)
    };
    let lines = [
        refused("above 20%", FactType::Size),
        refused("above 20", FactType::Duration),
        refused("above 20%", FactType::Bool),
        refused("above five", FactType::Count),
        refused("above 5 parsec", FactType::Duration),
        refused("299..200", FactType::Count),
        refused("contains", FactType::Text),
        refused("matches (", FactType::Text),
        refused("starts with x", FactType::Texts),
        refused("within 30% of yesterday", FactType::Count),
        refused("within -5% of previous", FactType::Count),
        refused("rises below 5%", FactType::Count),
        refused("one of []", FactType::Count),
        refused("", FactType::Text),
        refused(&"not ".repeat(40), FactType::Text),
    ];
    assert_eq!(lines.join("\n"), REFUSED.trim());
}

const REFUSED: &str = r#"
`20%` is a percentage, such as `20%`, which does not fit a size | write for example `at least 512MiB`
`20` is a number without a unit, such as `3`, which does not fit a duration | write for example `below 2s`
`above 20%` does not fit a fact that is a yes or no | write for example `true`
`five` is not a number; write a number and a unit, such as `20%`, `512MiB`, `2s` or `10/min` | write for example `at most 10`
`parsec` is not a unit; the units are %, B KiB MiB GiB TiB, kB MB GB TB, ms s m h d w, /s /min, B/s KiB/s MiB/s GiB/s Mbit/s Gbit/s | write for example `below 2s`
`299..200` is not a range | write the lower end first: `200..299`
`contains` nothing holds for every text | write what it contains, such as `contains ok`
`(` is not a regular expression: unclosed group | test it with `grep -P`, and quote it with '...' in YAML
`starts with x` does not fit a fact that is a list | write for example `contains ok`
`yesterday` does not say which earlier value is meant | write for example `within 30% of median(14)`, `at most 150% of previous` or `rises below 5% per day`
`within -5% of previous` is a distance below zero | write for example `within 30% of previous`
`rises below 5%` does not say which earlier value is meant | write for example `within 30% of median(14)`, `at most 150% of previous` or `rises below 5% per day`
an empty item in a list | remove it, or write what is allowed
the condition is empty | write what is expected; the empty text is `'""'`
the condition is nested too deeply | write it in fewer levels
"#;
