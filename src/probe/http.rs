//! The http probe: one request over a fresh connection, each phase timed, the whole certificate chain kept.

use std::path::PathBuf;

use futures_util::future::{BoxFuture, try_join_all};
use tokio::time::Instant;

use super::{Context, Kind, Probe, ProbeError};
use crate::model::fact::{FactSpec, FactType, Observation};
use crate::model::input::{InputError, InputSpec, InputType, Inputs, Need};

pub(crate) mod answer;
pub(crate) mod exchange;
pub(crate) mod fetch;
mod look;
pub(crate) mod request;
pub(crate) mod tls;
pub(crate) mod trouble;

use exchange::Family;
use look::Look;
use request::Draft;
use tls::Strictness;

const METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

const BASIC: &[InputSpec] = &[
    InputSpec { name: "user", ty: InputType::Text, need: Need::Required, about: "the user's name" },
    InputSpec {
        name: "password",
        ty: InputType::Secret,
        need: Need::Required,
        about: "where the password is, such as `{ env: SITE_PASSWORD }`",
    },
];

pub(crate) const CA: InputSpec = InputSpec {
    name: "ca",
    ty: InputType::Path,
    need: Need::Optional,
    about: "a PEM file with the authorities to trust instead of the system's, or the server's own self-signed \
            certificate",
};

pub(crate) const ADDRESS: InputSpec = InputSpec {
    name: "address",
    ty: InputType::Choice(&["any", "4", "6", "both"]),
    need: Need::Default("any"),
    about: "over IPv4 or IPv6 only, or `both` for one result each; `any` is content with either",
};

pub(crate) const LOGIN: InputSpec = InputSpec {
    name: "basic",
    ty: InputType::Group(BASIC),
    need: Need::Optional,
    about: "log in with a user name and a password (basic authentication)",
};

pub(crate) const BEARER: InputSpec = InputSpec {
    name: "bearer",
    ty: InputType::Secret,
    need: Need::Optional,
    about: "log in with a token, sent as `Authorization: Bearer ...`",
};

const INPUTS: &[InputSpec] = &[
    InputSpec {
        name: "url",
        ty: InputType::Text,
        need: Need::Required,
        about: "what to ask for, with http:// or https://. A login does not belong in it",
    },
    InputSpec {
        name: "method",
        ty: InputType::Choice(METHODS),
        need: Need::Default("GET"),
        about: "HEAD proves that the web server answers, GET that the application does",
    },
    InputSpec {
        name: "headers",
        ty: InputType::Pairs,
        need: Need::Optional,
        about: "headers to send, such as `accept-language: pl`; a value may be a secret",
    },
    InputSpec {
        name: "body",
        ty: InputType::Text,
        need: Need::Optional,
        about: "the body to send, as it is. Needs another method than GET",
    },
    InputSpec {
        name: "json",
        ty: InputType::Json,
        need: Need::Optional,
        about: "the body to send, written as YAML and sent as JSON. Needs another method than GET",
    },
    InputSpec {
        name: "redirects",
        ty: InputType::Choice(&["none", "same-host", "follow"]),
        need: Need::Default("none"),
        about: "whether redirects are followed, up to 10. Without it the answer is the redirect itself, so that a page \
                which sends visitors to a login does not count as 200. Headers and login go only to the scheme, host \
                and port of `url`",
    },
    InputSpec {
        name: "verify",
        ty: InputType::Bool,
        need: Need::Default("true"),
        about: "whether a certificate that does not hold is an outage. With `false` it is only noted",
    },
    CA,
    LOGIN,
    BEARER,
    InputSpec {
        name: "attempts",
        ty: InputType::Integer { least: 1, most: 10 },
        need: Need::Default("1"),
        about: "how many looks to take at most until everything expected holds",
    },
    ADDRESS,
    InputSpec {
        name: "body_limit",
        ty: InputType::Size,
        need: Need::Default("1MiB"),
        about: "how much of the body is read at most; `0B` reads none, for an answer that never ends",
    },
];

const FACTS: &[FactSpec] = &[
    FactSpec::implied(
        "answers",
        "an HTTP answer of any status came, unbroken and within the time limit (its body as far as `body_limit`)",
    ),
    FactSpec::new("status", FactType::Count, "the HTTP status, such as 200"),
    FactSpec::new(
        "latency",
        FactType::Duration,
        "from the first look-up of the name to the end of the answer, redirects included. Missing when no whole \
         answer came: an outage is not a fast answer",
    ),
    FactSpec::new("resolve", FactType::Duration, "looking up the name; missing for an address. Of the last request"),
    FactSpec::new("connect", FactType::Duration, "the TCP connection. Of the last request"),
    FactSpec::new("tls", FactType::Duration, "the TLS handshake; missing for http. Of the last request"),
    FactSpec::new(
        "first_byte",
        FactType::Duration,
        "from the finished connection to the answer's header: how long the application thinks. Of the last request",
    ),
    FactSpec::new("transfer", FactType::Duration, "from the answer's header to the end of its body"),
    FactSpec::new("http_version", FactType::Text, "`HTTP/1.0`, `HTTP/1.1` or `HTTP/2`"),
    FactSpec::new("address", FactType::Text, "the IP address that answered"),
    FactSpec::new("final_url", FactType::Text, "the URL that answered, after redirects"),
    FactSpec::new("redirects", FactType::Count, "how many redirects were followed"),
    FactSpec::new(
        "certificate_expires_in",
        FactType::Duration,
        "until the first certificate of the presented chain expires; negative when it has. Seen even when the \
         certificate does not hold",
    ),
    FactSpec::new("body_size", FactType::Size, "of the whole body, decompressed; missing for HEAD"),
    FactSpec::family("header", FactType::Text, "a header of the answer, such as `header: { content-type: ... }`"),
    FactSpec::family(
        "json",
        FactType::Any,
        "a member of a JSON body by its dotted path, such as `queue.depth` or `items.0.name`",
    ),
    FactSpec::new("body", FactType::Text, "the whole body as text. Missing when it is longer than `body_limit`"),
];

pub static KIND: Kind = Kind {
    name: "http",
    about: "a web server or an API: its answer, its certificate, and the time of each phase",
    inputs: INPUTS,
    facts: FACTS,
    example: include_str!("../../examples/probes/http.yaml"),
    limit: std::time::Duration::from_secs(30),
    build: |inputs| Ok(Box::new(Http::new(inputs)?)),
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Redirects {
    None,
    SameHost,
    Follow,
}

struct Http {
    draft: Draft,
    redirects: Redirects,
    strictness: Strictness,
    ca: Option<PathBuf>,
    /// One look each.
    families: Vec<Family>,
    body_limit: usize,
}

impl Http {
    fn new(inputs: &Inputs) -> Result<Self, InputError> {
        let draft = Draft::new(inputs)?;
        let families = Family::of(inputs.text("address"));
        let literal = exchange::literal(draft.url.host_str().unwrap_or_default());
        if let Some(address) = literal
            && !families.iter().all(|family| family.admits(address))
        {
            let message = format!("{address} is one address and no host with several");
            return Err(InputError::new("address", message, "leave `address` out, or write the host's name in `url`"));
        }
        Ok(Self {
            draft,
            redirects: match inputs.text("redirects") {
                Some("follow") => Redirects::Follow,
                Some("same-host") => Redirects::SameHost,
                _ => Redirects::None,
            },
            strictness: if inputs.flag("verify") { Strictness::Verify } else { Strictness::Record },
            ca: inputs.path("ca").cloned(),
            families,
            body_limit: inputs.size("body_limit").and_then(|size| usize::try_from(size).ok()).unwrap_or(1 << 20),
        })
    }
}

impl Probe for Http {
    fn target(&self) -> String {
        self.draft.url.to_string()
    }

    fn resource(&self) -> Option<String> {
        let url = &self.draft.url;
        Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?))
    }

    fn observe<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Observation, ProbeError>> {
        Box::pin(async move {
            let deadline = Instant::now() + cx.limit;
            let request = self.draft.resolve(cx).await?;
            let looks = self.families.iter().map(|&family| Look::new(self, cx, family, deadline).take(request.clone()));
            let taken = tokio::select! {
                taken = try_join_all(looks) => taken?,
                () = cx.cancel.cancelled() => {
                    return Err(ProbeError::new("cancelled", "nobody waits for the answer any more"));
                }
            };
            let mut all = Observation::default();
            for one in taken {
                all.subjects.extend(one.subjects);
                all.evidence.extend(one.evidence);
            }
            Ok(all)
        })
    }
}
