//! What one drill is: where its files lie, its time zone, its faults. The system and its services share it.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use chrono_tz::Tz;

use super::fault::Fault;

/// Folders that drills make, and the only ones that a service ever removes, begin with this.
pub(super) const FOLDER_PREFIX: &str = "opsctl-drill-";

#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub root: PathBuf,
    pub timezone: Tz,
    /// Of the web server; 0 until it has chosen one.
    pub port: u16,
    pub faults: Vec<Fault>,
}

impl Setup {
    pub fn has(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
    }

    pub fn site_file(&self) -> PathBuf {
        self.root.join("opsctl.yaml")
    }

    pub fn journal(&self) -> PathBuf {
        self.root.join("journal.db")
    }

    pub fn database(&self) -> PathBuf {
        self.data().join("helpdesk.sqlite3")
    }

    /// The data folder of the database.
    pub fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    /// Folders for what is kept in an emergency.
    pub fn kept(&self) -> [PathBuf; 3] {
        ["damaged", "before-restore", "evidence"].map(|name| self.root.join(name))
    }

    pub fn logs(&self) -> PathBuf {
        self.root.join("log")
    }

    pub fn access_log(&self) -> PathBuf {
        self.root.join("log/access.log")
    }

    pub fn apache_log(&self) -> PathBuf {
        self.root.join("log/error.log")
    }

    pub fn django_log(&self) -> PathBuf {
        self.root.join("log/django.log")
    }

    pub fn backups(&self) -> PathBuf {
        self.root.join("backups")
    }

    /// Where the full file system of [`Fault::DiskFull`] is mounted.
    pub fn small_disk(&self) -> PathBuf {
        small_disk_in(&self.root)
    }

    pub fn disk(&self) -> PathBuf {
        if self.has(Fault::DiskFull) { self.small_disk() } else { self.root.clone() }
    }

    /// The name under which a service runs. It ends like the drill's folder, so that two drills on one machine do not
    /// see each other's processes.
    pub fn process_name(&self, service: &str) -> String {
        let folder = self.root.file_name().unwrap_or_default().to_string_lossy();
        format!("helpdesk-{service}-{}", folder.trim_start_matches(FOLDER_PREFIX))
    }

    /// As arguments of a service; [`Setup::from_args`] reads them.
    pub fn to_args(&self) -> impl Iterator<Item = OsString> {
        [self.root.clone().into(), self.timezone.name().into(), self.port.to_string().into()]
            .into_iter()
            .chain(self.faults.iter().map(|fault| fault.name().into()))
    }

    pub fn from_args(mut args: impl Iterator<Item = OsString>) -> Option<Self> {
        let root = PathBuf::from(args.next()?);
        let timezone = args.next()?.to_str()?.parse().ok()?;
        let port = args.next()?.to_str()?.parse().ok()?;
        let faults = args.map(|word| word.to_str()?.parse().ok()).collect::<Option<_>>()?;
        Some(Self { root, timezone, port, faults })
    }
}

pub(super) fn small_disk_in(root: &Path) -> PathBuf {
    root.join("small-disk")
}

/// The machine's time zone, so that the practice logs show the time of the newcomer's clock.
pub(super) fn machine_timezone() -> Tz {
    let from_environment = std::env::var("TZ").ok().and_then(|name| name.trim_start_matches(':').parse().ok());
    let from_link = || {
        let link = fs::read_link("/etc/localtime").ok()?;
        link.to_str()?.split_once("zoneinfo/")?.1.parse().ok()
    };
    from_environment.or_else(from_link).unwrap_or(Tz::UTC)
}

/// The folder in which the drill's folder is made: memory or disk, whichever has the larger free share, so that a
/// nearly full disk does not fail a drill without faults.
pub(super) fn roomiest_place() -> PathBuf {
    let temporary = std::env::temp_dir();
    let memory = Path::new("/dev/shm");
    if writable(memory) && free_share(memory) > free_share(&temporary) { memory.to_owned() } else { temporary }
}

fn writable(folder: &Path) -> bool {
    rustix::fs::access(folder, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK).is_ok()
}

fn free_share(folder: &Path) -> f64 {
    rustix::fs::statvfs(folder).map_or(0.0, |fs| fs.f_bavail as f64 / fs.f_blocks.max(1) as f64)
}
