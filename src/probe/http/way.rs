//! By what way a request gets to its server, and as whom.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use reqwest::cookie::Jar;
use reqwest::{ClientBuilder, Url};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::lookup_host;

use super::super::{Context, ProbeError};
use super::exchange::{Family, literal};
use super::tls::read_pem;
use super::trouble;
use crate::model::input::{InputError, Inputs};
use crate::model::secret::SecretRef;

/// The way of one look.
#[derive(Clone)]
pub struct Way {
    pub reach: Reach,
    pub identity: Option<Arc<Identity>>,
    pub jar: Arc<Jar>,
}

/// Where the connection goes.
#[derive(Clone)]
pub enum Reach {
    /// To what the host's name stands for.
    Named(Family),
    /// To this address, whatever the name stands for.
    Address(IpAddr),
    /// To the Unix socket at this path.
    Socket(PathBuf),
    /// To a proxy. Its URL holds its login.
    Proxy(Url),
}

impl Way {
    pub fn by(reach: Reach, identity: Option<Arc<Identity>>) -> Self {
        Self { reach, identity, jar: Arc::default() }
    }

    /// The way to `url` for a look at `home`: what is only of `home` leads nowhere else.
    #[must_use]
    pub fn towards(&self, url: &Url, home: &Url) -> Self {
        if url.origin() == home.origin() {
            return self.clone();
        }
        let reach = match &self.reach {
            Reach::Address(_) | Reach::Socket(_) if url.host_str() != home.host_str() => Reach::Named(Family::Any),
            reach => reach.clone(),
        };
        Self { reach, identity: None, jar: Arc::clone(&self.jar) }
    }

    /// What messages call the other end, where that is not the server itself.
    pub fn via(&self) -> Option<String> {
        match &self.reach {
            Reach::Named(_) | Reach::Address(_) => None,
            Reach::Socket(path) => Some(format!("the socket {}", path.display())),
            Reach::Proxy(proxy) => Some(format!("the proxy {}", place_of(proxy))),
        }
    }

    /// Whether a failure is one of opsctl's own rights: that says nothing of the server.
    pub fn denied(&self, error: &reqwest::Error) -> Option<ProbeError> {
        let Reach::Socket(path) = &self.reach else { return None };
        let io = trouble::find_io(error)?;
        (io.kind() == io::ErrorKind::PermissionDenied)
            .then(|| ProbeError::io(format!("the socket {}", path.display()), io))
    }

    /// Tells the client; `named` are a host and the addresses that it stands for.
    pub fn apply(
        &self,
        builder: ClientBuilder,
        named: Option<(&str, &[SocketAddr])>,
    ) -> reqwest::Result<ClientBuilder> {
        let mut builder = match &self.reach {
            Reach::Named(_) | Reach::Address(_) => builder.no_proxy(),
            Reach::Socket(path) => builder.no_proxy().unix_socket(path.as_path()),
            Reach::Proxy(proxy) => builder.proxy(reqwest::Proxy::all(proxy.clone())?),
        };
        if let Some((host, addresses)) = named {
            builder = builder.resolve_to_addrs(host, addresses);
        }
        Ok(builder.cookie_provider(Arc::clone(&self.jar)))
    }
}

/// A URL's host and port.
pub fn place_of(url: &Url) -> String {
    format!("{}:{}", url.host_str().unwrap_or_default(), port_of(url))
}

pub fn port_of(url: &Url) -> u16 {
    const SOCKS: u16 = 1080;
    url.port_or_known_default().unwrap_or(SOCKS)
}

/// What a procedure says of the way.
pub enum Wanted {
    /// One look each.
    Families(Vec<Family>),
    /// One look at each address that the name has.
    Each,
    Addresses(Vec<IpAddr>),
    Socket(PathBuf),
    Proxy {
        url: Url,
        login: Option<(String, SecretRef)>,
    },
}

impl Wanted {
    pub fn new(inputs: &Inputs) -> Result<Self, InputError> {
        let address = inputs.text("address").filter(|word| *word != "any");
        let given = ["connect_to", "socket", "proxy"].into_iter().filter(|name| inputs.has(name));
        let given: Vec<&'static str> = address.map(|_| "address").into_iter().chain(given).collect();
        if let [one, other, ..] = given.as_slice() {
            let message = format!("there are two ways to the server: `{one}` and `{other}`");
            return Err(InputError::new(other, message, "keep one of them"));
        }
        if inputs.has("proxy_login") && !inputs.has("proxy") {
            let message = "there is a login for a proxy, but no proxy";
            return Err(InputError::new("proxy_login", message, "write `proxy: http://proxy.example.com:3128` too"));
        }
        if let Some(path) = inputs.path("socket") {
            return Ok(Self::Socket(path.clone()));
        }
        if let Some(text) = inputs.text("proxy") {
            return Self::proxy(text, inputs);
        }
        if inputs.has("connect_to") {
            return addresses(inputs.texts("connect_to")).map(Self::Addresses);
        }
        Ok(match address {
            Some("4") => Self::Families(vec![Family::V4]),
            Some("6") => Self::Families(vec![Family::V6]),
            Some("both") => Self::Families(vec![Family::V4, Family::V6]),
            Some("each") => Self::Each,
            _ => Self::Families(vec![Family::Any]),
        })
    }

    fn proxy(text: &str, inputs: &Inputs) -> Result<Self, InputError> {
        let help = "write for example `http://proxy.example.com:3128` or `socks5://127.0.0.1:1080`";
        let wrong = |message: String| InputError::new("proxy", message, help);
        let url = Url::parse(text).map_err(|error| wrong(format!("this is no URL: {error}")))?;
        if !url.username().is_empty() || url.password().is_some() {
            let help = "take it out of the URL and write `proxy_login: { user: ..., password: { env: NAME } }`";
            return Err(InputError::new("proxy", "the URL holds a login", help));
        }
        if !matches!(url.scheme(), "http" | "socks5" | "socks5h") {
            return Err(wrong(format!("a proxy of the kind `{}` cannot be used", url.scheme())));
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(wrong("the URL names no host".to_owned()));
        }
        let login = inputs.group("proxy_login").and_then(|login| {
            Some((login.text("user").unwrap_or_default().to_owned(), login.secret("password")?.clone()))
        });
        Ok(Self::Proxy { url, login })
    }

    /// Whether one look leads several ways.
    pub fn is_several(&self) -> bool {
        match self {
            Self::Families(families) => families.len() > 1,
            Self::Addresses(addresses) => addresses.len() > 1,
            Self::Each => true,
            Self::Socket(_) | Self::Proxy { .. } => false,
        }
    }

    /// Refuses a host that is an address already, where the way asks for those of a name.
    pub fn check(&self, url: &Url) -> Result<(), InputError> {
        let Some(address) = literal(url.host_str().unwrap_or_default()) else { return Ok(()) };
        let input = match self {
            Self::Families(families) if families.iter().all(|family| family.admits(address)) => return Ok(()),
            Self::Socket(_) | Self::Proxy { .. } => return Ok(()),
            Self::Families(_) | Self::Each => "address",
            Self::Addresses(_) => "connect_to",
        };
        let message = format!("{address} is one address and no host with several");
        let help = format!("leave `{input}` out, or write the host's name in `url`");
        Err(InputError::new(input, message, help))
    }

    /// The ways to the server of `url`, each with what tells it from the others; an error is why there are none.
    pub async fn ways(&self, url: &Url, cx: &Context) -> Result<Result<Vec<(String, Reach)>, String>, ProbeError> {
        let at = |address: &IpAddr| (format!(" at {address}"), Reach::Address(*address));
        Ok(Ok(match self {
            Self::Families(families) => families.iter().map(|&family| (over(family), Reach::Named(family))).collect(),
            Self::Addresses(addresses) => addresses.iter().map(at).collect(),
            Self::Socket(path) => vec![(String::new(), Reach::Socket(path.clone()))],
            Self::Proxy { url, login } => {
                vec![(String::new(), Reach::Proxy(with_login(url, login.as_ref(), cx).await?))]
            }
            Self::Each => match addresses_of(url).await {
                Ok(addresses) => addresses.iter().map(at).collect(),
                Err(why) => return Ok(Err(why)),
            },
        }))
    }
}

fn over(family: Family) -> String {
    match family {
        Family::Any => String::new(),
        Family::V4 | Family::V6 => format!(" over {}", family.word()),
    }
}

fn addresses(texts: &[String]) -> Result<Vec<IpAddr>, InputError> {
    let mut all = Vec::new();
    for text in texts {
        let address = literal(text).ok_or_else(|| {
            let message = format!("`{text}` is not an IP address");
            InputError::new(
                "connect_to",
                message,
                "write for example `10.0.0.5` or `2001:db8::5`; the port is that of `url`",
            )
        })?;
        if all.contains(&address) {
            return Err(InputError::new("connect_to", format!("{address} is named twice"), "name it once"));
        }
        all.push(address);
    }
    Ok(all)
}

async fn with_login(url: &Url, login: Option<&(String, SecretRef)>, cx: &Context) -> Result<Url, ProbeError> {
    let mut url = url.clone();
    if let Some((user, password)) = login {
        let password = cx.secret(password).await?;
        let set = url.set_username(user).and_then(|()| url.set_password(Some(password.expose())));
        set.map_err(|()| ProbeError::new("bad_url", "the URL of the proxy takes no login"))?;
        // As it stands in the URL, should that ever be shown.
        cx.mask.add(url.password().unwrap_or_default());
    }
    Ok(url)
}

/// More than any name should have.
const MOST_ADDRESSES: usize = 32;

async fn addresses_of(url: &Url) -> Result<Vec<IpAddr>, String> {
    let host = url.host_str().unwrap_or_default();
    let found = lookup_host((host, 0)).await.map_err(|error| unknown(host, &error))?;
    let mut all: Vec<IpAddr> = Vec::new();
    for address in found.map(|found| found.ip()) {
        if !all.contains(&address) {
            all.push(address);
        }
    }
    if all.len() > MOST_ADDRESSES {
        return Err(format!("{host} has {} addresses, more than {MOST_ADDRESSES}", all.len()));
    }
    Ok(all)
}

pub fn unknown(host: &str, error: &io::Error) -> String {
    format!("unknown host {host}: {}", trouble::lookup(error))
}

/// A client certificate with its key.
pub struct Identity {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identity({} certificates)", self.chain.len())
    }
}

impl Identity {
    pub async fn read(certificate: &Path, key: &Path, cx: &Context) -> Result<Self, ProbeError> {
        let (certificate, key) = (certificate.to_owned(), key.to_owned());
        let place = format!("the client certificate {}", certificate.display());
        cx.reading(place.clone(), move || {
            let pem = read_pem(&certificate, &place)?;
            let chain: Vec<_> = CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok).collect();
            if chain.is_empty() {
                return Err(ProbeError::new("bad_file", format!("{place} holds no certificate"))
                    .help("write the certificates as PEM, beginning with -----BEGIN CERTIFICATE-----"));
            }
            let place = format!("the key {}", key.display());
            let pem = read_pem(&key, &place)?;
            let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| bad_key(&place, &pem))?;
            Ok(Self { chain, key })
        })
        .await
    }
}

fn bad_key(place: &str, pem: &[u8]) -> ProbeError {
    let text = String::from_utf8_lossy(pem);
    if text.contains("ENCRYPTED") {
        return ProbeError::new("bad_file", format!("{place} is locked by a passphrase"))
            .help("keep a key without one, which only opsctl's user may read: `openssl pkey -in KEY -out NEW`");
    }
    ProbeError::new("bad_file", format!("{place} holds no private key"))
        .help("write it as PEM, beginning with -----BEGIN PRIVATE KEY-----")
}
