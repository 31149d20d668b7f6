//! One look by one way, along all redirects, as facts.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::header::HeaderMap;
use reqwest::{Method, Response, StatusCode, Url, Version};
use tokio::time::timeout_at;

use super::super::{Context, ProbeError};
use super::answer::{self, End};
use super::exchange::{self, Failure, Trace};
use super::request::{self, Request};
use super::spec::rank;
use super::tls::{Strictness, Trust};
use super::trouble;
use super::way::Way;
use crate::model::fact::{Evidence, Subject};
use crate::model::unit::Quantity;
use crate::model::value::Value;

/// As many as curl and browsers are patient with, about.
const MOST_REDIRECTS: u64 = 10;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Redirects {
    None,
    SameHost,
    Follow,
}

/// What is the same for all requests of a step.
pub struct Settings {
    pub redirects: Redirects,
    pub strictness: Strictness,
    pub ca: Option<PathBuf>,
    pub body_limit: usize,
}

pub struct Look<'a> {
    settings: &'a Settings,
    cx: &'a Context,
    way: &'a Way,
    deadline: tokio::time::Instant,
    seen: Subject,
    evidence: Option<Evidence>,
    answer: Option<Answer>,
    redirects: u64,
    /// By the requests that were redirected.
    spent: Duration,
}

/// What a look saw.
pub struct Taken {
    pub seen: Subject,
    pub evidence: Option<Evidence>,
    /// Nothing when none came, or only a part of one.
    pub answer: Option<Answer>,
}

/// A whole answer.
pub struct Answer {
    pub url: Url,
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// Nothing when it is longer than may be read, or broken.
    pub body: Option<Vec<u8>>,
}

impl<'a> Look<'a> {
    pub fn new(
        settings: &'a Settings,
        cx: &'a Context,
        way: &'a Way,
        name: String,
        deadline: tokio::time::Instant,
    ) -> Self {
        let seen = Subject::new(name).with("answers", Value::Bool(false));
        Self { settings, cx, way, deadline, seen, evidence: None, answer: None, redirects: 0, spent: Duration::ZERO }
    }

    /// `home` is where what is secret may go to.
    pub async fn take(mut self, mut request: Request, home: &Url) -> Result<Taken, ProbeError> {
        let graphql = request.graphql;
        loop {
            let trust = self.trust(&request.url).await?;
            let trace = Arc::new(Trace::begin());
            let way = self.way.towards(&request.url, home);
            let sent = timeout_at(self.deadline, exchange::send_by(&way, &request, trust, &trace)).await;
            self.set_exchange(&trace, &request.url);
            let response = match sent {
                Ok(Ok(response)) => response,
                Ok(Err(Failure::Unseen(error))) => return Err(error),
                Ok(Err(Failure::NoAnswer(why))) => {
                    self.seen.note(why);
                    break;
                }
                Err(_) => {
                    self.seen.note(trouble::too_late(self.cx.limit, &request.url, &trace));
                    break;
                }
            };
            let status = response.status();
            let Some(url) = self.onward(&request.url, &response) else {
                self.set_answer(response, &request.method, &trace).await;
                break;
            };
            self.redirects += 1;
            self.spent += trace.began.elapsed();
            request = request.redirected(status, url);
        }
        if graphql {
            self.set_graphql();
        } else {
            self.seen.inapplicable.push("accepted".to_owned());
        }
        in_order(&mut self.seen);
        Ok(Taken { seen: self.seen, evidence: self.evidence, answer: self.answer })
    }

    /// Read only when something needs it: a look at plain http does not.
    async fn trust(&self, url: &Url) -> Result<Option<(Trust, Strictness)>, ProbeError> {
        if url.scheme() != "https" {
            return Ok(None);
        }
        let trust = match &self.settings.ca {
            Some(path) => Trust::file(path, self.cx).await?,
            None => Trust::system(self.cx).await?,
        };
        Ok(Some((trust, self.settings.strictness)))
    }

    /// Where to go on, if the response says so and the procedure allows it.
    fn onward(&mut self, from: &Url, response: &Response) -> Option<Url> {
        let url = match request::redirect_of(response)? {
            Ok(url) => url,
            Err(text) => {
                self.seen.note(format!("redirects to `{text}`, which is not an http URL"));
                return None;
            }
        };
        let reason = match self.settings.redirects {
            Redirects::None => "not followed",
            Redirects::SameHost if url.host_str() != from.host_str() => "another host, not followed",
            Redirects::SameHost | Redirects::Follow if self.redirects >= MOST_REDIRECTS => {
                "not followed after 10 redirects"
            }
            Redirects::SameHost | Redirects::Follow => return Some(url),
        };
        self.seen.note(format!("redirects to {url}: {reason}"));
        None
    }

    /// What one exchange showed, whatever came of it; replaces what the one before it showed.
    fn set_exchange(&mut self, trace: &Trace, url: &Url) {
        let presented = trace.presented.get();
        let expires = presented.and_then(|presented| presented.first_to_expire());
        let left = expires.map(|(_, first)| (first.expires - self.cx.now).as_seconds_f64());
        let facts = [
            ("resolve", trace.resolve().map(Value::duration)),
            ("connect", trace.connect().map(Value::duration)),
            ("tls", trace.tls().map(Value::duration)),
            ("first_byte", trace.first_byte().map(Value::duration)),
            ("final_url", Some(Value::text(url.as_str()))),
            ("redirects", Some(Value::count(self.redirects))),
            ("certificate_expires_in", left.map(|left| Value::Number(Quantity::seconds(left)))),
        ];
        for (name, value) in facts {
            match value {
                Some(value) => self.seen.set(name, value),
                None => drop(self.seen.facts.shift_remove(name)),
            }
        }
        if let Some((1.., first)) = expires {
            self.seen.note(format!("the first to expire is the intermediate certificate of `{}`", first.subject));
        }
        if self.settings.strictness == Strictness::Record
            && let Some(presented) = presented
            && let Some(rustls::Error::InvalidCertificate(error)) = &presented.verdict
        {
            self.seen.note(format!("not verified: {}", trouble::explain_certificate(error, presented)));
        }
    }

    async fn set_answer(&mut self, mut response: Response, method: &Method, trace: &Trace) {
        let most = self.settings.body_limit;
        let status = response.status();
        self.seen.set("status", Value::count(status.as_u16().into()));
        self.seen.set("http_version", Value::text(version(response.version())));
        if let Some(peer) = response.remote_addr().filter(|_| trace.via.get().is_none()) {
            self.seen.set("address", Value::text(peer.ip().to_string()));
        }
        answer::set_headers(&mut self.seen, response.headers(), self.cx);
        let bodyless = *method == Method::HEAD || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let mut body = None;
        if bodyless || most == 0 {
            self.set_whole(trace);
        } else {
            match self.body(&mut response, trace).await {
                Some(read) => body = read,
                None => return,
            }
        }
        let (url, headers) = (response.url().clone(), std::mem::take(response.headers_mut()));
        self.answer = Some(Answer { url, status, headers, body });
    }

    /// The whole body, if it can be had; nothing at all when the answer broke off.
    async fn body(&mut self, response: &mut Response, trace: &Trace) -> Option<Option<Vec<u8>>> {
        let most = self.settings.body_limit;
        let (mut body, began) = (Vec::new(), Instant::now());
        let end = match timeout_at(self.deadline, answer::read(response, &mut body, most)).await {
            Ok(end) => end,
            Err(_) => End::BrokenOff(format!("no end within {}", trouble::shown(self.cx.limit))),
        };
        if let End::BrokenOff(why) = &end {
            self.seen.note(format!("the answer broke off after {} bytes of its body: {why}", body.len()));
            return None;
        }
        self.set_whole(trace);
        self.seen.set("transfer", Value::duration(began.elapsed()));
        match answer::decoded(response.headers(), body, most, &end) {
            Ok(body) => {
                let status = response.status();
                if status.is_client_error() || status.is_server_error() {
                    let title = format!("{} answered {}", response.url(), status.as_u16());
                    self.evidence = answer::excerpt(title, &body);
                }
                answer::set_body(&mut self.seen, &body, self.cx);
                Some(Some(body))
            }
            Err(why) => {
                self.seen.note(why);
                Some(None)
            }
        }
    }

    /// The answer is as whole as it was asked for.
    fn set_whole(&mut self, trace: &Trace) {
        self.seen.set("answers", Value::Bool(true));
        self.seen.set("latency", Value::duration(self.spent + trace.began.elapsed()));
    }

    fn set_graphql(&mut self) {
        let Some(answer) = &self.answer else { return };
        let errors = answer.body.as_deref().and_then(answer::graphql_errors);
        self.seen.set("accepted", Value::Bool(errors.as_ref().is_some_and(Vec::is_empty)));
        match errors {
            None => self.seen.note("this is no answer to a GraphQL query: it has neither data nor errors"),
            Some(errors) => {
                self.seen.set("graphql_errors", Value::count(errors.len() as u64));
                if let Some(first) = errors.first() {
                    self.seen.note(format!("GraphQL: {first}"));
                    self.evidence = Some(answer::of_graphql(format!("errors of {}", answer.url), &errors));
                }
            }
        }
    }
}

/// Sorts the facts as they read best.
pub fn in_order(subject: &mut Subject) {
    subject.facts.sort_by(|a, _, b, _| rank(a).cmp(&rank(b)));
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "HTTP/0.9",
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_11 => "HTTP/1.1",
        Version::HTTP_2 => "HTTP/2",
        _ => "HTTP/3",
    }
}
