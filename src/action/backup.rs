//! Makes one backup: of a database by its server's own program, or of a folder. It is verified before it gets its name.

use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use serde_json::json;

use self::format::Format;
use super::{Action, ActionError, Context, Kind};
use crate::model::action::{Effect, Plan};
use crate::model::fact::{FactSpec, FactType, Observation, Subject};
use crate::model::input::{InputError, InputSpec, InputType, Inputs, Need};
use crate::model::value::Value;
use crate::probe::database::{Target, bound};

pub(super) mod format;
pub(super) mod make;

use make::{Job, Source};

pub static KIND: Kind = Kind {
    name: "backup",
    about: "one backup of a database (mariadb-dump or mysqldump in one transaction, pg_dump, SQLite's VACUUM INTO) or \
            of a folder (tar). It is written under another name, read to its end, and only then gets its own; an \
            existing file is never overwritten. Only the user who runs opsctl may read it. Files that change while tar \
            reads them, as logs do, are named in a note",
    inputs: &[
        InputSpec {
            name: "database",
            ty: InputType::Database,
            need: Need::Optional,
            about: "the database of the site to back up. Exactly one of `database` and `source` is given",
        },
        InputSpec {
            name: "source",
            ty: InputType::Path,
            need: Need::Optional,
            about: "the folder to back up, with all that is in it on the same file system",
        },
        InputSpec { name: "folder", ty: InputType::Path, need: Need::Required, about: "where the backup goes" },
        InputSpec {
            name: "name",
            ty: InputType::Text,
            need: Need::Required,
            about: "its name, with the date and time of the run as strftime writes it, such as \
                    `helpdesk_%Y%m%d_%H%M%S.sql.zst`. The ending says what is written: `.sql` (MySQL, MariaDB, \
                    PostgreSQL), `.dump` (PostgreSQL's own format), `.db` (SQLite), `.tar` (folders); all but `.dump` \
                    may be followed by `.gz` or `.zst`",
        },
    ],
    facts: &[
        FactSpec::new("id", FactType::Text, "name of the backup"),
        FactSpec::new("path", FactType::Text, "its whole path"),
        FactSpec::new("size", FactType::Size, "its size on the disk"),
        FactSpec::new("sha256", FactType::Text, "its checksum"),
        FactSpec::new("took", FactType::Duration, "how long it took, verification included"),
        FactSpec::new("verified", FactType::Bool, "it was read to its end and holds every table of the database"),
        FactSpec::new("tables", FactType::Count, "how many tables it holds; databases only"),
    ],
    checks: "the folder is there and has room for all of it, the name is free, and the program that writes it \
             is installed",
    effect: Effect::Change,
    destructive_when: "",
    least: |_| Effect::Change,
    example: include_str!("../../examples/actions/backup.yaml"),
    limit: std::time::Duration::from_hours(1),
    build: |inputs| Backup::new(inputs).map(|backup| Arc::new(backup) as Arc<dyn Action>),
};

struct Backup {
    what: What,
    folder: PathBuf,
    name: String,
    format: Format,
}

enum What {
    Database(String),
    Folder(PathBuf),
}

impl Backup {
    fn new(inputs: &Inputs) -> Result<Self, InputError> {
        let what = match (inputs.text("database"), inputs.path("source")) {
            (Some(database), None) => What::Database(database.to_owned()),
            (None, Some(source)) => What::Folder(source.clone()),
            _ => {
                let message = "a backup needs either `database` or `source`";
                return Err(InputError::new("", message, "name a database of the site file, or a folder"));
            }
        };
        let name = inputs.text("name").unwrap_or_default().to_owned();
        let bad =
            |message: String| InputError::new("name", message, "write it such as `helpdesk_%Y%m%d_%H%M%S.sql.zst`");
        if name.contains('/') || name.starts_with('.') || name.contains(['*', '?']) {
            return Err(bad(format!("`{name}` is not the name of one file")));
        }
        if chrono::format::StrftimeItems::new(&name).any(|item| item == chrono::format::Item::Error) {
            return Err(bad(format!("`{name}` has a `%` that is no part of a date")));
        }
        let format = Format::of(&name).map_err(bad)?;
        if matches!(what, What::Folder(_)) != format.is_tar() {
            return Err(bad("a folder becomes a `.tar`, and a database does not".to_owned()));
        }
        Ok(Self { what, folder: inputs.path("folder").cloned().unwrap_or_default(), name, format })
    }

    fn named(&self, now: DateTime<Utc>, timezone: chrono_tz::Tz) -> String {
        now.with_timezone(&timezone).format(&self.name).to_string()
    }

    async fn job(&self, path: PathBuf, cx: &Context) -> Result<Job, ActionError> {
        let source = match &self.what {
            What::Database(name) => Source::Database(Box::new(Target::of_site(&cx.look, name).await?)),
            What::Folder(folder) => Source::Folder(folder.clone()),
        };
        Ok(Job { source, path, format: self.format })
    }

    async fn look(&self, cx: &Context) -> Result<Plan, ActionError> {
        let path = self.folder.join(self.named(cx.look.now, cx.look.timezone));
        let job = self.job(path.clone(), cx).await?;
        let notes = job.check(&bound(&cx.look)).await?;
        let plan = Plan::new(job.shown()?).data(json!({ "path": path }));
        Ok(notes.into_iter().fold(plan, Plan::note))
    }

    async fn act(&self, plan: &Plan, cx: &Context) -> Result<Observation, ActionError> {
        let path = plan.data["path"].as_str().map(PathBuf::from);
        let path = path.ok_or_else(|| ActionError::before("changed", "the plan names no backup"))?;
        let job = self.job(path, cx).await?;
        let bound = bound(&cx.look);
        job.check(&bound).await?;
        // Nothing but a file under another name was made, which is removed again.
        let made = job.make(cx, &bound).await?;
        let mut subject = Subject::new(job.id());
        subject.set("id", Value::text(job.id()));
        subject.set("path", Value::text(job.path.display().to_string()));
        subject.set("size", Value::bytes(made.size));
        subject.set("sha256", Value::text(made.sha256));
        subject.set("took", Value::duration(made.took));
        subject.set("verified", Value::Bool(true));
        if let Some(tables) = made.tables {
            subject.set("tables", Value::count(tables));
        }
        made.notes.into_iter().for_each(|note| subject.note(note));
        Ok(subject.into())
    }
}

impl Action for Backup {
    fn target(&self) -> String {
        match &self.what {
            What::Database(name) => format!("backup of {name}"),
            What::Folder(folder) => format!("backup of {}", folder.display()),
        }
    }

    fn plan<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Plan, ActionError>> {
        Box::pin(self.look(cx))
    }

    fn perform<'a>(&'a self, plan: &'a Plan, cx: &'a Context) -> BoxFuture<'a, Result<Observation, ActionError>> {
        Box::pin(self.act(plan, cx))
    }
}
