//! Restores one backup: into a scratch database, or into a database of the site after a safety backup of it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::backup::make::Made;
use super::{Action, ActionError, Context, Kind};
use crate::model::action::{Effect, Plan};
use crate::model::fact::{FactSpec, FactType, Observation, Subject};
use crate::model::input::{InputError, InputSpec, InputType, Inputs, Need};
use crate::model::unit::Quantity;
use crate::model::value::Value;
use crate::probe::backup::decode::Bound;
use crate::probe::database::dump::{Dump, Inspection};
use crate::probe::database::policy::Into;
use crate::probe::database::scratch::{self, Name};
use crate::probe::database::{Target, bound, bound_keeping, load, space};

mod choose;
mod replace;

pub static KIND: Kind = Kind {
    name: "restore",
    about: "one backup of MySQL, MariaDB, PostgreSQL or SQLite, restored into a scratch database or into a database of \
            the site. It is read to its end before: one that is cut off, that names another database or that does more \
            than fill one is refused. Into a database of the site: its present content is backed up and verified first, \
            then replaced as a whole",
    inputs: &[
        InputSpec {
            name: "backup",
            ty: InputType::Text,
            need: Need::Required,
            about: "the exact backup: a path, or the name of a file in `folder`, such as the fact `id` of the action \
                    backup. A pattern, a link and `latest` are refused: nobody knows what they lead to",
        },
        InputSpec {
            name: "folder",
            ty: InputType::Path,
            need: Need::Optional,
            about: "where the backup is, when `backup` is a name",
        },
        InputSpec {
            name: "into",
            ty: InputType::Text,
            need: Need::Default("scratch"),
            about: "`scratch`: a new database on the server of `server`, which stays until it is dropped; or the name \
                    of a database of the site, which is destructive",
        },
        InputSpec {
            name: "server",
            ty: InputType::Database,
            need: Need::Optional,
            about: "with `into: scratch`: the database of the site on whose server the scratch database is made",
        },
        InputSpec {
            name: "safety_folder",
            ty: InputType::Path,
            need: Need::Optional,
            about: "with a database of the site: where the backup of its present content goes; it needs room for that",
        },
        InputSpec {
            name: "sha256",
            ty: InputType::Text,
            need: Need::Optional,
            about: "the checksum that the backup must have, such as the fact `sha256` of the action backup",
        },
    ],
    facts: &[
        FactSpec::new("backup", FactType::Text, "path of the backup"),
        FactSpec::new("sha256", FactType::Text, "its checksum"),
        FactSpec::new(
            "age",
            FactType::Duration,
            "its age at the start of the run: what was written since is not in it",
        ),
        FactSpec::new("database", FactType::Text, "the database that was filled; of SQLite, the file"),
        FactSpec::new("took", FactType::Duration, "from the empty database to the restored one"),
        FactSpec::new("tables", FactType::Count, "how many tables the database has afterwards"),
        FactSpec::new("safety_backup", FactType::Text, "path of the backup of what was there before"),
        FactSpec::new("safety_sha256", FactType::Text, "checksum of that backup"),
    ],
    checks: "the backup is no link and is read to its end, the server answers, and there is room for the data \
             and for the backup of what is there. How old the backup is, what is lost with it and who uses \
             the database is shown",
    effect: Effect::Change,
    destructive_when: "`into` is a database of the site",
    least: |inputs| {
        if inputs.text("into").is_none_or(|into| into == "scratch") { Effect::Change } else { Effect::Destructive }
    },
    example: include_str!("../../examples/actions/restore.yaml"),
    limit: std::time::Duration::from_hours(2),
    build: |inputs| Restore::new(inputs).map(|restore| Arc::new(restore) as Arc<dyn Action>),
};

struct Restore {
    backup: String,
    folder: Option<PathBuf>,
    to: To,
    sha256: Option<String>,
}

enum To {
    Scratch { server: String },
    Database { name: String, safety_folder: PathBuf },
}

/// What was found out about the backup, and what is to be done with it.
#[derive(Serialize, Deserialize)]
struct Planned {
    backup: PathBuf,
    sha256: String,
    /// Of the scratch database.
    scratch: Option<String>,
    safety: Option<PathBuf>,
}

impl Restore {
    fn new(inputs: &Inputs) -> Result<Self, InputError> {
        let backup = inputs.text("backup").unwrap_or_default().to_owned();
        choose::exact(&backup, inputs.has("folder")).map_err(|message| {
            InputError::new("backup", message, "name one file, such as `helpdesk_20261120.sql.gz`")
        })?;
        let into = inputs.text("into").unwrap_or("scratch");
        let to = match (into, inputs.text("server"), inputs.path("safety_folder")) {
            ("scratch", Some(server), None) => To::Scratch { server: server.to_owned() },
            ("scratch", None, _) => {
                let message = "`into: scratch` needs `server`";
                return Err(InputError::new("server", message, "name the database of the site whose server is used"));
            }
            ("scratch", ..) => {
                let message = "a scratch database has nothing to back up";
                return Err(InputError::new("safety_folder", message, "leave out `safety_folder`"));
            }
            (_, Some(_), _) => {
                let message = "a database of the site is where it is";
                return Err(InputError::new("server", message, "leave out `server`"));
            }
            (_, None, None) => {
                let message = format!("a restore into {into} needs `safety_folder`");
                return Err(InputError::new(
                    "safety_folder",
                    message,
                    "name the folder for the backup that is made before",
                ));
            }
            (name, None, Some(folder)) => To::Database { name: name.to_owned(), safety_folder: folder.clone() },
        };
        let sha256 = inputs.text("sha256").map(str::to_ascii_lowercase);
        Ok(Self { backup, folder: inputs.path("folder").cloned(), to, sha256 })
    }

    fn database(&self) -> &str {
        match &self.to {
            To::Scratch { server: name } | To::Database { name, .. } => name,
        }
    }

    fn into(&self, target: &Target) -> Into {
        match &self.to {
            To::Scratch { .. } => Into::Scratch,
            To::Database { .. } => Into::Database(target.database.clone()),
        }
    }

    fn path(&self, cx: &Context) -> PathBuf {
        self.folder.as_ref().unwrap_or(&cx.look.folder).join(&self.backup)
    }

    /// Opens the backup and reads it to its end; refuses what must not be restored.
    async fn inspect(&self, target: &Target, cx: &Context, bound: &Bound) -> Result<(Dump, Inspection), ActionError> {
        let path = self.path(cx);
        choose::no_link(&path)?;
        let dump = Dump::open(&path, bound).await?;
        let inspection = dump.inspect(target.dialect(), self.into(target), bound).await?;
        let refuse = |why: String| {
            ActionError::before("refused", format!("{} is not restored: {why}", path.display()))
                .help("choose another backup, or make one of this database alone, without --databases or --create")
        };
        if let Some(wanted) = self.sha256.as_ref().filter(|wanted| **wanted != inspection.sha256) {
            return Err(refuse(format!("its checksum is {}, expected {wanted}", inspection.sha256)));
        }
        inspection.refusal().map_or(Ok((dump, inspection)), |why| Err(refuse(why)))
    }

    async fn look(&self, cx: &Context) -> Result<Plan, ActionError> {
        let bound = bound(&cx.look);
        let target = Target::of_site(&cx.look, self.database()).await?;
        let (dump, inspection) = self.inspect(&target, cx, &bound).await?;
        let age = (cx.look.now - chrono::DateTime::from(dump.modified)).to_std().unwrap_or_default();
        let made = chrono::DateTime::<chrono::Utc>::from(dump.modified).with_timezone(&cx.look.timezone);
        let shown_age = Quantity::duration(age).rounded();
        let mut notes = vec![format!(
            "{} was made {} ({shown_age} ago), {}, {} unpacked, {} tables",
            dump.path.display(),
            made.format("%Y-%m-%d %H:%M"),
            Quantity::bytes(dump.size).rounded(),
            Quantity::bytes(inspection.content.size).rounded(),
            inspection.content.table_count,
        )];
        let mut planned =
            Planned { backup: dump.path.clone(), sha256: inspection.sha256.clone(), scratch: None, safety: None };
        let mut connection = target.connect(&bound).await?;
        let mut does = Vec::new();
        let filled = match &self.to {
            To::Scratch { .. } => {
                let name = scratch::free_name(&target, cx.run.0, &mut connection).await?;
                does.push(scratch::statement(&target, &name, &mut connection).await?);
                if let Some(folder) = scratch::folder(&target, &mut connection).await {
                    notes.push(space::fits(&folder, inspection.content.size)?);
                }
                planned.scratch = Some(name.to_string());
                scratch::target(&target, &name)
            }
            To::Database { name, safety_folder } => {
                notes.push(format!("what was written to {name} in the last {shown_age} is lost"));
                if let Some(folder) = space::data_folder(&target, &mut connection).await {
                    notes.push(space::fits(&folder, inspection.content.size)?);
                }
                if let Some(sessions @ 1..) = space::sessions(&target, &mut connection).await {
                    notes.push(format!("{sessions} sessions use {name} now: stop what writes to it before"));
                }
                let job = replace::safety(&target, safety_folder, cx);
                notes.extend(job.check(&bound).await?);
                does.extend(job.shown()?);
                does.extend(replace::statements(&target, &mut connection).await?);
                planned.safety = Some(job.path);
                target
            }
        };
        connection.close().await;
        does.push(replace::shown(&dump, &filled)?);
        let plan = Plan::new(does).data(json!(planned));
        Ok(notes.into_iter().fold(plan, Plan::note))
    }

    async fn act(&self, plan: &Plan, cx: &Context) -> Result<Observation, ActionError> {
        let changed = |what: String| ActionError::before("changed", what).help("plan again, and look at the new plan");
        let planned: Planned =
            serde_json::from_value(plan.data.clone()).map_err(|_| changed("the plan names no backup".to_owned()))?;
        let bound = bound_keeping(&cx.look, replace::FOR_TIDYING);
        let target = Target::of_site(&cx.look, self.database()).await?;
        let (dump, inspection) = self.inspect(&target, cx, &bound).await?;
        if (&dump.path, &inspection.sha256) != (&planned.backup, &planned.sha256) {
            return Err(changed(format!("{} is no longer what it was when it was planned", dump.path.display())));
        }
        let mut subject = Subject::new(self.database());
        let age = (cx.look.now - chrono::DateTime::from(dump.modified)).to_std().unwrap_or_default();
        subject.set("backup", Value::text(dump.path.display().to_string()));
        subject.set("sha256", Value::text(&inspection.sha256));
        subject.set("age", Value::duration(age));
        let filled = match &self.to {
            To::Scratch { .. } => {
                let name = planned.scratch.as_deref().and_then(|name| name.parse::<Name>().ok());
                let name = name.filter(|name| name.is_of(cx.run.0));
                let name = name.ok_or_else(|| changed("the plan names no scratch database of this run".to_owned()))?;
                self.fill_scratch(&target, &name, &dump, &bound, &mut subject).await?
            }
            To::Database { name, safety_folder } => {
                let mut job = replace::safety(&target, safety_folder, cx);
                job.path = planned.safety.ok_or_else(|| changed("the plan names no safety backup".to_owned()))?;
                job.check(&bound).await?;
                let Made { sha256, .. } = job.make(cx, &bound).await.map_err(|error| {
                    let begin = format!("nothing was restored, for {name} could not be backed up first");
                    let help = "a table that cannot be read keeps it from being backed up: once the server's data folder \
                                is copied, drop that table, then restore";
                    let message = format!("{begin}: {}", error.message);
                    ActionError { message, ..ActionError::from(error) }.help(help)
                })?;
                let safety = job.path.display().to_string();
                subject.set("safety_backup", Value::text(&safety));
                subject.set("safety_sha256", Value::text(sha256));
                let begin = Instant::now();
                replace::replace(&dump, &target, cx, &bound).await.map_err(|error| {
                    error.help(format!("the content of before is in {safety}; restore that if the database is damaged"))
                })?;
                subject.set("took", Value::duration(begin.elapsed()));
                target
            }
        };
        subject.set("database", Value::text(&filled.database));
        let counting = async {
            let mut connection = filled.connect(&bound).await?;
            let tables = space::tables(&mut connection).await?;
            connection.close().await;
            Ok(tables.len() as u64)
        };
        let tables = counting.await.map_err(replace::midway)?;
        subject.set("tables", Value::count(tables));
        Ok(subject.into())
    }

    /// A scratch database that could not be filled is dropped again.
    async fn fill_scratch(
        &self,
        server: &Target,
        name: &Name,
        dump: &Dump,
        bound: &Bound,
        subject: &mut Subject,
    ) -> Result<Target, ActionError> {
        let begin = Instant::now();
        scratch::create(server, name).await?;
        let filled = scratch::target(server, name);
        if let Err(error) = load::load(dump, &filled, Into::Scratch, "", bound).await {
            return Err(match scratch::remove(server, name, &replace::last()).await {
                Ok(()) => error.into(),
                Err(left) => replace::midway(error).help(format!("{name} is still there ({left}); drop it by hand")),
            });
        }
        subject.set("took", Value::duration(begin.elapsed()));
        Ok(filled)
    }
}

impl Action for Restore {
    fn target(&self) -> String {
        match &self.to {
            To::Scratch { server } => format!("scratch database on {server}"),
            To::Database { name, .. } => name.clone(),
        }
    }

    fn plan<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Plan, ActionError>> {
        Box::pin(self.look(cx))
    }

    fn perform<'a>(&'a self, plan: &'a Plan, cx: &'a Context) -> BoxFuture<'a, Result<Observation, ActionError>> {
        Box::pin(self.act(plan, cx))
    }
}
