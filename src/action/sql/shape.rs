//! What can be told of a statement without running it.

use crate::probe::sql::statement::{Dialect, tokens};

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Shape {
    /// It cannot be in a transaction.
    pub alone: bool,
    /// It commits the transaction that it is in.
    pub commits: bool,
    /// The query that counts the rows which it would change.
    pub count: Option<String>,
}

impl Shape {
    #[must_use]
    pub fn of(sql: &str, dialect: Dialect) -> Self {
        let Ok(tokens) = tokens(sql, dialect) else { return Self::default() };
        let words: Vec<String> = tokens.iter().map(|token| token.to_ascii_uppercase()).collect();
        let first = words.first().map_or("", String::as_str);
        let second = words.get(1).map_or("", String::as_str);
        let alone = match dialect {
            Dialect::MySql => false,
            Dialect::Postgres => {
                first == "VACUUM"
                    || words.iter().any(|word| word == "CONCURRENTLY")
                    || matches!((first, second), ("CREATE" | "DROP", "DATABASE" | "TABLESPACE") | ("ALTER", "SYSTEM"))
            }
            Dialect::Sqlite => matches!(first, "VACUUM" | "PRAGMA" | "ATTACH" | "DETACH"),
        };
        Self {
            alone,
            commits: dialect == Dialect::MySql && COMMITTING.contains(&first),
            count: count(sql, &tokens, &words),
        }
    }
}

/// Statements of MySQL and MariaDB that end a transaction.
const COMMITTING: &[&str] = &[
    "ALTER", "ANALYZE", "CHECK", "CREATE", "DROP", "FLUSH", "GRANT", "LOCK", "OPTIMIZE", "RENAME", "REPAIR", "RESET",
    "REVOKE", "TRUNCATE", "UNLOCK",
];

/// Whether rows or tables may be lost as a whole, in any dialect.
#[must_use]
pub fn may_destroy(sql: &str) -> bool {
    let read = [Dialect::MySql, Dialect::Postgres, Dialect::Sqlite].map(|dialect| tokens(sql, dialect));
    // What none of them can read is refused anyway.
    read.iter().flatten().any(|tokens| destroys(tokens)) || read.iter().all(Result::is_err)
}

fn destroys(tokens: &[&str]) -> bool {
    let is = |token: &&str, word: &str| token.eq_ignore_ascii_case(word);
    let has = |word: &str| tokens.iter().any(|token| is(token, word));
    let begins = |word: &str| tokens.first().is_some_and(|token| is(token, word));
    let changes_rows = begins("DELETE") || begins("UPDATE") || (begins("WITH") && (has("DELETE") || has("UPDATE")));
    begins("DROP")
        || begins("TRUNCATE")
        || (begins("ALTER") && has("DROP"))
        || (changes_rows && outer_where(tokens).is_none())
}

/// Where WHERE stands outside of parentheses.
fn outer_where(tokens: &[&str]) -> Option<usize> {
    let mut depth = 0_usize;
    tokens.iter().position(|token| {
        match *token {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && token.eq_ignore_ascii_case("WHERE")
    })
}

/// Of `DELETE FROM t WHERE ..` and `UPDATE t SET .. WHERE ..`, and of nothing more difficult.
fn count(sql: &str, tokens: &[&str], words: &[String]) -> Option<String> {
    let difficult = ["USING", "JOIN", "LIMIT", "ORDER", "RETURNING", "WITH", "IGNORE", "LOW_PRIORITY", "ONLY", "AS"];
    if words.iter().any(|word| difficult.contains(&word.as_str())) {
        return None;
    }
    let place = outer_where(tokens);
    let behind = match words.first()?.as_str() {
        "DELETE" if words.get(1)? == "FROM" => place.unwrap_or(tokens.len()),
        "UPDATE" => words.iter().position(|word| word == "SET")?,
        _ => return None,
    };
    let from = if words[0] == "DELETE" { 2 } else { 1 };
    let name = tokens.get(from..behind)?;
    let qualified = matches!(name, [_] | [_, ".", _]);
    // Parameters of SET come before those of WHERE.
    let parameters =
        tokens[behind..place.unwrap_or(tokens.len())].iter().any(|token| token.starts_with(['?', '$', ':', '@']));
    if !qualified || (words[0] == "UPDATE" && parameters) {
        return None;
    }
    let condition = place.map_or("", |place| &sql[tokens[place].as_ptr() as usize - sql.as_ptr() as usize..]);
    Some(format!("SELECT COUNT(*) FROM {} {}", name.concat(), condition.trim()).trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_lose_everything_is_destructive() {
        for sql in [
            "DELETE FROM t",
            "-- all\nupdate t set a = 1",
            "UPDATE t SET a = (SELECT 1 FROM b WHERE c)",
            "TRUNCATE t",
            "DROP TABLE t",
            "ALTER TABLE t DROP COLUMN a",
            "WITH a AS (SELECT 1 WHERE true) DELETE FROM t",
            "DELETE FROM t /* WHERE id = 1 */",
            "UPDATE t SET a = 'WHERE'",
        ] {
            assert!(may_destroy(sql), "{sql}");
        }
        for sql in [
            "DELETE FROM t WHERE id = 1",
            "UPDATE t SET a = 1 WHERE b",
            "INSERT INTO t VALUES ('DROP')",
            "OPTIMIZE TABLE t",
        ] {
            assert!(!may_destroy(sql), "{sql}");
        }
    }

    #[test]
    fn rows_are_counted_where_that_is_safe() {
        let count = |sql: &str| Shape::of(sql, Dialect::MySql).count;
        assert_eq!(count("DELETE FROM t").as_deref(), Some("SELECT COUNT(*) FROM t"));
        assert_eq!(count("DELETE FROM a.t WHERE x < ?").as_deref(), Some("SELECT COUNT(*) FROM a.t WHERE x < ?"));
        assert_eq!(
            count("UPDATE `t` SET a = 1, b = 2 WHERE c = 'x'").as_deref(),
            Some("SELECT COUNT(*) FROM `t` WHERE c = 'x'")
        );
        for sql in [
            "UPDATE t SET a = ? WHERE b = ?",
            "DELETE FROM t LIMIT 5",
            "DELETE a FROM a JOIN b",
            "INSERT INTO t VALUES (1)",
        ] {
            assert_eq!(count(sql), None, "{sql}");
        }
    }

    #[test]
    fn some_statements_stand_outside_of_transactions() {
        assert!(Shape::of("VACUUM t", Dialect::Postgres).alone);
        assert!(Shape::of("CREATE INDEX CONCURRENTLY i ON t (a)", Dialect::Postgres).alone);
        assert!(!Shape::of("CREATE INDEX i ON t (a)", Dialect::Postgres).alone);
        assert!(Shape::of("CREATE INDEX i ON t (a)", Dialect::MySql).commits);
    }
}
