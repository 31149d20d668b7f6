//! Packages of a Debian or Ubuntu machine.

use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::simulation::{Change, Simulation};
use super::tool::{Pinned, Tool, complaint, last_lines, list};
use crate::action::run::{self, Done};
use crate::action::{ActionError, Changed, Context};
use crate::model::action::Plan;
use crate::model::fact::{Evidence, Observation, Subject};
use crate::model::unit::Quantity;
use crate::model::value::Value;

/// What the plan is made for.
#[derive(PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Planned {
    /// How long another package manager is waited for, in seconds.
    lock_wait: u64,
    #[serde(flatten)]
    simulation: Simulation,
}

pub struct Apt {
    pub wanted: Vec<Pinned>,
    /// What may be removed.
    pub remove: Vec<String>,
}

/// Nobody is asked, nothing is paged, and needrestart names what should be restarted instead of restarting it. dpkg
/// refuses to work without the folders of `PATH` that cron leaves out.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("DEBIAN_FRONTEND", "noninteractive"),
    ("APT_LISTCHANGES_FRONTEND", "none"),
    ("NEEDRESTART_MODE", "l"),
    ("LC_ALL", "C.UTF-8"),
    ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
];

/// How long another package manager may keep its lock, at most.
const LOCK: Duration = Duration::from_mins(2);

/// Older lists than this are worth a word.
const OLD_LISTS: Duration = Duration::from_hours(24);

/// Where it is said that the machine waits to be booted again.
const REBOOT: &str = "/run/reboot-required";

pub fn is_version(text: &str) -> bool {
    // A plus or minus at the end means something else to apt-get.
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '~')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || ".+-~:".contains(c))
}

impl Apt {
    pub async fn plan(&self, cx: &Context) -> Result<Plan, ActionError> {
        let limit = run::deadline(&cx.look);
        let installed = installed(self.wanted.iter().map(|one| one.name.as_str()), limit, cx).await?;
        if self.wanted.iter().all(|one| installed.contains(one)) {
            return Ok(Plan::settled(format!("installed already: {}", names(&self.wanted))));
        }
        let lock_wait = LOCK.min(cx.look.limit / 2).as_secs();
        let tool = self.tool(&installed, lock_wait, limit, cx).await?;
        let simulation = self.simulate(&tool, &installed, limit, cx).await?;
        let mut plan = Plan::new(vec![tool.shown()]);
        for note in self.notes(&simulation) {
            plan = plan.note(note);
        }
        Ok(plan.data(serde_json::to_value(Planned { lock_wait, simulation }).unwrap_or_default()))
    }

    pub async fn perform(&self, plan: &Plan, cx: &Context) -> Result<Observation, ActionError> {
        let (begun, limit) = (Instant::now(), run::deadline(&cx.look));
        let named = || self.wanted.iter().map(|one| one.name.as_str());
        if plan.settled {
            let now = installed(named(), limit, cx).await?;
            return Ok(Observation::from(self.subject(&Simulation::default(), &now, begun)));
        }
        let before = installed(named(), limit, cx).await?;
        let planned: Option<Planned> = serde_json::from_value(plan.data.clone()).ok();
        let lock_wait = planned.as_ref().map_or(0, |planned| planned.lock_wait);
        let tool = self.tool(&before, lock_wait, limit, cx).await?;
        let simulation = self.simulate(&tool, &before, limit, cx).await?;
        if planned.is_none_or(|planned| planned.simulation != simulation) || plan.does != [tool.shown()] {
            let message =
                format!("what apt-get would do for {} has changed since this was planned", names(&self.wanted));
            return Err(ActionError::before("changed", message).help("plan it again, and have the new plan agreed to"));
        }
        let done = tool.run(limit, cx).await.map_err(|error| match error.changed {
            Changed::Nothing => error,
            Changed::Perhaps => error.help(REPAIR),
        })?;
        if !done.status.success() {
            return Err(failed(&done, &simulation, limit, cx).await);
        }
        let now =
            installed(named(), limit, cx).await.map_err(|error| ActionError { changed: Changed::Perhaps, ..error })?;
        if let Some(other) = self.wanted.iter().find(|one| !now.contains(one)) {
            let message =
                format!("apt-get succeeded, but {} is not installed in version {}", other.name, other.version);
            return Err(ActionError::midway("failed", message).help("`apt-cache policy` shows what there is"));
        }
        let mut lines: Vec<String> = simulation.changes.iter().map(Change::describe).collect();
        lines.extend(simulation.removes.iter().map(|one| format!("{} {} (removed)", one.name, one.version)));
        let subject = self.subject(&simulation, &now, begun);
        Ok(Observation { subjects: vec![subject], evidence: vec![Evidence::new("packages", lines)] })
    }

    fn subject(&self, simulation: &Simulation, now: &[Pinned], begun: Instant) -> Subject {
        let replaced = simulation
            .changes
            .iter()
            .filter_map(|change| Some(Pinned { name: change.name.clone(), version: change.from.clone()? }));
        let after: Vec<Pinned> =
            now.iter().filter(|one| self.wanted.iter().any(|other| other.name == one.name)).cloned().collect();
        let mut subject = Subject::new("apt")
            .with("before", list(&replaced.collect::<Vec<_>>(), "="))
            .with("after", list(&after, "="))
            .with("changed", Value::count(simulation.changes.len() as u64))
            .with("removed", Value::count(simulation.removes.len() as u64))
            .with("reboot_required", Value::Bool(Path::new(REBOOT).exists()))
            .with("took", Value::duration(begun.elapsed()));
        let new = simulation.changes.iter().filter(|change| change.from.is_none()).count();
        if new > 0 {
            subject.note(format!("{new} of them are new: installing the versions from before does not remove these"));
        }
        subject
    }

    /// The command that does it.
    async fn tool(
        &self,
        installed: &[Pinned],
        lock_wait: u64,
        limit: Instant,
        cx: &Context,
    ) -> Result<Tool, ActionError> {
        let mut tool = Tool::new(["apt-get", "--yes", "--quiet"]).with(&[
            "-o",
            // With a terminal of its own, dpkg would leave the process group and go on when this is ended.
            "Dpkg::Use-Pty=0",
            "-o",
            &format!("DPkg::Lock::Timeout={lock_wait}"),
            "-o",
            "Dpkg::Options::=--force-confdef",
            "-o",
            "Dpkg::Options::=--force-confold",
        ]);
        tool.environment = ENVIRONMENT;
        if self.remove.is_empty() {
            tool = tool.with(&["--no-remove"]);
        }
        for one in &self.wanted {
            let Some(now) = installed.iter().find(|now| now.name == one.name) else { continue };
            let compare = Tool::new(["dpkg", "--compare-versions", &now.version, "gt", &one.version]);
            if compare.look(limit, cx).await?.status.success() {
                tool = tool.with(&["--allow-downgrades"]);
                break;
            }
        }
        tool = tool.with(&["install"]);
        for one in &self.wanted {
            tool.run.push(format!("{}={}", one.name, one.version));
        }
        Ok(tool)
    }

    /// What that command would do, and whether it may.
    async fn simulate(
        &self,
        tool: &Tool,
        installed: &[Pinned],
        limit: Instant,
        cx: &Context,
    ) -> Result<Simulation, ActionError> {
        // Refused below with the names, which apt-get would not say.
        let run =
            tool.run.iter().filter(|argument| *argument != "--no-remove").cloned().chain(["--simulate".to_owned()]);
        let simulated = Tool { environment: ENVIRONMENT, run: run.collect() }.look(limit, cx).await?;
        if !simulated.status.success() {
            let message =
                format!("apt-get cannot install {}: {}", names(&self.wanted), complaint(&simulated, &["E: "]));
            return Err(ActionError::before("refused", message).help(
                "`apt-cache policy NAME` shows the versions that there are, `apt-get update` renews what is known of \
                 them; `apt-mark showhold` shows what is held back",
            ));
        }
        let found = Simulation::parse(&simulated.stdout.text());
        let refused: Vec<&str> = found
            .removes
            .iter()
            .map(|one| one.name.as_str())
            .filter(|name| !self.remove.iter().any(|allowed| allowed == name))
            .collect();
        if !refused.is_empty() {
            let message = format!("{} would be removed for {}", refused.join(", "), names(&self.wanted));
            return Err(ActionError::before("refused", message)
                .help("if they may be, name them in `remove`; `apt-get --simulate install` shows why they would"));
        }
        let comes = |one: &&Pinned| {
            installed.contains(one)
                || found.changes.iter().any(|change| change.name == one.name && change.to == one.version)
        };
        match self.wanted.iter().find(|one| !comes(one)) {
            None => Ok(found),
            Some(other) => {
                let message = format!("apt-get would not install {} in version {}", other.name, other.version);
                Err(ActionError::before("refused", message).help("correct the name: it is taken as it is, in full"))
            }
        }
    }

    /// What a person should know before agreeing.
    fn notes(&self, simulation: &Simulation) -> Vec<String> {
        let named = |change: &&Change| self.wanted.iter().any(|one| one.name == change.name);
        let (asked, more): (Vec<&Change>, Vec<&Change>) = simulation.changes.iter().partition(named);
        let all = |changes: &[&Change]| changes.iter().map(|change| change.describe()).collect::<Vec<_>>().join(", ");
        let mut notes = vec![format!("changes {}", all(&asked))];
        if !more.is_empty() {
            notes.push(format!("changes with them {}", all(&more)));
        }
        if !simulation.removes.is_empty() {
            notes.push(format!("removes {}", names(&simulation.removes)));
        }
        let lists = std::fs::metadata("/var/lib/apt/lists").and_then(|lists| lists.modified());
        let age = lists.ok().and_then(|lists| SystemTime::now().duration_since(lists).ok());
        if let Some(age) = age.filter(|age| *age > OLD_LISTS) {
            notes.push(format!("the lists of packages are {} old", Quantity::duration(age).rounded()));
        }
        if Path::new(REBOOT).exists() {
            notes.push("this machine already waits to be booted again".to_owned());
        }
        notes
    }
}

const REPAIR: &str = "`dpkg --audit` shows what is half done, `dpkg --configure -a` and `apt-get install -f` finish it";

fn names(packages: &[Pinned]) -> String {
    packages.iter().map(|one| format!("{} {}", one.name, one.version)).collect::<Vec<_>>().join(", ")
}

/// Those of `names` that are installed.
async fn installed(
    names: impl Iterator<Item = &str>,
    limit: Instant,
    cx: &Context,
) -> Result<Vec<Pinned>, ActionError> {
    let format = "--showformat=${Package}\\t${Architecture}\\t${db:Status-Status}\\t${Version}\\n";
    let names: Vec<&str> = names.collect();
    let done = Tool::new(["dpkg-query", "--show", format]).with(&names).look(limit, cx).await?;
    // Status 1: some are not known, which is no error here.
    if !matches!(done.status.code(), Some(0 | 1)) {
        let message = format!("dpkg-query does not tell what is installed: {}", done.last_words());
        return Err(ActionError::before("bad_answer", message).help("`dpkg --audit` shows what is wrong"));
    }
    let text = done.stdout.text();
    let lines: Vec<[&str; 4]> =
        text.lines().filter_map(|line| line.split('\t').collect::<Vec<_>>().try_into().ok()).collect();
    let of = |name: &str| {
        let (base, architecture) = name.split_once(':').unwrap_or((name, native()));
        let fits = |line: &&[&str; 4]| line[0] == base && line[2] == "installed";
        let exact = lines.iter().filter(fits).find(|line| line[1] == architecture || line[1] == "all");
        exact.or_else(|| lines.iter().find(fits)).map(|line| line[3].to_owned())
    };
    Ok(names.iter().filter_map(|name| Some(Pinned { name: (*name).to_owned(), version: of(name)? })).collect())
}

/// This machine's architecture, as Debian calls it.
fn native() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Why it did not succeed, and whether anything was changed.
async fn failed(done: &Done, simulation: &Simulation, limit: Instant, cx: &Context) -> ActionError {
    // Of a failed script, apt-get knows only that there was one; what dpkg said stands before that.
    let said = Some(complaint(done, &["E: "])).filter(|said| !said.contains("Sub-process"));
    let said = said.unwrap_or_else(|| last_lines(done));
    let message = format!("apt-get failed: {said}");
    if said.contains("are you root") || said.contains("Permission denied") {
        return ActionError::before("permission", message).help("run opsctl as root");
    }
    if said.contains("Could not get lock") || said.contains("Unable to acquire the dpkg frontend lock") {
        let stdout = done.stdout.text();
        let held = stdout.lines().find_map(|line| line.split_once("It is held by ")).map(|(_, holder)| holder);
        let holder = held.map_or("another program", |holder| holder.trim_end_matches('.'));
        return ActionError::before("locked", format!("apt-get did not get the lock of dpkg, which {holder} holds"))
            .help("wait for the other package manager, or find out why it does not end");
    }
    let affected: Vec<&str> = simulation
        .changes
        .iter()
        .map(|change| change.name.as_str())
        .chain(simulation.removes.iter().map(|one| one.name.as_str()))
        .collect();
    let as_before = installed(affected.into_iter(), limit, cx).await.is_ok_and(|now| {
        let before = |change: &Change| {
            now.iter().find(|one| one.name == change.name).map(|one| &one.version) == change.from.as_ref()
        };
        simulation.changes.iter().all(before) && simulation.removes.iter().all(|one| now.contains(one))
    });
    let downloads_only = as_before && !done.stdout.text().lines().any(|line| line.starts_with("Preparing to unpack "));
    if downloads_only {
        return ActionError::before("failed", message).help("nothing was installed yet; `apt-get update` may help");
    }
    ActionError::midway("failed", message).help(REPAIR)
}
