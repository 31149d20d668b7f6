//! Packages that could be newer.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::tool::{Done, Tool};
use super::{Context, Kind, Probe, ProbeError};
use crate::model::fact::{Evidence, FactSpec, FactType, Observation, Subject};
use crate::model::input::{InputError, InputSpec, InputType, Inputs, Need};
use crate::model::unit::Quantity;
use crate::model::value::Value;

mod apt;
mod dnf;
mod npm;
mod pip;
pub(crate) mod simulation;

pub static KIND: Kind = Kind {
    name: "packages",
    about: "packages for which there is a newer version, those that close security holes first. Of a system they come \
            from the lists that it has: nothing is renewed, so look at `lists_age` as well, for old lists know no new \
            versions. pip and npm ask their index on the network each time",
    inputs: &[
        InputSpec {
            name: "manager",
            ty: InputType::Choice(&["apt", "dnf", "pip", "npm"]),
            need: Need::Optional,
            about: "apt or dnf, whichever this machine has, when not given",
        },
        InputSpec {
            name: "environment",
            ty: InputType::Path,
            need: Need::Optional,
            about: "pip: the folder of the virtual environment",
        },
        InputSpec {
            name: "folder",
            ty: InputType::Path,
            need: Need::Optional,
            about: "npm: the folder of the project, where `package.json` is",
        },
    ],
    facts: &[
        FactSpec::new(
            "pending",
            FactType::Count,
            "installed packages for which there is a newer version, those that are held back as well",
        ),
        FactSpec::new(
            "security",
            FactType::Count,
            "of these, those whose newer version comes from a security archive (apt) or advisory (dnf); missing for pip \
             and npm, of which the kind `vulnerability` tells",
        ),
        FactSpec::new("held", FactType::Count, "apt: packages that are held back in their version"),
        FactSpec::new("broken", FactType::Count, "apt: packages that are half installed, or not configured yet"),
        FactSpec::new("consistent", FactType::Bool, "apt, pip, npm: every package has what it requires, and is there"),
        FactSpec::new(
            "lists_age",
            FactType::Duration,
            "apt, dnf: since the lists of packages were last renewed or found unchanged; of several archives, the one \
             that was renewed longest ago",
        ),
        FactSpec::new("removable", FactType::Count, "apt: packages that nothing needs any more; counted when expected"),
        FactSpec::new(
            "reboot_required",
            FactType::Bool,
            "apt: packages have asked for the machine to be booted again (/run/reboot-required)",
        ),
    ],
    example: include_str!("../../examples/probes/packages.yaml"),
    limit: Duration::from_mins(2),
    build,
};

/// How many packages are listed.
const LISTED: usize = 40;

/// Enough for the report on a whole system.
const OUTPUT: usize = 16 * 1024 * 1024;

/// Older lists than this are worth a word.
const OLD_LISTS: Duration = Duration::from_hours(24);

enum Manager {
    /// Whichever this machine has.
    Own,
    Apt,
    Dnf,
    Pip(PathBuf),
    Npm(PathBuf),
}

/// A package for which there is a newer version.
struct Update {
    name: String,
    from: String,
    to: String,
    security: bool,
    /// Anything else worth saying.
    remark: Option<String>,
}

fn build(inputs: &Inputs) -> Result<Arc<dyn Probe>, InputError> {
    let (environment, folder) = (inputs.path("environment").cloned(), inputs.path("folder").cloned());
    let manager = match (inputs.text("manager"), environment, folder) {
        (None, None, None) => Manager::Own,
        (Some("apt"), None, None) => Manager::Apt,
        (Some("dnf"), None, None) => Manager::Dnf,
        (Some("pip"), Some(environment), None) => Manager::Pip(environment),
        (Some("npm"), None, Some(folder)) => Manager::Npm(folder),
        (Some("pip"), ..) => {
            let help = "write `environment: /srv/application/venv`, and no `folder`";
            return Err(InputError::new("", "pip needs the virtual environment that is looked at", help));
        }
        (Some("npm"), ..) => {
            let help = "write `folder: /srv/application`, and no `environment`";
            return Err(InputError::new("", "npm needs the folder of the project that is looked at", help));
        }
        _ => {
            let message = "`environment` is for pip and `folder` for npm";
            return Err(InputError::new("", message, "leave it out, or write `manager: pip` or `manager: npm`"));
        }
    };
    Ok(Arc::new(manager))
}

impl Probe for Manager {
    fn target(&self) -> String {
        match self {
            Self::Own => "packages".to_owned(),
            Self::Apt => "apt".to_owned(),
            Self::Dnf => "dnf".to_owned(),
            Self::Pip(place) | Self::Npm(place) => place.display().to_string(),
        }
    }

    fn observe<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Observation, ProbeError>> {
        async move {
            let asks = Asks { cx, deadline: Instant::now() + cx.limit };
            match self {
                Self::Apt => apt::look(&asks).await,
                Self::Dnf => dnf::look(&asks).await,
                Self::Pip(environment) => pip::look(environment, &asks).await,
                Self::Npm(folder) => npm::look(folder, &asks).await,
                Self::Own if is_there("apt-get") => apt::look(&asks).await,
                Self::Own if is_there("dnf") => dnf::look(&asks).await,
                Self::Own => Err(ProbeError::new("no_such_tool", "this machine has neither apt nor dnf")
                    .help("name the `manager`, or look with a `command` step")),
            }
        }
        .boxed()
    }
}

fn is_there(program: &str) -> bool {
    ["/usr/bin", "/bin", "/usr/local/bin"].iter().any(|folder| Path::new(folder).join(program).exists())
}

/// How package managers are asked.
struct Asks<'c> {
    cx: &'c Context,
    deadline: Instant,
}

impl Asks<'_> {
    async fn run(&self, run: &[&str]) -> Result<Done, ProbeError> {
        self.run_in(Path::new("/"), &[], run).await
    }

    async fn run_in(&self, folder: &Path, environment: &[(&str, &str)], run: &[&str]) -> Result<Done, ProbeError> {
        Tool { run, environment, folder, most_output: OUTPUT }.ask(self.deadline, self.cx).await
    }
}

/// Sets `pending`, and lists the updates: those for security first.
fn set_updates(seen: &mut Observation, mut updates: Vec<Update>, tells_security: bool) {
    let subject = &mut seen.subjects[0];
    subject.set("pending", Value::count(updates.len() as u64));
    if tells_security {
        subject.set("security", Value::count(updates.iter().filter(|update| update.security).count() as u64));
    }
    updates.sort_by(|one, other| other.security.cmp(&one.security).then_with(|| one.name.cmp(&other.name)));
    let line = |update: &Update| {
        let Update { name, from, to, security, remark } = update;
        let security = if *security { "  security" } else { "" };
        let remark = remark.as_ref().map(|remark| format!("  {remark}")).unwrap_or_default();
        format!("{name}  {from} -> {to}{security}{remark}")
    };
    let lines: Vec<String> = updates.iter().take(LISTED).map(line).collect();
    if !lines.is_empty() {
        let left_out = updates.len().saturating_sub(LISTED) as u64;
        seen.evidence.push(Evidence { left_out, ..Evidence::new("newer versions", lines) });
    }
}

/// Sets `lists_age`, and says what old lists mean.
fn set_lists_age(subject: &mut Subject, renewed: SystemTime, cx: &Context, renew: &str) {
    let age = SystemTime::from(cx.now).duration_since(renewed).unwrap_or_default();
    subject.set("lists_age", Value::duration(age));
    if age > OLD_LISTS {
        let age = Quantity::duration(age).rounded();
        subject.note(format!("the lists of packages are {age} old and know nothing newer; `{renew}` renews them"));
    }
}

fn note_no_lists(subject: &mut Subject, renew: &str) {
    subject.note(format!("there are no lists of packages, so nothing newer is known; run `{renew}`"));
}
