//! Backups: is the one of the day there, is it the size of the others, can it be read to its end.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use chrono::{Days, NaiveDate};
use futures_util::future::BoxFuture;

use super::{Context, Kind, Probe, ProbeError};
use crate::model::fact::{FactSpec, FactType, Observation, Subject};
use crate::model::input::{InputError, InputSpec, InputType, Inputs, Need};

pub(crate) mod archive;
pub(crate) mod check;
pub(crate) mod content;
pub(crate) mod decode;
mod find;
mod latest;
pub(crate) mod name;
mod restore;
mod series;
mod sqlite;
pub(crate) mod tar;

use check::Depth;
use decode::Bound;
use find::Find;
use name::NamePattern;
use restore::Drill;

pub static KIND: Kind = Kind {
    name: "backup",
    about: "the backup of a day in a folder of dated files, or one file: there, whole, of the usual size, no day left \
            out. It is read to its end only when a step names one of intact, complete, kind, database, tables, \
            table_count, tables_missing or unpacked_size, or when `integrity` or `tables` is given; a mere look \
            whether it is there stays fast. gzip, zstd, xz and bzip2 are read, and so are the dumps of mariadb-dump, \
            mysqldump, pg_dump, pg_dumpall and SQLite, databases of SQLite themselves, and tar. `restore` proves that it can \
            be restored",
    inputs: &[
        InputSpec {
            name: "folder",
            ty: InputType::Path,
            need: Need::Optional,
            about: "the folder with one file for each backup; needs `name`",
        },
        InputSpec {
            name: "name",
            ty: InputType::Text,
            need: Need::Optional,
            about: "the name of the files with its date as strftime writes it, such as `backup_%Y%m%d.sql.gz`; also %y \
                    %b %j %H %M %S %F %T. `*` stands for any text",
        },
        InputSpec {
            name: "file",
            ty: InputType::Path,
            need: Need::Optional,
            about: "one exact file, instead of `folder` and `name`",
        },
        InputSpec {
            name: "dated",
            ty: InputType::Text,
            need: Need::Default("yesterday"),
            about: "the day whose backup is looked at: `yesterday`, `today`, a date such as `2026-11-20`, or `newest`. \
                    Days are those of the site's time zone, counted from the start of the run",
        },
        InputSpec {
            name: "latest",
            ty: InputType::Path,
            need: Need::Optional,
            about: "what should lead to the newest backup: a link, a text file with its path, or a copy. It fills the \
                    fact `latest_is_newest`",
        },
        InputSpec {
            name: "integrity",
            ty: InputType::Bool,
            need: Need::Optional,
            about: "`true` reads the backup to its end even if no expectation needs it, `false` never does",
        },
        InputSpec {
            name: "tables",
            ty: InputType::Texts,
            need: Need::Optional,
            about: "tables that the dump must create, as `customer` or `sales.customer`; `tables_missing` counts those \
                    that it does not",
        },
        InputSpec {
            name: "restore",
            ty: InputType::Group(restore::INPUTS),
            need: Need::Optional,
            about: "restores the backup for real into a scratch database of a server of the site, asks it, and drops \
                    it; give the step a `timeout` that is long enough",
        },
    ],
    facts: &[
        FactSpec::implied("exists", "the backup of the day is there"),
        FactSpec::new("path", FactType::Text, "path of the backup that is looked at"),
        FactSpec::new("link", FactType::Bool, "it is a symbolic link, which may lead to another file tomorrow"),
        FactSpec::new("dated", FactType::Text, "the date in its name, such as 2026-11-20"),
        FactSpec::new("age", FactType::Duration, "time since it was last modified"),
        FactSpec::new("size", FactType::Size, "its size on the disk"),
        FactSpec::new(
            "size_vs_median",
            FactType::Percent,
            "its size as a percentage of the median of up to 30 earlier backups; needs 3 of them",
        ),
        FactSpec::new(
            "growing",
            FactType::Bool,
            "it was modified less than a minute before the run: maybe not finished",
        ),
        FactSpec::new(
            "intact",
            FactType::Bool,
            "it can be read to its end, every checksum is right, nothing is missing",
        ),
        FactSpec::new(
            "complete",
            FactType::Bool,
            "the last line that the dump program writes is there; SQL dumps only",
        ),
        FactSpec::new("compression", FactType::Text, "gzip, zstd, xz, bzip2 or none, by its content"),
        FactSpec::new(
            "kind",
            FactType::Text,
            "mysql-dump, postgresql-dump, postgresql-custom, sqlite-dump, sqlite-database, tar or other",
        ),
        FactSpec::new("unpacked_size", FactType::Size, "size of the content; of a PostgreSQL archive, of its SQL"),
        FactSpec::new("database", FactType::Text, "the database that the dump names in its header"),
        FactSpec::new("tables", FactType::Texts, "the tables that the dump creates, at most 2000"),
        FactSpec::new("table_count", FactType::Count, "how many tables the dump creates"),
        FactSpec::new("tables_missing", FactType::Count, "how many of the input `tables` it does not create"),
        FactSpec::new("count", FactType::Count, "backups in the folder, of any day"),
        FactSpec::new("newest", FactType::Text, "name of the backup with the latest date in its name"),
        FactSpec::new("newest_by_mtime", FactType::Text, "name of the backup that was modified last"),
        FactSpec::new("newest_agrees", FactType::Bool, "the newest by name is the one that was modified last"),
        FactSpec::new("latest_is_newest", FactType::Bool, "the input `latest` leads to the newest backup"),
        FactSpec::new(
            "gaps",
            FactType::Count,
            "days without a backup among the 30 up to the newest, from the first one on",
        ),
        FactSpec::new("gap_days", FactType::Texts, "the dates of these days"),
        restore::RESTORED,
        restore::NAMES_OTHER,
        restore::TOOK,
        restore::RESTORED_TABLES,
        restore::RESTORED_ROWS,
        restore::CHECK,
        restore::PRODUCTION,
        restore::SHARE,
        restore::RECOVERY_POINT,
        restore::DROPPED,
        restore::LEFT_OVER,
    ],
    example: include_str!("../../examples/probes/backup.yaml"),
    limit: std::time::Duration::from_mins(15),
    build,
};

/// Facts that need the whole content.
const OF_CONTENT: &[&str] =
    &["intact", "complete", "kind", "database", "tables", "table_count", "tables_missing", "unpacked_size"];

fn build(inputs: &Inputs) -> Result<Arc<dyn Probe>, InputError> {
    let place = match (inputs.path("file"), inputs.path("folder"), inputs.text("name")) {
        (Some(file), None, None) => Place::File(file.clone()),
        (None, Some(folder), Some(name)) => Place::Series {
            folder: folder.clone(),
            name: NamePattern::new(name).map_err(|reason| {
                let help = "write it such as `backup_%Y%m%d.sql.gz`";
                InputError::new("name", format!("`{name}` is not a pattern for dated names: {reason}"), help)
            })?,
            latest: inputs.path("latest").cloned(),
        },
        (Some(_), ..) => return Err(InputError::new("file", "`file` stands alone", "leave out `folder` and `name`")),
        _ => {
            let help = "give `folder` and `name`, or `file` for one exact file";
            return Err(InputError::new("", "what to look at is not said in full", help));
        }
    };
    if inputs.has("latest") && matches!(place, Place::File(_)) {
        return Err(InputError::new("latest", "one file has no newest to compare with", "give `folder` and `name`"));
    }
    let dated = inputs.text("dated").unwrap_or("yesterday");
    let dated = Dated::parse(dated).ok_or_else(|| {
        let message = format!("`{dated}` is no day");
        InputError::new("dated", message, "write `yesterday`, `today`, `newest` or a date such as `2026-11-20`")
    })?;
    let integrity = inputs.has("integrity").then(|| inputs.flag("integrity"));
    let drill = inputs.group("restore").map(Drill::new).transpose()?;
    Ok(Arc::new(BackupProbe { place, dated, integrity, tables: inputs.texts("tables").to_vec(), drill }))
}

#[derive(Clone, Copy)]
enum Dated {
    Yesterday,
    Today,
    Day(NaiveDate),
    Newest,
}

impl Dated {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "yesterday" => Self::Yesterday,
            "today" => Self::Today,
            "newest" => Self::Newest,
            date => Self::Day(NaiveDate::parse_from_str(date, "%Y-%m-%d").ok()?),
        })
    }

    fn day(self, cx: &Context) -> Option<NaiveDate> {
        let today = cx.now.with_timezone(&cx.timezone).date_naive();
        match self {
            Self::Yesterday => Some(today - Days::new(1)),
            Self::Today => Some(today),
            Self::Day(day) => Some(day),
            Self::Newest => None,
        }
    }
}

#[derive(Clone)]
enum Place {
    File(PathBuf),
    Series { folder: PathBuf, name: NamePattern, latest: Option<PathBuf> },
}

struct BackupProbe {
    place: Place,
    dated: Dated,
    integrity: Option<bool>,
    tables: Vec<String>,
    drill: Option<Drill>,
}

impl Probe for BackupProbe {
    fn target(&self) -> String {
        match &self.place {
            Place::File(file) => file.display().to_string(),
            Place::Series { folder, name, .. } => folder.join(&name.written).display().to_string(),
        }
    }

    fn resource(&self) -> Option<String> {
        self.drill.as_ref().map(|drill| drill.server.clone())
    }

    fn observe<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Observation, ProbeError>> {
        Box::pin(self.look(cx))
    }
}

impl BackupProbe {
    async fn look(&self, cx: &Context) -> Result<Observation, ProbeError> {
        let bound = Bound { until: Instant::now() + cx.limit, cancel: cx.cancel.clone() };
        let (place, mut subject) = (self.place.clone(), Subject::new(self.target()));
        let find = Find { day: self.dated.day(cx), now: cx.now.into(), bound: bound.clone() };
        let (mut subject, file) = cx
            .blocking(move || {
                let file = match place {
                    Place::File(file) => find.file(file, &mut subject)?,
                    Place::Series { folder, name, latest } => {
                        find.in_series(&folder, &name, latest.as_deref(), &mut subject)?
                    }
                };
                Ok((subject, file))
            })
            .await?;
        let Some(file) = file else { return Ok(subject.into()) };
        if let Some(depth) = self.depth(cx)
            && let Err(error) = check::look(&file, &self.tables, depth, cx, &bound, &mut subject).await
        {
            subject.error = Some(error.message);
        } else if let Some(drill) = &self.drill
            && let Err(error) = drill.run(&file, cx, &mut subject).await
        {
            subject.error = Some(error.message);
        }
        Ok(subject.into())
    }

    fn depth(&self, cx: &Context) -> Option<Depth> {
        let asked = |facts: &[&str]| cx.asked.iter().any(|fact| facts.contains(&fact.as_str()));
        let whole = self.integrity.unwrap_or_else(|| !self.tables.is_empty() || asked(OF_CONTENT));
        if whole { Some(Depth::Whole) } else { asked(&["compression"]).then_some(Depth::Head) }
    }
}
