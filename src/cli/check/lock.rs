//! Locks: one run at a time for a procedure, and for what it says that it works on.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::cli::message::Failure;
use crate::model::id::RunId;

/// Who holds a lock.
#[derive(Clone, Serialize, Deserialize)]
pub struct Holder {
    pub run: RunId,
    pub operator: String,
    pub host: String,
    pub pid: u32,
    pub since: DateTime<Utc>,
}

/// Held as long as this lives. The system lets go of it when the process ends, however it ends: a lock has no dead holder.
pub struct Locks(Vec<File>);

impl Locks {
    /// Says who holds them.
    ///
    /// # Errors
    /// The disk is full, or the files cannot be written any more.
    pub fn name(&mut self, holder: &Holder) -> Result<(), Failure> {
        let text = serde_json::to_vec(holder).unwrap_or_default();
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(&text)
        };
        self.0.iter_mut().try_for_each(write).map_err(|error: std::io::Error| {
            let message = format!("cannot write who holds the locks: {error}");
            Failure::new(message, "check the space beside the journal")
        })
    }
}

/// Takes all of `keys`, or none of them.
///
/// # Errors
/// Somebody holds one of them, or the folder beside the journal cannot be written.
pub fn take(keys: &[String], holder: &Holder, journal: &Path, zone: chrono_tz::Tz) -> Result<Locks, Failure> {
    let folder = journal.with_file_name("locks");
    let cannot = |error: &std::io::Error| {
        let message = format!("cannot write the locks in {}: {error}", folder.display());
        Failure::new(message, "opsctl must be able to write beside its journal; set `journal` in the site file")
    };
    std::fs::create_dir_all(&folder).map_err(|error| cannot(&error))?;
    // In one order everywhere, so that two runs never wait for each other.
    let mut keys: Vec<&String> = keys.iter().collect();
    keys.sort();
    keys.dedup();
    let mut files = Vec::new();
    for key in keys {
        let name: String = key.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect();
        let path = folder.join(format!("{name}.lock"));
        let opened = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path);
        let mut file = opened.map_err(|error| cannot(&error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(error)) => return Err(cannot(&error)),
            Err(TryLockError::WouldBlock) => return Err(held(key, &mut file, zone)),
        }
        files.push(file);
    }
    let mut locks = Locks(files);
    locks.name(holder)?;
    Ok(locks)
}

fn held(key: &str, file: &mut File, zone: chrono_tz::Tz) -> Failure {
    let mut text = String::new();
    file.read_to_string(&mut text).ok();
    let Ok(holder) = serde_json::from_str::<Holder>(&text) else {
        return Failure::new(format!("{key} is being worked on by another run"), "wait for it, or see `opsctl tasks`");
    };
    let since = holder.since.with_timezone(&zone).format("%Y-%m-%d %H:%M:%S");
    let message = format!(
        "{key} is being worked on: by {} on {}, process {}, since {since}",
        holder.operator, holder.host, holder.pid
    );
    Failure::new(message, format!("join them, or wait; `opsctl show {}` shows their run", holder.run.short()))
}
