//! Makes a scratch database for the present run, or drops it again. It can drop nothing else.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::json;

use super::{Action, ActionError, Context, Kind};
use crate::model::action::{Effect, Plan};
use crate::model::fact::{FactSpec, FactType, Observation, Subject};
use crate::model::input::{InputSpec, InputType, Inputs, Need};
use crate::model::value::Value;
use crate::probe::database::scratch::{self, Name};
use crate::probe::database::{Target, bound};

pub static KIND: Kind = Kind {
    name: "database",
    about: "an empty scratch database that belongs to this run, made or dropped. Its name is made up and carries the \
            run's id; a database with another name is never dropped",
    inputs: &[
        InputSpec {
            name: "server",
            ty: InputType::Database,
            need: Need::Required,
            about: "the database of the site on whose server it is; its character set is taken over. The user needs \
                    the right to create and drop databases. SQLite: a file in the temporary folder ($TMPDIR)",
        },
        InputSpec {
            name: "state",
            ty: InputType::Choice(&["present", "absent"]),
            need: Need::Default("present"),
            about: "`present` makes one if this run has none yet; `absent` drops all that this run has made. Give the \
                    dropping step `always: true`",
        },
    ],
    facts: &[
        FactSpec::new("database", FactType::Text, "the name on the server; of SQLite, the file"),
        FactSpec::new("dropped", FactType::Count, "how many databases were dropped"),
        FactSpec::new("left_over", FactType::Count, "scratch databases on the server whose run is gone"),
    ],
    checks: "the server answers; scratch databases of runs that were killed are named",
    effect: Effect::Change,
    destructive_when: "",
    least: |_| Effect::Change,
    example: include_str!("../../examples/actions/database.yaml"),
    limit: std::time::Duration::from_mins(2),
    build: |inputs| Ok(Arc::new(Scratch::new(inputs))),
};

struct Scratch {
    server: String,
    present: bool,
}

impl Scratch {
    fn new(inputs: &Inputs) -> Self {
        let server = inputs.text("server").unwrap_or_default().to_owned();
        Self { server, present: inputs.text("state") != Some("absent") }
    }

    async fn look(&self, cx: &Context) -> Result<Plan, ActionError> {
        let bound = bound(&cx.look);
        let server = Target::of_site(&cx.look, &self.server).await?;
        let mut connection = server.connect(&bound).await?;
        let all = scratch::list(&server, &mut connection).await?;
        let own: Vec<&Name> = all.iter().filter(|name| name.is_of(cx.run.0)).collect();
        let plan = match (self.present, &own[..]) {
            (true, []) => {
                let name = scratch::free_name(&server, cx.run.0, &mut connection).await?;
                let statement = scratch::statement(&server, &name, &mut connection).await?;
                Plan::new(vec![statement]).data(json!([name.to_string()]))
            }
            (true, [name, ..]) => {
                let database = scratch::target(&server, name).database;
                Plan::settled(format!("this run has the scratch database {database}")).data(json!([name.to_string()]))
            }
            (false, []) => Plan::settled("this run has no scratch database"),
            (false, own) => {
                let drops = own.iter().map(|name| scratch::drop_statement(&server, name)).collect();
                Plan::new(drops).data(json!(own.iter().map(ToString::to_string).collect::<Vec<_>>()))
            }
        };
        let left_over = scratch::left_over(&server, &mut connection, cx.look.now).await?;
        connection.close().await;
        Ok(left_over.iter().take(5).fold(plan, |plan, name| {
            plan.note(format!(
                "a run that was killed left {name} behind; when nobody needs it: {}",
                scratch::drop_statement(&server, name)
            ))
        }))
    }

    async fn act(&self, plan: &Plan, cx: &Context) -> Result<Observation, ActionError> {
        let bound = bound(&cx.look);
        let server = Target::of_site(&cx.look, &self.server).await?;
        let mut subject = Subject::new(&self.server);
        let mut dropped = 0;
        for name in names(plan) {
            if !name.is_of(cx.run.0) {
                return Err(ActionError::before("refused", format!("{name} is no scratch database of this run")));
            }
            let database = scratch::target(&server, &name).database;
            subject.set("database", Value::text(database));
            if plan.settled {
                continue;
            }
            if self.present {
                scratch::create(&server, &name).await?;
            } else {
                let done = scratch::remove(&server, &name, &bound).await;
                done.map_err(|error| ActionError { changed: super::Changed::Perhaps, ..error.into() })?;
                dropped += 1;
            }
        }
        if !self.present {
            subject.set("dropped", Value::count(dropped));
        }
        let mut connection = server.connect(&bound).await?;
        let left_over = scratch::left_over(&server, &mut connection, cx.look.now).await?;
        connection.close().await;
        subject.set("left_over", Value::count(left_over.len() as u64));
        Ok(subject.into())
    }
}

/// The names in a plan that are names of scratch databases.
fn names(plan: &Plan) -> Vec<Name> {
    let names = plan.data.as_array().into_iter().flatten();
    names.filter_map(|name| name.as_str()?.parse().ok()).collect()
}

impl Action for Scratch {
    fn target(&self) -> String {
        format!("scratch database on {}", self.server)
    }

    fn plan<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Plan, ActionError>> {
        Box::pin(self.look(cx))
    }

    fn perform<'a>(&'a self, plan: &'a Plan, cx: &'a Context) -> BoxFuture<'a, Result<Observation, ActionError>> {
        Box::pin(self.act(plan, cx))
    }
}
