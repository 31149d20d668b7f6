//! fail2ban: whether it answers, and what each of its jails has seen and banned.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::process::Command;
use tokio::time::Instant;

use super::command::child::End;
use super::command::start;
use super::{Context, Kind, Probe, ProbeError};
use crate::model::expectation::Reading;
use crate::model::fact::{Evidence, FactSpec, FactType, Observation, Subject};
use crate::model::input::{InputError, InputSpec, InputType, Inputs, Need};
use crate::model::unit::Quantity;
use crate::model::value::Value;

pub static KIND: Kind = Kind {
    name: "fail2ban",
    about: "the jails of fail2ban, one result each: failures that they found and addresses that they banned. Asking it \
            takes root. Its log is no count of bans: each of its lines has the word in it",
    inputs: &[
        InputSpec {
            name: "jail",
            ty: InputType::Texts,
            need: Need::Optional,
            about: "jails that must be there, such as `sshd`; all that there are when not given, at least one",
        },
        InputSpec {
            name: "socket",
            ty: InputType::Path,
            need: Need::Optional,
            about: "the socket of its server, if it is not the one of its configuration",
        },
    ],
    facts: &[
        FactSpec::implied("answers", "the server runs and answers"),
        FactSpec::implied("active", "the jail is there and at work; false of one that was asked for in vain"),
        FactSpec::new("banned", FactType::Count, "addresses that are banned now"),
        FactSpec::new("total_banned", FactType::Count, "bans since the server started"),
        FactSpec::recent(
            "recent_bans",
            FactType::Count,
            "`total_banned` since this step's newest earlier run, or since the server started if fewer are counted now \
             than then",
        ),
        FactSpec::new("failed", FactType::Count, "failures that count towards a ban now"),
        FactSpec::new("total_failed", FactType::Count, "failures since the server started"),
        FactSpec::recent(
            "recent_failures",
            FactType::Count,
            "`total_failed` since this step's newest earlier run, likewise",
        ),
    ],
    example: include_str!("../../examples/probes/fail2ban.yaml"),
    limit: Duration::from_secs(30),
    build,
};

/// What the client says of a jail, the fact that it is, and that of its growth.
const COUNTS: [(&str, &str, Option<&str>); 4] = [
    ("Currently banned", "banned", None),
    ("Total banned", "total_banned", Some("recent_bans")),
    ("Currently failed", "failed", None),
    ("Total failed", "total_failed", Some("recent_failures")),
];

/// Banned addresses that are shown of a jail.
const SHOWN: usize = 20;

const MOST_OUTPUT: usize = 1024 * 1024;

struct Fail2ban {
    jails: Vec<String>,
    socket: Option<PathBuf>,
}

fn build(inputs: &Inputs) -> Result<Arc<dyn Probe>, InputError> {
    let jails = inputs.texts("jail").to_vec();
    if let Some(wrong) = jails.iter().find(|jail| jail.is_empty() || jail.starts_with('-')) {
        let help = "write one such as `sshd`; `fail2ban-client status` lists them";
        return Err(InputError::new("jail", format!("`{wrong}` is not the name of a jail"), help));
    }
    Ok(Arc::new(Fail2ban { jails, socket: inputs.path("socket").cloned() }))
}

impl Probe for Fail2ban {
    fn target(&self) -> String {
        if self.jails.is_empty() { "fail2ban".to_owned() } else { self.jails.join(", ") }
    }

    fn observe<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Observation, ProbeError>> {
        self.look(cx).boxed()
    }
}

/// What the client said.
enum Said {
    Text(String),
    /// The server is not there.
    NoServer(String),
    /// The server does not know what it was asked for.
    No(String),
}

impl Fail2ban {
    async fn look(&self, cx: &Context) -> Result<Observation, ProbeError> {
        let deadline = Instant::now() + cx.limit;
        let known = match self.ask(&["status"], deadline, cx).await? {
            Said::Text(text) => listed(&text),
            Said::NoServer(why) => {
                let mut subject = Subject::new(self.target()).with("answers", Value::Bool(false));
                subject.note(why);
                return Ok(subject.into());
            }
            Said::No(why) => {
                return Err(ProbeError::new(
                    "bad_answer",
                    format!("fail2ban-client does not tell of the jails: {why}"),
                )
                .help("see what `fail2ban-client status` prints"));
            }
        };
        let asked = if self.jails.is_empty() { &known } else { &self.jails };
        if asked.is_empty() {
            let mut subject = Subject::new("fail2ban").with("answers", Value::Bool(true));
            subject.set("active", Value::Bool(false));
            subject.note("it has no jail: nothing is watched and nobody is banned");
            return Ok(subject.into());
        }
        let earlier = cx.past.newest(&["total_banned", "total_failed"]).await;
        let mut seen = Observation::default();
        for jail in asked {
            let mut subject = Subject::new(jail).with("answers", Value::Bool(true));
            match self.ask(&["status", jail], deadline, cx).await? {
                Said::Text(text) => {
                    describe(&text, &earlier, &mut subject);
                    seen.evidence.extend(banned(jail, &text));
                }
                Said::No(_) | Said::NoServer(_) => {
                    subject.set("active", Value::Bool(false));
                    let jails = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                    subject.note(format!("there is no jail {jail}; those at work: {jails}"));
                }
            }
            seen.subjects.push(subject);
        }
        Ok(seen)
    }

    async fn ask(&self, words: &[&str], deadline: Instant, cx: &Context) -> Result<Said, ProbeError> {
        let mut command = Command::new("fail2ban-client");
        if let Some(socket) = &self.socket {
            command.arg("-s").arg(socket);
        }
        command.args(words).env("LC_ALL", "C.UTF-8").env("PYTHONWARNINGS", "ignore");
        let too_long = || {
            let limit = Quantity::duration(cx.limit).rounded();
            ProbeError::new("time_limit", format!("fail2ban did not answer within {limit}"))
                .help("see whether `fail2ban-client ping` answers; its server may be busy with a large log")
        };
        let starting = cx.blocking(move || start::start(command, "fail2ban-client", None));
        let running = tokio::time::timeout_at(deadline, starting).await.map_err(|_| too_long())??;
        let ended = running.run(deadline, &cx.cancel, MOST_OUTPUT).await;
        let status = match ended.end {
            End::Exited { status, .. } => status,
            End::TimeLimit => return Err(too_long()),
            End::Cancelled => return Err(ProbeError::new("cancelled", "`fail2ban-client` was ended with the run")),
            End::Lost(error) => {
                return Err(ProbeError::new("io", format!("cannot wait for `fail2ban-client`: {error}")));
            }
        };
        if status.success() {
            return Ok(Said::Text(ended.stdout.text().into_owned()));
        }
        let (stderr, stdout) = (ended.stderr.text(), ended.stdout.text());
        let has = |sign: &str| stderr.contains(sign) || stdout.contains(sign);
        if has("Permission denied") || has("must be root") {
            return Err(ProbeError::new("permission", "no permission to ask fail2ban: its socket is for root")
                .help("run opsctl as root"));
        }
        if has("Failed to access socket path") || has("Unable to contact server") || has("Connection refused") {
            let socket = self.socket.as_ref().map(|socket| format!(" at {}", socket.display())).unwrap_or_default();
            return Ok(Said::NoServer(format!("no fail2ban answers{socket}; `systemctl status fail2ban` tells why")));
        }
        let said = [&stdout, &stderr].into_iter().find_map(|text| text.lines().find(|line| !line.trim().is_empty()));
        Ok(Said::No(said.unwrap_or("it did not say why").to_owned()))
    }
}

/// The value of a line such as `   |- Currently banned:  1`.
fn value<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let entries = text.lines().filter_map(|line| line.split_once(':'));
    let mut entries = entries.map(|(key, value)| (key.trim_start_matches(['|', '-', '`', ' ']), value.trim()));
    entries.find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// The names of the jails, in what `status` prints.
fn listed(text: &str) -> Vec<String> {
    let names = value(text, "Jail list").unwrap_or_default().split(',').map(str::trim);
    names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counters are whole and positive")]
fn describe(text: &str, earlier: &HashMap<(String, String), Reading>, subject: &mut Subject) {
    subject.set("active", Value::Bool(true));
    for (label, fact, growth) in COUNTS {
        let Some(count) = value(text, label).and_then(|count| count.parse::<u64>().ok()) else { continue };
        subject.set(fact, Value::count(count));
        let before = earlier.get(&(subject.name.clone(), fact.to_owned()));
        if let (Some(growth), Some(before)) = (growth, before) {
            // A smaller number was begun anew with the server.
            let grown = count.checked_sub(before.value.amount() as u64).unwrap_or(count);
            subject.set(growth, Value::count(grown));
        }
    }
}

fn banned(jail: &str, text: &str) -> Option<Evidence> {
    let addresses: Vec<&str> = value(text, "Banned IP list")?.split_whitespace().collect();
    let left_out = addresses.len().saturating_sub(SHOWN) as u64;
    let lines: Vec<String> = addresses.into_iter().take(SHOWN).map(str::to_owned).collect();
    (!lines.is_empty()).then(|| Evidence { left_out, ..Evidence::new(format!("banned by {jail}"), lines) })
}
