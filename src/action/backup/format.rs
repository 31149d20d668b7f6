//! What a backup is written as, by the ending of its name.

use std::fs::File;
use std::io::{self, Write};

use sha2::{Digest as _, Sha256};

use crate::probe::database::dump::hex;
use crate::probe::sql::statement::Dialect;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Format {
    pub content: Content,
    compression: Compression,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Content {
    Sql,
    /// PostgreSQL's own, which is compressed already.
    Custom,
    Sqlite,
    Tar,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Format {
    /// # Errors
    /// The ending is not known, in words.
    pub fn of(name: &str) -> Result<Self, String> {
        let (compression, name) = match name.rsplit_once('.') {
            Some((rest, "gz")) => (Compression::Gzip, rest),
            Some((rest, "zst")) => (Compression::Zstd, rest),
            _ => (Compression::None, name),
        };
        let content = match name.rsplit_once('.').map(|(_, ending)| ending) {
            Some("sql") => Content::Sql,
            Some("dump") if compression == Compression::None => Content::Custom,
            Some("db") => Content::Sqlite,
            Some("tar") => Content::Tar,
            _ => return Err(format!("the ending of `{name}` does not say what to write")),
        };
        Ok(Self { content, compression })
    }

    /// The one that suits a database.
    #[must_use]
    pub fn for_database(dialect: Dialect) -> (Self, &'static str) {
        let (content, ending) = match dialect {
            Dialect::MySql | Dialect::Postgres => (Content::Sql, ".sql.zst"),
            Dialect::Sqlite => (Content::Sqlite, ".db.zst"),
        };
        (Self { content, compression: Compression::Zstd }, ending)
    }

    #[must_use]
    pub fn is_tar(self) -> bool {
        self.content == Content::Tar
    }

    /// How a person would write it behind the command.
    #[must_use]
    pub fn shown(self) -> &'static str {
        match self.compression {
            Compression::None => "",
            Compression::Gzip => " | gzip",
            Compression::Zstd => " | zstd",
        }
    }

    /// # Errors
    /// Those of zstd.
    pub fn writer(self, file: File) -> io::Result<Writer> {
        let hashed = Hashed { file, hash: Sha256::new(), size: 0 };
        Ok(match self.compression {
            Compression::None => Writer::Plain(hashed),
            Compression::Gzip => Writer::Gzip(flate2::write::GzEncoder::new(hashed, flate2::Compression::default())),
            Compression::Zstd => Writer::Zstd(zstd::stream::write::Encoder::new(hashed, 0)?),
        })
    }
}

/// Compresses into a file whose checksum is known at the end.
pub enum Writer {
    Plain(Hashed),
    Gzip(flate2::write::GzEncoder<Hashed>),
    Zstd(zstd::stream::write::Encoder<'static, Hashed>),
}

impl Writer {
    /// The checksum and the size of the file, which is on the disk then.
    pub fn finish(self) -> io::Result<(String, u64)> {
        let hashed = match self {
            Self::Plain(hashed) => hashed,
            Self::Gzip(encoder) => encoder.finish()?,
            Self::Zstd(encoder) => encoder.finish()?,
        };
        hashed.file.sync_all()?;
        Ok((hex(&hashed.hash.finalize()), hashed.size))
    }
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(writer) => writer.write(bytes),
            Self::Gzip(writer) => writer.write(bytes),
            Self::Zstd(writer) => writer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(writer) => writer.flush(),
            Self::Gzip(writer) => writer.flush(),
            Self::Zstd(writer) => writer.flush(),
        }
    }
}

pub struct Hashed {
    file: File,
    hash: Sha256,
    size: u64,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
