//! Reading what the site file says of telling people. Every name that it refers to must be there.

use std::path::Path;
use std::time::Duration;

use chrono::Weekday;
use indexmap::IndexMap;

use super::hours::{DAYS, time_of_day};
use super::{BY_HAND, Hours, Policy, Telling, Turn, below};
use crate::notify::{Address, COMMAND_LIMIT, Channel, Kind};
use crate::procedure::decode::{Fields, Reader};
use crate::procedure::diagnostic::suggestion;
use crate::procedure::keys::{self, KeySpec};
use crate::procedure::site::Role;
use crate::procedure::yaml::{Key, Node};

/// What `available` says of a role that is there day and night.
const ALWAYS: &str = "always";

pub fn read(reader: &Reader, fields: &Fields<'_>, folder: &Path) -> (IndexMap<String, Role>, Telling) {
    let mut telling = Telling::default();
    for (name, fields) in named(reader, fields, "channels", "a channel", keys::CHANNEL, "mail: { by_hand: mail }") {
        if let Some(channel) = channel(reader, &fields, folder) {
            telling.channels.insert(name.text.to_string(), channel);
        }
    }
    let help = "office: { days: [mon, tue, wed, thu, fri], from: \"08:00\", to: \"16:00\" }";
    for (name, fields) in named(reader, fields, "availability", "a calendar", keys::AVAILABILITY, help) {
        if name.text == ALWAYS {
            reader.error(&name.span, "`always` needs no hours", "", "remove it, or give it another name");
        }
        if let Some(hours) = hours(reader, &fields) {
            telling.availability.insert(name.text.to_string(), hours);
        }
    }
    let roles = roles(reader, fields, &telling);
    if let Some(node) = fields.get("escalation") {
        telling.policies = policies(reader, node, Some((&roles, &telling)));
    }
    for (key, node) in entries(reader, fields, "templates", "outage-notice: \"{{ run.site }} is down\"") {
        if let Some(text) = reader.text(node, "a template") {
            telling.templates.insert(key.text.to_string(), text);
        }
    }
    (roles, telling)
}

/// The entries of the mapping under `key`; none if it is not there.
fn entries<'n>(reader: &Reader, fields: &Fields<'n>, key: &str, example: &str) -> &'n [(Key, Node)] {
    let Some(node) = fields.get(key) else { return &[] };
    mapping(reader, node, key, example)
}

fn mapping<'n>(reader: &Reader, node: &'n Node, key: &str, example: &str) -> &'n [(Key, Node)] {
    node.map().unwrap_or_else(|| {
        reader.error(&node.span, format!("`{key}` is a mapping"), "", format!("write `{example}`"));
        &[]
    })
}

/// The mappings by name under `key`.
fn named<'n>(
    reader: &Reader,
    fields: &Fields<'n>,
    key: &str,
    what: &str,
    keys: &[KeySpec],
    example: &str,
) -> Vec<(&'n Key, Fields<'n>)> {
    let entries = entries(reader, fields, key, example).iter();
    entries.filter_map(|(name, node)| Some((name, reader.fields(node, what, keys)?))).collect()
}

/// A name that must be one of `known`.
fn reference<'k>(
    reader: &Reader,
    node: &Node,
    what: &str,
    known: impl IntoIterator<Item = &'k str> + Clone,
) -> Option<String> {
    let name = reader.text(node, what)?;
    if known.clone().into_iter().any(|known| known == name) {
        return Some(name);
    }
    let help = suggestion(&name, known, "there are");
    reader.error(&node.span, format!("the site file has no {what} `{name}`"), "unknown", help);
    None
}

fn channel_names(telling: &Telling) -> Vec<&str> {
    let more = BY_HAND.iter().map(|(name, _)| *name).filter(|name| !telling.channels.contains_key(*name));
    telling.channels.keys().map(String::as_str).chain(more).collect()
}

fn choice<T: Copy>(reader: &Reader, node: &Node, what: &str, choices: &[(&str, T)]) -> Option<T> {
    let text = reader.text(node, what)?;
    let found = choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
    if found.is_none() {
        let help = suggestion(&text, choices.iter().map(|(name, _)| *name), "write one of");
        reader.error(&node.span, format!("{what} cannot be `{text}`"), "", help);
    }
    found
}

fn channel(reader: &Reader, fields: &Fields<'_>, folder: &Path) -> Option<Channel> {
    let given: Vec<&str> = ["file", "command", "by_hand"].into_iter().filter(|key| fields.get(key).is_some()).collect();
    if given.len() != 1 {
        let help = "write `file: PATH`, `command: [program, argument]` or `by_hand: phone`";
        let place = reader.start_of(&fields.span);
        reader.error(&place, "a channel has exactly one of `file`, `command` and `by_hand`", "", help);
        return None;
    }
    let limit = fields.get("timeout").and_then(|node| reader.duration(node, "`timeout`"));
    if let (Some(node), None) = (fields.get("timeout"), fields.get("command")) {
        reader.error(&node.span, "only a `command` has a `timeout`", "", "remove it");
    }
    let addresses = [("mail", Address::Mail), ("phone", Address::Phone)];
    let address = fields.get("address").and_then(|node| choice(reader, node, "`address`", &addresses));
    let (kind, usual) = if let Some(node) = fields.get("file") {
        (Kind::File(below(folder, &reader.text(node, "`file`")?)), Address::Any)
    } else if let Some(node) = fields.get("command") {
        let items = reader.items(node, "`command`");
        let run: Vec<String> = items.iter().filter_map(|item| reader.text(item, "`command`")).collect();
        if run.is_empty() {
            return None;
        }
        (Kind::Command { run, folder: folder.to_owned(), limit: limit.unwrap_or(COMMAND_LIMIT) }, Address::Any)
    } else {
        let ways =
            [("phone", Address::Phone), ("sms", Address::Phone), ("mail", Address::Mail), ("chat", Address::Any)];
        (Kind::ByHand, choice(reader, fields.get("by_hand")?, "`by_hand`", &ways)?)
    };
    Some(Channel { kind, address: address.unwrap_or(usual) })
}

fn hours(reader: &Reader, fields: &Fields<'_>) -> Option<Hours> {
    let days: Vec<Weekday> = match fields.get("days") {
        None => DAYS.iter().map(|(_, day)| *day).collect(),
        Some(node) => {
            reader.items(node, "`days`").iter().filter_map(|day| choice(reader, day, "a day", &DAYS)).collect()
        }
    };
    let time = |key: &str| {
        let node = fields.required(reader, key, "a calendar")?;
        let time = time_of_day(&reader.text(node, "the time")?);
        if time.is_none() {
            reader.error(&node.span, format!("`{key}` is no time of day"), "", "write it as \"08:00\"");
        }
        time
    };
    let (from, to) = (time("from"), time("to"));
    Some(Hours { days, from: from?, to: to? })
}

fn roles(reader: &Reader, fields: &Fields<'_>, telling: &Telling) -> IndexMap<String, Role> {
    let help = "it-team: { mail: it-team@example.com }";
    let entries = named(reader, fields, "roles", "a role", keys::ROLE, help);
    let names: Vec<&str> = entries.iter().map(|(name, _)| name.text.as_str()).collect();
    let mut roles = IndexMap::new();
    for (name, fields) in &entries {
        let channels = channel_names(telling);
        let calendars = telling.availability.keys().map(String::as_str);
        let available = fields.get("available").filter(|node| node.scalar() != Some(ALWAYS));
        let role = Role {
            mail: fields.text(reader, "mail"),
            phone: fields.text(reader, "phone"),
            responds_within: fields.get("responds_within").and_then(|node| reader.duration(node, "`responds_within`")),
            channel: fields.get("channel").and_then(|node| reference(reader, node, "channel", channels)),
            available: available.and_then(|node| reference(reader, node, "calendar", calendars)),
            otherwise: fields.get("otherwise").and_then(|node| reference(reader, node, "role", names.clone())),
        };
        if let (Some(node), None) = (fields.get("otherwise"), available) {
            let help = "add `available` with the name of a calendar, or remove `otherwise`";
            reader.error(&node.span, "somebody who is always there has no `otherwise`", "", help);
        }
        if let (Some(node), Some(channel)) = (fields.get("channel"), &role.channel) {
            can_reach(reader, node, &name.text, &role, channel, telling);
        }
        roles.insert(name.text.to_string(), role);
    }
    for (name, fields) in &entries {
        let mut next = name.text.as_str();
        for _ in 0..=roles.len() {
            match roles.get(next).and_then(|role| role.otherwise.as_ref()) {
                Some(other) => next = other,
                None => break,
            }
            if let (true, Some(node)) = (next == name.text, fields.get("otherwise")) {
                let message = format!("outside of its hours `{}` is replaced by itself", name.text);
                reader.error(&node.span, message, "", "name a role that leads to one that is there");
                break;
            }
        }
    }
    roles
}

/// Says so if the role has no address of the kind that the channel takes.
fn can_reach(reader: &Reader, node: &Node, name: &str, role: &Role, channel: &str, telling: &Telling) {
    let declared = telling.channels.get(channel).map(|channel| channel.address);
    let by_hand = || BY_HAND.iter().find(|(known, _)| *known == channel).map(|(_, address)| *address);
    let missing = match declared.or_else(by_hand) {
        Some(Address::Mail) if role.mail.is_none() => "mail",
        Some(Address::Phone) if role.phone.is_none() => "phone",
        _ => return,
    };
    let message = format!("the channel `{channel}` cannot reach `{name}`, which has no `{missing}`");
    reader.error(&node.span, message, "", format!("add `{missing}` to the role, or name another channel"));
}

/// What a site has. A pack does not know who will be behind its roles: there only the form can be wrong.
type Known<'a> = Option<(&'a IndexMap<String, Role>, &'a Telling)>;

pub fn policies(reader: &Reader, node: &Node, known: Known<'_>) -> IndexMap<String, Policy> {
    let mut policies = IndexMap::new();
    for (name, node) in mapping(reader, node, "escalation", "outage: { critical: [{ to: it-team }] }") {
        let mut policy = Policy::new();
        for (severity, node) in mapping(reader, node, &name.text, "critical: [{ to: it-team }]") {
            let tracks = reader.items(node, &format!("`{}`", severity.text));
            let tracks = tracks.iter().filter_map(|track| ladder(reader, track, known));
            policy.insert(severity.text.to_string(), tracks.collect());
        }
        policies.insert(name.text.to_string(), policy);
    }
    policies
}

fn ladder(reader: &Reader, node: &Node, known: Known<'_>) -> Option<Vec<Turn>> {
    let first = reader.fields(node, "a track", keys::TRACK)?;
    let above = first.get("then").map(|node| reader.items(node, "`then`")).unwrap_or_default();
    let above = above.iter().filter_map(|node| reader.fields(node, "a rung", keys::RUNG));
    let all: Vec<Fields<'_>> = [first].into_iter().chain(above).collect();
    let mut ladder = Vec::new();
    for (index, fields) in all.iter().enumerate() {
        let to = fields.required(reader, "to", "a rung")?;
        let to = match known {
            Some((roles, _)) => reference(reader, to, "role", roles.keys().map(String::as_str))?,
            None => reader.text(to, "role")?,
        };
        let role = known.and_then(|(roles, _)| roles.get(&to));
        let answer = answer(reader, fields, &to, role, index + 1 == all.len());
        let channel = fields.get("channel").and_then(|node| {
            let Some((_, telling)) = known else { return reader.text(node, "channel") };
            let channel = reference(reader, node, "channel", channel_names(telling))?;
            can_reach(reader, node, &to, role?, &channel, telling);
            Some(channel)
        });
        let within = fields.get("within").and_then(|node| reader.duration(node, "`within`"));
        ladder.push(Turn { to, channel, within, answer });
    }
    Some(ladder)
}

/// How long to wait for an answer before the next rung: somebody has to say so.
fn answer(reader: &Reader, fields: &Fields<'_>, to: &str, role: Option<&Role>, is_last: bool) -> Option<Duration> {
    let promised = role.and_then(|role| role.responds_within);
    match fields.get("answer") {
        Some(node) if is_last => {
            let help = "add `then: [{ to: ROLE }]` to the track, or remove `answer`";
            reader.error(&node.span, "nobody comes after this rung, so nothing waits for an answer", "", help);
            None
        }
        Some(node) => reader.duration(node, "`answer`"),
        None if is_last || promised.is_some() => promised,
        None => {
            let message = format!("nothing says how long to wait for `{to}` before the next rung");
            let help = "add `answer: 15m`, or `responds_within` to the role";
            reader.error(&reader.start_of(&fields.span), message, "", help);
            None
        }
    }
}
