//! What a server says once it is connected.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use crate::model::text::CUT;
use crate::probe::sql::trouble::without_number;

/// More than this is not read.
const MOST_BYTES: usize = 4096;

/// A server that says nothing for so long after a whole line, or after what is no text, has finished.
const PAUSE: Duration = Duration::from_millis(300);

#[derive(Default)]
pub struct Banner {
    /// From the connection, or from what was sent, to the first byte.
    pub first_byte: Option<Duration>,
    pub said: Vec<u8>,
    /// Why there is no more, where people should know.
    pub note: Option<String>,
}

impl Banner {
    /// Sends `question` and reads what is said, until it ends or the time is up.
    pub async fn read(stream: &mut TcpStream, question: Option<&str>, end: Instant) -> Self {
        let mut banner = Self::default();
        if let Some(question) = question {
            match timeout_at(end, stream.write_all(question.as_bytes())).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    banner.note = Some(format!("nothing could be sent: {}", without_number(&error.to_string())));
                }
                Err(_) => banner.note = Some("the server did not take what was sent".to_owned()),
            }
        }
        let began = Instant::now();
        loop {
            let patience = if banner.may_be_whole() { (Instant::now() + PAUSE).min(end) } else { end };
            match timeout_at(patience, stream.read_buf(&mut banner.said)).await {
                Ok(Ok(0)) if banner.said.is_empty() => {
                    banner.note.get_or_insert_with(|| "the server closed the connection and said nothing".to_owned());
                    break;
                }
                Ok(Ok(0)) => break,
                Ok(Ok(_)) => {
                    banner.first_byte.get_or_insert_with(|| began.elapsed());
                }
                Ok(Err(error)) => {
                    banner.note.get_or_insert_with(|| without_number(&error.to_string()));
                    break;
                }
                Err(_) => {
                    banner.note = banner.note.take().or_else(|| banner.what_is_missing());
                    break;
                }
            }
            if banner.said.len() >= MOST_BYTES {
                banner.said.truncate(MOST_BYTES);
                banner.note = Some(format!("more than {MOST_BYTES} bytes were said; only these were read"));
                break;
            }
        }
        banner
    }

    /// As one text without the end of its last line; what is no text is shown as `.`.
    pub fn text(&self) -> String {
        let printable =
            |c: char| if (c.is_control() && !c.is_whitespace()) || c == char::REPLACEMENT_CHARACTER { '.' } else { c };
        let text: String = String::from_utf8_lossy(&self.said).trim_end().chars().map(printable).collect();
        if self.said.len() < MOST_BYTES { text } else { text + CUT }
    }

    /// Of a banner that the time limit ended.
    fn what_is_missing(&self) -> Option<String> {
        match self.said.len() {
            0 => Some("connected, but the server said nothing within the time limit".to_owned()),
            _ if self.may_be_whole() => None,
            bytes => Some(format!("the time was up before the end of the line, after {bytes} bytes")),
        }
    }

    fn may_be_whole(&self) -> bool {
        let is_binary = |byte: &u8| byte.is_ascii_control() && !byte.is_ascii_whitespace();
        self.said.ends_with(b"\n") || self.said.iter().any(is_binary)
    }
}

/// Says goodbye by closing, without waiting for long.
pub async fn close(mut stream: TcpStream) {
    timeout(PAUSE, stream.shutdown()).await.ok();
}
