//! Services: started, stopped, restarted, reloaded, enabled, disabled, and seen to have become so.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::{Action, ActionError, Context, Kind};
use crate::model::action::{Effect, Plan};
use crate::model::fact::{FactSpec, FactType, Observation};
use crate::model::input::{InputError, InputSpec, InputType, Inputs, Need};

mod bus;
mod managed;
mod systemd;
mod unit;

pub static KIND: Kind = Kind {
    name: "service",
    about: "a service is started, stopped, restarted, reloaded, enabled or disabled, through systemd or by the \
            commands that `services` of the site file gives for it. It waits for the end of the job, and a service \
            that ends again at once has not been started. What is there already is not done again, except a restart \
            and a reload",
    inputs: &[
        InputSpec {
            name: "name",
            ty: InputType::Text,
            need: Need::Required,
            about: "the unit, such as `apache2` or `backup.timer` (`.service` may be left out), or a name of `services` \
                    in the site file",
        },
        InputSpec {
            name: "state",
            ty: InputType::Choice(&["started", "stopped", "restarted", "reloaded", "enabled", "disabled"]),
            need: Need::Required,
            about: "`restarted` starts what is stopped; `reloaded` makes it read its configuration again without an \
                    interruption, if it can; `enabled` and `disabled` say whether it starts with the machine, and \
                    neither start nor stop it now",
        },
    ],
    facts: &[
        FactSpec::new(
            "state_before",
            FactType::Text,
            "before: `active (running)`; for a service of the site file `running` or `not running`",
        ),
        FactSpec::new("state", FactType::Text, "afterwards, in the same words"),
        FactSpec::new("enabled_before", FactType::Text, "`enabled`, `disabled`, `static`, ... before; systemd only"),
        FactSpec::new("enabled", FactType::Text, "the same afterwards"),
        FactSpec::new("main_pid", FactType::Count, "its main process afterwards; missing without one"),
        FactSpec::new("took", FactType::Duration, "from asking for it to its end"),
    ],
    checks: "the unit is there and not masked, and can be started, stopped or reloaded as it is wanted; how \
             it stands is shown, and what is stopped together with it. A service of the site file is asked \
             with its `status`",
    effect: Effect::Change,
    destructive_when: "",
    least: |_| Effect::Change,
    example: include_str!("../../examples/actions/service.yaml"),
    // Longer than systemd's own limit for a start or a stop, which is 90 s.
    limit: Duration::from_mins(3),
    build,
};

/// What is to become of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wanted {
    Started,
    Stopped,
    Restarted,
    Reloaded,
    Enabled,
    Disabled,
}

impl Wanted {
    fn of(word: &str) -> Option<Self> {
        let all = [Self::Started, Self::Stopped, Self::Restarted, Self::Reloaded, Self::Enabled, Self::Disabled];
        all.into_iter().find(|wanted| wanted.word() == word)
    }

    fn word(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Stopped => "stopped",
            Self::Restarted => "restarted",
            Self::Reloaded => "reloaded",
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
        }
    }

    /// As systemctl and init scripts take it.
    fn verb(self) -> &'static str {
        match self {
            Self::Started => "start",
            Self::Stopped => "stop",
            Self::Restarted => "restart",
            Self::Reloaded => "reload",
            Self::Enabled => "enable",
            Self::Disabled => "disable",
        }
    }
}

struct Service {
    name: String,
    wanted: Wanted,
}

/// The types of unit that can have a state that somebody sets.
const TYPES: [&str; 8] = [".service", ".socket", ".timer", ".target", ".path", ".mount", ".automount", ".swap"];

fn build(inputs: &Inputs) -> Result<Arc<dyn Action>, InputError> {
    let name = inputs.text("name").unwrap_or_default();
    let fits = |c: char| c.is_ascii_alphanumeric() || "@._-:\\".contains(c);
    if name.is_empty() || name.starts_with('-') || !name.chars().all(fits) {
        let message = format!("`{}` is no name of a service", name.escape_debug());
        return Err(InputError::new("name", message, "write it as `systemctl list-units` shows it: `apache2.service`"));
    }
    if name.ends_with('@') || name.contains("@.") {
        let help = "write which one: `postgresql@15-main`";
        return Err(InputError::new("name", format!("`{name}` is a template for services"), help));
    }
    let wanted = inputs.text("state").and_then(Wanted::of).ok_or_else(|| {
        InputError::new("state", "this is no state of a service", "write `started`, `stopped`, `restarted`, ...")
    })?;
    Ok(Arc::new(Service { name: name.to_owned(), wanted }))
}

impl Service {
    /// With its type, as systemd knows it.
    fn unit_name(&self) -> String {
        let has_type = TYPES.iter().any(|suffix| self.name.ends_with(suffix));
        if has_type { self.name.clone() } else { format!("{}.service", self.name) }
    }
}

impl Action for Service {
    fn target(&self) -> String {
        self.name.clone()
    }

    fn plan<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Plan, ActionError>> {
        async move {
            match cx.look.services.get(&self.name) {
                Some(service) => managed::Steps::new(&self.name, service, self.wanted)?.plan(cx).await,
                None => systemd::plan(&self.unit_name(), self.wanted, cx).await,
            }
        }
        .boxed()
    }

    fn perform<'a>(&'a self, plan: &'a Plan, cx: &'a Context) -> BoxFuture<'a, Result<Observation, ActionError>> {
        async move {
            match cx.look.services.get(&self.name) {
                Some(service) => managed::Steps::new(&self.name, service, self.wanted)?.perform(plan, cx).await,
                None => systemd::perform(&self.unit_name(), self.wanted, plan, cx).await,
            }
        }
        .boxed()
    }
}
