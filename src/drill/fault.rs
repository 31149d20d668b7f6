//! Faults: what can be broken in the practice system.

use std::fmt;
use std::str::FromStr;

/// One thing that is really broken in the practice system. Faults combine.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Fault {
    SiteDown,
    SiteSlow,
    SiteError,
    SiteWrongPage,
    SiteHangs,
    DatabaseDown,
    DatabaseLocked,
    ErrorStorm,
    LogMissing,
    BackupMissing,
    BackupCorrupt,
    BackupTruncated,
    BackupSmall,
    BackupEmpty,
    LatestStale,
    LatestDangling,
    ProcessGone,
    DiskFull,
    DataDeleted,
    Intruder,
}

impl Fault {
    pub const ALL: [Self; 20] = [
        Self::SiteDown,
        Self::SiteSlow,
        Self::SiteError,
        Self::SiteWrongPage,
        Self::SiteHangs,
        Self::DatabaseDown,
        Self::DatabaseLocked,
        Self::ErrorStorm,
        Self::LogMissing,
        Self::BackupMissing,
        Self::BackupCorrupt,
        Self::BackupTruncated,
        Self::BackupSmall,
        Self::BackupEmpty,
        Self::LatestStale,
        Self::LatestDangling,
        Self::ProcessGone,
        Self::DiskFull,
        Self::DataDeleted,
        Self::Intruder,
    ];

    /// The name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.words().0
    }

    /// What is broken, in one line.
    #[must_use]
    pub fn about(self) -> &'static str {
        self.words().1
    }

    /// Whether the service (`web`, `database`) that shows it is whole again when it is started anew.
    #[must_use]
    pub fn ends_with_restart(self) -> bool {
        matches!(self, Self::SiteDown | Self::SiteHangs | Self::DatabaseLocked)
    }

    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::SiteDown => ("site-down", "the web server runs but does not listen: connections are refused"),
            Self::SiteSlow => ("site-slow", "the home page answers after 3 seconds"),
            Self::SiteError => ("site-error", "the home page answers with HTTP 500: a release without its migration"),
            Self::SiteWrongPage => ("site-wrong-page", "every page answers with HTTP 200, but says \"maintenance\""),
            Self::SiteHangs => ("site-hangs", "the web server accepts connections and never answers"),
            Self::DatabaseDown => ("database-down", "the database file is gone, so the database cannot be opened"),
            Self::DatabaseLocked => ("database-locked", "a transaction that never ends locks everybody out"),
            Self::ErrorStorm => ("error-storm", "hundreds of errors and a crash within the last hour in both logs"),
            Self::LogMissing => ("log-missing", "django.log does not exist"),
            Self::BackupMissing => ("backup-missing", "yesterday's backup was never made"),
            Self::BackupCorrupt => ("backup-corrupt", "yesterday's backup has flipped bytes in the middle"),
            Self::BackupTruncated => ("backup-truncated", "yesterday's backup breaks off before its end"),
            Self::BackupSmall => ("backup-small", "yesterday's backup is valid, but of a database without rows"),
            Self::BackupEmpty => ("backup-empty", "yesterday's backup is a file of 0 bytes"),
            Self::LatestStale => ("latest-stale", "latest.sql.gz points to the oldest backup"),
            Self::LatestDangling => ("latest-dangling", "latest.sql.gz points to a file that does not exist"),
            Self::ProcessGone => ("process-gone", "the application's worker does not run"),
            Self::DiskFull => ("disk-full", "a small disk is full to the last byte (needs root to mount it)"),
            Self::DataDeleted => ("data-deleted", "a third of the tickets was deleted past the application"),
            Self::Intruder => ("intruder", "passwords are guessed from one address; two accounts were taken over"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The text names no fault.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{text}` is not a fault; {}", suggestion(*nearest))]
pub struct UnknownFault {
    pub text: String,
    pub nearest: Option<Fault>,
}

fn suggestion(nearest: Option<Fault>) -> String {
    nearest.map_or_else(
        || "`opsctl drill --list-faults` lists them".to_owned(),
        |fault| format!("did you mean `{fault}`?"),
    )
}

impl FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(text: &str) -> Result<Self, UnknownFault> {
        if let Some(fault) = Self::ALL.into_iter().find(|fault| fault.name() == text) {
            return Ok(fault);
        }
        let nearest = Self::ALL
            .into_iter()
            .map(|fault| (strsim::jaro_winkler(fault.name(), text), fault))
            .filter(|(likeness, _)| *likeness > 0.8)
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, fault)| fault);
        Err(UnknownFault { text: text.to_owned(), nearest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_found_by_its_name() {
        for fault in Fault::ALL {
            assert_eq!(fault.name().parse(), Ok(fault));
        }
    }

    #[test]
    fn a_misspelled_fault_names_the_nearest() {
        let error = "disk-ful".parse::<Fault>().unwrap_err();
        assert_eq!(error.to_string(), "`disk-ful` is not a fault; did you mean `disk-full`?");
        let error = "xyz".parse::<Fault>().unwrap_err();
        assert_eq!(error.to_string(), "`xyz` is not a fault; `opsctl drill --list-faults` lists them");
    }
}
