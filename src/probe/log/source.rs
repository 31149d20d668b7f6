//! Reading: plain files by ranges, compressed ones as streams, both as pieces of whole lines in bounded memory.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use memchr::{memchr, memrchr};

use crate::probe::ProbeError;

/// Bytes read at a time: few calls, and still in the processor's cache.
pub const CHUNK: usize = 256 * 1024;

/// Bytes of the start and of the end of a file from which its format is learned.
pub const SAMPLE: usize = 16 * 1024;

/// A match may lie across two pieces of one very long line if it is not longer than this.
const OVERLAP: usize = 4096;

/// The memory that unpacking may take; the levels that are usual for logs need less.
const UNPACK_KIB: u32 = 10 * 1024;

/// NUL bytes at the start of a file that are passed over, if they are no hole.
const MOST_ZEROS: u64 = 256 * 1024 * 1024;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Packing {
    Plain,
    Gzip,
    Zstd,
    Xz,
    Bzip2,
}

/// An open log file. It ends where it ended when it was opened: a growing file is not chased.
#[derive(Debug)]
pub struct LogFile {
    pub path: PathBuf,
    /// Where the text begins: a file that was cut off under its writer (`copytruncate`) has NUL bytes up to where the
    /// writer was.
    pub start: u64,
    pub size: u64,
    /// Device and inode: the same file under another name is the same file.
    pub id: (u64, u64),
    pub packing: Packing,
    file: File,
}

impl LogFile {
    pub fn open(path: &Path) -> Result<Self, ProbeError> {
        let wrong = |error: &io::Error| ProbeError::io(path.display(), error);
        // Opening a pipe would wait for its writer.
        let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        let file = File::options().read(true).custom_flags(flags).open(path).map_err(|error| wrong(&error))?;
        let meta = file.metadata().map_err(|error| wrong(&error))?;
        if !meta.is_file() {
            let what = if meta.is_dir() { "a directory" } else { "not a regular file" };
            return Err(ProbeError::new("not_a_file", format!("{} is {what}", path.display())));
        }
        let mut magic = [1; 6];
        let read = read_full(&file, &mut magic, 0).map_err(|error| wrong(&error))?;
        let start = if magic[0] == 0 { text_start(&file).map_err(|error| wrong(&error))? } else { 0 };
        Ok(Self {
            path: path.to_owned(),
            start,
            size: meta.len(),
            id: (meta.dev(), meta.ino()),
            packing: packing(&magic[..read]),
            file,
        })
    }

    /// The bytes of a plain file in `from..to`.
    pub fn range(&self, from: u64, to: u64) -> Range<'_> {
        Range { file: &self.file, at: from, end: to.min(self.size) }
    }

    /// Whether it became shorter since it was opened.
    pub fn was_cut(&self) -> bool {
        self.file.metadata().is_ok_and(|meta| meta.len() < self.size)
    }

    /// The content, unpacked.
    pub fn unpacked(&self) -> io::Result<Box<dyn Read + Send + '_>> {
        let packed = BufReader::with_capacity(SAMPLE, self.range(0, self.size));
        Ok(match self.packing {
            Packing::Plain => Box::new(packed),
            Packing::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(packed)),
            Packing::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(packed)?;
                decoder.window_log_max(23)?;
                Box::new(decoder)
            }
            Packing::Xz => Box::new(lzma_rust2::XzReader::new_mem_limit(packed, true, UNPACK_KIB)),
            Packing::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(packed)),
        })
    }

    /// The first bytes of the unpacked content, and all of it.
    pub fn unpacked_with_head(&self) -> io::Result<(Vec<u8>, impl Read + Send)> {
        let mut content = self.unpacked()?;
        let mut head = Vec::new();
        content.by_ref().take(SAMPLE as u64).read_to_end(&mut head)?;
        Ok((head.clone(), Cursor::new(head).chain(content)))
    }

    /// The first and the last bytes of a plain file; the last ones start after a newline.
    pub fn ends(&self) -> io::Result<(Vec<u8>, Vec<u8>)> {
        let sample = SAMPLE as u64;
        let mut head = Vec::with_capacity(SAMPLE + 1);
        let head_end = self.start + sample;
        self.range(self.start, head_end).read_to_end(&mut head)?;
        let mut tail = Vec::with_capacity(SAMPLE + 1);
        if self.size > head_end {
            self.range((self.size - sample).max(head_end), self.size).read_to_end(&mut tail)?;
            let start = memchr(b'\n', &tail).map_or(tail.len(), |newline| newline + 1);
            tail.drain(..start);
        }
        Ok((head, tail))
    }

    /// Where the last `count` lines of a plain file start.
    pub fn last_lines(&self, count: u64) -> io::Result<u64> {
        let mut block = vec![0; SAMPLE];
        let mut end = self.size;
        let mut left = count;
        while end > self.start {
            let start = end.saturating_sub(SAMPLE as u64).max(self.start);
            let mut text = &mut block[..usize::try_from(end - start).unwrap_or(SAMPLE)];
            let read = read_full(&self.file, text, start)?;
            text = &mut text[..read];
            let mut cut = read;
            while let Some(newline) = memrchr(b'\n', &text[..cut]) {
                let after = start + newline as u64 + 1;
                if after < self.size {
                    left -= 1;
                    if left == 0 {
                        return Ok(after);
                    }
                }
                cut = newline;
            }
            end = start;
        }
        Ok(self.start)
    }
}

fn packing(magic: &[u8]) -> Packing {
    if magic.starts_with(&[0x1f, 0x8b]) {
        Packing::Gzip
    } else if magic.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        Packing::Zstd
    } else if magic.starts_with(&[0xfd, b'7', b'z', b'X', b'Z', 0]) {
        Packing::Xz
    } else if magic.starts_with(b"BZh") {
        Packing::Bzip2
    } else {
        Packing::Plain
    }
}

/// The first byte that is not NUL; holes are not read.
fn text_start(file: &File) -> io::Result<u64> {
    let mut block = vec![0; SAMPLE];
    let mut at = rustix::fs::seek(file, rustix::fs::SeekFrom::Data(0)).unwrap_or(0);
    let end = at.saturating_add(MOST_ZEROS);
    while at < end {
        let read = read_full(file, &mut block, at)?;
        let zeros = block[..read].iter().take_while(|byte| **byte == 0).count();
        at += zeros as u64;
        if zeros < read || read == 0 {
            break;
        }
    }
    Ok(at)
}

fn read_full(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], at + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// A part of a file. Shares the open file with other ranges; a file cut off meanwhile ends early.
#[derive(Debug)]
pub struct Range<'f> {
    file: &'f File,
    at: u64,
    end: u64,
}

impl Read for Range<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.file.read_at(&mut buffer[..left], self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// A piece of text.
#[derive(Debug)]
pub enum Piece<'b> {
    /// Whole lines; the last line of a file may lack its newline.
    Lines(&'b [u8]),
    /// A part of one line that is longer than the buffer. Parts overlap a little.
    Part { text: &'b [u8], first: bool, last: bool },
}

/// Cuts what it reads into pieces, with one buffer.
#[derive(Debug)]
pub struct Pieces<R> {
    source: R,
    buffer: Vec<u8>,
    filled: usize,
    used: usize,
    ended: bool,
    in_long_line: bool,
    /// Bytes of the source before the buffer.
    before: u64,
}

impl<'f> Pieces<Range<'f>> {
    /// With a buffer no larger than the range, and one byte more, so that its end is seen.
    pub fn of_range(range: Range<'f>, size: usize) -> Self {
        let whole = usize::try_from(range.end.saturating_sub(range.at)).unwrap_or(usize::MAX);
        Self::new(range, size.min(whole.saturating_add(1)))
    }
}

impl<R: Read> Pieces<R> {
    pub fn new(source: R, size: usize) -> Self {
        Self { source, buffer: vec![0; size], filled: 0, used: 0, ended: false, in_long_line: false, before: 0 }
    }

    /// How many bytes of the source came before the piece that was handed out last.
    pub fn before(&self) -> u64 {
        self.before
    }

    /// Bytes read from the source.
    pub fn taken(&self) -> u64 {
        self.before + self.filled as u64
    }

    fn drop_used(&mut self, used: usize) {
        self.buffer.copy_within(used..self.filled, 0);
        self.before += used as u64;
        self.filled -= used;
        self.used = 0;
    }

    fn fill(&mut self) -> io::Result<()> {
        while !self.ended && self.filled < self.buffer.len() {
            match self.source.read(&mut self.buffer[self.filled..]) {
                Ok(0) => self.ended = true,
                Ok(read) => self.filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The next piece; `None` at the end.
    pub fn next_piece(&mut self) -> io::Result<Option<Piece<'_>>> {
        self.drop_used(self.used);
        self.fill()?;
        let text = &self.buffer[..self.filled];
        if text.is_empty() {
            return Ok(None);
        }
        if self.in_long_line {
            let end = memchr(b'\n', text);
            let last = end.is_some() || self.ended;
            let text = &text[..end.unwrap_or(text.len())];
            self.used = if last { end.map_or(text.len(), |end| end + 1) } else { self.keep_overlap() };
            self.in_long_line = !last;
            return Ok(Some(Piece::Part { text, first: false, last }));
        }
        if let Some(newline) = memrchr(b'\n', text) {
            self.used = newline + 1;
            return Ok(Some(Piece::Lines(&text[..=newline])));
        }
        if self.ended {
            self.used = text.len();
            return Ok(Some(Piece::Lines(text)));
        }
        self.used = self.keep_overlap();
        self.in_long_line = true;
        Ok(Some(Piece::Part { text, first: true, last: false }))
    }

    fn keep_overlap(&self) -> usize {
        self.filled - OVERLAP.min(self.buffer.len() / 4)
    }
}
