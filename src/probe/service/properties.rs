//! What `systemctl show` prints: `Name=value` lines, an empty line between two units.

use std::time::Duration;

use super::clock;

/// Asked of every unit. None of them has a value of several lines, so that units can be told apart.
pub const ASKED: &str = "Id,LoadState,LoadError,ActiveState,SubState,UnitFileState,Result,NRestarts,MainPID,\
    ExecMainCode,ExecMainStatus,ExecMainStartTimestampMonotonic,StateChangeTimestampMonotonic,\
    ActiveEnterTimestampMonotonic,ActiveExitTimestampMonotonic,InactiveEnterTimestampMonotonic,\
    InactiveExitTimestampMonotonic,NeedDaemonReload,MemoryCurrent,MemoryMax,NextElapseUSecRealtime,\
    NextElapseUSecMonotonic,LastTriggerUSec,ActiveEnterTimestamp,Unit,TimersCalendar,TimersMonotonic,\
    AccuracyUSec,RandomizedDelayUSec";

/// The properties of one unit. Those that its type or this version of systemd does not have are absent.
#[derive(Debug)]
pub struct Properties(Vec<(String, String)>);

impl Properties {
    /// Of each unit, in the order in which systemctl was given their names.
    pub fn parse(shown: &str) -> Vec<Self> {
        let units = shown.split("\n\n").map(|block| {
            let pairs = block.lines().filter_map(|line| line.split_once('='));
            Self(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
        });
        units.filter(|unit| !unit.0.is_empty()).collect()
    }

    /// `None` also where systemd writes that it has no value.
    pub fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())?;
        (!matches!(value, "" | "n/a" | "[not set]" | "[no data]" | "infinity")).then_some(value)
    }

    /// Every value of a property that may be there more than once.
    pub fn all<'p>(&'p self, name: &'p str) -> impl Iterator<Item = &'p str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn is(&self, name: &str, value: &str) -> bool {
        self.get(name) == Some(value)
    }

    /// The largest number means that there is none.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.parse().ok().filter(|number| *number != u64::MAX)
    }

    /// When something happened, on the clock that began at boot; `None` if it never did.
    pub fn instant(&self, name: &str) -> Option<Duration> {
        self.number(name).filter(|moment| *moment > 0).map(Duration::from_micros)
    }

    /// A time span such as `4h 35min 52.394531s`; zero means that there is none.
    pub fn span(&self, name: &str) -> Option<Duration> {
        clock::parse_span(self.get(name)?).filter(|span| !span.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_told_apart_and_what_is_not_set_is_absent() {
        let shown = "Id=a.service\nNRestarts=3\nMemoryCurrent=[not set]\nLoadError=\n\nId=b.timer\nMemoryCurrent=18446744073709551615\n";
        let units = Properties::parse(shown);
        assert_eq!(units.len(), 2);
        assert_eq!((units[0].get("Id"), units[0].number("NRestarts")), (Some("a.service"), Some(3)));
        assert_eq!((units[0].get("LoadError"), units[0].number("MemoryCurrent")), (None, None));
        assert_eq!((units[1].number("NRestarts"), units[1].number("MemoryCurrent")), (None, None));
        assert!(Properties::parse("").is_empty());
    }
}
