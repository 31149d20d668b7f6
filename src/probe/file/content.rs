//! What is in a file, read once and in constant memory.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use memchr::{memchr_iter, memrchr};
use regex::bytes::Regex;
use sha2::{Digest, Sha256};

use super::Look;
use crate::model::fact::Subject;
use crate::model::value::Value;
use crate::probe::ProbeError;

/// A longer line is searched in pieces of this size.
const BLOCK: usize = 1 << 20;

/// Reads the file if anything in it is wanted.
pub fn look(path: &Path, look: &Look, subject: &mut Subject) -> Result<(), ProbeError> {
    let asked = |name: &str| look.cx.asked.iter().any(|fact| fact == name);
    let mut content = Content {
        search: look.contains.as_ref(),
        found: false,
        checksum: asked("checksum").then(Sha256::new),
        lines: asked("lines").then_some(0),
        last: b'\n',
    };
    if content.search.is_none() && content.checksum.is_none() && content.lines.is_none() {
        return Ok(());
    }
    let mut file = File::open(path).map_err(|error| ProbeError::io("its content", &error))?;
    let mut block = vec![0; BLOCK];
    let mut filled = 0;
    loop {
        look.go_on()?;
        let read = read_some(&mut file, &mut block[filled..]).map_err(|error| ProbeError::io("its content", &error))?;
        content.count(&block[filled..filled + read]);
        filled += read;
        if read == 0 {
            content.search(&block[..filled]);
            break;
        }
        if filled == BLOCK {
            let end = memrchr(b'\n', &block).map_or(BLOCK, |newline| newline + 1);
            content.search(&block[..end]);
            block.copy_within(end.., 0);
            filled = BLOCK - end;
        }
        if content.is_done() {
            break;
        }
    }
    content.report(subject);
    Ok(())
}

fn read_some(file: &mut File, into: &mut [u8]) -> io::Result<usize> {
    loop {
        match file.read(into) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

struct Content<'l> {
    search: Option<&'l Regex>,
    found: bool,
    checksum: Option<Sha256>,
    lines: Option<u64>,
    last: u8,
}

impl Content<'_> {
    fn count(&mut self, bytes: &[u8]) {
        if let Some(checksum) = &mut self.checksum {
            checksum.update(bytes);
        }
        if let Some(lines) = &mut self.lines {
            *lines += memchr_iter(b'\n', bytes).count() as u64;
        }
        self.last = bytes.last().copied().unwrap_or(self.last);
    }

    fn search(&mut self, lines: &[u8]) {
        self.found = self.found || self.search.is_some_and(|pattern| !lines.is_empty() && pattern.is_match(lines));
    }

    fn is_done(&self) -> bool {
        self.found && self.checksum.is_none() && self.lines.is_none()
    }

    fn report(self, subject: &mut Subject) {
        if self.search.is_some() {
            subject.set("contains", Value::Bool(self.found));
        }
        if let Some(lines) = self.lines {
            subject.set("lines", Value::count(lines + u64::from(self.last != b'\n')));
        }
        if let Some(checksum) = self.checksum {
            let hex = checksum.finalize().iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
            subject.set("checksum", Value::text(hex));
        }
    }
}
