//! What a procedure may write of an HTTP request, and what is reported of the answer.

use super::super::Context;
use crate::model::fact::{FactSpec, FactType};
use crate::model::input::{InputSpec, InputType, Need};

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

const GRAPHQL: &[InputSpec] = &[
    InputSpec { name: "query", ty: InputType::Text, need: Need::Required, about: "the document: `{ health }`" },
    InputSpec { name: "variables", ty: InputType::Json, need: Need::Optional, about: "its variables, as a mapping" },
    InputSpec {
        name: "operation",
        ty: InputType::Text,
        need: Need::Optional,
        about: "which operation of the document runs, where it has several",
    },
];

pub(crate) const CA: InputSpec = InputSpec {
    name: "ca",
    ty: InputType::Path,
    need: Need::Optional,
    about: "a PEM file with the authorities to trust instead of the system's, or the server's own self-signed \
            certificate",
};

/// Of kinds that connect without HTTP.
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

const METHOD: InputSpec = InputSpec {
    name: "method",
    ty: InputType::Choice(METHODS),
    need: Need::Optional,
    about: "GET if not given, POST with a body. HEAD proves that the web server answers, GET that the application does",
};

const HEADERS: InputSpec = InputSpec {
    name: "headers",
    ty: InputType::Pairs,
    need: Need::Optional,
    about: "headers to send, such as `accept-language: pl`; a value may be a secret",
};

const BODY: InputSpec = InputSpec {
    name: "body",
    ty: InputType::Text,
    need: Need::Optional,
    about: "the body to send, as it is. Long texts are templates: `{{ 'a' * 4001 }}`, and so are many keys",
};

const JSON: InputSpec = InputSpec {
    name: "json",
    ty: InputType::Json,
    need: Need::Optional,
    about: "the body to send, written as YAML and sent as JSON",
};

const FORM: InputSpec = InputSpec {
    name: "form",
    ty: InputType::Pairs,
    need: Need::Optional,
    about: "the fields of a form to send; a value may be a secret",
};

const QUERY: InputSpec = InputSpec {
    name: "graphql",
    ty: InputType::Group(GRAPHQL),
    need: Need::Optional,
    about: "a GraphQL query to send. What it asked for is read as `json: { data.NAME: ... }`; errors in the answer are a \
            failure, although its status is 200",
};

const BODY_SIZE: InputSpec = InputSpec {
    name: "body_size",
    ty: InputType::Size,
    need: Need::Optional,
    about: "how long the body to send is: the rest is filled with spaces after `json`, else with `x`",
};

const SEQUENCE: &[InputSpec] = &[
    InputSpec {
        name: "name",
        ty: InputType::Text,
        need: Need::Optional,
        about: "what it is called in the results; its number, method and URL if not given",
    },
    InputSpec {
        name: "url",
        ty: InputType::Text,
        need: Need::Required,
        about: "what to ask for. A path, such as `/login`, is one of the request before it; that of the first is one of `url`",
    },
    METHOD,
    HEADERS,
    BODY,
    JSON,
    FORM,
    QUERY,
    BODY_SIZE,
    LOGIN,
    BEARER,
    InputSpec {
        name: "status",
        ty: InputType::Texts,
        need: Need::Optional,
        about: "the status without which nothing more is sent: `302`, `200..299`, or a list of those. 200..399 if not \
                given; any status for the last request",
    },
    InputSpec {
        name: "capture",
        ty: InputType::Pairs,
        need: Need::Optional,
        about: "what later requests need of the answer, by name: `token: json.access_token`, `header.location`, \
                `cookie.sessionid`, or `matches name=\"csrf\" value=\"([^\"]+)\"` for the first group in the body. They \
                write it as `${token}`. It is treated as a secret",
    },
];

pub const INPUTS: &[InputSpec] = &[
    InputSpec {
        name: "url",
        ty: InputType::Texts,
        need: Need::Required,
        about: "what to ask for, with http:// or https://. Several are asked side by side, one result each. A login does \
                not belong in it. With `requests`, the site that their paths are of",
    },
    METHOD,
    HEADERS,
    BODY,
    JSON,
    FORM,
    QUERY,
    BODY_SIZE,
    InputSpec {
        name: "requests",
        ty: InputType::Groups(SEQUENCE),
        need: Need::Optional,
        about: "requests one after the other instead of a single one, with the cookies of those before: a login and what \
                comes after it. Each is a result of its own. What the step expects of the times is expected of each, \
                what it expects of status, headers and body of the last one only. One that fails ends them; the others \
                are not sent",
    },
    InputSpec {
        name: "samples",
        ty: InputType::Integer { least: 1, most: 1000 },
        need: Need::Optional,
        about: "how many requests to send, one after the other, each over a connection of its own: for the spread of \
                `latency`, and the share of errors. The step's time limit is for all of them",
    },
    InputSpec {
        name: "interval",
        ty: InputType::Duration,
        need: Need::Optional,
        about: "the pause between two of the `samples`; none if not given",
    },
    InputSpec {
        name: "status",
        ty: InputType::Texts,
        need: Need::Optional,
        about: "which status is no error among the `samples`: `401`, `200..299`, or a list of those. 200..399 if not \
                given. Of a single request, `expect` the fact `status` instead",
    },
    InputSpec {
        name: "redirects",
        ty: InputType::Choice(&["none", "same-host", "follow"]),
        need: Need::Default("none"),
        about: "whether redirects are followed, up to 10. Without it the answer is the redirect itself, so that a page \
                which sends visitors to a login does not count as 200. Headers, login and client certificate go only to \
                the scheme, host and port of `url`",
    },
    InputSpec {
        name: "verify",
        ty: InputType::Bool,
        need: Need::Default("true"),
        about: "whether a certificate that does not hold is an outage. With `false` it is only noted",
    },
    CA,
    InputSpec {
        name: "certificate",
        ty: InputType::Path,
        need: Need::Optional,
        about: "a PEM file with a client certificate, and those of its authorities, for servers that demand one",
    },
    InputSpec {
        name: "key",
        ty: InputType::Path,
        need: Need::Optional,
        about: "the PEM file with the key of `certificate`, without a passphrase; the same file if not given",
    },
    LOGIN,
    BEARER,
    InputSpec {
        name: "attempts",
        ty: InputType::Integer { least: 1, most: 10 },
        need: Need::Default("1"),
        about: "how many looks to take at most until everything expected holds",
    },
    InputSpec {
        name: "address",
        ty: InputType::Choice(&["any", "4", "6", "both", "each"]),
        need: Need::Default("any"),
        about: "over IPv4 or IPv6 only, or `both` for one result each; `each` for every address of the name; `any` is \
                content with one of them",
    },
    InputSpec {
        name: "connect_to",
        ty: InputType::Texts,
        need: Need::Optional,
        about: "IP addresses to connect to, one result each, whatever the name in `url` stands for: a server behind a \
                load balancer. The name is still what the server and its certificate are asked for",
    },
    InputSpec {
        name: "socket",
        ty: InputType::Path,
        need: Need::Optional,
        about: "the Unix socket to connect to, whatever the host in `url`: `http://localhost/health`",
    },
    InputSpec {
        name: "proxy",
        ty: InputType::Text,
        need: Need::Optional,
        about: "the proxy to go through: http://, socks5:// or socks5h:// (which looks up names itself). That of the \
                environment is never used",
    },
    InputSpec {
        name: "proxy_login",
        ty: InputType::Group(BASIC),
        need: Need::Optional,
        about: "the user and password that the proxy demands",
    },
    InputSpec {
        name: "body_limit",
        ty: InputType::Size,
        need: Need::Default("1MiB"),
        about: "how much of the body is read at most; `0B` reads none, for an answer that never ends",
    },
];

pub const FACTS: &[FactSpec] = &[
    FactSpec::implied_unless(
        "answers",
        &["errors", "error_share"],
        "an HTTP answer of any status came, unbroken and within the time limit (its body as far as `body_limit`); with \
         `samples`, to each of them",
    ),
    FactSpec::implied_unless(
        "accepted",
        &["errors", "error_share", "graphql_errors"],
        "the answer is what it is needed for: no GraphQL errors; among `requests` the right status, and all that is \
         captured; none of the `samples` with a wrong status. Of a plain request nothing of the kind is known",
    ),
    FactSpec::new(
        "status",
        FactType::Count,
        "the HTTP status, such as 200. Of `samples` the first that differs from most of them; so are the other facts \
         without a time, of those that did not fail",
    ),
    FactSpec::new(
        "latency",
        FactType::Duration,
        "from the first look-up of the name to the end of the answer, redirects included. Missing when no whole \
         answer came: an outage is not a fast answer. Of `samples`, this and the phases are of the slowest",
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
    FactSpec::new("samples", FactType::Count, "how many requests were sent, where `samples` asks for several"),
    FactSpec::new(
        "errors",
        FactType::Count,
        "how many `samples` failed: no whole answer, or a wrong status. Their times count nowhere",
    ),
    FactSpec::new("error_share", FactType::Percent, "`errors` of the `samples`"),
    FactSpec::new("average", FactType::Duration, "the mean `latency` of the `samples` that did not fail"),
    FactSpec::new("p50", FactType::Duration, "half of the `samples` that did not fail were no slower"),
    FactSpec::new("p90", FactType::Duration, "90 % of them were no slower"),
    FactSpec::new("p95", FactType::Duration, "95 % of them were no slower; of fewer than 20, the slowest"),
    FactSpec::new("p99", FactType::Duration, "99 % of them were no slower; of fewer than 100, the slowest"),
    FactSpec::new("slowest", FactType::Duration, "the longest `latency` of the `samples` that did not fail"),
    FactSpec::new("http_version", FactType::Text, "`HTTP/1.0`, `HTTP/1.1` or `HTTP/2`"),
    FactSpec::new("address", FactType::Text, "the IP address that answered; missing behind a proxy or a socket"),
    FactSpec::new("final_url", FactType::Text, "the URL that answered, after redirects"),
    FactSpec::new("redirects", FactType::Count, "how many redirects were followed"),
    FactSpec::new(
        "certificate_expires_in",
        FactType::Duration,
        "until the first certificate of the presented chain expires; negative when it has. Seen even when the \
         certificate does not hold",
    ),
    FactSpec::new(
        "graphql_errors",
        FactType::Count,
        "errors in the answer to a GraphQL query; missing when it is no such answer",
    ),
    FactSpec::new("body_size", FactType::Size, "of the whole body, decompressed; missing for HEAD"),
    FactSpec::family("header", FactType::Text, "a header of the answer, such as `header: { content-type: ... }`"),
    FactSpec::family(
        "json",
        FactType::Any,
        "a member of a JSON body by its dotted path, such as `queue.depth` or `items.0.name`. Missing when the body is \
         longer than `body_limit`",
    ),
    FactSpec::new("body", FactType::Text, "the whole body as text. Missing when it is longer than `body_limit`"),
];

/// The phases and their sum, in the order in which they pass.
pub const TIMES: [&str; 6] = ["latency", "resolve", "connect", "tls", "first_byte", "transfer"];

/// What each of several requests is asked for, whatever its answer holds.
const OF_EACH: [&str; 3] = ["answers", "accepted", "certificate_expires_in"];

/// The facts that the step expects of the answer itself: for the last of several requests.
pub fn of_the_last(cx: &Context) -> Vec<String> {
    let of_each = |fact: &str| TIMES.contains(&fact) || OF_EACH.contains(&fact);
    cx.asked.iter().filter(|fact| !of_each(fact)).cloned().collect()
}

/// The place of a fact in the order in which they are declared, which is the order in which they read best.
pub fn rank(name: &str) -> Option<usize> {
    let family = name.split('.').next();
    FACTS.iter().position(|fact| Some(fact.name) == family)
}
