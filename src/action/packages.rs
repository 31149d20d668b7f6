//! Packages in exact versions: by apt on this machine, by pip in a virtual environment.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::{Action, ActionError, Context, Kind};
use crate::model::action::{Effect, Plan};
use crate::model::fact::{FactSpec, FactType, Observation};
use crate::model::input::{InputError, InputSpec, InputType, Inputs, Need};

mod apt;
mod pip;
mod simulation;
mod tool;

use apt::Apt;
use pip::Pip;
use tool::Pinned;

pub static KIND: Kind = Kind {
    name: "packages",
    about: "packages are installed, upgraded or downgraded to exact versions. The manager simulates it first, so the \
            plan has everything that changes with them; what would be removed is refused unless `remove` names it. \
            Configuration files that were changed are kept. The lists of what there is are not renewed, and no other \
            service is restarted than those that the packages themselves restart",
    inputs: &[
        InputSpec {
            name: "manager",
            ty: InputType::Choice(&["apt", "pip"]),
            need: Need::Required,
            about: "`apt`: packages of this Debian or Ubuntu machine, which needs root; `pip`: Python packages of one \
                    virtual environment",
        },
        InputSpec {
            name: "package",
            ty: InputType::Texts,
            need: Need::Required,
            about: "names with their exact versions: `openssl=3.0.17-1~deb12u2` for apt, `Django==4.2.16` for pip. The \
                    fact `before` of an earlier step has this form, which undoes that step",
        },
        InputSpec {
            name: "remove",
            ty: InputType::Texts,
            need: Need::Optional,
            about: "apt: packages that may be removed if the others cannot be there together with them",
        },
        InputSpec {
            name: "environment",
            ty: InputType::Path,
            need: Need::Optional,
            about: "pip: the folder of the virtual environment",
        },
    ],
    facts: &[
        FactSpec::new(
            "before",
            FactType::Texts,
            "every package that was replaced by another version, with the version from before: what undoes it",
        ),
        FactSpec::new("after", FactType::Texts, "the named packages with the versions that are installed now"),
        FactSpec::new("changed", FactType::Count, "how many packages were installed or replaced"),
        FactSpec::new("removed", FactType::Count, "how many packages were removed"),
        FactSpec::new(
            "reboot_required",
            FactType::Bool,
            "apt: this machine waits to be booted again, for these packages or for earlier ones",
        ),
        FactSpec::new("consistent", FactType::Bool, "pip: all packages of the environment have what they require"),
        FactSpec::new("took", FactType::Duration, "from its start to its end"),
    ],
    checks: "the manager simulates it. A version that it would not install is refused, and so is the removal \
             of what `remove` does not name; all that changes with the packages is shown",
    effect: Effect::Change,
    destructive_when: "",
    least: |_| Effect::Change,
    example: include_str!("../../examples/actions/packages.yaml"),
    limit: Duration::from_mins(15),
    build,
};

fn build(inputs: &Inputs) -> Result<Arc<dyn Action>, InputError> {
    let (wanted, remove) = (inputs.texts("package"), inputs.texts("remove"));
    let environment = inputs.path("environment").cloned();
    if wanted.is_empty() {
        return Err(InputError::new("package", "no package is named", "write `package: [NAME=VERSION]`"));
    }
    match (inputs.text("manager"), environment) {
        (Some("pip"), Some(environment)) => {
            if !remove.is_empty() {
                let help = "leave it out: pip removes nothing but what it replaces";
                return Err(InputError::new("remove", "`remove` is for apt", help));
            }
            Ok(Arc::new(Packages::Pip(Pip { environment, wanted: pinned(wanted, "==", pip::is_version)? })))
        }
        (Some("pip"), None) => {
            let help = "write `environment: /srv/application/venv`";
            Err(InputError::new("", "pip needs the virtual environment in which it works", help))
        }
        (_, Some(_)) => Err(InputError::new("environment", "`environment` is for pip", "leave it out")),
        (_, None) => {
            Ok(Arc::new(Packages::Apt(Apt { wanted: pinned(wanted, "=", apt::is_version)?, remove: remove.to_vec() })))
        }
    }
}

/// Reads `NAME=VERSION`.
fn pinned(texts: &[String], sign: &str, is_version: fn(&str) -> bool) -> Result<Vec<Pinned>, InputError> {
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '+')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "+.-_:".contains(c))
    };
    let mut all: Vec<Pinned> = Vec::new();
    for text in texts {
        let parts = text.split_once(sign).filter(|(name, version)| is_name(name) && is_version(version));
        let Some((name, version)) = parts else {
            let message = format!("`{}` is no package with an exact version", text.escape_debug());
            return Err(InputError::new("package", message, format!("write `NAME{sign}VERSION`")));
        };
        if all.iter().any(|other| other.name == name) {
            return Err(InputError::new("package", format!("`{name}` is named twice"), "remove one of the two"));
        }
        all.push(Pinned { name: name.to_owned(), version: version.to_owned() });
    }
    Ok(all)
}

enum Packages {
    Apt(Apt),
    Pip(Pip),
}

impl Action for Packages {
    fn target(&self) -> String {
        let (Self::Apt(Apt { wanted, .. }) | Self::Pip(Pip { wanted, .. })) = self;
        wanted.iter().map(|one| one.name.as_str()).collect::<Vec<_>>().join(" ")
    }

    fn plan<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Plan, ActionError>> {
        match self {
            Self::Apt(apt) => apt.plan(cx).boxed(),
            Self::Pip(pip) => pip.plan(cx).boxed(),
        }
    }

    fn perform<'a>(&'a self, plan: &'a Plan, cx: &'a Context) -> BoxFuture<'a, Result<Observation, ActionError>> {
        match self {
            Self::Apt(apt) => apt.perform(plan, cx).boxed(),
            Self::Pip(pip) => pip.perform(plan, cx).boxed(),
        }
    }
}
