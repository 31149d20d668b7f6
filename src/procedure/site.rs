//! The site file: where this installation is, what its variables and databases are.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveDate;
use compact_str::CompactString;
use indexmap::IndexMap;

use super::decode::Reader;
use super::diagnostic::{Diagnostic, Diagnostics, Source, nearest};
use super::inputs::secret;
use super::keys;
use super::template::Vars;
use super::yaml::{self, Node, NodeKind};
use crate::model::secret::MaybeSecret;
use crate::probe::{Database, ManagedService};

mod services;
pub mod telling;

use telling::Telling;

/// A vetted site.
#[derive(Clone, Debug)]
pub struct Site {
    pub name: String,
    pub timezone: chrono_tz::Tz,
    pub packs: Vec<ListedPack>,
    pub vars: Vars,
    pub databases: IndexMap<String, Database>,
    pub services: IndexMap<String, ManagedService>,
    pub roles: IndexMap<String, Role>,
    pub telling: Telling,
    pub waivers: Vec<Waiver>,
    /// The journal's file, if the site file names one.
    pub journal: Option<PathBuf>,
    /// Where relative paths start.
    pub folder: PathBuf,
    /// The site file; none when this machine is checked without one.
    pub file: Option<PathBuf>,
}

/// A pack, and where the site file lists it: nowhere when it does not.
#[derive(Clone, Debug)]
pub struct ListedPack {
    pub pack: PackRef,
    pub place: Option<(Arc<Source>, Range<usize>)>,
}

impl ListedPack {
    /// Why it is none.
    pub fn wrong(&self, message: impl Into<String>, help: impl Into<String>) -> Diagnostics {
        let wrong = Diagnostic::general(message, help);
        Diagnostics(vec![match &self.place {
            Some((source, span)) => wrong.at(Arc::clone(source), span.clone()),
            None => wrong,
        }])
    }
}

impl From<PackRef> for ListedPack {
    fn from(pack: PackRef) -> Self {
        Self { pack, place: None }
    }
}

/// A built-in pack by name, or a folder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PackRef {
    Builtin(String),
    Folder(PathBuf),
}

/// Who is behind a role.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Role {
    pub mail: Option<String>,
    pub phone: Option<String>,
    /// The time in which they react once they were told; not the time in which they are to be told.
    pub responds_within: Option<Duration>,
    /// How they are told.
    pub channel: Option<String>,
    /// The hours in which they are there; always if there are none.
    pub available: Option<String>,
    /// The role that is told outside of these hours.
    pub otherwise: Option<String>,
}

/// A failure that somebody answers for until a day.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Waiver {
    /// `group/procedure.step`.
    pub step: String,
    /// Only this subject; all when absent.
    pub subject: Option<String>,
    pub owner: String,
    pub reason: String,
    /// The last day on which it holds.
    pub until: NaiveDate,
}

impl Site {
    /// This machine, without a site file.
    #[must_use]
    pub fn of_this_machine(host: &str) -> Self {
        Self {
            name: host.to_owned(),
            timezone: local_timezone(),
            packs: vec![PackRef::Builtin("host".to_owned()).into()],
            vars: Vars::new(),
            databases: IndexMap::new(),
            services: IndexMap::new(),
            roles: IndexMap::new(),
            telling: Telling::default(),
            waivers: Vec::new(),
            journal: None,
            folder: std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
            file: None,
        }
    }

    /// Reads a site file.
    ///
    /// # Errors
    /// Everything that is wrong in it.
    pub fn read(path: &Path) -> Result<Self, Diagnostics> {
        Self::parse(super::library::read_source(path)?, path)
    }

    /// The site file at `path`, whose text is `source`.
    ///
    /// # Errors
    /// Everything that is wrong in it.
    pub fn parse(source: Arc<Source>, path: &Path) -> Result<Self, Diagnostics> {
        let node = yaml::parse(&source).map_err(Diagnostics)?;
        let reader = Reader::new(source);
        let site = read(&reader, &node, path);
        match site {
            Some(site) if reader.is_clean() => Ok(site),
            _ => Err(reader.into_problems()),
        }
    }
}

/// The zone of this machine: `$TZ`, `/etc/timezone`, the target of `/etc/localtime`, else UTC.
#[must_use]
pub fn local_timezone() -> chrono_tz::Tz {
    let from_link = || {
        let target = std::fs::read_link("/etc/localtime").ok()?;
        target.to_str()?.split_once("zoneinfo/").map(|(_, name)| name.to_owned())
    };
    let from_file = || std::fs::read_to_string("/etc/timezone").ok().map(|name| name.trim().to_owned());
    std::env::var("TZ")
        .ok()
        .map(|name| name.trim_start_matches(':').to_owned())
        .filter(|name| !name.is_empty())
        .or_else(from_link)
        .or_else(from_file)
        .and_then(|name| name.parse().ok())
        .unwrap_or(chrono_tz::UTC)
}

/// The journal that a site file names, whatever else is wrong in the file.
#[must_use]
pub fn journal_alone(path: &Path) -> Option<PathBuf> {
    alone(path, "journal", |reader, node| journal(reader, node, &folder_of(path)))
}

/// The time zone that a site file names, whatever else is wrong in the file; else that of this machine.
#[must_use]
pub fn timezone_alone(path: &Path) -> chrono_tz::Tz {
    alone(path, "timezone", timezone).unwrap_or_else(local_timezone)
}

/// Reads the line of `key` as if there were no others.
fn alone<T>(path: &Path, key: &str, read: impl FnOnce(&Reader, &Node) -> Option<T>) -> Option<T> {
    let text = std::fs::read_to_string(path).ok().filter(|text| text.len() as u64 <= yaml::MAX_FILE)?;
    let line = text.lines().find(|line| line.strip_prefix(key).is_some_and(|rest| rest.starts_with(':')))?;
    let source = Arc::new(Source { name: path.display().to_string(), text: format!("{line}\n") });
    let node = yaml::parse(&source).ok()?;
    let (_, value) = node.map()?.first()?;
    read(&Reader::new(source), value)
}

/// Where relative paths start.
fn folder_of(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    absolute.parent().map_or_else(|| PathBuf::from("/"), Path::to_owned)
}

fn read(reader: &Reader, node: &Node, path: &Path) -> Option<Site> {
    let folder = folder_of(path);
    let fields = reader.fields(node, "the site file", keys::SITE)?;
    let name = fields.required(reader, "site", "the site file").and_then(|node| reader.text(node, "`site`"));
    let timezone = fields.get("timezone").map_or_else(|| Some(local_timezone()), |node| timezone(reader, node));
    let packs = match fields.get("packs") {
        Some(node) => {
            let listed = |(span, word): (_, CompactString)| ListedPack {
                pack: pack_ref(&word, &folder),
                place: Some((Arc::clone(&reader.source), span)),
            };
            reader.words(node, "`packs`").into_iter().map(listed).collect()
        }
        None => vec![PackRef::Builtin("host".to_owned()).into()],
    };
    let (roles, telling) = telling::read(reader, &fields, &folder);
    Some(Site {
        name: name?,
        timezone: timezone?,
        packs,
        vars: fields.get("vars").map_or_else(Vars::new, |node| vars(reader, node)),
        databases: fields.get("databases").map_or_else(IndexMap::new, |node| databases(reader, node, &folder)),
        services: fields.get("services").map_or_else(IndexMap::new, |node| services::read(reader, node)),
        roles,
        telling,
        waivers: fields.get("waivers").map_or_else(Vec::new, |node| waivers(reader, node)),
        journal: fields.get("journal").and_then(|node| journal(reader, node, &folder)),
        folder,
        file: std::path::absolute(path).ok(),
    })
}

fn timezone(reader: &Reader, node: &Node) -> Option<chrono_tz::Tz> {
    let text = reader.text(node, "`timezone`")?;
    let zone = text.parse().ok();
    if zone.is_none() {
        let near = nearest(&text, chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()));
        let help = near.map_or_else(
            || "write a name such as `Europe/Warsaw` or `UTC`".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        reader.error(&node.span, format!("there is no time zone `{text}`"), "", help);
    }
    zone
}

/// A word is a built-in pack; anything with a slash or a dot is a folder.
fn pack_ref(word: &str, folder: &Path) -> PackRef {
    if word.contains(['/', '.']) {
        PackRef::Folder(folder.join(word).components().collect())
    } else {
        PackRef::Builtin(word.to_owned())
    }
}

/// Variables: texts, lists of texts, references to secrets.
pub(super) fn vars(reader: &Reader, node: &Node) -> Vars {
    let mut vars = Vars::new();
    let Some(entries) = node.map() else {
        if !node.is_null() {
            reader.error(&node.span, "`vars` is a mapping", "", "write `name: value`, one a line");
        }
        return vars;
    };
    for (key, value) in entries {
        let is_name = key.text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && key.text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !is_name || matches!(key.text.as_str(), "steps" | "run" | "vars" | "item") {
            let help = "use letters, digits and `_`; `steps`, `run`, `vars` and `item` are taken";
            reader.error(&key.span, format!("`{}` cannot be the name of a variable", key.text), "", help);
            continue;
        }
        match &value.kind {
            NodeKind::Map(_) if secret(reader, value, format_args!("`{}`", key.text), Path::new("/")).is_none() => {}
            NodeKind::List(items) if items.iter().any(|item| item.scalar().is_none()) => {
                reader.error(
                    &value.span,
                    format!("the variable `{}` is a list of more than texts", key.text),
                    "",
                    "write texts only",
                );
            }
            NodeKind::Scalar { text, .. } if text.contains("{{") => {
                let help = "write the value out; templates belong into procedures";
                reader.error(&value.span, format!("the variable `{}` is a template", key.text), "", help);
            }
            NodeKind::Map(_) | NodeKind::List(_) | NodeKind::Scalar { .. } | NodeKind::Late(_) => {
                vars.insert(key.text.to_string(), value.clone());
            }
        }
    }
    vars
}

fn databases(reader: &Reader, node: &Node, folder: &Path) -> IndexMap<String, Database> {
    let mut databases = IndexMap::new();
    let Some(entries) = node.map() else {
        reader.error(
            &node.span,
            "`databases` is a mapping",
            "",
            "write `helpdesk: { url: { env: HELPDESK_DATABASE_URL } }`",
        );
        return databases;
    };
    for (key, value) in entries {
        let Some(fields) = reader.fields(value, "a database", keys::DATABASE) else { continue };
        let Some(node) = fields.required(reader, "url", "a database") else { continue };
        let Some(url) = secret(reader, node, "`url`", folder) else { continue };
        let url = match url {
            MaybeSecret::Plain(text) => match plain_url(reader, node, &text, folder) {
                Some(text) => MaybeSecret::Plain(text),
                None => continue,
            },
            MaybeSecret::Secret(_) => url,
        };
        databases.insert(key.text.to_string(), Database { url });
    }
    databases
}

const SCHEMES: &[&str] =
    &["mysql", "mariadb", "postgres", "postgresql", "sqlite", "redis", "rediss", "valkey", "valkeys", "unix"];

/// A database address that stands in the file as it is: it must not hold a password.
fn plain_url(reader: &Reader, node: &Node, text: &str, folder: &Path) -> Option<String> {
    let (scheme, rest) = text.split_once(':').unwrap_or(("", text));
    if !SCHEMES.contains(&scheme) {
        let help = "write mysql://user@host/name, postgres://user@host/name, sqlite:///path or redis://host; with a password, refer to it as a secret";
        reader.error(&node.span, "this is not the address of a database", "", help);
        return None;
    }
    let (address, options) = rest.trim_start_matches('/').split_once('?').unwrap_or((rest, ""));
    let has_password = address.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
        || options.split('&').any(|option| {
            let option = option.to_lowercase();
            option.starts_with("password=") || option.starts_with("pass=")
        });
    if scheme != "sqlite" && has_password {
        reader.secret(&node.span, "a password must not stand in a file");
        return None;
    }
    if scheme == "sqlite" {
        let path = rest.strip_prefix("//").unwrap_or(rest);
        return Some(format!("sqlite://{}", folder.join(path).display()));
    }
    Some(text.to_owned())
}

fn waivers(reader: &Reader, node: &Node) -> Vec<Waiver> {
    let one = |item: &Node| {
        let fields = reader.fields(item, "a waiver", keys::WAIVER)?;
        let text = |key: &str| {
            fields.required(reader, key, "a waiver").and_then(|node| reader.text(node, format_args!("`{key}`")))
        };
        let (step, owner, reason) = (text("step"), text("owner"), text("reason"));
        let until = fields.required(reader, "until", "a waiver").and_then(|node| {
            let day = reader.text(node, "`until`")?.parse().ok();
            if day.is_none() {
                reader.error(
                    &node.span,
                    "`until` is not a day",
                    "",
                    "write the last day on which it holds: `2026-12-31`",
                );
            }
            day
        });
        Some(Waiver {
            step: step?,
            subject: fields.text(reader, "subject"),
            owner: owner?,
            reason: reason?,
            until: until?,
        })
    };
    reader.items(node, "`waivers`").iter().filter_map(one).collect()
}

fn journal(reader: &Reader, node: &Node, folder: &Path) -> Option<PathBuf> {
    let text = reader.text(node, "`journal`")?;
    // As people see it in messages: without the `.` of `./journal.db`.
    let file = |path: &str| folder.join(path).components().collect();
    if let Some(path) = text.strip_prefix("sqlite://") {
        return Some(file(path));
    }
    if text.contains("://") {
        reader.error(&node.span, "the journal cannot be kept there", "", "write `sqlite:///var/lib/opsctl/journal.db`");
        return None;
    }
    Some(file(&text))
}
