//! Several statements in one message to the database: each message wakes another thread and waits for it.

use sqlx::query_builder::Separated;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use super::Problem;

/// Rows in one statement: SQLite takes 32,766 parameters.
pub const AT_ONCE: usize = 500;

/// Statements with their parameters, in their order.
pub struct Script {
    text: QueryBuilder<Sqlite>,
    is_empty: bool,
}

impl Default for Script {
    fn default() -> Self {
        Self { text: QueryBuilder::default(), is_empty: true }
    }
}

impl Script {
    pub fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// Begins the next statement; the rest of it is for the caller to push.
    pub fn statement(&mut self, begin: &str) -> &mut QueryBuilder<Sqlite> {
        if !self.is_empty {
            self.text.push("; ");
        }
        self.is_empty = false;
        self.text.push(begin)
    }

    /// `begin VALUES (...), (...) end`, in as many statements as it takes; nothing without rows.
    pub fn values<R>(&mut self, begin: &str, rows: &[R], push: impl Fn(Separated<'_, Sqlite, &str>, &R), end: &str) {
        for rows in rows.chunks(AT_ONCE) {
            self.statement(begin).push_values(rows, &push).push(end);
        }
    }

    /// Runs all statements. After the first that fails none is run, and a transaction that was begun stays open.
    pub async fn run(mut self, connection: &mut SqliteConnection) -> Result<(), Problem> {
        if !self.is_empty {
            self.text.build().execute(connection).await?;
        }
        Ok(())
    }
}
