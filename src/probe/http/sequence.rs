//! Requests one after the other: a login, and what comes after it.

use std::ops::RangeInclusive;

use reqwest::Url;
use tokio::time::Instant;

use super::super::{Context, ProbeError};
use super::capture::Capture;
use super::look::{Look, Settings, Taken, in_order};
use super::placeholder::{self, Captured};
use super::request::{Draft, url_of};
use super::way::Way;
use super::{answer, spec, status};
use crate::model::fact::{Observation, Subject};
use crate::model::input::{InputError, Inputs};
use crate::model::secret::MaybeSecret;
use crate::model::value::Value;

pub struct Sequence {
    /// What all requests to the site have in common.
    common: Draft,
    requests: Vec<Request>,
}

struct Request {
    name: String,
    /// As it is written: perhaps a path only, perhaps with placeholders.
    url: String,
    draft: Draft,
    /// Any when empty.
    good: Vec<RangeInclusive<u16>>,
    captures: Vec<(String, Capture)>,
}

impl Sequence {
    pub fn new(inputs: &Inputs, site: Url) -> Result<Self, InputError> {
        let groups = inputs.groups("requests");
        let mut requests: Vec<Request> = Vec::new();
        let mut known: Vec<&str> = Vec::new();
        let mut place = site.clone();
        for (index, group) in groups.iter().enumerate() {
            let request = Request::new(group, index + 1, index + 1 == groups.len(), &place)?;
            request.check(&known)?;
            if requests.iter().any(|other| other.name == request.name) {
                return Err(wrong(&request.name, "this name is given twice", "give each request a name of its own"));
            }
            place = request.draft.url.clone();
            known.extend(group.pairs("capture").into_iter().flatten().map(|(name, _)| name.as_str()));
            requests.push(request);
        }
        Ok(Self { common: Draft::to(site, inputs)?, requests })
    }

    /// Where what is secret may go to.
    pub fn home(&self) -> &Url {
        &self.common.url
    }

    /// Sends them all, or as far as they are answered as they must be.
    pub async fn take(
        &self,
        settings: &Settings,
        way: &Way,
        cx: &Context,
        deadline: Instant,
    ) -> Result<Observation, ProbeError> {
        let mut all = Observation::default();
        let mut captured = Captured::new();
        let mut place = self.home().clone();
        let mut failed: Option<&str> = None;
        let elsewhere = spec::of_the_last(cx);
        for (index, request) in self.requests.iter().enumerate() {
            if let Some(failed) = failed {
                let why = format!("not sent, because of `{failed}`");
                all.subjects.push(Subject::unseen(request.name.clone(), why));
                continue;
            }
            let Some(url) = request.url(&place, &captured) else {
                let mut seen = Subject::new(request.name.clone()).with("answers", Value::Bool(false));
                seen.note("what was captured makes no http URL");
                all.subjects.push(seen);
                failed = Some(&request.name);
                continue;
            };
            place = url.clone();
            let mut draft = request.draft.filled(url, &captured);
            if draft.url.origin() == self.home().origin() {
                draft.inherit(&self.common);
            }
            let resolved = draft.resolve(cx).await?;
            let look = Look::new(settings, cx, way, request.name.clone(), deadline);
            let mut taken = look.take(resolved, self.home()).await?;
            if !request.settle(&mut taken, way, cx, &mut captured) {
                failed = Some(&request.name);
            }
            if index + 1 < self.requests.len() {
                taken.seen.inapplicable.extend(elsewhere.iter().cloned());
            }
            all.subjects.push(taken.seen);
            all.evidence.extend(taken.evidence);
        }
        Ok(all)
    }
}

impl Request {
    fn new(inputs: &Inputs, number: usize, last: bool, place: &Url) -> Result<Self, InputError> {
        let written = inputs.text("url").unwrap_or_default().to_owned();
        let name = inputs.text("name").map(str::to_owned);
        let named = name.clone().unwrap_or_else(|| format!("request {number}"));
        let of_this = |error: InputError| wrong(&named, &error.message, &error.help);
        let url = vetted(&written, place).map_err(of_this)?;
        let draft = Draft::to(url, inputs).map_err(of_this)?;
        let mut good = status::ranges(inputs).map_err(of_this)?;
        if good.is_empty() && !last {
            good.push(status::GOOD);
        }
        let mut captures = Vec::new();
        for (name, value) in inputs.pairs("capture").into_iter().flatten() {
            let help = "write `json.access_token`, `header.location`, `cookie.sessionid` or `matches id=([0-9]+)`";
            let MaybeSecret::Plain(text) = value else {
                return Err(wrong(&named, &format!("`{name}` is captured from the answer"), help));
            };
            if !placeholder::is_name(name) {
                let help = "use letters, digits and _, such as `access_token`";
                return Err(wrong(&named, &format!("`{name}` cannot stand in `${{...}}`"), help));
            }
            let capture = Capture::new(text).map_err(|why| wrong(&named, &why, help))?;
            captures.push((name.clone(), capture));
        }
        let name = name.unwrap_or_else(|| format!("{number} {} {written}", draft.method));
        Ok(Self { name, url: written, draft, good, captures })
    }

    /// Refuses placeholders for what nothing before it captures.
    fn check(&self, known: &[&str]) -> Result<(), InputError> {
        for text in std::iter::once(self.url.as_str()).chain(self.draft.texts()) {
            let names = placeholder::names(text).map_err(|what| {
                let help = "write `${name}` for something captured, or `$${` for the characters themselves";
                wrong(&self.name, &format!("`{what}` is no placeholder"), help)
            })?;
            if let Some(name) = names.into_iter().find(|name| !known.contains(name)) {
                let captured = if known.is_empty() { "nothing".to_owned() } else { known.join(", ") };
                let help = format!("`capture` it from an earlier answer; captured before this request is {captured}");
                return Err(wrong(&self.name, &format!("`${{{name}}}` is not captured before"), &help));
            }
        }
        Ok(())
    }

    fn url(&self, place: &Url, captured: &Captured) -> Option<Url> {
        let url = place.join(&placeholder::filled_url(&self.url, captured)).ok()?;
        url_of("url", url.as_str()).ok()
    }

    /// Captures what later requests need, and says whether they can be sent.
    fn settle(&self, taken: &mut Taken, way: &Way, cx: &Context, captured: &mut Captured) -> bool {
        let Some(answer) = &taken.answer else { return false };
        let mut accepted = taken.seen.facts.get("accepted") != Some(&Value::Bool(false));
        if !self.good.is_empty() && !status::holds(&self.good, answer.status.as_u16()) {
            accepted = false;
            taken.seen.note(format!("answered {}, not {}", answer.status.as_u16(), status::shown(&self.good)));
        }
        let captures = if accepted { self.captures.as_slice() } else { &[] };
        for (name, capture) in captures {
            match capture.take(answer, &way.jar) {
                Ok(value) => {
                    cx.mask.add(&value);
                    captured.insert(name.clone(), value);
                }
                Err(why) => {
                    accepted = false;
                    taken.seen.note(format!("nothing to capture for `{name}`: {why}"));
                }
            }
        }
        if !accepted && taken.evidence.is_none() {
            let title = format!("answer of {}", answer.url);
            taken.evidence = answer.body.as_deref().and_then(|body| answer::excerpt(title, body));
        }
        taken.seen.inapplicable.retain(|fact| fact != "accepted");
        taken.seen.set("accepted", Value::Bool(accepted));
        in_order(&mut taken.seen);
        accepted
    }
}

fn wrong(request: &str, message: &str, help: &str) -> InputError {
    InputError::new("requests", format!("{request}: {message}"), help)
}

/// The URL as far as it is known: something stands for each placeholder.
fn vetted(written: &str, place: &Url) -> Result<Url, InputError> {
    let known = if written.starts_with("${") { "/" } else { written };
    let names = placeholder::names(known).unwrap_or_default();
    let standing = names.into_iter().map(|name| (name.to_owned(), "x".to_owned())).collect();
    let text = placeholder::filled_url(known, &standing);
    match place.join(&text) {
        Ok(url) => url_of("url", url.as_str()),
        Err(_) => url_of("url", &text),
    }
}
