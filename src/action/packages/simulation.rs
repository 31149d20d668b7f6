//! What apt-get would change.

use serde::{Deserialize, Serialize};

use super::tool::Pinned;
use crate::probe::packages::simulation::{Line, lines};

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
    pub fn parse(text: &str) -> Self {
        let mut found = Self::default();
        for line in lines(text) {
            match line {
                Line::Install { name, from, to, origin: _ } => {
                    let (name, from, to) = (name.to_owned(), from.map(str::to_owned), to.to_owned());
                    found.changes.push(Change { name, from, to });
                }
                Line::Remove { name, version } => {
                    found.removes.push(Pinned { name: name.to_owned(), version: version.to_owned() });
                }
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
