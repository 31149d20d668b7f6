//! Files that people add to an answer: a copy is kept beside the journal, under its checksum.

use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::model::event::people::Attachment;

/// Why a file cannot be kept.
pub struct AttachError(pub String);

/// The largest file that is kept.
const MOST: u64 = 64 * 1024 * 1024;

/// Copies `path` beside the journal.
pub fn keep(path: &Path, journal: &Path) -> Result<Attachment, AttachError> {
    let wrong = |what: &str, error: &std::io::Error| AttachError(format!("{what} {}: {error}", path.display()));
    let meta = std::fs::metadata(path).map_err(|error| wrong("cannot attach", &error))?;
    if !meta.is_file() {
        return Err(AttachError(format!("{} is not a file", path.display())));
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MOST + 1).read_to_end(&mut bytes))
        .map_err(|error| wrong("cannot read", &error))?;
    if bytes.len() as u64 > MOST {
        return Err(AttachError(format!("{} is larger than 64 MiB; attach a part of it", path.display())));
    }
    let sha256 = crate::model::event::doing::hexadecimal(&Sha256::digest(&bytes));
    let folder = journal.with_file_name("attachments");
    let copy = folder.join(&sha256);
    let stored = std::fs::create_dir_all(&folder).and_then(|()| {
        if copy.exists() {
            return Ok(());
        }
        let mut file = tempfile::NamedTempFile::new_in(&folder)?;
        std::io::Write::write_all(&mut file, &bytes)?;
        file.as_file().sync_all()?;
        file.persist(&copy).map(|_| ()).map_err(|error| error.error)
    });
    stored.map_err(|error| AttachError(format!("cannot keep a copy in {}: {error}", folder.display())))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Attachment { name, size: bytes.len() as u64, sha256, path: copy.display().to_string() })
}
