//! Expressions: `when`, `for_each`.

use compact_str::CompactString;
use minijinja::Value;

use super::{Reads, describe, environment, first_part, is_function, reads_of, scan, sorted};

/// An expression of `when`, checked.
#[derive(Clone, Debug)]
pub struct Expression {
    pub text: String,
    /// What it reads, sorted: `steps.home_page.outcome`, `vars.site_url`.
    reads: Vec<CompactString>,
}

impl Expression {
    /// Compiles `text`.
    ///
    /// # Errors
    /// It is no expression; the message says why.
    pub fn new(text: &str) -> Result<Self, String> {
        let reads = scan::plain_reads(text).map_or_else(|| Self::read_by_engine(text), Ok)?;
        Ok(Self { text: text.to_owned(), reads })
    }

    /// What the template engine finds that `text` reads.
    ///
    /// # Errors
    /// It is no expression; the message says why.
    pub fn read_by_engine(text: &str) -> Result<Vec<CompactString>, String> {
        let compiled = environment().compile_expression(text).map_err(|error| describe(&error))?;
        Ok(sorted(compiled.undeclared_variables(true)))
    }

    #[must_use]
    pub fn reads(&self) -> Reads {
        reads_of(&self.reads, std::iter::once(self.text.as_str()))
    }

    /// The names at the start of what it reads: `vars`, `steps`, `run`, or something unknown.
    pub fn roots(&self) -> impl Iterator<Item = &str> {
        let roots = self.reads.iter().map(|name| first_part(name));
        roots.filter(|name| matches!(*name, "vars" | "steps" | "run") || !is_function(name))
    }

    /// Whether it reads steps, and no variable.
    #[must_use]
    pub fn is_of_steps_alone(&self) -> bool {
        !self.reads.is_empty() && self.reads.iter().all(|name| name == "steps" || name.starts_with("steps."))
    }

    /// The variables that it reads as `vars.NAME`.
    pub fn vars(&self) -> impl Iterator<Item = &str> {
        self.reads.iter().filter_map(|name| name.strip_prefix("vars.").map(first_part))
    }

    /// The expression if it is nothing but a name: `vars.site_url`.
    #[must_use]
    pub fn lone_name(&self) -> Option<&str> {
        self.reads.first().filter(|name| *name == self.text.trim()).map(CompactString::as_str)
    }

    /// The name that has to hold for the whole to hold: `vars.web_service and ...`.
    #[must_use]
    pub fn condition(&self) -> Option<&str> {
        let (name, others) = self.text.trim().split_once(" and ")?;
        let is_weaker = |word: &str| matches!(word, "or" | "if");
        (self.reads.iter().any(|read| read == name) && !others.split_ascii_whitespace().any(is_weaker)).then_some(name)
    }

    /// A lone name is looked up; where nothing is found, the engine says why.
    fn value(&self, context: &Value) -> Result<Value, String> {
        let look = |name: &str| name.split('.').try_fold(context.clone(), |value, part| value.get_attr(part).ok());
        if let Some(value) = self.lone_name().and_then(look).filter(|value| !value.is_undefined()) {
            return Ok(value);
        }
        let compiled = environment().compile_expression(&self.text);
        compiled.and_then(|compiled| compiled.eval(context)).map_err(|error| describe(&error))
    }

    /// The list that it gives.
    ///
    /// # Errors
    /// It gives no list, reads something that is not there, or does not end.
    pub fn items(&self, context: &Value) -> Result<Vec<Value>, String> {
        let value = self.value(context)?;
        match value.kind() {
            minijinja::value::ValueKind::Seq | minijinja::value::ValueKind::Iterable => {
                value.try_iter().map(Iterator::collect).map_err(|error| describe(&error))
            }
            kind => Err(format!("it gives {kind}, not a list")),
        }
    }

    /// Whether it holds.
    ///
    /// # Errors
    /// It reads something that is not there, or does not end.
    pub fn holds(&self, context: &Value) -> Result<bool, String> {
        Ok(self.value(context)?.is_true())
    }

    /// Why it does not hold, for people: what a lone name stands for, or else that it is false.
    #[must_use]
    pub fn why_not(&self, context: &Value) -> String {
        let (Some(name), Ok(value)) = (self.lone_name(), self.value(context)) else {
            return format!("`when: {}` is false", self.text.trim());
        };
        let state = match value {
            value if value.is_undefined() || value.is_none() => "is not set",
            value if value.len() == Some(0) => "is empty",
            _ => "is false",
        };
        // As it is written in the site file.
        format!("`{}` {state}", name.strip_prefix("vars.").unwrap_or(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read without the engine must be right for the engine.
    #[test]
    fn the_short_way_reads_expressions_as_the_engine_does() {
        let parts = [
            "steps.a.b",
            "vars.c",
            "not",
            "is",
            "passed",
            "is not failed",
            "== 'x'",
            ">=",
            "2",
            "and",
            "or",
            "(",
            ")",
            "in ['x', 2]",
            "not in [",
            "]",
            "",
            "['x']",
        ];
        let mut known = 0;
        for number in 0..parts.len().pow(4) {
            let part = |place: u32| parts[number / parts.len().pow(place) % parts.len()];
            let text = [part(0), part(1), part(2), part(3)].join(" ");
            if let Some(reads) = scan::plain_reads(&text) {
                known += 1;
                assert_eq!(Ok(reads), Expression::read_by_engine(&text), "{text}");
            }
        }
        assert!(known > 400, "{known}");
    }

    #[test]
    fn usual_expressions_take_the_short_way() {
        let reads = |text| scan::plain_reads(text).map(|reads| reads.join(" "));
        let read = |text: &str| Some(text.to_owned());
        assert_eq!(
            reads("vars.a and not (steps.b is passed) and steps.c is not failed"),
            read("steps.b steps.c vars.a")
        );
        assert_eq!(reads("steps['a-b'].choice in ['x', 'y'] or steps.c.choice != 'z'"), None);
        assert_eq!(reads("steps.ab.choice in ['x', 'y'] or steps.c.n >= 3"), read("steps.ab.choice steps.c.n"));
        for text in [
            "",
            "a b",
            "a == b",
            "a ==",
            "'a'",
            "a is",
            "a in [b]",
            "a in ['b',]",
            "a == 'b",
            r"a == 'b\''",
            "a(1)",
            "a | b",
            "-a",
            "a.b.",
            "true",
            "a is none",
            "((((a))))",
            "a == 1.5.2",
            "a == 12345678901234567890",
            "a\u{a0}and b",
            "a == 'ż'",
        ] {
            assert_eq!(reads(text), None, "{text}");
        }
    }

    #[test]
    fn what_the_first_of_several_conditions_is() {
        let condition = |text: &str| Expression::new(text).expect("an expression").condition().map(str::to_owned);
        assert_eq!(condition(" vars.a and not (steps.b is passed) and vars.c"), Some("vars.a".to_owned()));
        assert_eq!(condition("vars.a and steps.b.choice == 'or'"), Some("vars.a".to_owned()));
        for text in [
            "vars.a",
            "not vars.a and vars.b",
            "vars.a == 1 and vars.b",
            "vars.a or vars.b and vars.c",
            "vars.a and vars.b or vars.c",
            "vars.a and vars.b if vars.c else vars.d",
            "(vars.a and vars.b)",
        ] {
            assert_eq!(condition(text), None, "{text}");
        }
    }

    #[test]
    fn a_lone_name_holds_as_the_engine_says() {
        let context = minijinja::context! { vars => minijinja::context! { a => "x", b => "", c => Vec::<i64>::new(), d => 0, e => false } };
        for name in
            ["vars.a", "vars.b", "vars.c", "vars.d", " vars.e ", "vars.f", "vars", "vars.a.b", "run.x", "range", "x"]
        {
            let engine = environment().compile_expression(name).expect("an expression").eval(&context);
            let engine = engine.map(|value| value.is_true()).map_err(|error| describe(&error));
            assert_eq!(Expression::new(name).expect("an expression").holds(&context), engine, "{name}");
        }
    }
}
