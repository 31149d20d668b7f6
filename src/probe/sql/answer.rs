//! What a database answered: the first rows in full, the others counted.

use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use sqlx::{Column as _, Row};

use super::cell::{self, Cell};
use crate::model::fact::Evidence;
use crate::model::text::shortened;
use crate::model::value::Value;

/// Reading stops here.
pub const MOST_ROWS: u64 = 100_000;
const CELL_WIDTH: usize = 80;
const LINE_WIDTH: usize = 400;

pub struct Answer {
    pub connect_time: Option<Duration>,
    pub query_time: Option<Duration>,
    pub server: Option<String>,
    /// The server's number of the session, while a statement runs in it.
    pub running: Option<i64>,
    pub rows: u64,
    names: Vec<String>,
    /// At least the first row, for the facts.
    kept: Vec<Vec<Cell>>,
    keep: usize,
}

impl Answer {
    /// Keeps `keep` rows as evidence.
    pub fn new(keep: usize) -> Self {
        Self {
            connect_time: None,
            query_time: None,
            server: None,
            running: None,
            rows: 0,
            names: Vec::new(),
            kept: Vec::new(),
            keep,
        }
    }

    /// Reads the rows; `cell` decodes the column of a row by its position.
    pub async fn read<R: Row>(
        &mut self,
        mut rows: impl Stream<Item = Result<R, sqlx::Error>> + Unpin,
        cell: impl Fn(&R, usize) -> Result<Cell, sqlx::Error>,
    ) -> Result<(), sqlx::Error> {
        while self.rows < MOST_ROWS
            && let Some(row) = rows.next().await
        {
            let row = row?;
            self.rows += 1;
            if self.names.is_empty() {
                self.names = row.columns().iter().map(|column| column.name().to_owned()).collect();
            }
            if self.kept.len() < self.keep.max(1) {
                let cells: Result<Vec<Cell>, _> = (0..row.columns().len()).map(|column| cell(&row, column)).collect();
                self.kept.push(cells?);
            }
        }
        Ok(())
    }

    /// The first column of the only row, or why there is none.
    pub fn value(&self) -> Result<Value, String> {
        match (self.rows, self.kept.first().and_then(|row| row.first())) {
            (1, Some(Some(value))) => Ok(value.clone()),
            (1, Some(None)) => Err("it is NULL".to_owned()),
            (0 | 1, _) => Err("the query returned no row".to_owned()),
            (rows, _) => Err(format!("the query returned {rows} rows")),
        }
    }

    /// The names of the columns.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The rows that are kept, at least the first.
    pub fn kept(&self) -> &[Vec<Cell>] {
        &self.kept
    }

    /// Of the first row; names are compared as SQL does, without regard to case.
    pub fn column(&self, name: &str) -> Option<Value> {
        let position = self.names.iter().position(|known| known.eq_ignore_ascii_case(name))?;
        self.kept.first()?.get(position)?.clone()
    }

    /// The kept rows as a table; none if there is nothing to show.
    pub fn evidence(&self, title: &str) -> Option<Evidence> {
        let rows = &self.kept[..self.kept.len().min(self.keep)];
        if rows.is_empty() {
            return None;
        }
        let shown = |cells: &Vec<Cell>| cells.iter().map(|cell| cell::shown(cell, CELL_WIDTH)).collect();
        let names = self.names.iter().map(|name| cell::shown(&Some(cell::text(name)), CELL_WIDTH)).collect();
        let table: Vec<Vec<String>> = std::iter::once(names).chain(rows.iter().map(shown)).collect();
        let left_out = self.rows - rows.len() as u64;
        let mut evidence = Evidence { left_out, ..Evidence::new(title, aligned(&table)) };
        // Rows that a step goes through one by one have to be all of them.
        if left_out == 0 {
            evidence.rows = rows.iter().map(|cells| self.named(cells)).collect();
        }
        Some(evidence)
    }

    fn named(&self, cells: &[Cell]) -> serde_json::Map<String, serde_json::Value> {
        let plain = |cell: &Cell| cell.as_ref().map_or(serde_json::Value::Null, Value::plain);
        self.names.iter().cloned().zip(cells.iter().map(plain)).collect()
    }
}

pub fn aligned(table: &[Vec<String>]) -> Vec<String> {
    let mut widths: Vec<usize> = Vec::new();
    for row in table {
        widths.resize(row.len().max(widths.len()), 0);
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        let line = cells.join(" | ");
        shortened(line.trim_end(), LINE_WIDTH)
    };
    table.iter().map(line).collect()
}
