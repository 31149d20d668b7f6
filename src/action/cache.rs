//! Keys of a Redis or Valkey server, deleted by their prefix: what else shares the database stays.

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::json;
use tokio::time::sleep_until;

use super::{Action, ActionError, Changed, Context, Kind, run, shown};
use crate::model::action::{Effect, Plan};
use crate::model::fact::{FactSpec, FactType, Observation, Subject};
use crate::model::input::{InputError, InputSpec, InputType, Inputs, Need};
use crate::model::value::Value;
use crate::probe::redis::CA;
use crate::probe::redis::site::Site;
use crate::probe::{self, ProbeError};

mod keys;

use keys::{Keys, Prefix, Progress};

const INPUTS: &[InputSpec] = &[
    InputSpec {
        name: "database",
        ty: InputType::Database,
        need: Need::Required,
        about: "which database of the site file: redis://, rediss:// (TLS) or unix:///SOCKET, with the number of the \
                database at its end if that is not 0",
    },
    InputSpec {
        name: "prefix",
        ty: InputType::Texts,
        need: Need::Required,
        about: "how the keys begin, or a list of beginnings. Taken as it is: `*` and the like stand for themselves",
    },
    CA,
];

pub static KIND: Kind = Kind {
    name: "cache",
    about: "keys of a Redis or Valkey server, deleted by their prefix in small portions. The whole database is never \
            flushed: sessions and queues may be in it",
    inputs: INPUTS,
    facts: &[
        FactSpec::new("deleted", FactType::Count, "how many keys were deleted"),
        FactSpec::new("keys", FactType::Count, "how many keys the database has afterwards"),
    ],
    checks: "the server answers and is neither a replica nor one of a cluster; the keys are counted, and some \
             of them are shown",
    effect: Effect::Destructive,
    destructive_when: "",
    least: |_| Effect::Destructive,
    example: include_str!("../../examples/actions/cache.yaml"),
    limit: std::time::Duration::from_mins(5),
    build,
};

struct Cache {
    database: String,
    prefixes: Vec<Prefix>,
    ca: Option<PathBuf>,
}

fn build(inputs: &Inputs) -> Result<Arc<dyn Action>, InputError> {
    let prefixes = inputs.texts("prefix").iter().map(|text| {
        Prefix::new(text).ok_or_else(|| {
            let message = format!("the prefix `{text}` would mean every key of the database");
            InputError::new("prefix", message, "write how the keys of one application begin, such as `helpdesk:`")
        })
    });
    Ok(Arc::new(Cache {
        database: inputs.text("database").unwrap_or_default().to_owned(),
        prefixes: prefixes.collect::<Result<_, _>>()?,
        ca: inputs.path("ca").cloned(),
    }))
}

impl Action for Cache {
    fn target(&self) -> String {
        let prefixes = self.prefixes.iter().map(|prefix| shown::quoted(prefix.text()));
        format!("{} {}", self.database, prefixes.collect::<Vec<_>>().join(" "))
    }

    fn plan<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Plan, ActionError>> {
        async move {
            let site = Site::of(&self.database, &cx.look).await?;
            let mut progress = Progress::default();
            self.bounded(&site, &mut progress, &cx.look, async |keys, _| self.look(&site, keys).await).await
        }
        .boxed()
    }

    fn perform<'a>(&'a self, plan: &'a Plan, cx: &'a Context) -> BoxFuture<'a, Result<Observation, ActionError>> {
        async move {
            if plan.settled {
                return Ok(Subject::new(self.target()).with("deleted", Value::count(0)).into());
            }
            let site = Site::of(&self.database, &cx.look).await?;
            run::refuse_other_plan(plan, &self.lines(&site))?;
            let mut progress = Progress::default();
            self.bounded(&site, &mut progress, &cx.look, async |keys, progress| self.delete(keys, progress).await).await
        }
        .boxed()
    }
}

impl Cache {
    /// What the plan is made from.
    fn lines(&self, site: &Site) -> Vec<String> {
        let prefixes = self.prefixes.iter().map(|prefix| prefix.text().to_owned());
        [site.place.clone(), site.database.to_string()].into_iter().chain(prefixes).collect()
    }

    /// Does `work` on a connection of its own within the time limit. What was begun when it went wrong counts as changed.
    async fn bounded<T>(
        &self,
        site: &Site,
        progress: &mut Progress,
        cx: &probe::Context,
        work: impl AsyncFnOnce(&mut Keys, &mut Progress) -> Result<T, ProbeError>,
    ) -> Result<T, ActionError> {
        let deadline = run::deadline(cx);
        let trust = site.trust(self.ca.as_deref(), cx).await?;
        let done = tokio::select! {
            biased;
            () = cx.cancel.cancelled() => Err(ProbeError::new("cancelled", "the run was ended")),
            done = async {
                let mut keys = Keys::open(site, trust).await?;
                work(&mut keys, progress).await
            } => done,
            () = sleep_until(deadline) => {
                let limit = Value::duration(cx.limit);
                Err(ProbeError::new("time_limit", format!("not done within {limit}"))
                    .help("see whether the server answers, or raise the step's `timeout`"))
            }
        };
        done.map_err(|error| {
            let (mut message, mut changed) =
                (format!("database {} ({}): {}", self.database, site.place, error.message), Changed::Nothing);
            if progress.sent {
                message = format!("{message}; {} keys were deleted before", progress.deleted);
                changed = Changed::Perhaps;
            }
            ActionError { code: error.code, message, help: error.help, changed }
        })
    }

    async fn look(&self, site: &Site, keys: &mut Keys) -> Result<Plan, ProbeError> {
        keys.refuse_unfit().await?;
        let all = keys.size().await?;
        let (mut does, mut notes, mut count) = (Vec::new(), Vec::new(), 0);
        for prefix in &self.prefixes {
            let found = keys.count(prefix).await?;
            let begin = shown::quoted(prefix.text());
            if found.count == 0 {
                notes.push(format!("no key begins with {begin}"));
                continue;
            }
            let pattern = prefix.pattern();
            does.push(format!("SCAN 0 MATCH {} COUNT {}", shown::quoted(&pattern), keys::PORTION));
            does.push(format!("UNLINK the {} keys that begin with {begin}", found.count));
            notes.push(format!("such as {}", found.shown.join(", ")));
            count += found.count;
        }
        if self.prefixes.iter().any(Prefix::has_wildcards) {
            notes.push("`*`, `?` and brackets in a prefix stand for themselves".to_owned());
        }
        if does.is_empty() {
            let mut plan = Plan::settled(format!("there is nothing to delete in database {}", self.database));
            plan.notes.extend(notes);
            return Ok(plan);
        }
        does.insert(0, format!("SELECT {}", site.database));
        let mut plan = Plan::new(does).data(json!({ "fingerprint": run::fingerprint(&self.lines(site)) }));
        plan.notes = notes;
        let whole = if count >= all { ": that is all of them" } else { "" };
        plan.notes.push(format!("{count} of {all} keys in database {} of {}{whole}", site.database, site.place));
        Ok(plan)
    }

    async fn delete(&self, keys: &mut Keys, progress: &mut Progress) -> Result<Observation, ProbeError> {
        keys.refuse_unfit().await?;
        for prefix in &self.prefixes {
            keys.delete(prefix, progress).await?;
        }
        let left = keys.size().await?;
        let subject = Subject::new(self.target())
            .with("deleted", Value::count(progress.deleted))
            .with("keys", Value::count(left));
        Ok(subject.into())
    }
}
