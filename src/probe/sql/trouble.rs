//! What went wrong: the database is in trouble, or the question is.

use std::borrow::Cow;
use std::io;
use std::time::Duration;

use rustls::CertificateError;
use sqlx::mysql::MySqlDatabaseError;
use sqlx::postgres::PgDatabaseError;

use super::super::ProbeError;
use crate::model::text::one_line;
use crate::model::unit::Quantity;

pub enum Trouble {
    /// The database does not answer: an observation, with the reason.
    Down(String),
    /// It may answer others, but not this question: nothing could be seen.
    Blind(ProbeError),
}

const LOGIN: &str = "check the user and the password in the URL of the database";
const RIGHTS: &str = "give the user of the URL the right to read this";
const STATEMENT: &str = "try the query in the database's own client";
const READ_ONLY: &str = "a probe only looks; put changes into an action";

impl Trouble {
    pub fn no_answer(limit: Duration) -> Self {
        Self::Down(format!("no answer within {}", Quantity::duration(limit).rounded()))
    }

    /// The other side speaks another protocol, or its own badly.
    pub fn nonsense(why: &str) -> Self {
        // The driver's texts end with a place in its source.
        let why = why.split(" (sqlx").next().unwrap_or(why);
        Self::blind(
            "bad_answer",
            &one_line(&format!("the server's answer makes no sense: {why}"), 300),
            "check that the URL of the database names the right kind of server",
        )
    }

    fn blind(code: &'static str, text: &str, help: &str) -> Self {
        Self::Blind(ProbeError::new(code, text).help(help))
    }

    pub fn io(error: &io::Error) -> Self {
        use io::ErrorKind;
        if let Some(rustls::Error::InvalidCertificate(error)) = error.get_ref().and_then(|inner| inner.downcast_ref()) {
            return Self::Down(one_line(&certificate(error), 300));
        }
        Self::Down(match error.kind() {
            ErrorKind::PermissionDenied => {
                return Self::blind("permission", "no permission to open the socket", "run opsctl as a user who may");
            }
            ErrorKind::ConnectionRefused => "connection refused".to_owned(),
            ErrorKind::NotFound => "no such socket".to_owned(),
            ErrorKind::UnexpectedEof
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe => "the server closed the connection".to_owned(),
            _ => without_number(&error.to_string()),
        })
    }

    /// By MySQL's and MariaDB's error numbers.
    fn mysql(error: &MySqlDatabaseError) -> Self {
        let text = one_line(error.message(), 300);
        match error.number() {
            1049 | 1040 | 1203 | 1226 | 1129 => Self::Down(text),
            // Shutting down, out of memory or disk space, crashed tables, storage engine errors, lock waits.
            1053 | 1021 | 1030 | 1034 | 1037 | 1038 | 1041 | 1077 | 1079 | 1135 | 1194 | 1195 | 1205 | 1213 => {
                Self::Down(text)
            }
            // Ended by the limit, by the limit of MySQL, by KILL, with the connection.
            1969 | 3024 | 1317 | 1927 => Self::Down(format!("the statement was ended: {text}")),
            1044 | 1045 | 1130 | 1251 | 1698 | 1820 | 1862 | 4151 => Self::blind("permission", &text, LOGIN),
            1142 | 1143 | 1227 | 1370 | 1345 | 1290 => Self::blind("permission", &text, RIGHTS),
            1792 => Self::blind("read_only", &text, READ_ONLY),
            1210 if text.ends_with("to EXECUTE") => Self::blind(
                "bad_statement",
                "the query has more or fewer parameters than are given",
                "give one of `parameters` for each `?` of the query",
            ),
            _ => Self::blind("bad_statement", &text, STATEMENT),
        }
    }

    /// By SQLSTATE: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
    fn postgres(error: &PgDatabaseError) -> Self {
        let text = one_line(error.message(), 300);
        let hint = error.hint().map_or(Cow::Borrowed(STATEMENT), |hint| Cow::Owned(one_line(hint, 300)));
        match error.code() {
            // No such database, which a look at the server alone would not notice.
            "3D000" => Self::Down(text),
            "57014" => Self::Down(format!("the statement was ended: {text}")),
            "28P01" | "28000" => Self::blind("permission", &text, LOGIN),
            "42501" => Self::blind("permission", &text, RIGHTS),
            // Also the attempt to make the transaction writable.
            code if code.starts_with("25") => Self::blind("read_only", &text, READ_ONLY),
            // Connection, transaction rollback, resources, object in use, shutdown, system, corruption.
            code if ["08", "40", "53", "55", "57", "58", "XX"].iter().any(|class| code.starts_with(class)) => {
                Self::Down(text)
            }
            _ => Self::blind("bad_statement", &text, &hint),
        }
    }

    /// By SQLite's result codes, whose low byte names the kind: <https://www.sqlite.org/rescode.html>.
    fn sqlite(code: u32, message: &str) -> Self {
        let text = one_line(message, 300);
        match code & 0xff {
            // Locked, an I/O error, corrupt, disk full, not a database.
            5 | 6 | 10 | 11 | 13 | 26 => Self::Down(text),
            9 => Self::Down("the statement was ended: it took too long".to_owned()),
            8 if code == 8 => Self::blind("read_only", &text, READ_ONLY),
            8 | 14 => Self::blind(
                "permission",
                &text,
                "opsctl needs to write to the folder of a database in WAL mode, and of one that its program left unclean",
            ),
            3 | 23 => Self::blind("permission", &text, RIGHTS),
            _ => Self::blind("bad_statement", &text, STATEMENT),
        }
    }
}

impl From<ProbeError> for Trouble {
    fn from(error: ProbeError) -> Self {
        Self::Blind(error)
    }
}

impl From<sqlx::Error> for Trouble {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Io(error) => Self::io(&error),
            sqlx::Error::Database(error) => {
                if let Some(error) = error.try_downcast_ref::<MySqlDatabaseError>() {
                    Self::mysql(error)
                } else if let Some(error) = error.try_downcast_ref::<PgDatabaseError>() {
                    Self::postgres(error)
                } else {
                    let code = error.code().and_then(|code| code.parse().ok()).unwrap_or_default();
                    Self::sqlite(code, error.message())
                }
            }
            sqlx::Error::Tls(error) => Self::blind(
                "tls",
                &one_line(&format!("no TLS connection: {error}"), 300),
                "check the certificate and the mode (`ssl-mode`, `sslmode`) in the URL of the database",
            ),
            sqlx::Error::Protocol(text) if text.contains("parameters") => {
                let text = text.split(" (sqlx").next().unwrap_or_default();
                Self::blind("bad_statement", &one_line(text, 300), STATEMENT)
            }
            sqlx::Error::Protocol(text) => Self::nonsense(&text),
            error => Self::nonsense(&error.to_string()),
        }
    }
}

/// What is wrong with the certificate that the server presents.
fn certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::UnknownIssuer => "its certificate was issued by an authority that is not trusted here; name \
                                            the authority's file in the URL (`ssl-ca`, for PostgreSQL `sslrootcert`)"
            .to_owned(),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "its certificate expired".to_owned(),
        CertificateError::NotValidForNameContext { expected, presented } => {
            format!("its certificate is for {}, not for {}", names(presented), expected.to_str())
        }
        other => format!("its certificate is not valid: {other}"),
    }
}

/// `localhost` of `DnsName("localhost")`.
fn names(presented: &[String]) -> String {
    let bare = |name: &String| {
        let inner = name.split_once('(').map_or(name.as_str(), |(_, inner)| inner);
        inner.trim_end_matches(')').trim_matches('"').to_owned()
    };
    presented.iter().map(bare).collect::<Vec<_>>().join(" and ")
}

/// The system's text without its `(os error 113)`.
pub fn without_number(text: &str) -> String {
    one_line(text.split(" (os error").next().unwrap_or(text), 300)
}
