//! Processes that still use files which were replaced or removed.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind};

use tokio_util::sync::CancellationToken;

use crate::probe::ProbeError;
use crate::probe::process::table::Process;

/// Where programs and libraries are; what else was removed while in use is mostly meant to be so.
const SYSTEM: &[&str] = &["/usr/", "/lib", "/bin/", "/sbin/", "/opt/"];

/// Lines of one process that are read at most.
const MOST_LINES: usize = 100_000;

#[derive(Debug, Default)]
pub struct Outdated {
    /// `pid process file`
    pub processes: Vec<String>,
    /// Processes that this user may not look into.
    pub hidden: u64,
}

impl Outdated {
    pub fn among(processes: &[Process], cancel: &CancellationToken) -> Result<Self, ProbeError> {
        let mut outdated = Self::default();
        for process in processes.iter().filter(|process| process.is_alive()) {
            if cancel.is_cancelled() {
                return Err(ProbeError::new("cancelled", "nobody waits for the processes any more"));
            }
            match File::open(format!("/proc/{}/maps", process.pid)).and_then(|maps| replaced(BufReader::new(maps))) {
                Ok(Some(file)) => {
                    let name = process.names().own();
                    outdated.processes.push(format!("{:>7}  {name}  {file}", process.pid));
                }
                Err(error) if error.kind() == ErrorKind::PermissionDenied => outdated.hidden += 1,
                // An error: it has ended meanwhile.
                Ok(None) | Err(_) => {}
            }
        }
        Ok(outdated)
    }
}

/// The first file with code that is gone: `address rights offset device inode /path (deleted)`.
fn replaced(maps: impl BufRead) -> io::Result<Option<String>> {
    for line in maps.split(b'\n').take(MOST_LINES) {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        let Some(rest) = line.strip_suffix(" (deleted)") else { continue };
        let is_code = rest.split(' ').nth(1).is_some_and(|rights| rights.contains('x'));
        let Some(at) = rest.find('/').filter(|_| is_code) else { continue };
        let path = &rest[at..];
        if SYSTEM.iter().any(|folder| path.starts_with(folder)) {
            return Ok(Some(path.to_owned()));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_library_is_found_and_temporary_files_and_data_are_not() {
        let file = |maps: &str| replaced(maps.as_bytes()).expect("readable");
        let library = "\
            55d0-55d1 r-xp 00000000 fe:00 11 /usr/sbin/nginx\n\
            7f00-7f01 rw-p 00000000 00:01 12 /memfd:x (deleted)\n\
            7f01-7f02 r-xp 00000000 fe:00 13 /tmp/jit 1 (deleted)\n\
            7f02-7f03 r--p 00000000 fe:00 14 /usr/share/locale/x.mo (deleted)\n\
            7f03-7f04 r-xp 00001000 fe:00 15                         /usr/lib/x86_64-linux-gnu/libssl.so.3 (deleted)\n";
        assert_eq!(file(library).as_deref(), Some("/usr/lib/x86_64-linux-gnu/libssl.so.3"));
        let others: Vec<&str> = library.lines().take(4).collect();
        assert_eq!(file(&others.join("\n")), None);
    }
}
