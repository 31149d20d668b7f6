//! A service of the site file: its own `status` command says whether it runs.

use tokio::process::Command;
use tokio::time::Instant;

use super::FACTS;
use crate::model::fact::Subject;
use crate::model::value::Value;
use crate::probe::command::child::End;
use crate::probe::command::start;
use crate::probe::{Context, ManagedService, ProbeError};

const MOST_OUTPUT: usize = 4096;

/// What alone is known of it; nothing is expected of the other facts.
const KNOWN: [&str; 2] = ["active", "state"];

pub async fn look(name: &str, service: &ManagedService, deadline: Instant, cx: &Context) -> Subject {
    let mut subject = Subject::new(name);
    let others = FACTS.iter().map(|fact| fact.name.to_owned()).filter(|fact| !KNOWN.contains(&fact.as_str()));
    subject.inapplicable = others.collect();
    match runs(name, service, deadline, cx).await {
        Ok((runs, said)) => {
            subject.set("active", Value::Bool(runs));
            subject.set("state", Value::text(if runs { "active" } else { "inactive" }));
            if let Some(said) = said.filter(|_| !runs) {
                subject.note(said);
            }
        }
        Err(error) => subject.error = Some(error.message),
    }
    subject
}

/// Whether it runs, in the exit statuses of LSB, and the first line that is said of it.
async fn runs(
    name: &str,
    service: &ManagedService,
    deadline: Instant,
    cx: &Context,
) -> Result<(bool, Option<String>), ProbeError> {
    let (program, arguments) = service.status.split_first().ok_or_else(|| {
        ProbeError::new("no_command", format!("the site file has no `status` for the service {name}"))
    })?;
    let mut command = Command::new(program);
    command.args(arguments).current_dir(&cx.folder);
    let program = program.clone();
    let running = cx.blocking(move || start::start(command, &program, None)).await?;
    let ended = running.run(deadline, &cx.cancel, MOST_OUTPUT).await;
    let said = ended.stdout.text().lines().next().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty());
    let bad = |how: String| {
        let shown = service.status.join(" ");
        Err(ProbeError::new("bad_answer", format!("`{shown}` does not tell whether {name} runs: it {how}")))
    };
    match ended.end {
        End::Exited { status, .. } => match status.code() {
            Some(0) => Ok((true, said)),
            Some(1..=3) => Ok((false, said)),
            Some(code) => bad(format!("ended with exit status {code}")),
            None => bad("was ended by a signal".to_owned()),
        },
        End::TimeLimit => bad("did not end in time".to_owned()),
        End::Cancelled => bad("was ended with the run".to_owned()),
        End::Lost(error) => bad(format!("could not be waited for: {error}")),
    }
}
