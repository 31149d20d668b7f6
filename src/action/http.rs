//! A call over HTTP that changes something where it goes.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use reqwest::Response;
use reqwest::header::LOCATION;
use serde_json::json;
use tokio::time::{Instant, timeout_at};

use super::{Action, ActionError, Context, Kind, run, shown};
use crate::model::action::{Effect, Plan};
use crate::model::fact::{Evidence, FactSpec, FactType, Observation, Subject};
use crate::model::input::{InputError, InputSpec, InputType, Inputs, Need};
use crate::model::value::Value;
use crate::probe;
use crate::probe::http::answer::{self, End};
use crate::probe::http::exchange::{self, Failure, Family, Trace};
use crate::probe::http::request::{Draft, redirect_of};
use crate::probe::http::tls::{Strictness, Trust};
use crate::probe::http::{BEARER, CA, LOGIN, status, trouble};

const METHODS: &[&str] = &["POST", "PUT", "PATCH", "DELETE", "GET"];

const INPUTS: &[InputSpec] = &[
    InputSpec {
        name: "url",
        ty: InputType::Text,
        need: Need::Required,
        about: "what to call, with http:// or https://. A login does not belong in it",
    },
    InputSpec {
        name: "method",
        ty: InputType::Choice(METHODS),
        need: Need::Default("POST"),
        about: "DELETE is destructive; GET is for the odd address that does something when it is merely opened",
    },
    InputSpec {
        name: "headers",
        ty: InputType::Pairs,
        need: Need::Optional,
        about: "headers to send, such as `idempotency-key: ...`; a value may be a secret",
    },
    InputSpec { name: "body", ty: InputType::Text, need: Need::Optional, about: "the body to send, as it is" },
    InputSpec {
        name: "json",
        ty: InputType::Json,
        need: Need::Optional,
        about: "the body to send, written as YAML and sent as JSON",
    },
    InputSpec {
        name: "status",
        ty: InputType::Texts,
        need: Need::Default("200..299"),
        about: "the status that means that it was done: `201`, `200..299`, or a list of those. Any other is a failure. \
                A redirect is never followed: the call would be made again, or lose its body",
    },
    CA,
    LOGIN,
    BEARER,
    InputSpec {
        name: "body_limit",
        ty: InputType::Size,
        need: Need::Default("1MiB"),
        about: "how much of the answer's body is read at most; `0B` keeps none, for an answer with personal data",
    },
];

pub static KIND: Kind = Kind {
    name: "http",
    about: "a call over HTTP that changes something where it goes. It is made once: never repeated, never sent on",
    inputs: INPUTS,
    facts: &[
        FactSpec::new("status", FactType::Count, "the HTTP status, such as 201"),
        FactSpec::new("latency", FactType::Duration, "from the look-up of the name to the end of the answer"),
        FactSpec::new("address", FactType::Text, "the IP address that answered"),
        FactSpec::new("location", FactType::Text, "where what was made is found, if the answer says so"),
        FactSpec::family("header", FactType::Text, "a header of the answer"),
        FactSpec::new("body_size", FactType::Size, "of the answer's whole body, decompressed"),
        FactSpec::family("json", FactType::Any, "a member of a JSON body by its dotted path, such as `job.id`"),
        FactSpec::new("body", FactType::Text, "the whole body as text. Missing when it is longer than `body_limit`"),
    ],
    checks: "the request is put together as it would be sent, with its secrets and certificates; nothing is \
             sent",
    effect: Effect::Change,
    destructive_when: "the method is DELETE",
    least: |inputs| if inputs.text("method") == Some("DELETE") { Effect::Destructive } else { Effect::Change },
    example: include_str!("../../examples/actions/http.yaml"),
    limit: std::time::Duration::from_secs(30),
    build,
};

struct Http {
    draft: Draft,
    status: Vec<RangeInclusive<u16>>,
    ca: Option<PathBuf>,
    body_limit: usize,
}

fn build(inputs: &Inputs) -> Result<Arc<dyn Action>, InputError> {
    Ok(Arc::new(Http {
        draft: Draft::new(inputs)?,
        status: status::ranges(inputs)?,
        ca: inputs.path("ca").cloned(),
        body_limit: inputs.size("body_limit").and_then(|size| usize::try_from(size).ok()).unwrap_or(1 << 20),
    }))
}

impl Action for Http {
    fn target(&self) -> String {
        self.draft.url.to_string()
    }

    fn plan<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Plan, ActionError>> {
        self.look(&cx.look).boxed()
    }

    fn perform<'a>(&'a self, plan: &'a Plan, cx: &'a Context) -> BoxFuture<'a, Result<Observation, ActionError>> {
        self.call(plan, &cx.look).boxed()
    }
}

impl Http {
    /// Sends nothing; what the call needs of this machine must be there.
    async fn look(&self, cx: &probe::Context) -> Result<Plan, ActionError> {
        self.draft.resolve(cx).await?;
        self.trust(cx).await?;
        let lines = self.lines();
        // A body may hold what is a secret elsewhere; by now the mask knows all those of this step.
        let does = lines.iter().map(|line| shown::escaped(&cx.mask.apply(line))).collect();
        Ok(Plan::new(does).data(json!({ "fingerprint": run::fingerprint(&lines) })))
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = self.draft.lines();
        lines.push(format!("  which must be answered with {}", self.expected()));
        lines
    }

    fn expected(&self) -> String {
        status::shown(&self.status)
    }

    async fn trust(&self, cx: &probe::Context) -> Result<Option<(Trust, Strictness)>, ActionError> {
        if self.draft.url.scheme() != "https" {
            return Ok(None);
        }
        let trust = match &self.ca {
            Some(path) => Trust::file(path, cx).await?,
            None => Trust::system(cx).await?,
        };
        Ok(Some((trust, Strictness::Verify)))
    }

    async fn call(&self, plan: &Plan, cx: &probe::Context) -> Result<Observation, ActionError> {
        let deadline = run::deadline(cx);
        run::refuse_other_plan(plan, &self.lines())?;
        let request = self.draft.resolve(cx).await?;
        let trust = self.trust(cx).await?;
        let trace = Arc::new(Trace::begin());
        let target = self.target();
        let sent = tokio::select! {
            biased;
            () = cx.cancel.cancelled() => return Err(unanswered(&trace, "cancelled", format!("{target}: the run was ended"))),
            sent = timeout_at(deadline, exchange::send(&request, Family::Any, trust, &trace)) => sent,
        };
        let response = match sent {
            Ok(Ok(response)) => response,
            Ok(Err(Failure::Unseen(error))) => return Err(error.into()),
            Ok(Err(Failure::NoAnswer(why))) => return Err(unanswered(&trace, "no_answer", format!("{target}: {why}"))),
            Err(_) => {
                let why = trouble::too_late(cx.limit, &self.draft.url, &trace);
                return Err(unanswered(&trace, "time_limit", format!("{target}: {why}")));
            }
        };
        self.judge(response, &trace, deadline, cx).await
    }

    async fn judge(
        &self,
        mut response: Response,
        trace: &Trace,
        deadline: Instant,
        cx: &probe::Context,
    ) -> Result<Observation, ActionError> {
        let status = response.status();
        let onward = redirect_of(&response);
        let (body, kept) = self.body(&mut response, deadline, cx).await?;
        if !status::holds(&self.status, status.as_u16()) {
            let message = match onward {
                Some(Ok(url)) => format!("answered {status} and sends on to {url}, which was not followed"),
                _ => match body.as_deref().and_then(|body| excerpt("", body)) {
                    Some(said) => format!("answered {status}, not {}: {}", self.expected(), said.lines.join(" / ")),
                    None => format!("answered {status}, not {}", self.expected()),
                },
            };
            return Err(ActionError::midway("status", format!("{} {message}", self.target()))
                .help("find out whether it was done all the same; correct the call, or name the status in `status`"));
        }
        let mut subject = Subject::new(self.target())
            .with("status", Value::count(status.as_u16().into()))
            .with("latency", Value::duration(trace.began.elapsed()));
        if let Some(peer) = response.remote_addr() {
            subject.set("address", Value::text(peer.ip().to_string()));
        }
        if let Some(location) = response.headers().get(LOCATION) {
            subject.set("location", Value::text(String::from_utf8_lossy(location.as_bytes())));
        }
        answer::set_headers(&mut subject, response.headers(), cx);
        subject.notes.extend(kept);
        let mut seen = Observation::from(subject);
        if let Some(body) = body {
            answer::set_body(&mut seen.subjects[0], &body, cx);
            seen.evidence.extend(excerpt(&format!("answer of {}", self.target()), &body));
        }
        Ok(seen)
    }

    /// The whole body, or why there is none to keep.
    async fn body(
        &self,
        response: &mut Response,
        deadline: Instant,
        cx: &probe::Context,
    ) -> Result<(Option<Vec<u8>>, Option<String>), ActionError> {
        if self.body_limit == 0 {
            return Ok((None, None));
        }
        let (mut body, status) = (Vec::new(), response.status());
        let broken = |why: String| {
            ActionError::midway("no_answer", format!("{} answered {status}, then broke off: {why}", self.target()))
                .help("find out whether it was done before it is called again")
        };
        let end = tokio::select! {
            () = cx.cancel.cancelled() => End::BrokenOff("the run was ended".to_owned()),
            end = timeout_at(deadline, answer::read(response, &mut body, self.body_limit)) => match end {
                Ok(end) => end,
                Err(_) => End::BrokenOff(format!("no end within {}", trouble::shown(cx.limit))),
            },
        };
        if let End::BrokenOff(why) = end {
            return Err(broken(why));
        }
        match answer::decoded(response.headers(), body, self.body_limit, &end) {
            Ok(body) => Ok((Some(body), None)),
            Err(why) => Ok((None, Some(why))),
        }
    }
}

fn excerpt(title: &str, body: &[u8]) -> Option<Evidence> {
    answer::excerpt(title.to_owned(), body)
}

/// No answer came. Before there was a connection nothing can have been done.
fn unanswered(trace: &Trace, code: &'static str, message: String) -> ActionError {
    if trace.ready.get().is_some() {
        let help = "the request was sent, so it may have been done: find out before it is called again";
        return ActionError::midway(code, message).help(help);
    }
    ActionError::before(code, format!("{message}; nothing was sent")).help("see that the server runs and is reachable")
}
