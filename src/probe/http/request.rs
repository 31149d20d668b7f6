//! What is sent, and what is sent on after a redirect.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use reqwest::header::USER_AGENT;
use reqwest::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::{Client, Method, Response, StatusCode, Url};

use super::super::{Context, ProbeError};
use super::body::{Body, Payload};
use super::placeholder::{self, Captured};
use crate::model::input::{InputError, Inputs};
use crate::model::secret::{MaybeSecret, SecretRef};

const AGENT: &str = concat!("opsctl/", env!("CARGO_PKG_VERSION"));

/// A request whose secrets are still references.
#[derive(Clone)]
pub struct Draft {
    pub url: Url,
    pub method: Method,
    headers: Vec<(HeaderName, MaybeSecret)>,
    body: Option<Body>,
    graphql: bool,
    login: Option<Login>,
}

#[derive(Clone)]
enum Login {
    Basic { user: String, password: SecretRef },
    Bearer(SecretRef),
}

impl Draft {
    /// To the input `url`.
    pub fn new(inputs: &Inputs) -> Result<Self, InputError> {
        Self::to(url_of("url", inputs.text("url").unwrap_or_default())?, inputs)
    }

    /// To `url`, with the other inputs.
    pub fn to(url: Url, inputs: &Inputs) -> Result<Self, InputError> {
        let mut headers = headers_of(inputs)?;
        let body = Body::new(inputs)?;
        let usual = if body.is_some() { Method::POST } else { Method::GET };
        let method = inputs.text("method").and_then(|word| word.parse().ok()).unwrap_or(usual);
        if body.is_some() && (method == Method::GET || method == Method::HEAD) {
            let help = "say how it is sent, for example with `method: POST`";
            return Err(InputError::new("method", format!("a {method} request has no body"), help));
        }
        if let Some(sort) = body.as_ref().and_then(Body::content_type)
            && !headers.iter().any(|(name, _)| name == CONTENT_TYPE)
        {
            headers.push((CONTENT_TYPE, MaybeSecret::Plain(sort.to_owned())));
        }
        let login = login_of(inputs, &headers)?;
        Ok(Self { url, method, headers, body, graphql: inputs.has("graphql"), login })
    }

    /// Asks for the URL that the input `url_input` holds, with the `headers`, `basic` and `bearer` of `inputs`.
    pub fn get(url_input: &'static str, url: &str, inputs: &Inputs) -> Result<Self, InputError> {
        let (url, headers) = (url_of(url_input, url)?, headers_of(inputs)?);
        let login = login_of(inputs, &headers)?;
        Ok(Self { url, method: Method::GET, headers, body: None, graphql: false, login })
    }

    /// What is sent, one thing a line; a secret is named by the place that it comes from. The body stands last.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("{} {}", self.method, self.url)];
        lines.extend(self.headers.iter().map(|(name, value)| match value {
            MaybeSecret::Plain(text) => format!("  {name}: {text}"),
            MaybeSecret::Secret(secret) => format!("  {name} from {secret}"),
        }));
        lines.extend(self.login.iter().map(|login| match login {
            Login::Basic { user, password } => format!("  logged in as {user} with the password from {password}"),
            Login::Bearer(token) => format!("  logged in with the token from {token}"),
        }));
        let body = self.body.iter().flat_map(Body::lines);
        lines.extend(body.map(|line| format!("  | {line}")));
        lines
    }

    /// Every text in which something captured may stand, but the URL.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let headers = self.headers.iter().filter_map(|(_, value)| match value {
            MaybeSecret::Plain(text) => Some(text.as_str()),
            MaybeSecret::Secret(_) => None,
        });
        headers.chain(self.body.iter().flat_map(Body::texts))
    }

    /// To `url`, with what was captured.
    #[must_use]
    pub fn filled(&self, url: Url, captured: &Captured) -> Self {
        let value_of = |value: &MaybeSecret| match value {
            MaybeSecret::Plain(text) => MaybeSecret::Plain(placeholder::filled(text, captured)),
            MaybeSecret::Secret(secret) => MaybeSecret::Secret(secret.clone()),
        };
        Self {
            url,
            method: self.method.clone(),
            headers: self.headers.iter().map(|(name, value)| (name.clone(), value_of(value))).collect(),
            body: self.body.as_ref().map(|body| body.filled(captured)),
            graphql: self.graphql,
            login: self.login.clone(),
        }
    }

    /// With the headers and the login of `common`, where it has none of its own.
    pub fn inherit(&mut self, common: &Self) {
        let missing = |(name, _): &&(HeaderName, MaybeSecret)| !self.headers.iter().any(|(own, _)| own == name);
        let inherited: Vec<_> = common.headers.iter().filter(missing).cloned().collect();
        self.headers.extend(inherited);
        if self.login.is_none() && !self.headers.iter().any(|(name, _)| name == AUTHORIZATION) {
            self.login.clone_from(&common.login);
        }
    }

    pub async fn resolve(&self, cx: &Context) -> Result<Request, ProbeError> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let value = cx.text(value).await?;
            let value = HeaderValue::from_bytes(value.expose().as_bytes())
                .map_err(|_| ProbeError::new("secret", format!("the value of the header {name} has a line break")))?;
            headers.append(name, value);
        }
        if let Some(login) = &self.login {
            headers.insert(AUTHORIZATION, login.header(cx).await?);
        }
        let body = match &self.body {
            Some(body) => Some(body.resolve(cx).await?),
            None => None,
        };
        let (method, url) = (self.method.clone(), self.url.clone());
        Ok(Request { method, url, headers, body, graphql: self.graphql })
    }
}

impl Login {
    async fn header(&self, cx: &Context) -> Result<HeaderValue, ProbeError> {
        let (value, input) = match self {
            Self::Bearer(token) => (format!("Bearer {}", cx.secret(token).await?.expose()), "bearer"),
            Self::Basic { user, password } => {
                let encoded = BASE64.encode(format!("{user}:{}", cx.secret(password).await?.expose()));
                // Some servers show what they were sent.
                cx.mask.add(&encoded);
                (format!("Basic {encoded}"), "basic")
            }
        };
        let mut header = HeaderValue::try_from(value)
            .map_err(|_| ProbeError::new("secret", format!("the secret of `{input}` has a line break")))?;
        header.set_sensitive(true);
        Ok(header)
    }
}

fn login_of(inputs: &Inputs, headers: &[(HeaderName, MaybeSecret)]) -> Result<Option<Login>, InputError> {
    let login = match (inputs.group("basic"), inputs.secret("bearer")) {
        (Some(_), Some(_)) => {
            return Err(InputError::new("bearer", "there are two logins: `basic` and `bearer`", "keep one of them"));
        }
        (Some(basic), None) => basic.secret("password").map(|password| Login::Basic {
            user: basic.text("user").unwrap_or_default().to_owned(),
            password: password.clone(),
        }),
        (None, Some(token)) => Some(Login::Bearer(token.clone())),
        (None, None) => None,
    };
    if login.is_some() && headers.iter().any(|(name, _)| name == AUTHORIZATION) {
        let help = "keep the login or the `authorization` header";
        return Err(InputError::new("headers", "there are two logins: a header and another input", help));
    }
    Ok(login)
}

/// The URL that the input `input` holds.
pub fn url_of(input: &'static str, text: &str) -> Result<Url, InputError> {
    let help = "write for example `https://example.com/health`";
    let mut url = Url::parse(text).map_err(|error| {
        let long = text.contains('@') || text.len() > 200;
        let shown = if long { "this".to_owned() } else { format!("`{text}`") };
        InputError::new(input, format!("{shown} is no URL: {error}"), help)
    })?;
    if !url.username().is_empty() || url.password().is_some() {
        let help = "take it out of the URL and write `basic: { user: ..., password: { env: NAME } }`";
        return Err(InputError::new(input, "the URL holds a login", help));
    }
    if !matches!(url.scheme(), "http" | "https") {
        return Err(InputError::new(input, format!("`{}` is neither http nor https", url.scheme()), help));
    }
    url.set_fragment(None);
    Ok(url)
}

fn headers_of(inputs: &Inputs) -> Result<Vec<(HeaderName, MaybeSecret)>, InputError> {
    let mut headers = Vec::new();
    for (name, value) in inputs.pairs("headers").into_iter().flatten() {
        let known = HeaderName::from_bytes(name.as_bytes()).map_err(|_| {
            let help = "write for example `accept-language: pl`";
            InputError::new("headers", format!("`{name}` is not the name of a header"), help)
        })?;
        if let MaybeSecret::Plain(text) = value
            && HeaderValue::from_bytes(text.as_bytes()).is_err()
        {
            let help = "write it on one line";
            return Err(InputError::new("headers", format!("the value of `{name}` has a line break"), help));
        }
        headers.push((known, value.clone()));
    }
    Ok(headers)
}

/// A request as it goes over the wire.
#[derive(Clone)]
pub struct Request {
    pub method: Method,
    pub url: Url,
    headers: HeaderMap,
    body: Option<Payload>,
    /// The answer is that to a GraphQL query.
    pub graphql: bool,
}

impl Request {
    /// The same to another URL that the procedure names.
    #[must_use]
    pub fn to(&self, url: &Url) -> Self {
        Self { url: url.clone(), ..self.clone() }
    }

    pub async fn send(&self, client: &Client) -> reqwest::Result<Response> {
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        let mut request = client.request(self.method.clone(), self.url.clone()).headers(headers);
        if let Some(body) = &self.body {
            request = request.body(body.clone().into_body());
        }
        request.headers(self.headers.clone()).send().await
    }

    /// The request that follows a redirect with `status` to `url`.
    ///
    /// Headers and login of the procedure go to the scheme, host and port that it names, and nowhere else.
    #[must_use]
    pub fn redirected(mut self, status: StatusCode, url: Url) -> Self {
        if url.origin() != self.url.origin() {
            let content_type = self.headers.remove(CONTENT_TYPE);
            self.headers = content_type.into_iter().map(|value| (CONTENT_TYPE, value)).collect();
        }
        let posted = self.method == Method::POST && matches!(status.as_u16(), 301 | 302);
        if (posted || status == StatusCode::SEE_OTHER) && self.method != Method::HEAD {
            self.method = Method::GET;
            self.body = None;
            self.headers.remove(CONTENT_TYPE);
        }
        self.url = url;
        self
    }
}

/// Where a response sends the client, if it does; an error has the text that is no http URL.
pub fn redirect_of(response: &Response) -> Option<Result<Url, String>> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = String::from_utf8_lossy(response.headers().get(LOCATION)?.as_bytes()).into_owned();
    let Ok(mut url) = response.url().join(&location) else { return Some(Err(location)) };
    url.set_fragment(None);
    if !matches!(url.scheme(), "http" | "https") || url.set_username("").is_err() || url.set_password(None).is_err() {
        return Some(Err(location));
    }
    Some(Ok(url))
}
