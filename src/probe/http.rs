//! The http probe: requests over fresh connections, each phase timed, the whole certificate chain kept.

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use reqwest::Url;
use tokio::time::{Instant, timeout_at};

use super::{Context, Kind, Probe, ProbeError};
use crate::model::fact::Observation;
use crate::model::input::{InputError, Inputs};

pub(crate) mod answer;
mod body;
mod capture;
pub(crate) mod exchange;
pub(crate) mod fetch;
mod look;
mod page;
mod placeholder;
pub(crate) mod request;
mod samples;
mod sequence;
mod spec;
pub(crate) mod status;
pub(crate) mod tls;
pub(crate) mod trouble;
pub(crate) mod way;

pub(crate) use spec::{ADDRESS, BEARER, CA, LOGIN};

use exchange::Family;
use look::{Redirects, Settings};
use page::Page;
use request::{Draft, url_of};
use samples::Samples;
use sequence::Sequence;
use tls::Strictness;
use way::{Identity, Reach, Wanted, Way};

pub static KIND: Kind = Kind {
    name: "http",
    about: "a web server or an API: its answer, its certificate, and the time of each phase",
    inputs: spec::INPUTS,
    facts: spec::FACTS,
    example: include_str!("../../examples/probes/http.yaml"),
    limit: std::time::Duration::from_secs(30),
    build: |inputs| Ok(Arc::new(Http::new(inputs)?)),
};

struct Http {
    plan: Plan,
    settings: Settings,
    wanted: Wanted,
    /// The files of the client certificate and of its key.
    identity: Option<(PathBuf, PathBuf)>,
}

enum Plan {
    /// The same request to each of these.
    Pages {
        draft: Box<Draft>,
        urls: Vec<Url>,
        samples: Option<Samples>,
    },
    Sequence(Box<Sequence>),
}

impl Plan {
    fn new(inputs: &Inputs) -> Result<Self, InputError> {
        let mut urls: Vec<Url> = Vec::new();
        for text in inputs.texts("url") {
            let url = url_of("url", text)?;
            if urls.contains(&url) {
                return Err(InputError::new("url", format!("{url} is named twice"), "name it once"));
            }
            urls.push(url);
        }
        let Some(first) = urls.first() else {
            return Err(InputError::new(
                "url",
                "there is nothing to ask for",
                "write `url: https://example.com/health`",
            ));
        };
        if inputs.has("requests") {
            return Self::sequence(inputs, &urls);
        }
        let draft = Box::new(Draft::to(first.clone(), inputs)?);
        Ok(Self::Pages { draft, urls, samples: Samples::new(inputs)? })
    }

    fn sequence(inputs: &Inputs, urls: &[Url]) -> Result<Self, InputError> {
        let of_one = ["method", "body", "json", "form", "graphql", "body_size", "samples", "interval", "status"];
        if let Some(input) = of_one.into_iter().find(|name| inputs.has(name)) {
            let message = format!("`{input}` is of a single request, and there are several");
            return Err(InputError::new(input, message, "move it to the one under `requests` that it belongs to"));
        }
        let [site] = urls else {
            let help = "write the one that the paths under `requests` are of";
            return Err(InputError::new("url", "a sequence of requests starts from one URL", help));
        };
        Ok(Self::Sequence(Box::new(Sequence::new(inputs, site.clone())?)))
    }

    fn urls(&self) -> &[Url] {
        match self {
            Self::Pages { urls, .. } => urls,
            Self::Sequence(sequence) => std::slice::from_ref(sequence.home()),
        }
    }
}

impl Http {
    fn new(inputs: &Inputs) -> Result<Self, InputError> {
        let (plan, wanted) = (Plan::new(inputs)?, Wanted::new(inputs)?);
        plan.urls().iter().try_for_each(|url| wanted.check(url))?;
        if matches!(plan, Plan::Sequence(_)) && wanted.is_several() {
            let message = "a sequence of requests goes one way";
            return Err(InputError::new("requests", message, "name one address, `address: 4` or `address: 6`"));
        }
        let identity = match (inputs.path("certificate"), inputs.path("key")) {
            (Some(certificate), key) => Some((certificate.clone(), key.unwrap_or(certificate).clone())),
            (None, Some(_)) => {
                let help = "write `certificate: FILE` too";
                return Err(InputError::new("key", "there is a key, but no certificate that it is of", help));
            }
            (None, None) => None,
        };
        let settings = Settings {
            redirects: match inputs.text("redirects") {
                Some("follow") => Redirects::Follow,
                Some("same-host") => Redirects::SameHost,
                _ => Redirects::None,
            },
            strictness: if inputs.flag("verify") { Strictness::Verify } else { Strictness::Record },
            ca: inputs.path("ca").cloned(),
            body_limit: inputs.size("body_limit").and_then(|size| usize::try_from(size).ok()).unwrap_or(1 << 20),
        };
        Ok(Self { plan, settings, wanted, identity })
    }

    async fn look(&self, cx: &Context) -> Result<Observation, ProbeError> {
        let deadline = Instant::now() + cx.limit;
        // Making a request takes a while: the looks beside this one begin first, which have others work for them.
        tokio::task::yield_now().await;
        let identity = match &self.identity {
            Some((certificate, key)) => Some(Arc::new(Identity::read(certificate, key, cx).await?)),
            None => None,
        };
        match &self.plan {
            Plan::Sequence(sequence) => {
                let ways = self.wanted.ways(sequence.home(), cx).await?.unwrap_or_default();
                let reach = ways.into_iter().next().map_or(Reach::Named(Family::Any), |(_, reach)| reach);
                sequence.take(&self.settings, &Way::by(reach, identity), cx, deadline).await
            }
            Plan::Pages { draft, urls, samples } => {
                let request = draft.resolve(cx).await?;
                let mut pages = Vec::new();
                for url in urls {
                    let page = |name: String, reach| Page {
                        settings: &self.settings,
                        cx,
                        name,
                        request: request.to(url),
                        reach,
                        identity: identity.clone(),
                        samples: samples.as_ref(),
                        deadline,
                    };
                    let ways = timeout_at(deadline, self.wanted.ways(url, cx)).await;
                    match ways.unwrap_or_else(|_| Ok(Err("the name was not resolved in time".to_owned())))? {
                        Ok(ways) => {
                            pages.extend(ways.into_iter().map(|(by, reach)| page(format!("{url}{by}"), Ok(reach))));
                        }
                        Err(why) => pages.push(page(url.to_string(), Err(why))),
                    }
                }
                page::together(pages).await
            }
        }
    }
}

impl Probe for Http {
    fn target(&self) -> String {
        let urls: Vec<&str> = self.plan.urls().iter().map(Url::as_str).collect();
        urls.join(", ")
    }

    fn resource(&self) -> Option<String> {
        let mut places = self.plan.urls().iter().map(way::place_of);
        let first = places.next()?;
        places.all(|place| place == first).then_some(first)
    }

    fn observe<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Observation, ProbeError>> {
        Box::pin(async move {
            tokio::select! {
                seen = self.look(cx) => seen,
                () = cx.cancel.cancelled() => Err(ProbeError::new("cancelled", "nobody waits for the answer any more")),
            }
        })
    }
}
