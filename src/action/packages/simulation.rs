//! What apt-get says it would do.

use serde::{Deserialize, Serialize};

use super::tool::Pinned;

/// One package that would be installed or replaced.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Change {
    pub name: String,
    /// The version that is installed; none for a new package.
    pub from: Option<String>,
    pub to: String,
}

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Simulation {
    pub changes: Vec<Change>,
    pub removes: Vec<Pinned>,
}

impl Simulation {
    /// Reads lines such as `Inst nginx [1.22] (1.24 Debian:12/stable [amd64])` and `Remv rsync [3.2]`; every other line
    /// is for people.
    pub fn parse(text: &str) -> Self {
        let mut found = Self::default();
        for line in text.lines() {
            if let Some((name, from, rest)) = line.strip_prefix("Inst ").map(parts) {
                let to = rest.strip_prefix('(').and_then(|rest| rest.split([' ', ')']).next());
                found.changes.extend(to.map(|to| Change { name, from, to: to.to_owned() }));
            } else if let Some((name, from, _)) =
                line.strip_prefix("Remv ").or_else(|| line.strip_prefix("Purg ")).map(parts)
            {
                found.removes.push(Pinned { name, version: from.unwrap_or_default() });
            }
        }
        found
    }
}

impl Change {
    /// For people.
    pub fn describe(&self) -> String {
        match &self.from {
            Some(from) => format!("{} {from} -> {}", self.name, self.to),
            None => format!("{} {} (new)", self.name, self.to),
        }
    }
}

/// The name, the version in square brackets if there is one, and the rest.
fn parts(line: &str) -> (String, Option<String>, &str) {
    let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
    let version = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (version, rest) = version.map_or((None, rest), |(version, rest)| (Some(version.to_owned()), rest.trim_start()));
    (name.to_owned(), version, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_a_simulation_are_read() {
        let text = "NOTE: This is only a simulation!\nReading package lists...\nRemv exim4 [4.96-15]\n\
                    Inst libssl3:i386 [3.0.15] (3.0.17 Debian:12.11/stable [i386]) []\n\
                    Inst web (2:1.0-1 repo:12 [all])\nConf web (2:1.0-1 repo:12 [all])\n";
        let seen = Simulation::parse(text);
        let described: Vec<String> = seen.changes.iter().map(Change::describe).collect();
        assert_eq!(described, ["libssl3:i386 3.0.15 -> 3.0.17", "web 2:1.0-1 (new)"]);
        assert_eq!(seen.removes, [Pinned { name: "exim4".to_owned(), version: "4.96-15".to_owned() }]);
    }
}
