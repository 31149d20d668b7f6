//! The commands that took the server long: <https://redis.io/docs/latest/commands/slowlog/>.

use std::time::Duration;

use redis::Value as Said;

use super::super::Context;
use super::super::sql::trouble::Trouble;
use super::connection::Connection;
use crate::model::fact::{Evidence, Subject};
use crate::model::text::one_line;
use crate::model::unit::Quantity;
use crate::model::value::Value;

/// The facts for which it is asked.
pub const FACTS: [&str; 2] = ["slow_commands", "recent_slow_commands"];

/// How many commands are shown.
const SHOWN: usize = 10;

pub enum SlowLog {
    /// How many there were since the start, and the newest of them.
    Recorded(u64, Vec<String>),
    Unknown(String),
}

impl SlowLog {
    pub async fn ask(connection: &mut Connection) -> Result<Self, Trouble> {
        let entries = match connection.run(redis::cmd("SLOWLOG").arg("GET").arg(SHOWN)).await? {
            Ok(Said::Array(entries)) => entries,
            Ok(_) => return Ok(Self::Unknown("the answer to SLOWLOG is no list".to_owned())),
            Err(refusal) => {
                let text = one_line(&refusal.into_text(), 200);
                let hint = "allow it on the server: ACL SETUSER NAME +slowlog|get";
                return Ok(Self::Unknown(format!("SLOWLOG was refused: {text}; {hint}")));
            }
        };
        // They are numbered from 0 since the start.
        if let Some(Said::Array(newest)) = entries.first()
            && let Some(Said::Int(number)) = newest.first()
        {
            let count = u64::try_from(*number).unwrap_or_default() + 1;
            return Ok(Self::Recorded(count, entries.iter().filter_map(line).collect()));
        }
        // An empty list may be one that nothing is ever written to.
        let limit = connection.run(redis::cmd("CONFIG").arg("GET").arg("slowlog-*")).await?;
        Ok(match limit.as_ref().map(|settings| (setting(settings, SLOWER_THAN), setting(settings, LENGTH))) {
            Ok((Some(limit), Some(length))) if limit >= 0 && length > 0 => Self::Recorded(0, Vec::new()),
            Ok((Some(_), Some(_))) => Self::Unknown(format!(
                "the server records no slow commands; switch it on: CONFIG SET {SLOWER_THAN} 10000, {LENGTH} 128"
            )),
            Ok(_) | Err(_) => Self::Unknown(
                "the slow log is empty, and whether anything is written to it may not be seen; allow it on the \
                 server: ACL SETUSER NAME +config|get"
                    .to_owned(),
            ),
        })
    }

    pub fn count(&self) -> Option<u64> {
        match self {
            Self::Recorded(count, _) => Some(*count),
            Self::Unknown(_) => None,
        }
    }

    pub fn describe(&self, subject: &mut Subject, cx: &Context) {
        match self {
            Self::Recorded(count, _) => subject.set("slow_commands", Value::count(*count)),
            Self::Unknown(why) if !cx.asked.is_empty() => subject.note(why),
            Self::Unknown(_) => {}
        }
    }

    pub fn evidence(self, name: &str) -> Option<Evidence> {
        match self {
            Self::Recorded(count, lines) if !lines.is_empty() => {
                let left_out = count - lines.len() as u64;
                Some(Evidence { left_out, ..Evidence::new(format!("slow commands of {name}, newest first"), lines) })
            }
            Self::Recorded(..) | Self::Unknown(_) => None,
        }
    }
}

const SLOWER_THAN: &str = "slowlog-log-slower-than";
const LENGTH: &str = "slowlog-max-len";

/// One of CONFIG GET, which lists names and values in turn.
fn setting(settings: &Said, name: &str) -> Option<i64> {
    let Said::Array(words) = settings else { return None };
    let texts: Vec<&[u8]> = words.iter().filter_map(text).collect();
    let pair = texts.chunks_exact(2).find(|pair| pair[0] == name.as_bytes())?;
    std::str::from_utf8(pair[1]).ok()?.parse().ok()
}

/// Without its arguments, which may be secret.
fn line(entry: &Said) -> Option<String> {
    let Said::Array(parts) = entry else { return None };
    let [_, Said::Int(at), Said::Int(micros), Said::Array(words), ..] = parts.as_slice() else { return None };
    let at = chrono::DateTime::from_timestamp(*at, 0)?;
    let took = Quantity::duration(Duration::from_micros(u64::try_from(*micros).ok()?)).rounded();
    let command = String::from_utf8_lossy(words.first().and_then(text)?).into_owned();
    let more = if words.len() > 1 { " …" } else { "" };
    Some(format!("{}  {took}  {}{more}", at.format("%Y-%m-%d %H:%M:%SZ"), one_line(&command, 40)))
}

fn text(said: &Said) -> Option<&[u8]> {
    match said {
        Said::BulkString(text) => Some(text),
        _ => None,
    }
}
