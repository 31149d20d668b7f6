//! Facts that both kinds of server give in the same rows.

use std::cmp::Reverse;
use std::time::Duration;

use super::seen::{Seen, in_words, longest, shape, size_in_words};
use super::session::Row;
use crate::model::unit::{Dimension, Quantity};
use crate::model::value::Value;
use crate::probe::sql::statement::Dialect;

/// Growth within a shorter time says nothing of a day.
const SHORTEST: Duration = Duration::from_hours(1);

impl Seen<'_> {
    /// And their share of the limit, if that is known.
    pub fn set_connections(&mut self, count: Option<u64>) {
        self.set_count("connections", count);
        let limit = self.subject.facts.get("connection_limit").and_then(Value::history_number);
        if let Some((count, limit)) = count.zip(limit).filter(|(_, limit)| limit.amount() > 0.0) {
            self.set("connection_share", Some(Value::percent(count as f64 / limit.amount() * 100.0)));
        }
    }

    /// Facts of sessions, from rows with the columns `state` (`active`, `idle`, `idle in transaction`), `query_age`,
    /// `transaction_age`, `state_age`, `waits` (for a lock), `blocked_by`, `pid`, `user`, `database` and `query`.
    pub fn set_sessions(&mut self, sessions: &[Row], dialect: Dialect) {
        let is_idle = |row: &&Row| row.text("state").is_some_and(|state| state.starts_with("idle in transaction"));
        let runs =
            |row: &&Row| row.text("state").is_some_and(|state| matches!(state, "active" | "fastpath function call"));
        let waits = |row: &&Row| row.text("waits").is_some();
        let of = |column: &'static str| move |row: &Row| row.duration(column);
        let all = sessions.iter();
        let query = longest(all.clone().filter(runs).filter_map(of("query_age")));
        self.set_duration("longest_query", Some(query));
        self.set_duration("longest_transaction", Some(longest(all.clone().filter_map(of("transaction_age")))));
        self.set_count("idle_in_transaction", Some(all.clone().filter(is_idle).count() as u64));
        let idle = longest(all.clone().filter(is_idle).filter_map(of("state_age")));
        self.set_duration("longest_idle_in_transaction", Some(idle));
        self.set_count("blocked", Some(all.clone().filter(waits).count() as u64));
        self.set_duration("longest_lock_wait", Some(longest(all.filter_map(of("waits")))));

        // Who waits, who makes others wait, and who takes long.
        let blockers: Vec<&str> =
            sessions.iter().filter_map(|row| row.text("blocked_by")).flat_map(|pids| pids.split(' ')).collect();
        let age = |row: &Row| row.duration("transaction_age").max(row.duration("query_age").filter(|_| runs(&row)));
        let is_shown = |row: &&Row| {
            waits(row)
                || row.text("pid").is_some_and(|pid| blockers.contains(&pid))
                || age(row).is_some_and(|age| age >= self.slower_than)
        };
        let mut shown: Vec<&Row> = sessions.iter().filter(is_shown).collect();
        shown.sort_by_key(|row| Reverse(age(row)));
        let line = |row: &&Row| {
            let waiting = row
                .duration("waits")
                .map(|waits| format!("{} for {}", in_words(Some(waits)), row.shown("blocked_by", 40)));
            vec![
                row.shown("pid", 20),
                row.shown("user", 30),
                row.shown("database", 30),
                row.shown("state", 30),
                in_words(age(row)),
                waiting.unwrap_or_else(|| "-".to_owned()),
                row.text("query").map_or_else(|| "-".to_owned(), |query| shape(query, dialect)),
            ]
        };
        let columns = ["session", "user", "database", "state", "since", "waits", "statement"];
        let lines = shown.iter().map(line).collect();
        self.show_lines("sessions that take long, wait, or make others wait", &columns, lines);
    }

    /// The size of the database, and how fast it grows.
    pub fn set_size(&mut self, size: Option<u64>) {
        self.set("size", size.map(Value::bytes));
        let Some((size, (before, elapsed))) = size.zip(self.earlier.reading("size")) else { return };
        let days = elapsed.max(SHORTEST).as_secs_f64() / 86_400.0;
        let growth = Quantity::new((size as f64 - before) / days, Dimension::Size);
        self.set("daily_growth", Some(Value::Number(growth)));
    }

    /// Sizes of tables, from rows with the columns `name`, `full_name`, `visible` and `size`, the largest first.
    pub fn set_tables(&mut self, rows: &[Row]) {
        let asked: Vec<String> = self.cx.asked_of("table").map(str::to_owned).collect();
        for name in asked {
            let is_named = |row: &&Row, column: &str| row.text(column) == Some(&name);
            let visible = rows.iter().find(|row| is_named(row, "name") && row.flag("visible") == Some(true));
            match visible.or_else(|| rows.iter().find(|row| is_named(row, "full_name"))) {
                Some(row) => self.set(&format!("table.{name}"), row.count("size").map(Value::bytes)),
                None => self.subject.note(format!("there is no table `{name}`, or this user may not see it")),
            }
        }
        self.show_sizes("tables, the largest first", &["full_name"], rows);
    }

    /// `columns` and the size.
    pub fn show_sizes(&mut self, title: &str, columns: &[&str], rows: &[Row]) {
        let lines = rows.iter().map(|row| {
            let cells = columns.iter().map(|column| row.shown(column, 80));
            cells.chain([size_in_words(row.number("size"))]).collect()
        });
        let heads = columns.iter().map(|column| if *column == "full_name" { "table" } else { column });
        let heads: Vec<&str> = heads.chain(["size"]).collect();
        self.show_lines(title, &heads, lines.collect());
    }

    /// From rows with the columns `calls`, `total`, `mean` and `longest` in seconds and `query`, the slowest first.
    pub fn set_statements(&mut self, rows: &[Row], dialect: Dialect) {
        let calls: u64 = rows.iter().filter_map(|row| row.count("calls")).fold(0, u64::saturating_add);
        let total: f64 = rows.iter().filter_map(|row| row.number("total")).sum();
        let is_slow = |row: &&Row| row.duration("mean").is_some_and(|mean| mean > self.slower_than);
        let slow = rows.iter().filter(is_slow).count() as u64;
        self.set_count("statements", Some(calls));
        self.set_count("slow_statements", Some(slow));
        self.set_duration("slowest_statement", Some(longest(rows.iter().filter_map(|row| row.duration("mean")))));
        if calls > 0 {
            self.set("statement_time", Some(Value::Number(Quantity::seconds(total / calls as f64))));
        }
        let before = self.earlier.reading("statements").zip(self.earlier.reading("statement_time"));
        if let Some(((then, _), (mean, _))) = before
            && calls as f64 > then
            && total >= then * mean
        {
            let recent = (total - then * mean) / (calls as f64 - then);
            self.set("recent_statement_time", Some(Value::Number(Quantity::seconds(recent))));
        }
        let line = |row: &Row| {
            let statement = row.text("query").map_or_else(|| "-".to_owned(), |query| shape(query, dialect));
            vec![in_words(row.duration("mean")), in_words(row.duration("longest")), row.shown("calls", 20), statement]
        };
        let columns = ["mean", "longest", "calls", "statement"];
        self.show_lines("statements, the slowest on average first", &columns, rows.iter().map(line).collect());
    }
}
