//! Where a database is, from its URL.

use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::Duration;

use sqlx::mysql::MySqlConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::sqlite::SqliteConnectOptions;

use super::super::{Context, ProbeError};
use super::{mysql, postgres};

#[derive(Clone)]
pub struct Site {
    pub server: Server,
    /// Host and port, socket or file: for messages.
    pub place: String,
}

#[derive(Clone)]
pub enum Server {
    MySql(MySqlConnectOptions),
    Postgres(PgConnectOptions),
    Sqlite(SqliteConnectOptions),
}

const HELP: &str = "write mysql://, mariadb:// or postgres:// USER:PASSWORD@HOST:PORT/DATABASE, or sqlite:///FILE; \
                    in a password, / ? # @ and % are written %2F %3F %23 %40 %25";

/// How long ending a statement that was given up may take: a new connection, perhaps with TLS.
const END_LIMIT: Duration = Duration::from_millis(1500);

impl Site {
    /// The database that the site file names so; what is secret in its URL is masked from now on.
    pub async fn of(name: &str, cx: &Context) -> Result<Self, ProbeError> {
        let url = cx.url_of(name).await?;
        for password in passwords(url.expose()) {
            cx.mask.add(&password);
        }
        let site = Self::parse(name, url.expose(), &cx.folder)?;
        for file in tls_files(url.expose()) {
            tokio::fs::File::open(&file).await.map_err(|error| {
                let place = format!("{}, which the URL of the database {name} names,", file.display());
                ProbeError::io(place, &error).help("check the files for TLS in the URL of the database")
            })?;
        }
        Ok(site)
    }

    /// Ends the statement that was given up, by a second connection: a server notices late that a client is gone.
    pub async fn end(&self, session: i64) {
        let kill = async {
            match &self.server {
                Server::MySql(options) => mysql::kill(options, session).await,
                Server::Postgres(options) => postgres::kill(options, session).await,
                Server::Sqlite(_) => Ok(()),
            }
        };
        // The server's own limit ends the statement when this cannot.
        tokio::time::timeout(END_LIMIT, kill).await.ok();
    }

    /// No error shows any part of `url`.
    pub fn parse(name: &str, url: &str, folder: &Path) -> Result<Self, ProbeError> {
        let bad = |why: &str| {
            ProbeError::new("bad_url", format!("the URL of the database {name} is not valid: {why}")).help(HELP)
        };
        let (scheme, rest) = url.split_once(':').ok_or_else(|| bad("it has no scheme"))?;
        let rest = rest.trim_start_matches('/');
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let path = path.split('?').next().unwrap_or_default();
        if scheme != "sqlite" && path.contains('@') && !authority.contains('@') {
            return Err(bad("the password has a character that must be percent-encoded"));
        }
        match scheme {
            "mysql" | "mariadb" => {
                let options =
                    MySqlConnectOptions::from_str(url).map_err(|_| bad("the host, the port or an option is wrong"))?;
                Ok(Self::mysql(options))
            }
            "postgres" | "postgresql" => {
                let options =
                    PgConnectOptions::from_str(url).map_err(|_| bad("the host, the port or an option is wrong"))?;
                Ok(Self::postgres(options))
            }
            "sqlite" => {
                let options = SqliteConnectOptions::from_str(url).map_err(|_| bad("an option is wrong"))?;
                Ok(Self::sqlite(options, folder))
            }
            _ => Err(bad("its scheme is not one that is known")),
        }
    }

    /// Without the set-up statements of the driver: a query means here what it means in the `mysql` client.
    fn mysql(options: MySqlConnectOptions) -> Self {
        let host = bare(options.get_host()).to_owned();
        let options = options
            .host(&host)
            .pipes_as_concat(false)
            .no_engine_substitution(false)
            .timezone(None)
            .set_names(false)
            .statement_cache_capacity(0);
        let place = match options.get_socket() {
            Some(socket) => socket.display().to_string(),
            None => format!("{host}:{}", options.get_port()),
        };
        Self { server: Server::MySql(options), place }
    }

    fn postgres(options: PgConnectOptions) -> Self {
        let host = bare(options.get_host()).to_owned();
        let options = options.host(&host).application_name("opsctl").statement_cache_capacity(0);
        let socket = options.get_socket().map(|socket| socket.display().to_string());
        let socket = socket.or_else(|| host.starts_with('/').then(|| host.clone()));
        if let Some(place) = socket {
            // The server speaks no TLS there; asking would cost a round trip.
            return Self { server: Server::Postgres(options.ssl_mode(PgSslMode::Disable)), place };
        }
        let place = format!("{host}:{}", options.get_port());
        Self { server: Server::Postgres(options), place }
    }

    /// A relative path starts at the folder of the site file.
    fn sqlite(options: SqliteConnectOptions, folder: &Path) -> Self {
        let file = folder.join(options.get_filename());
        let place = file.display().to_string();
        let options = options
            .filename(&file)
            .create_if_missing(false)
            .read_only(true)
            .pragma("query_only", "ON")
            .statement_cache_capacity(0);
        Self { server: Server::Sqlite(options), place }
    }
}

/// An IPv6 address without its brackets, which the system's name lookup does not take.
fn bare(host: &str) -> &str {
    host.trim_matches(['[', ']'])
}

/// The password in `url` as it is written there and as it is: both are to be masked.
pub fn passwords(url: &str) -> Vec<String> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (before_query, query) = rest.split_once('?').unwrap_or((rest, ""));
    let user = before_query.rsplit_once('@').and_then(|(user, _)| user.split_once(':')).map(|(_, password)| password);
    let option = query.split('&').find_map(|pair| pair.strip_prefix("password="));
    let mut passwords = Vec::new();
    for written in [user, option].into_iter().flatten() {
        passwords.push(percent_decoded(written));
        passwords.push(written.to_owned());
    }
    passwords
}

/// The files for TLS that `url` names. The drivers say only that something does not exist, not that it is one of them.
pub fn tls_files(url: &str) -> Vec<PathBuf> {
    let names = |option: &str| {
        matches!(
            option,
            "sslca" | "ssl-ca" | "sslrootcert" | "ssl-root-cert" | "sslcert" | "ssl-cert" | "sslkey" | "ssl-key"
        )
    };
    let (_, options) = url.split_once('?').unwrap_or_default();
    let given = options.split('&').filter_map(|pair| pair.split_once('=')).filter(|(option, _)| names(option));
    let files = given.map(|(_, file)| percent_decoded(file));
    // A certificate may stand in the URL itself.
    files.filter(|file| !file.trim_start().starts_with("-----BEGIN")).map(PathBuf::from).collect()
}

pub fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let decoded = hex.filter(|_| *first == b'%').and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(decoded.unwrap_or(*first));
        rest = if decoded.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_found_wherever_they_are_written() {
        assert_eq!(passwords("mysql://me:a%2Fb%@host/db"), ["a/b%", "a%2Fb%"]);
        assert_eq!(passwords("mysql://me:a/b@c@host/db?x=y@z"), ["a/b@c", "a/b@c"]);
        assert_eq!(passwords("postgres:///db?user=me&password=a%20b"), ["a b", "a%20b"]);
        assert_eq!(passwords("sqlite:///var/lib/app.db"), [""; 0]);
    }

    #[test]
    fn a_bad_url_is_never_shown() {
        for url in ["mysql://me:pass/word@host/db", "mysql://me:password@host:99999/db", "password", "oracle:password"]
        {
            let error = Site::parse("shop", url, Path::new("/")).err().expect("a bad URL");
            assert_eq!(error.code, "bad_url");
            assert!(!format!("{error:?}").contains("pass/word") && !error.message.contains("password@"), "{error:?}");
        }
    }

    #[test]
    fn places_are_hosts_sockets_and_files() {
        let place = |url| Site::parse("shop", url, Path::new("/site")).map(|site| site.place);
        assert_eq!(place("mariadb://me:secret@[::1]/db").as_deref(), Ok("::1:3306"));
        assert_eq!(place("mysql://me@localhost/db?socket=/run/mysqld.sock").as_deref(), Ok("/run/mysqld.sock"));
        assert_eq!(place("postgres://me:secret@db.example:5433/db").as_deref(), Ok("db.example:5433"));
        assert_eq!(place("postgresql:///db?user=me&host=/run/postgresql").as_deref(), Ok("/run/postgresql"));
        assert_eq!(place("sqlite://data/app.db").as_deref(), Ok("/site/data/app.db"));
        assert_eq!(place("sqlite:///var/app.db?mode=rwc").as_deref(), Ok("/var/app.db"));
    }
}
