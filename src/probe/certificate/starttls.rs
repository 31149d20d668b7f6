//! Protocols that begin in plain text and change to TLS when they are asked to.

use std::io;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::model::text::one_line;
use crate::probe::sql::trouble::without_number;

/// Of one line, and of a MySQL server's first packet.
const MOST_BYTES: u64 = 16 << 10;

/// Of one answer.
const MOST_LINES: usize = 100;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StartTls {
    None,
    Smtp,
    Imap,
    Pop3,
    Postgres,
    MySql,
}

impl StartTls {
    pub const WORDS: &'static [&'static str] = &["none", "smtp", "imap", "pop3", "postgres", "mysql"];

    pub fn of(word: Option<&str>) -> Self {
        match word {
            Some("smtp") => Self::Smtp,
            Some("imap") => Self::Imap,
            Some("pop3") => Self::Pop3,
            Some("postgres") => Self::Postgres,
            Some("mysql") => Self::MySql,
            _ => Self::None,
        }
    }

    /// The port where the protocol is usually spoken.
    pub fn port(self) -> u16 {
        match self {
            Self::None => 443,
            Self::Smtp => 25,
            Self::Imap => 143,
            Self::Pop3 => 110,
            Self::Postgres => 5432,
            Self::MySql => 3306,
        }
    }

    /// Asks the server to go on with TLS.
    ///
    /// # Errors
    /// Why it does not, as the end of a sentence about the server.
    pub async fn ask(self, stream: TcpStream) -> Result<TcpStream, String> {
        let mut talk = Talk { stream: BufReader::new(stream) };
        match self {
            Self::None => {}
            Self::Smtp => talk.smtp().await?,
            Self::Imap => talk.imap().await?,
            Self::Pop3 => talk.pop3().await?,
            Self::Postgres => talk.postgres().await?,
            Self::MySql => talk.mysql().await?,
        }
        Ok(talk.stream.into_inner())
    }
}

const NO_TLS: &str = "offers no TLS";

struct Talk {
    stream: BufReader<TcpStream>,
}

impl Talk {
    async fn smtp(&mut self) -> Result<(), String> {
        self.reply("220").await?;
        self.say(b"EHLO opsctl.invalid\r\n").await?;
        let offers = self.reply("250").await?;
        if !offers.iter().any(|line| line.get(4..).is_some_and(|word| word.trim().eq_ignore_ascii_case("STARTTLS"))) {
            return Err(NO_TLS.to_owned());
        }
        self.say(b"STARTTLS\r\n").await?;
        self.reply("220").await.map(drop)
    }

    async fn imap(&mut self) -> Result<(), String> {
        self.expect("* OK").await?;
        self.say(b"a1 STARTTLS\r\n").await?;
        for _ in 0..MOST_LINES {
            let line = self.line().await?;
            if line.starts_with("a1 OK") {
                return Ok(());
            }
            if line.starts_with("a1 ") {
                return Err(refused(&line));
            }
        }
        Err("does not come to an answer to STARTTLS".to_owned())
    }

    async fn pop3(&mut self) -> Result<(), String> {
        self.expect("+OK").await?;
        self.say(b"STLS\r\n").await?;
        let line = self.line().await?;
        if line.starts_with("+OK") { Ok(()) } else { Err(refused(&line)) }
    }

    /// The request for TLS, as a message of the protocol: <https://www.postgresql.org/docs/current/protocol-flow.html>.
    async fn postgres(&mut self) -> Result<(), String> {
        self.say(&[0, 0, 0, 8, 4, 210, 22, 47]).await?;
        match self.bytes::<1>().await? {
            [b'S'] => Ok(()),
            [b'N'] => Err(NO_TLS.to_owned()),
            _ => Err("does not speak the protocol of PostgreSQL".to_owned()),
        }
    }

    /// The server's first packet and the request for TLS:
    /// <https://mariadb.com/kb/en/connection/#initial-handshake-packet>.
    async fn mysql(&mut self) -> Result<(), String> {
        const TLS: u16 = 1 << 11;
        let no_mysql = || "does not speak the protocol of MySQL".to_owned();
        let [a, b, c, _] = self.bytes::<4>().await?;
        let length = u64::from(u32::from_le_bytes([a, b, c, 0]));
        if length > MOST_BYTES {
            return Err(no_mysql());
        }
        let mut greeting = vec![0; usize::try_from(length).unwrap_or_default()];
        self.stream.read_exact(&mut greeting).await.map_err(|error| ended(&error))?;
        if let [0xff, _, _, why @ ..] = greeting.as_slice() {
            return Err(refused(&String::from_utf8_lossy(why)));
        }
        let Some((10, rest)) = greeting.split_first() else { return Err(no_mysql()) };
        // The version ends with a zero; a connection's number, the half of a salt and another zero follow.
        let end = rest.iter().position(|byte| *byte == 0).ok_or_else(no_mysql)?;
        let Some(&[low, high]) = rest.get(end + 14..end + 16) else { return Err(no_mysql()) };
        if u16::from_le_bytes([low, high]) & TLS == 0 {
            return Err(NO_TLS.to_owned());
        }
        let mut request = [0; 36];
        // Its length and number; the protocol of 4.1, TLS and a long salt; packets up to 16 MiB; utf8mb4.
        request[..13].copy_from_slice(&[32, 0, 0, 1, 0x00, 0x8a, 0x08, 0x00, 0, 0, 0, 1, 45]);
        self.say(&request).await
    }

    /// The lines of an answer whose code must be `code`.
    async fn reply(&mut self, code: &str) -> Result<Vec<String>, String> {
        let mut lines = Vec::new();
        loop {
            let line = self.line().await?;
            if !line.starts_with(code) {
                return Err(refused(&line));
            }
            let goes_on = line.as_bytes().get(3) == Some(&b'-') && lines.len() < MOST_LINES;
            lines.push(line);
            if !goes_on {
                return Ok(lines);
            }
        }
    }

    async fn expect(&mut self, begin: &str) -> Result<(), String> {
        let line = self.line().await?;
        if line.starts_with(begin) { Ok(()) } else { Err(refused(&line)) }
    }

    async fn line(&mut self) -> Result<String, String> {
        let mut line = Vec::new();
        (&mut self.stream).take(MOST_BYTES).read_until(b'\n', &mut line).await.map_err(|error| ended(&error))?;
        if !line.ends_with(b"\n") {
            return Err(match line.len() {
                0 => ended(&io::ErrorKind::UnexpectedEof.into()),
                _ => refused(&String::from_utf8_lossy(&line)),
            });
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    async fn bytes<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut bytes = [0; N];
        self.stream.read_exact(&mut bytes).await.map_err(|error| ended(&error))?;
        Ok(bytes)
    }

    async fn say(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.stream.write_all(bytes).await.map_err(|error| ended(&error))
    }
}

fn refused(line: &str) -> String {
    let printable: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("does not change to TLS, but says `{}`", one_line(&printable, 100))
}

fn ended(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            "closed the connection before TLS began".to_owned()
        }
        _ => format!("broke off before TLS began: {}", without_number(&error.to_string())),
    }
}
