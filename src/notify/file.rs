//! Messages as lines of a file.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use serde_json::Value as Json;
use tokio::time::timeout;

use super::WRITING;

/// Appends `line` in one write, so that lines of several programs do not mix.
///
/// # Errors
/// Why it was not written.
pub async fn append(path: &Path, line: &Json) -> Result<(), String> {
    let (file, line) = (path.to_owned(), format!("{line}\n"));
    let writing = tokio::task::spawn_blocking(move || write(&file, line.as_bytes()));
    let written = match timeout(WRITING, writing).await {
        Ok(Ok(written)) => written.map_err(|error| error.to_string()),
        Ok(Err(_)) => Err("the program is ending".to_owned()),
        Err(_) => Err(format!("it took longer than {} s", WRITING.as_secs())),
    };
    written.map_err(|reason| format!("cannot write {}: {reason}", path.display()))
}

fn write(path: &Path, line: &[u8]) -> io::Result<()> {
    // A pipe without a reader would keep its writer for ever.
    if std::fs::metadata(path).is_ok_and(|there| there.file_type().is_fifo()) {
        return Err(io::Error::other("it is a pipe"));
    }
    // Messages name people and troubles: for the owner only, unless the file was there before.
    let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    file.write_all(line)?;
    file.sync_data()
}
