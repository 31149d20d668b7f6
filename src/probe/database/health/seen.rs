//! What was seen so far, and what could not be.

use std::time::Duration;

use crate::model::fact::{Evidence, Observation, Subject};
use crate::model::text::one_line;
use crate::model::unit::{Dimension, Quantity};
use crate::model::value::Value;
use crate::probe::Context;
use crate::probe::growth::Earlier;
use crate::probe::sql::answer::aligned;
use crate::probe::sql::statement::{Dialect, tokens};
use crate::probe::sql::trouble::Trouble;

use super::session::{Row, Session};

/// How much of a statement is shown.
const STATEMENT_WIDTH: usize = 120;
const CELL_WIDTH: usize = 60;

pub struct Seen<'c> {
    pub subject: Subject,
    pub cx: &'c Context,
    pub earlier: Earlier,
    /// How many rows a list of evidence has.
    pub top: usize,
    pub slower_than: Duration,
    evidence: Vec<Evidence>,
}

impl<'c> Seen<'c> {
    pub fn new(name: &str, top: usize, slower_than: Duration, earlier: Earlier, cx: &'c Context) -> Self {
        Self { subject: Subject::new(name), cx, earlier, top, slower_than, evidence: Vec::new() }
    }

    pub fn set(&mut self, fact: &str, value: Option<Value>) {
        if let Some(value) = value {
            self.subject.set(fact, value);
        }
    }

    pub fn set_duration(&mut self, fact: &str, duration: Option<Duration>) {
        self.set(fact, duration.map(Value::duration));
    }

    pub fn set_count(&mut self, fact: &str, count: Option<u64>) {
        self.set(fact, count.map(Value::count));
    }

    /// A counter, and its growth since the newest earlier run. It began at zero `age` ago.
    pub fn set_counter(&mut self, fact: &str, recent: &str, now: Option<u64>, age: Option<Duration>) {
        self.set_count(fact, now);
        if let Some(now) = now {
            self.set_count(recent, self.earlier.growth(fact, now, age));
        }
    }

    /// `hits` of both since the server began to count, and since the newest earlier run.
    pub fn set_hits(&mut self, hits: Option<u64>, misses: Option<u64>, age: Option<Duration>) {
        self.set_count("hits", hits);
        self.set_count("misses", misses);
        let Some((hits, misses)) = hits.zip(misses) else { return };
        let ratio = |hits: u64, misses: u64| {
            let all = hits.saturating_add(misses);
            (all > 0).then(|| Value::percent(hits as f64 / all as f64 * 100.0))
        };
        self.set("hit_ratio", ratio(hits, misses));
        let growth = self.earlier.growth("hits", hits, age).zip(self.earlier.growth("misses", misses, age));
        self.set("recent_hit_ratio", growth.and_then(|(hits, misses)| ratio(hits, misses)));
    }

    /// Says why these facts are not there, if the step wants any of them.
    pub fn missing(&mut self, facts: &[&str], why: &str) {
        let asked = self.cx.asked.iter().map(|fact| fact.split('.').next().unwrap_or_default());
        let mut asked: Vec<&str> = asked.filter(|fact| facts.contains(fact)).collect();
        asked.dedup();
        if asked.is_empty() && self.cx.asked.is_empty() {
            asked.extend(facts.first());
        }
        if !asked.is_empty() {
            let named = asked.iter().map(|fact| format!("`{fact}`")).collect::<Vec<_>>().join(", ");
            self.subject.note(one_line(&format!("{named} cannot be seen: {why}"), 500));
        }
    }

    /// Facts that a server of this kind does not have.
    pub fn inapplicable(&mut self, facts: &[&str]) {
        self.subject.inapplicable.extend(facts.iter().map(|&fact| fact.to_owned()));
    }

    /// Asks for `facts`. None if the server refuses: they are missing then, with the reason.
    pub async fn ask(&mut self, session: &mut Session, facts: &[&str], sql: &str) -> Result<Option<Vec<Row>>, Trouble> {
        match session.ask(sql).await? {
            Ok(rows) => Ok(Some(rows)),
            Err(refused) => {
                self.missing(facts, &refused.0);
                Ok(None)
            }
        }
    }

    /// The first row that [`Self::ask`] gets.
    pub async fn ask_one(&mut self, session: &mut Session, facts: &[&str], sql: &str) -> Result<Option<Row>, Trouble> {
        Ok(self.ask(session, facts, sql).await?.and_then(|rows| rows.into_iter().next()))
    }

    /// A table of the first rows, if there are any. `columns` are shown by their names.
    pub fn show(&mut self, title: &str, columns: &[&str], rows: &[Row]) {
        let lines = rows.iter().map(|row| columns.iter().map(|column| row.shown(column, CELL_WIDTH)).collect());
        self.show_lines(title, columns, lines.collect());
    }

    pub fn show_lines(&mut self, title: &str, columns: &[&str], mut lines: Vec<Vec<String>>) {
        let left_out = lines.len().saturating_sub(self.top) as u64;
        lines.truncate(self.top);
        if lines.is_empty() {
            return;
        }
        let heads = columns.iter().map(|column| column.replace('_', " ")).collect();
        let table: Vec<Vec<String>> = std::iter::once(heads).chain(lines.iter().cloned()).collect();
        let mut evidence = Evidence { left_out, ..Evidence::new(title, aligned(&table)) };
        // Rows that a step goes through one by one have to be all of them.
        if left_out == 0 {
            let row = |line: Vec<String>| {
                columns.iter().map(|&column| column.to_owned()).zip(line.into_iter().map(Into::into))
            };
            evidence.rows = lines.into_iter().map(|line| row(line).collect()).collect();
        }
        self.evidence.push(evidence);
    }

    /// What was seen, and whether the server answers.
    pub fn done(mut self, down: Option<String>) -> Observation {
        let answers = Value::Bool(down.is_none());
        self.subject.facts.shift_insert(0, "answers".to_owned(), answers);
        self.subject.notes.extend(down);
        Observation { subjects: vec![self.subject], evidence: self.evidence }
    }
}

/// The largest of these; none of nothing.
pub fn longest(durations: impl Iterator<Item = Duration>) -> Duration {
    durations.max().unwrap_or_default()
}

pub fn in_words(duration: Option<Duration>) -> String {
    duration.map_or_else(|| "-".to_owned(), |duration| Quantity::duration(duration).rounded())
}

pub fn size_in_words(bytes: Option<f64>) -> String {
    bytes.map_or_else(|| "-".to_owned(), |bytes| Quantity::new(bytes, Dimension::Size).rounded())
}

/// A statement without its literals, which may be personal or secret, in one short line.
pub fn shape(sql: &str, dialect: Dialect) -> String {
    let Ok(tokens) = tokens(sql, dialect) else {
        // The server cuts long statements, perhaps inside a literal.
        let plain = sql.find(['\'', '"', '$', '/', '`']).unwrap_or(sql.len());
        return format!("{} …", one_line(&sql[..plain], STATEMENT_WIDTH));
    };
    let mut shape = String::new();
    let mut end = 0;
    for token in tokens {
        let begin = token.as_ptr().addr() - sql.as_ptr().addr();
        // What stood between them was space or a comment.
        if begin > end {
            shape.push(' ');
        }
        let goes_on = begin == end;
        end = begin + token.len();
        let is_text = token.ends_with('\'')
            || (token.starts_with('$') && token.len() > 1 && token.ends_with('$'))
            || (dialect == Dialect::MySql && token.starts_with('"'));
        match is_text {
            // A doubled quote is part of the text.
            true if goes_on && shape.ends_with('?') => {}
            true => shape.push('?'),
            false => shape.push_str(token),
        }
    }
    one_line(&shape, STATEMENT_WIDTH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_shown_without_what_may_be_secret() {
        let both = [Dialect::MySql, Dialect::Postgres];
        for dialect in both {
            let shown = shape("ALTER USER  me IDENTIFIED BY 'it''s secret' -- secret", dialect);
            assert_eq!(shown, "ALTER USER me IDENTIFIED BY ?");
            assert_eq!(
                shape("SELECT a.b, count(*) FROM t WHERE id = 7", dialect),
                "SELECT a.b, count(*) FROM t WHERE id = 7"
            );
            let cut = shape("INSERT INTO t VALUES ('never closed secr", dialect);
            assert_eq!(cut, "INSERT INTO t VALUES ( …");
        }
        assert_eq!(shape(r"SELECT 'a\' secret', 'b'", Dialect::MySql), "SELECT ?, ?");
        assert_eq!(shape(r#"SELECT "secret""#, Dialect::MySql), "SELECT ?");
        assert_eq!(shape("SELECT a::text FROM t WHERE id=$1", Dialect::Postgres), "SELECT a::text FROM t WHERE id=$1");
        assert_eq!(shape(r#"SELECT "Name", $$secret$$, E'\' secret'"#, Dialect::Postgres), r#"SELECT "Name", ?, ?"#);
    }
}
