//! Decompressing a file to its end on one thread while another looks at what comes out.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{self, BufRead, ErrorKind, Read};
use std::path::Path;
use std::rc::Rc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use crate::probe::threads;

/// Bytes that the threads hand over at a time; there are [`BLOCKS`] of them.
const BLOCK: usize = 256 << 10;
const BLOCKS: usize = 4;
/// Room in front of a block for the end of the block before it.
pub const OVERLAP: usize = 1 << 10;
/// Bytes that are read from the file at a time; cancellation and time limit are looked at as often.
const READ: usize = 128 << 10;
/// A format that wants more memory for its window is refused; `xz -9` wants 64 MiB, `zstd --long` 128 MiB.
const MOST_MEMORY_KIB: u32 = 192 << 10;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Compression {
    None,
    Gzip,
    Zstd,
    Xz,
    Bzip2,
}

const FORMATS: &[(Compression, &[u8], &[&str])] = &[
    (Compression::Gzip, b"\x1f\x8b", &["gz", "tgz"]),
    (Compression::Zstd, b"\x28\xb5\x2f\xfd", &["zst", "zstd", "tzst"]),
    (Compression::Xz, b"\xfd7zXZ\0", &["xz", "txz"]),
    (Compression::Bzip2, b"BZh", &["bz2", "tbz2", "tbz"]),
];

impl Compression {
    /// By the first bytes of the content.
    #[must_use]
    pub fn of(head: &[u8]) -> Self {
        FORMATS
            .iter()
            .find(|(_, magic, _)| head.starts_with(magic))
            .map_or(Self::None, |(compression, ..)| *compression)
    }

    /// By the last part of the name.
    #[must_use]
    pub fn named(path: &Path) -> Self {
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        FORMATS
            .iter()
            .find(|(.., extensions)| extensions.contains(&extension))
            .map_or(Self::None, |(compression, ..)| *compression)
    }

    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Xz => "xz",
            Self::Bzip2 => "bzip2",
        }
    }
}

/// Until when a file may be read.
#[derive(Clone)]
pub struct Bound {
    pub until: Instant,
    pub cancel: CancellationToken,
}

impl Bound {
    /// Why reading has to end now.
    #[must_use]
    pub fn stop(&self) -> Option<Stop> {
        if self.cancel.is_cancelled() {
            return Some(Stop::Cancelled);
        }
        (Instant::now() > self.until).then_some(Stop::TimeLimit)
    }
}

/// Why it is not known whether the file is whole.
#[derive(Debug)]
pub enum Stop {
    Cancelled,
    TimeLimit,
    /// The file cannot be read.
    Io(io::Error),
    /// The format has something that is not supported, such as a window larger than the memory that is allowed.
    Unsupported(String),
}

/// How the decompression ended, if it got as far as the data go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum End {
    Whole,
    /// What is wrong, and at which byte of the file.
    Damaged(String),
}

/// Bytes on their way from one thread to the other.
pub struct Block {
    bytes: Vec<u8>,
    length: usize,
}

impl Block {
    #[must_use]
    pub fn new() -> Self {
        Self { bytes: vec![0; OVERLAP + BLOCK], length: 0 }
    }

    /// Where content is to be written.
    pub fn room(&mut self) -> &mut [u8] {
        &mut self.bytes[OVERLAP..]
    }

    pub fn set_length(&mut self, length: usize) {
        self.length = length.min(BLOCK);
    }

    #[must_use]
    pub fn content(&self) -> &[u8] {
        &self.bytes[OVERLAP..OVERLAP + self.length]
    }

    /// The content with `before`, at most [`OVERLAP`] bytes, in front of it.
    pub fn content_after(&mut self, before: &[u8]) -> &[u8] {
        let start = OVERLAP - before.len();
        self.bytes[start..OVERLAP].copy_from_slice(before);
        &self.bytes[start..OVERLAP + self.length]
    }

    /// Reads until the block is full or nothing is left; what was read before an error is kept.
    fn fill(&mut self, reader: &mut dyn Read) -> io::Result<()> {
        self.length = 0;
        while self.length < BLOCK {
            match reader.read(&mut self.bytes[OVERLAP + self.length..]) {
                Ok(0) => break,
                Ok(read) => self.length += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Decompresses `file` to its end and shows every block of what comes out, in order.
///
/// # Errors
/// Reading had to stop: nothing is known about the rest of the file.
pub fn decode(
    file: File,
    compression: Compression,
    bound: &Bound,
    mut show: impl FnMut(&mut Block),
) -> Result<End, Stop> {
    let (free, empty) = sync_channel(BLOCKS);
    let (full, filled) = sync_channel::<Block>(BLOCKS);
    for _ in 0..BLOCKS {
        free.send(Block::new()).ok();
    }
    std::thread::scope(|scope| {
        let here = threads::here();
        let decoder = scope.spawn(move || {
            threads::leave(here);
            run(file, compression, bound, &empty, &full)
        });
        for mut block in filled {
            show(&mut block);
            // The decoder may have ended already; then nobody wants the block back.
            free.send(block).ok();
        }
        decoder.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn run(
    file: File,
    compression: Compression,
    bound: &Bound,
    empty: &Receiver<Block>,
    full: &SyncSender<Block>,
) -> Result<End, Stop> {
    let progress = Rc::new(Progress::default());
    let source = Source { file, bound, buffer: vec![0; READ], start: 0, end: 0, progress: Rc::clone(&progress) };
    let result = reader(source, compression).and_then(|mut reader| pump(&mut *reader, empty, full));
    if let Some(stop) = progress.stop.take() {
        return Err(stop);
    }
    let (word, at) = (compression.word(), progress.position.get());
    match result {
        Ok(()) => Ok(End::Whole),
        Err(error) => match error.kind() {
            ErrorKind::UnexpectedEof => {
                Ok(End::Damaged(format!("is cut off: the {word} data stop at byte {at} without their end")))
            }
            ErrorKind::OutOfMemory | ErrorKind::Unsupported => Err(Stop::Unsupported(error.to_string())),
            _ if error.to_string().contains("too much memory") => Err(Stop::Unsupported(error.to_string())),
            _ => Ok(End::Damaged(format!("is damaged: the {word} data are wrong near byte {at} ({error})"))),
        },
    }
}

fn pump(reader: &mut dyn Read, empty: &Receiver<Block>, full: &SyncSender<Block>) -> io::Result<()> {
    while let Ok(mut block) = empty.recv() {
        let result = block.fill(reader);
        let more = block.length == BLOCK;
        if full.send(block).is_err() {
            break;
        }
        result?;
        if !more {
            break;
        }
    }
    Ok(())
}

fn reader<'s>(source: Source<'s>, compression: Compression) -> io::Result<Box<dyn Read + 's>> {
    Ok(match compression {
        Compression::None => Box::new(source),
        Compression::Gzip => Box::new(Gzip { member: Some(flate2::bufread::GzDecoder::new(source)) }),
        Compression::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(source)?),
        Compression::Xz => Box::new(lzma_rust2::XzReader::new_mem_limit(source, true, MOST_MEMORY_KIB)),
        Compression::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(source)),
    })
}

/// Every member of a gzip file, and an error for whatever follows the last one.
struct Gzip<'s> {
    member: Option<flate2::bufread::GzDecoder<Source<'s>>>,
}

impl Read for Gzip<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let read = member.read(into)?;
            if read > 0 {
                return Ok(read);
            }
            let Some(member) = self.member.take() else { break };
            let mut source = member.into_inner();
            match source.fill_buf()? {
                [] => break,
                [0x1f, 0x8b, ..] | [0x1f] => self.member = Some(flate2::bufread::GzDecoder::new(source)),
                _ => return Err(io::Error::new(ErrorKind::InvalidData, "what follows the end is not gzip")),
            }
        }
        Ok(0)
    }
}

/// How far the file was consumed, and why reading had to stop, for who has given the source away to a decoder.
#[derive(Default)]
struct Progress {
    position: Cell<u64>,
    stop: RefCell<Option<Stop>>,
}

/// The file, read in pieces until its end or until the bound.
struct Source<'b> {
    file: File,
    bound: &'b Bound,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    progress: Rc<Progress>,
}

impl Source<'_> {
    fn stop<T>(&self, why: Stop) -> io::Result<T> {
        self.progress.stop.replace(Some(why));
        Err(io::Error::other("stopped"))
    }
}

impl BufRead for Source<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.start == self.end {
            if let Some(stop) = self.bound.stop() {
                return self.stop(stop);
            }
            match self.file.read(&mut self.buffer) {
                Ok(0) => return Ok(&[]),
                Ok(read) => (self.start, self.end) = (0, read),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return self.stop(Stop::Io(error)),
            }
        }
        Ok(&self.buffer[self.start..self.end])
    }

    fn consume(&mut self, amount: usize) {
        self.start += amount;
        self.progress.position.set(self.progress.position.get() + amount as u64);
    }
}

impl Read for Source<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(into)?;
        self.consume(read);
        Ok(read)
    }
}
