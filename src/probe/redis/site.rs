//! Where a server is, from its URL.

use std::path::{Path, PathBuf};

use redis::{ConnectionAddr, IntoConnectionInfo};

use super::super::http::tls::Trust;
use super::super::{Context, ProbeError};
use crate::model::secret::Mask;

pub struct Site {
    pub address: Address,
    pub login: Option<Login>,
    /// The number of the database, which a login may be limited to.
    pub database: i64,
    /// Host and port, or socket: for messages.
    pub place: String,
}

pub enum Address {
    Tcp { host: String, port: u16 },
    Tls { host: String, port: u16 },
    Unix(PathBuf),
}

pub struct Login {
    /// That of the ACL; without one, the server's user `default`.
    user: Option<String>,
    password: String,
}

const HELP: &str = "write redis://:PASSWORD@HOST:PORT/NUMBER, redis://USER:PASSWORD@HOST, rediss://... for TLS, or \
                    unix:///SOCKET?user=USER&pass=PASSWORD; in a password, / ? # @ and % are written %2F %3F %23 %40 %25";

impl Site {
    /// The server that the site file names so.
    pub async fn of(database: &str, cx: &Context) -> Result<Self, ProbeError> {
        let url = cx.url_of(database).await?;
        Self::parse(database, url.expose(), &cx.mask)
    }

    /// Whom to trust where the URL asks for TLS: the authorities in the file `ca`, else those of the system.
    pub async fn trust(&self, ca: Option<&Path>, cx: &Context) -> Result<Option<Trust>, ProbeError> {
        match (&self.address, ca) {
            (Address::Tls { .. }, Some(file)) => Trust::file(file, cx).await.map(Some),
            (Address::Tls { .. }, None) => Trust::system(cx).await.map(Some),
            (Address::Tcp { .. } | Address::Unix(_), _) => Ok(None),
        }
    }

    /// Masks what is secret in `url`; no error shows any part of it.
    pub fn parse(name: &str, url: &str, mask: &Mask) -> Result<Self, ProbeError> {
        let bad = |why: &str| {
            ProbeError::new("bad_url", format!("the URL of the database {name} is not valid: {why}")).help(HELP)
        };
        for password in written_passwords(url) {
            mask.add(password);
        }
        let (scheme, rest) = url.split_once(':').ok_or_else(|| bad("it has no scheme"))?;
        let (scheme, tls) = match scheme {
            "redis" | "valkey" | "unix" | "redis+unix" | "valkey+unix" => (scheme, false),
            "rediss" => ("redis", true),
            "valkeys" => ("valkey", true),
            _ => return Err(bad("its scheme is not one of Redis")),
        };
        if rest.contains('#') {
            return Err(bad("it has a `#`"));
        }
        let info = format!("{scheme}:{rest}")
            .into_connection_info()
            .map_err(|_| bad("the host, the port, the number of the database or an option is wrong"))?;
        let settings = info.redis_settings();
        let (user, password) = (settings.username().map(str::to_owned), settings.password().unwrap_or_default());
        mask.add(password);
        let login = (user.is_some() || !password.is_empty()).then(|| Login { user, password: password.to_owned() });
        let place = match info.addr() {
            ConnectionAddr::Tcp(host, port) if host.contains(':') => format!("[{host}]:{port}"),
            other => other.to_string(),
        };
        let address = match info.addr() {
            ConnectionAddr::Tcp(host, port) if tls => Address::Tls { host: host.clone(), port: *port },
            ConnectionAddr::Tcp(host, port) => Address::Tcp { host: host.clone(), port: *port },
            ConnectionAddr::Unix(path) => Address::Unix(path.clone()),
            _ => return Err(bad("it names no host and no socket")),
        };
        Ok(Self { address, login, database: settings.db(), place })
    }
}

impl Login {
    pub fn command(&self) -> redis::Cmd {
        let mut command = redis::cmd("AUTH");
        if let Some(user) = &self.user {
            command.arg(user);
        }
        command.arg(&self.password);
        command
    }
}

/// Passwords as they are written in `url`.
fn written_passwords(url: &str) -> impl Iterator<Item = &str> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (before_query, query) = rest.split_once('?').unwrap_or((rest, ""));
    let password = before_query.rsplit_once('@').and_then(|(login, _)| login.split_once(':')).map(|(_, after)| after);
    password.into_iter().chain(query.split('&').filter_map(|pair| pair.strip_prefix("pass=")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Site, ProbeError> {
        Site::parse("cache", url, &Mask::default())
    }

    #[test]
    fn places_are_hosts_and_sockets() {
        let place =
            |url| parse(url).map(|site| (site.place, site.database, matches!(site.address, Address::Tls { .. })));
        assert_eq!(place("redis://localhost"), Ok(("localhost:6379".to_owned(), 0, false)));
        assert_eq!(place("rediss://me:secret@cache.example:6380/2"), Ok(("cache.example:6380".to_owned(), 2, true)));
        assert_eq!(place("valkeys://127.0.0.1:1"), Ok(("127.0.0.1:1".to_owned(), 0, true)));
        assert_eq!(place("redis://[::1]:6379"), Ok(("[::1]:6379".to_owned(), 0, false)));
        assert_eq!(place("unix:///run/redis.sock?db=1&pass=secret"), Ok(("/run/redis.sock".to_owned(), 1, false)));
    }

    #[test]
    fn a_login_is_a_password_a_user_or_both() {
        let login = |url| parse(url).expect("a URL").login.map(|login| (login.user, login.password));
        assert_eq!(login("redis://localhost"), None);
        assert_eq!(login("redis://:a%2Fb@localhost"), Some((None, "a/b".to_owned())));
        assert_eq!(login("redis://me:secret@localhost"), Some((Some("me".to_owned()), "secret".to_owned())));
        assert_eq!(login("redis://me@localhost"), Some((Some("me".to_owned()), String::new())));
        let socket = "unix:///run/redis.sock?user=me&pass=secret";
        assert_eq!(login(socket), Some((Some("me".to_owned()), "secret".to_owned())));
    }

    #[test]
    fn what_is_secret_is_masked_as_it_is_and_as_it_is_written() {
        for (url, text) in [
            ("redis://me:open%2Fsesame@host", "open/sesame open%2Fsesame"),
            ("unix:///run/redis.sock?pass=open%2Fsesame", "open/sesame open%2Fsesame"),
            ("redis://me:open/sesame@host", "open/sesame"),
        ] {
            let mask = Mask::default();
            let _ = Site::parse("cache", url, &mask);
            let masked = mask.apply(text).replace("***", "").trim().to_owned();
            assert_eq!(masked, "", "{url}");
        }
    }

    #[test]
    fn a_bad_url_is_never_shown() {
        for url in [
            "mysql://me:sesame@host/db",
            "redis://me:open/sesame@host",
            "redis://:sesame@host:99999",
            "rediss://:sesame@host#insecure",
            "redis://:sesame@host/first",
            "sesame",
        ] {
            let error = parse(url).err().expect("a bad URL");
            assert_eq!(error.code, "bad_url", "{url}");
            assert!(!format!("{error:?}").contains("sesame"), "{error:?}");
        }
    }
}
