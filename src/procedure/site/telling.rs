//! Whom to tell, how and by when: channels, roles, the hours in which people are there, escalation policies.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use chrono::{DateTime, Utc};
use indexmap::IndexMap;

use super::{Role, Site};
use crate::model::event::incident::Rung;
use crate::notify::{Address, Channel, Kind};
use crate::procedure::diagnostic::suggestion;
use crate::procedure::document::{Message, Notify, Phrase};
use crate::procedure::library::{policies, template};

mod hours;
mod read;

pub use hours::Hours;
pub use read::{policies as read_policies, read};

/// What a site file says of telling people.
#[derive(Clone, Debug, Default)]
pub struct Telling {
    pub channels: IndexMap<String, Channel>,
    pub availability: IndexMap<String, Hours>,
    /// By name, before those of the packs.
    pub policies: IndexMap<String, Policy>,
    /// Texts of messages by name, before those of the packs.
    pub templates: IndexMap<String, String>,
    /// The policies of the site and of its packs, read when the first of them is asked for.
    known: OnceLock<IndexMap<String, Policy>>,
    /// The same for the texts of messages.
    pub texts: OnceLock<Texts>,
}

/// Texts of messages by name, or why they cannot be read.
pub type Texts = IndexMap<String, Result<String, String>>;

/// Tracks, each a ladder, by severity.
pub type Policy = IndexMap<String, Vec<Vec<Turn>>>;

/// A rung as the site file has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Turn {
    /// A role.
    pub to: String,
    pub channel: Option<String>,
    /// By when they have to be told, from when it is their turn.
    pub within: Option<Duration>,
    /// How long an acknowledgement may take before the next rung has its turn.
    pub answer: Option<Duration>,
}

/// The row of a policy for a severity that has none of its own, and for none.
pub const DEFAULT: &str = "default";

/// The channels that are there without being declared: a person calls or writes. The first one that the site gives no
/// other meaning is for roles that it does not have.
const BY_HAND: [(&str, Address); 2] = [("phone", Address::Phone), ("mail", Address::Mail)];

/// Who is to be told.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Roles: only their tracks of the policy, if there is one.
    pub to: &'a [String],
    /// A policy, and the row of it.
    pub policy: Option<&'a str>,
    pub severity: Option<&'a str>,
    /// Instead of those of the roles.
    pub channel: Option<&'a str>,
    /// From when deadlines count.
    pub since: DateTime<Utc>,
}

impl Site {
    /// The channel of this name, declared or not.
    #[must_use]
    pub fn channel(&self, name: &str) -> Option<Channel> {
        let by_hand = || {
            let (_, address) = BY_HAND.into_iter().find(|(known, _)| *known == name)?;
            Some(Channel { kind: Kind::ByHand, address })
        };
        self.telling.channels.get(name).cloned().or_else(by_hand)
    }

    /// Whom to tell in which order, with the times of each.
    ///
    /// Roles that the policy says nothing of are told all the same, without a time limit. A role that is not available
    /// when its turn comes is left out, or replaced by the one that it names; if nobody of a ladder is, its first rung is
    /// told all the same. For a role that the site does not have a person is asked to find somebody.
    ///
    /// # Errors
    /// There is no such policy, severity or channel.
    pub fn tracks(&self, asked: &Asked<'_>) -> Result<Vec<Vec<Rung>>, String> {
        let row = asked.policy.map(|policy| self.row(policy, asked.severity)).transpose();
        let mut ladders = match row {
            Err(reason) if asked.to.is_empty() => return Err(reason),
            row => row.ok().flatten().unwrap_or_default(),
        };
        if !asked.to.is_empty() {
            ladders.retain(|ladder| is_for(ladder, asked.to));
            if ladders.is_empty() {
                let alone = |to: &String| vec![Turn { to: to.clone(), channel: None, within: None, answer: None }];
                ladders = asked.to.iter().map(alone).collect();
            }
        }
        ladders.iter().map(|ladder| self.ladder(ladder, asked)).collect()
    }

    /// What a step names and the site does not have, before anybody is to be told. A severity that is known only then
    /// shows only then.
    #[must_use]
    pub fn cannot_tell(&self, notify: &Notify) -> Vec<String> {
        let mut roles: BTreeSet<String> = notify.to.iter().cloned().collect();
        let policy = match &notify.escalation {
            Some(name) => self.policy_lacks(name, notify, &mut roles).unwrap_or_else(|reason| vec![reason]),
            None => Vec::new(),
        };
        let roles = roles.iter().filter_map(|role| self.role(role).err());
        let channel = notify.channel.iter().filter_map(|channel| self.named_channel(channel).err());
        let template = match &notify.message {
            Message::Text(_) => None,
            Message::Template(name) => template(self, name).err(),
        };
        roles.chain(policy).chain(channel).chain(template).collect()
    }

    /// What the policy of a step says nothing of. Adds the roles that it names.
    fn policy_lacks(&self, name: &str, notify: &Notify, roles: &mut BTreeSet<String>) -> Result<Vec<String>, String> {
        let policy = self.policy(name)?;
        let of = |roles: &[String]| policy.values().flatten().filter(|ladder| is_for(ladder, roles)).count();
        let tracks = policy.values().flatten().filter(|ladder| notify.to.is_empty() || is_for(ladder, &notify.to));
        roles.extend(tracks.flatten().map(|turn| turn.to.clone()));
        let unknown = notify.to.iter().filter(|to| of(std::slice::from_ref(*to)) == 0);
        let mut lacks: Vec<String> =
            unknown.map(|to| format!("no row of the escalation `{name}` says by when `{to}` has to be told")).collect();
        if let Some(severity) = notify.severity.as_ref().and_then(Phrase::plain) {
            lacks.extend(self.row(name, Some(severity)).err());
        }
        Ok(lacks)
    }

    fn policy(&self, name: &str) -> Result<&Policy, String> {
        let known = self.telling.known.get_or_init(|| {
            let mut known = self.telling.policies.clone();
            for (name, policy) in policies(self) {
                known.entry(name).or_insert(policy);
            }
            known
        });
        known.get(name).ok_or_else(|| {
            let help = suggestion(name, known.keys().map(String::as_str), "there are");
            format!("there is no escalation `{name}` in the site file or its packs: {help}")
        })
    }

    fn named_channel(&self, name: &str) -> Result<Channel, String> {
        self.channel(name).ok_or_else(|| {
            let help = suggestion(name, self.telling.channels.keys().map(String::as_str), "there are");
            format!("the site file has no channel `{name}`: {help}")
        })
    }

    fn row(&self, name: &str, severity: Option<&str>) -> Result<Vec<Vec<Turn>>, String> {
        let policy = self.policy(name)?;
        let row = severity.and_then(|severity| policy.get(severity)).or_else(|| policy.get(DEFAULT));
        row.cloned().ok_or_else(|| {
            let rows = policy.keys().map(String::as_str);
            match severity {
                Some(severity) => format!(
                    "the escalation `{name}` has no row `{severity}`: {}",
                    suggestion(severity, rows, "there are")
                ),
                None => format!("the escalation `{name}` has no row `{DEFAULT}`, and the step names no severity"),
            }
        })
    }

    fn ladder(&self, steps: &[Turn], asked: &Asked<'_>) -> Result<Vec<Rung>, String> {
        let mut rungs = Vec::new();
        let mut due = asked.since;
        for step in steps {
            let Some(there) = self.there(&step.to, due) else { continue };
            let rung = self.rung(step, there, asked, due)?;
            rungs.push(rung);
            // After the last one nobody waits.
            let promised = self.roles.get(&step.to).and_then(|role| role.responds_within);
            due = later(due, step.answer.or(promised).unwrap_or_default())?;
        }
        if let (Some(first), true) = (steps.first(), rungs.is_empty()) {
            rungs.push(self.rung(first, &first.to, asked, asked.since)?);
        }
        Ok(rungs)
    }

    fn rung(&self, step: &Turn, to: &str, asked: &Asked<'_>, due: DateTime<Utc>) -> Result<Rung, String> {
        let role = self.role(to);
        let name = match &role {
            Ok(role) => {
                let usual = || role.channel.as_deref().unwrap_or(if role.phone.is_some() { "phone" } else { "mail" });
                step.channel.as_deref().or(asked.channel).unwrap_or_else(usual)
            }
            // Nothing but a person can find out whom to tell.
            Err(reason) => {
                let free = |name: &&str| !self.telling.channels.contains_key(*name);
                BY_HAND.iter().map(|(name, _)| *name).find(free).ok_or_else(|| reason.clone())?
            }
        };
        let channel = self.named_channel(name)?;
        Ok(Rung {
            to: to.to_owned(),
            channel: name.to_owned(),
            address: role.ok().and_then(|role| role.address(channel.address)).map(str::to_owned),
            instead_of: (to != step.to).then(|| step.to.clone()),
            due,
            deadline: step.within.map(|within| later(due, within)).transpose()?,
        })
    }

    fn role(&self, name: &str) -> Result<&Role, String> {
        self.roles.get(name).ok_or_else(|| {
            let help = suggestion(name, self.roles.keys().map(String::as_str), "there are");
            format!("the site file has no role `{name}`: {help}")
        })
    }

    /// Who is there at that time for this role: itself, or the one that it names for other hours.
    fn there<'s>(&'s self, name: &'s str, at: DateTime<Utc>) -> Option<&'s str> {
        let mut name = name;
        // As many as there are: a circle is refused when the file is read.
        for _ in 0..=self.roles.len() {
            let Some(role) = self.roles.get(name) else { return Some(name) };
            let hours = role.available.as_ref().and_then(|hours| self.telling.availability.get(hours));
            if hours.is_none_or(|hours| hours.hold(at, self.timezone)) {
                return Some(name);
            }
            name = role.otherwise.as_ref()?;
        }
        None
    }
}

/// Whether a track begins with one of these roles.
fn is_for(ladder: &[Turn], roles: &[String]) -> bool {
    ladder.first().is_some_and(|first| roles.contains(&first.to))
}

impl Role {
    /// Where a channel reaches it.
    #[must_use]
    pub fn address(&self, address: Address) -> Option<&str> {
        match address {
            Address::Mail => self.mail.as_deref(),
            Address::Phone => self.phone.as_deref(),
            Address::Any => self.mail.as_deref().or(self.phone.as_deref()),
        }
    }
}

fn later(at: DateTime<Utc>, by: Duration) -> Result<DateTime<Utc>, String> {
    let later = chrono::Duration::from_std(by).ok().and_then(|by| at.checked_add_signed(by));
    later.ok_or_else(|| "a time of the escalation is too far away".to_owned())
}

/// A file name of the site, as it is seen from the site file.
fn below(folder: &Path, path: &str) -> std::path::PathBuf {
    folder.join(path).components().collect()
}
