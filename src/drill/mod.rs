//! The practice system: a helpdesk that is really there for the length of one command, healthy or broken as wished.
//!
//! It needs nothing installed: its services are this program itself, started under other names, and everything that
//! it writes lies in one folder that goes away with it.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use chrono::Utc;
use tempfile::TempDir;

mod backups;
mod control;
mod data;
mod dice;
mod fault;
mod logs;
mod orphan;
mod score;
mod service;
mod setup;
mod site;
mod small_disk;

pub use control::{CONTROL, control};
pub use fault::{Fault, UnknownFault};
pub use orphan::{PRACTISED, Practised};
pub use score::{LEFT_OPEN, score};
pub use service::{SERVICE, service};

use control::Control;
use service::Service;
use setup::Setup;
use small_disk::SmallDisk;

/// The running practice system.
///
/// Dropping it kills its services and removes its folder. When the process that holds it dies without dropping it
/// (`kill -9`, a Ctrl-C that is not caught), the services notice, end and remove the folder themselves, and so does a
/// command that was started with [`System::to_variable`].
#[derive(Debug)]
pub struct System {
    // The order of the fields is the order of the end.
    _control: Control,
    _small_disk: Option<SmallDisk>,
    _folder: TempDir,
    setup: Setup,
    url: String,
}

/// Why the practice system did not start.
#[derive(Debug, thiserror::Error)]
pub enum DrillError {
    #[error("cannot make the practice system's files in {}", place.display())]
    Files { place: PathBuf, source: io::Error },
    #[error("cannot make the practice database in {}", place.display())]
    Database { place: PathBuf, source: sqlx::Error },
    #[error("the service {name} of the practice system did not start: {reason}")]
    Service { name: String, reason: String },
    #[error("cannot mount a small disk for the fault `disk-full`: {reason}")]
    SmallDisk { reason: String },
}

impl DrillError {
    /// What to do.
    #[must_use]
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Files { .. } | Self::Database { .. } => {
                Some("set TMPDIR to a folder that may be written and has 20 MiB free")
            }
            Self::Service { .. } => None,
            Self::SmallDisk { .. } => Some("run this drill as root (sudo opsctl drill ...), or leave this fault out"),
        }
    }
}

impl System {
    /// Starts the practice system with these faults; `own_exe` is the program whose `main` calls [`service`].
    ///
    /// # Errors
    /// A file, the database or a service could not be made; what was made already is gone again.
    pub fn start(faults: &[Fault], own_exe: &Path) -> Result<Self, DrillError> {
        let place = setup::roomiest_place();
        let files = |source| DrillError::Files { place: place.clone(), source };
        let folder =
            tempfile::Builder::new().prefix(setup::FOLDER_PREFIX).rand_bytes(5).tempdir_in(&place).map_err(files)?;
        let mut setup = Setup {
            root: folder.path().to_owned(),
            timezone: setup::machine_timezone(),
            port: 0,
            faults: faults.to_vec(),
        };
        // Before the first file: should this process be killed, they tidy up.
        let database = Service::start("database", &setup, own_exe)?;
        let web = Service::start("web", &setup, own_exe)?;
        let worker = (!setup.has(Fault::ProcessGone)).then(|| Service::start("worker", &setup, own_exe)).transpose()?;
        write_files(&setup)?;
        let small_disk = setup.has(Fault::DiskFull).then(|| SmallDisk::mount(&setup.small_disk())).transpose()?;

        // The database comes first: the web server looks at it when it begins.
        let mut services = vec![("database", database.ready()?.0)];
        let (web, address) = web.ready()?;
        services.push(("web", web));
        if let Some(worker) = worker {
            services.push(("worker", worker.ready()?.0));
        }
        setup.port = address.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or(0);
        let url = format!("http://{address}");
        site::write(&setup, &url, own_exe).map_err(files)?;
        let control = Control::open(services, &setup, own_exe).map_err(files)?;
        Ok(Self { _control: control, _small_disk: small_disk, _folder: folder, setup, url })
    }

    /// What `--site` is given.
    #[must_use]
    pub fn site_file(&self) -> PathBuf {
        self.setup.site_file()
    }

    /// The drill's own journal, so that practice leaves no trace in the real one.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.setup.journal()
    }

    /// The variable [`PRACTISED`] for the command that is practised, which then ends with this process.
    #[must_use]
    pub fn to_variable(&self) -> OsString {
        orphan::to_variable(&self.setup.root)
    }

    /// Where the home page is.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Everything of the practice system lies here.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.setup.root
    }
}

/// Database, backups and logs, as they are at the beginning of the drill.
fn write_files(setup: &Setup) -> Result<(), DrillError> {
    let now = Utc::now();
    let files = |source| DrillError::Files { place: setup.root.clone(), source };
    let database = |source| DrillError::Database { place: setup.root.clone(), source };
    for folder in setup.kept().iter().chain([&setup.data()]) {
        std::fs::create_dir(folder).map_err(files)?;
    }
    std::thread::scope(|threads| {
        let logs = threads.spawn(|| logs::write_history(setup, now));
        // On a thread of its own: the caller may be inside of a runtime already.
        let grown = threads.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(files)?;
            let backups = runtime.block_on(backups::grow_database(setup, now)).map_err(database)?;
            backups::write(setup, &backups).map_err(files)
        });
        grown.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        logs.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)).map_err(files)
    })?;
    if setup.has(Fault::DatabaseDown) {
        let away = setup.database().with_extension("sqlite3.moved");
        std::fs::rename(setup.database(), away).map_err(files)?;
    }
    Ok(())
}
