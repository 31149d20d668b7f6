//! Every type of column is shown, and judged as what it is.

use opsctl::model::unit::Quantity;
use opsctl::model::value::Value;

use super::{Database, Kind, ask, lines, value};
use crate::support::{mariadb, postgres};

/// The value of `expression`, which the database of no table can tell.
fn of(url: &str, expression: &str) -> Option<Value> {
    value(&ask(url, &format!("SELECT {expression}")))
}

fn number(amount: f64) -> Value {
    Value::Number(Quantity::count(amount))
}

fn text(text: &str) -> Value {
    Value::text(text)
}

fn integer(integer: i64) -> Value {
    Value::Integer(integer)
}

#[test]
fn mariadb_literals() {
    let url = mariadb::url("mysql");
    for (expression, seen) in [
        ("COUNT(*) FROM DUAL", integer(1)),
        ("1 = 1", integer(1)),
        ("-5", integer(-5)),
        ("18446744073709551615", text("18446744073709551615")),
        ("CAST(7 AS UNSIGNED)", integer(7)),
        ("1.10", text("1.10")),
        ("1.5e3", number(1500.0)),
        ("AVG(x) FROM (SELECT 1 AS x UNION SELECT 2) t", text("1.5000")),
        ("'żółć 🙂'", text("żółć 🙂")),
        ("''", text("")),
        ("X'00ff'", text("0x00ff")),
        ("b'101'", text("0x05")),
        ("DATE '2026-03-02'", text("2026-03-02")),
        ("TIMESTAMP '2026-03-02 04:05:06'", text("2026-03-02 04:05:06")),
        ("TIMESTAMP '2026-03-02 04:05:06.000120'", text("2026-03-02 04:05:06.000120")),
        ("TIME '-101:02:03'", text("-101:02:03")),
        ("JSON_OBJECT('a', 1)", text("{\"a\": 1}")),
        ("ST_GeomFromText('POINT(1 2)')", text("0x000000000101000000000000000000f03f0000000000000040")),
        ("'10.0.0.1' AS INET", text("10.0.0.1")),
        ("REPEAT('ab', 40000)", text(&format!("{}...", "ab".repeat(32768)))),
    ] {
        assert_eq!(of(&url, expression), Some(seen), "{expression}");
    }
    assert_eq!(of(&url, "NULL"), None);
}

#[test]
fn mariadb_columns() {
    let database = Database::new(Kind::MariaDb, "types");
    mariadb::execute(&format!(
        "USE {};
         CREATE TABLE wide (a TINYINT, b TINYINT UNSIGNED, c SMALLINT, d MEDIUMINT UNSIGNED, e INT UNSIGNED, f BIGINT,
            g BIGINT UNSIGNED, h BOOLEAN, i FLOAT, j DOUBLE, k DECIMAL(20,4), l BIT(12), m YEAR, n DATE, o DATETIME(3),
            p TIME(6), q CHAR(4), r TEXT, s ENUM('x','y'), t SET('x','y'), u BINARY(4), v BLOB, w JSON, x UUID,
            y INET6, z POINT, aa TIMESTAMP NULL, ab VARCHAR(9) COLLATE utf8mb4_bin);
         INSERT INTO wide VALUES (-128, 255, -32768, 16777215, 4294967295, -9223372036854775808, 18446744073709551615,
            TRUE, 1.1, -2.5, 1234.5000, b'100000000001', 2026, '2026-02-28', '2026-02-28 23:59:59.125',
            '-838:59:58.5', 'ab', 'line\nbreak', 'y', 'x,y', X'00010203', X'ff00', '[1]',
            '123e4567-e89b-12d3-a456-426655440000', '::1', POINT(1, 2), '2026-02-28 01:02:03', 'Bin');
         SET sql_mode = ''; INSERT INTO wide (n, o, p) VALUES ('0000-00-00', '0000-00-00', '00:00:00');",
        database.name
    ));
    let seen = database.look("SELECT * FROM wide WHERE a IS NOT NULL").run().expect("a row");
    let row = lines(&seen)[1].split('|').map(str::trim).collect::<Vec<_>>().join(" ");
    assert_eq!(
        row,
        "-128 255 -32768 16777215 4294967295 -9223372036854775808 18446744073709551615 1 1.1 -2.5 1234.5000 2049 2026 \
         2026-02-28 2026-02-28 23:59:59.125 -838:59:58.500000 ab line\\nbreak y x,y 0x00010203 0xff00 [1] \
         123e4567-e89b-12d3-a456-426655440000 ::1 0x000000000101000000000000000000f03f0000000000000040 \
         2026-02-28 01:02:03 Bin"
    );
    let seen = database.look("SELECT n, o, p, aa FROM wide WHERE a IS NULL").run().expect("a row");
    let row = lines(&seen)[1].split('|').map(str::trim).collect::<Vec<_>>().join(", ");
    assert_eq!(row, "0000-00-00, 0000-00-00 00:00:00.000, 00:00:00.000000, NULL");
    let seen = database.look("SHOW TABLES").run().expect("rows");
    assert_eq!(lines(&seen)[1..], ["ticket", "wide"]);
}

#[test]
fn postgres_values() {
    let url = postgres::url("postgres");
    for (expression, seen) in [
        ("count(*)", integer(1)),
        ("true", Value::Bool(true)),
        ("(-32768)::int2", integer(-32768)),
        ("9223372036854775807", integer(i64::MAX)),
        ("1.5::real", number(1.5)),
        ("0.1::float8", number(0.1)),
        ("'NaN'::float8", text("NaN")),
        ("'-Infinity'::float8", text("-inf")),
        ("12345678901234567890.10", text("12345678901234567890.10")),
        ("'żółć 🙂'::varchar", text("żółć 🙂")),
        ("'x'::char(3)", text("x  ")),
        ("'\\x00ff'::bytea", text("0x00ff")),
        ("'2026-03-02'::date", text("2026-03-02")),
        ("'2026-03-02 04:05:06.5'::timestamp", text("2026-03-02 04:05:06.5")),
        ("'2026-03-02 04:05:06Z'::timestamptz", text("2026-03-02 05:05:06+01")),
        ("'04:05:06+02'::timetz", text("04:05:06+02")),
        ("'1 year 2 days 03:04:05'::interval", text("1 year 2 days 03:04:05")),
        ("ARRAY[1, NULL, 3]", text("{1,NULL,3}")),
        ("'{\"a\": 1}'::json", text("{\"a\": 1}")),
        ("'{\"a\":1}'::jsonb", text("{\"a\": 1}")),
        ("'123e4567-e89b-12d3-a456-426655440000'::uuid", text("123e4567-e89b-12d3-a456-426655440000")),
        ("'10.0.0.0/8'::inet", text("10.0.0.0/8")),
        ("B'101'", text("101")),
        ("'12.30'::money", text("$12.30")),
        ("'[1,5)'::int4range", text("[1,5)")),
        ("ROW(1, 'a')", text("(1,a)")),
        ("point(1, 2)", text("(1,2)")),
        ("to_tsvector('simple', 'a b')", text("'a':1 'b':2")),
        ("'<a/>'::xml", text("<a/>")),
        ("'16/B374D848'::pg_lsn", text("16/B374D848")),
        ("current_setting('application_name')", text("opsctl")),
        ("current_setting('TimeZone')", text("Europe/Warsaw")),
    ] {
        assert_eq!(of(&url, expression), Some(seen), "{expression}");
    }
    assert_eq!(of(&url, "NULL"), None);
    assert_eq!(value(&ask(&url, "SHOW transaction_read_only")), Some(text("on")));
}

#[test]
fn postgres_types_that_no_driver_knows() {
    let database = Database::new(Kind::Postgres, "types");
    postgres::execute(
        &database.name,
        "CREATE TYPE mood AS ENUM ('happy', 'sad'); CREATE DOMAIN positive AS int CHECK (VALUE > 0);
         CREATE TYPE pair AS (a int, b mood);",
    );
    assert_eq!(of(&database.url, "'sad'::mood"), Some(text("sad")));
    assert_eq!(of(&database.url, "7::positive"), Some(integer(7)));
    assert_eq!(of(&database.url, "ROW(1, 'happy')::pair"), Some(text("(1,happy)")));
    assert_eq!(of(&database.url, "ARRAY['sad'::mood]"), Some(text("{sad}")));
}

#[test]
fn sqlite_values() {
    let database = Database::new(Kind::Sqlite, "types");
    for (expression, seen) in [
        ("count(*) FROM ticket", integer(2)),
        ("9223372036854775807", integer(i64::MAX)),
        ("1.5", number(1.5)),
        ("9e999", text("inf")),
        ("'żółć 🙂'", text("żółć 🙂")),
        ("''", text("")),
        ("x'00ff'", text("0x00ff")),
        ("x''", text("0x")),
        ("CAST(x'ff41' AS TEXT)", text("\u{fffd}A")),
        ("datetime('2026-03-02 04:05:06')", text("2026-03-02 04:05:06")),
    ] {
        assert_eq!(of(&database.url, expression), Some(seen), "{expression}");
    }
    assert_eq!(of(&database.url, "NULL"), None);
    assert_eq!(value(&database.look("PRAGMA integrity_check")), Some(text("ok")));
}
