//! One GET for kinds that read what a server tells over HTTP: its whole answer, or why there is none.

use std::path::PathBuf;
use std::sync::Arc;

use reqwest::{Response, StatusCode, Url};
use tokio::time::{Instant, timeout_at};

use super::super::sql::trouble::Trouble;
use super::super::{Context, ProbeError};
use super::answer::{self, End};
use super::exchange::{self, Failure, Family, Trace};
use super::request::{Draft, redirect_of};
use super::tls::{Strictness, Trust};
use super::trouble;
use crate::model::input::{InputError, InputSpec, InputType, Inputs, Need};
use crate::model::text::one_line;
use crate::model::unit::Quantity;

/// Enough for the busiest exposition; more is a question that should be narrower.
const MOST_BYTES: usize = 16 << 20;
const EXCERPT: usize = 200;

pub const HEADERS: InputSpec = InputSpec {
    name: "headers",
    ty: InputType::Pairs,
    need: Need::Optional,
    about: "headers to send, such as `x-scope-orgid: shop`; a value may be a secret",
};

/// A server, and how to log in there.
pub struct Endpoint {
    draft: Draft,
    ca: Option<PathBuf>,
}

/// An answer of any status.
pub struct Reply {
    /// What was asked for, without its query, which may be long.
    pub place: String,
    pub status: StatusCode,
    pub body: Vec<u8>,
}

impl Endpoint {
    /// The `url` of the input `name`, with the `headers`, `basic`, `bearer` and `ca` of `inputs`.
    pub fn new(name: &'static str, url: &str, inputs: &Inputs) -> Result<Self, InputError> {
        Ok(Self { draft: Draft::get(name, url, inputs)?, ca: inputs.path("ca").cloned() })
    }

    pub fn url(&self) -> &Url {
        &self.draft.url
    }

    /// For people: without the slash of a URL that has no path.
    pub fn shown(&self) -> String {
        self.url().as_str().trim_end_matches('/').to_owned()
    }

    pub fn resource(&self) -> Option<String> {
        Some(format!("{}:{}", self.url().host_str()?, self.url().port_or_known_default()?))
    }

    /// Asks for `path` below the URL (as it is, if empty) with `query` over a connection of its own.
    pub async fn get(
        &self,
        path: &str,
        query: &[(&str, &str)],
        deadline: Instant,
        cx: &Context,
    ) -> Result<Reply, Trouble> {
        tokio::select! {
            reply = self.ask(path, query, deadline, cx) => reply,
            () = cx.cancel.cancelled() => {
                Err(ProbeError::new("cancelled", "nobody waits for the answer any more").into())
            }
        }
    }

    async fn ask(&self, path: &str, query: &[(&str, &str)], deadline: Instant, cx: &Context) -> Result<Reply, Trouble> {
        let mut request = self.draft.resolve(cx).await?;
        if !path.is_empty() {
            let below = format!("{}{path}", request.url.path().trim_end_matches('/'));
            request.url.set_path(&below);
        }
        let place = request.url.to_string();
        if !query.is_empty() {
            request.url.query_pairs_mut().extend_pairs(query);
        }
        let trust = self.trust(cx).await?;
        let trace = Arc::new(Trace::begin());
        let response = match timeout_at(deadline, exchange::send(&request, Family::Any, trust, &trace)).await {
            Ok(Ok(response)) => response,
            Ok(Err(Failure::Unseen(error))) => return Err(error.into()),
            Ok(Err(Failure::NoAnswer(why))) => return Err(Trouble::Down(why)),
            Err(_) => return Err(Trouble::Down(trouble::too_late(cx.limit, &request.url, &trace))),
        };
        read(place, response, deadline, cx).await
    }

    async fn trust(&self, cx: &Context) -> Result<Option<(Trust, Strictness)>, ProbeError> {
        if self.url().scheme() != "https" {
            return Ok(None);
        }
        let trust = match &self.ca {
            Some(path) => Trust::file(path, cx).await?,
            None => Trust::system(cx).await?,
        };
        Ok(Some((trust, Strictness::Verify)))
    }
}

async fn read(place: String, mut response: Response, deadline: Instant, cx: &Context) -> Result<Reply, Trouble> {
    if let Some(Ok(url) | Err(url)) = redirect_of(&response).map(|to| to.map(|url| url.to_string())) {
        let message = format!("{place} redirects to {url}, which was not followed");
        return Err(blind("bad_answer", message, "write the address that it redirects to, or log in"));
    }
    let mut body = Vec::new();
    let end = timeout_at(deadline, answer::read(&mut response, &mut body, MOST_BYTES)).await;
    let end = end.unwrap_or_else(|_| End::BrokenOff(format!("no end within {}", trouble::shown(cx.limit))));
    let body = match end {
        End::BrokenOff(why) => return Err(Trouble::Down(format!("the answer of {place} broke off: {why}"))),
        End::TooLong => None,
        End::Whole => answer::unzipped(response.headers(), body, MOST_BYTES).map_err(|why| {
            blind("bad_answer", format!("the answer of {place} makes no sense: {why}"), "try it with curl")
        })?,
    };
    let body = body.ok_or_else(|| {
        let most = Quantity::bytes(MOST_BYTES as u64).rounded();
        blind("too_large", format!("the answer of {place} is longer than {most}"), "ask for less")
    })?;
    Ok(Reply { place, status: response.status(), body })
}

pub fn blind(code: &'static str, message: impl Into<String>, help: &str) -> Trouble {
    Trouble::Blind(ProbeError::new(code, message).help(help))
}

impl Reply {
    /// The body of an answer that holds what was asked for. A server in trouble is down; one that refuses shows nothing.
    pub fn ok(self) -> Result<Vec<u8>, Trouble> {
        if self.status.is_success() {
            return Ok(self.body);
        }
        let said = one_line(&String::from_utf8_lossy(&self.body), EXCERPT);
        let message = match said.as_str() {
            page if page.is_empty() || page.starts_with('<') => format!("{} answered {}", self.place, self.status),
            said => format!("{} answered {}: {said}", self.place, self.status),
        };
        Err(match self.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                blind("permission", message, "check the login: `basic`, `bearer` or `headers`")
            }
            StatusCode::TOO_MANY_REQUESTS => Trouble::Down(message),
            status if status.is_server_error() => Trouble::Down(message),
            _ => blind("bad_answer", message, "check the address"),
        })
    }
}
