//! The keys of one database of a server, found and deleted in portions that do not hold up others.

use redis::{Cmd, Value, cmd};

use crate::action::shown;
use crate::probe::ProbeError;
use crate::probe::http::tls::Trust;
use crate::probe::redis::connection::{Connection, Refusal};
use crate::probe::redis::site::Site;
use crate::probe::sql::trouble::Trouble;

/// How many keys the server looks at, or deletes, before it serves others again.
pub const PORTION: usize = 1000;

/// How many keys a plan shows, and how much of each besides its prefix: a key may be the secret of a session.
const SHOWN: usize = 10;
const SHOWN_REST: usize = 8;

/// Where SCAN begins and ends.
const START: &[u8] = b"0";

const WILDCARDS: [char; 5] = ['*', '?', '[', ']', '\\'];

/// How a key begins.
pub struct Prefix(String);

impl Prefix {
    /// `None` for one that is empty, or meant to be by who writes `*`.
    pub fn new(text: &str) -> Option<Self> {
        let is_nothing = |c: char| c.is_whitespace() || c == '^' || WILDCARDS.contains(&c);
        (!text.chars().all(is_nothing)).then(|| Self(text.to_owned()))
    }

    pub fn text(&self) -> &str {
        &self.0
    }

    pub fn has_wildcards(&self) -> bool {
        self.0.contains(WILDCARDS)
    }

    /// For SCAN, which takes wildcards.
    pub fn pattern(&self) -> String {
        let mut pattern = String::with_capacity(self.0.len() + 1);
        for c in self.0.chars() {
            if WILDCARDS.contains(&c) {
                pattern.push('\\');
            }
            pattern.push(c);
        }
        pattern + "*"
    }
}

/// How far a deletion came; filled while it goes on.
#[derive(Default)]
pub struct Progress {
    /// Something was sent that deletes, and the server did not refuse it.
    pub sent: bool,
    /// As the server confirmed.
    pub deleted: u64,
}

pub struct Found {
    pub count: u64,
    pub shown: Vec<String>,
}

pub struct Keys {
    connection: Connection,
}

impl Keys {
    /// Connects, logs in and selects the database.
    pub async fn open(site: &Site, trust: Option<Trust>) -> Result<Self, ProbeError> {
        let connection = Connection::open(site, trust, &mut "").await.map_err(plain)?;
        let mut keys = Self { connection };
        if let Some(login) = &site.login {
            let said = keys.connection.run(&login.command()).await.map_err(plain)?;
            said.map_err(Refusal::of_login).map_err(plain)?;
        }
        let selected = keys.connection.run(cmd("SELECT").arg(site.database)).await.map_err(plain)?;
        selected.map_err(|refusal| refusal.of("SELECT")).map_err(plain)?;
        Ok(keys)
    }

    /// # Errors
    /// The server is a replica, or one of several that share the keys.
    pub async fn refuse_unfit(&mut self) -> Result<(), ProbeError> {
        // Who may not ask learns of it from UNLINK.
        let Ok(Value::BulkString(info)) = self.run("INFO", &cmd("INFO")).await else { return Ok(()) };
        let info = String::from_utf8_lossy(&info);
        let says = |line: &str| info.lines().any(|said| said == line);
        if says("role:slave") {
            let message = "the server is a replica, which takes no changes";
            return Err(ProbeError::new("replica", message).help("name the master in the site file"));
        }
        if says("cluster_enabled:1") {
            let message = "the server is one of a cluster and has only a part of the keys";
            return Err(ProbeError::new("cluster", message).help("clear the cache with a tool of the cluster"));
        }
        Ok(())
    }

    /// How many keys the database has.
    pub async fn size(&mut self) -> Result<u64, ProbeError> {
        match self.run("DBSIZE", &cmd("DBSIZE")).await? {
            Value::Int(size) => Ok(u64::try_from(size).unwrap_or(0)),
            _ => Err(bad_answer("DBSIZE")),
        }
    }

    /// A key that comes or goes meanwhile may be counted or not.
    pub async fn count(&mut self, prefix: &Prefix) -> Result<Found, ProbeError> {
        let (mut found, mut cursor) = (Found { count: 0, shown: Vec::new() }, START.to_vec());
        loop {
            let keys = self.portion(prefix, &mut cursor).await?;
            found.count += keys.len() as u64;
            let room = SHOWN - found.shown.len();
            found.shown.extend(keys.iter().take(room).map(|key| shortened(key, prefix)));
            if cursor == START {
                return Ok(found);
            }
        }
    }

    pub async fn delete(&mut self, prefix: &Prefix, progress: &mut Progress) -> Result<(), ProbeError> {
        let mut cursor = START.to_vec();
        loop {
            let keys = self.portion(prefix, &mut cursor).await?;
            for some in keys.chunks(PORTION) {
                progress.sent = true;
                match self.run("UNLINK", cmd("UNLINK").arg(some)).await {
                    Ok(Value::Int(deleted)) => progress.deleted += u64::try_from(deleted).unwrap_or(0),
                    Ok(_) => return Err(bad_answer("UNLINK")),
                    Err(error) => {
                        // A refusal says that this portion stays.
                        progress.sent = progress.deleted > 0 || !matches!(error.code, "permission" | "refused");
                        return Err(error);
                    }
                }
            }
            if cursor == START {
                return Ok(());
            }
        }
    }

    /// The next keys from `cursor` on, which moves on and is back at [`START`] after the last.
    async fn portion(&mut self, prefix: &Prefix, cursor: &mut Vec<u8>) -> Result<Vec<Vec<u8>>, ProbeError> {
        let mut scan = cmd("SCAN");
        scan.arg(&cursor[..]).arg("MATCH").arg(prefix.pattern()).arg("COUNT").arg(PORTION);
        let Value::Array(answer) = self.run("SCAN", &scan).await? else { return Err(bad_answer("SCAN")) };
        let Ok([Value::BulkString(next), Value::Array(keys)]) = <[Value; 2]>::try_from(answer) else {
            return Err(bad_answer("SCAN"));
        };
        *cursor = next;
        let keys = keys.into_iter().filter_map(|key| match key {
            // Whatever the server takes the pattern for: nothing else is ever deleted.
            Value::BulkString(key) if key.starts_with(prefix.0.as_bytes()) => Some(key),
            _ => None,
        });
        Ok(keys.collect())
    }

    async fn run(&mut self, name: &str, command: &Cmd) -> Result<Value, ProbeError> {
        let said = self.connection.run(command).await.map_err(plain)?;
        said.map_err(|refusal| {
            let denied = refusal.is_of_everything();
            let message = format!("{name} was refused: {}", refusal.into_text());
            if denied {
                let help = "allow it on the server: ACL SETUSER NAME +select +scan +unlink +dbsize +info, and the keys";
                return ProbeError::new("permission", message).help(help);
            }
            ProbeError::new("refused", message).help("see why in the server's log")
        })
    }
}

fn plain(trouble: Trouble) -> ProbeError {
    match trouble {
        Trouble::Down(why) => ProbeError::new("no_answer", why).help("see that the server runs and is reachable"),
        Trouble::Blind(error) => error,
    }
}

fn bad_answer(command: &str) -> ProbeError {
    ProbeError::new("bad_answer", format!("the answer to {command} is not that of Redis"))
        .help("see what listens at the address in the site file")
}

fn shortened(key: &[u8], prefix: &Prefix) -> String {
    let key = String::from_utf8_lossy(key);
    let rest = key.strip_prefix(prefix.text()).unwrap_or_default();
    match rest.char_indices().nth(SHOWN_REST) {
        Some((end, _)) => format!("{}...", shown::quoted(&format!("{}{}", prefix.text(), &rest[..end]))),
        None => shown::quoted(&key).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_in_a_prefix_stand_for_themselves() {
        let pattern = |text: &str| Prefix::new(text).map(|prefix| prefix.pattern());
        assert_eq!(pattern("helpdesk:").as_deref(), Some("helpdesk:*"));
        assert_eq!(pattern(r"a*b?[c]\d").as_deref(), Some(r"a\*b\?\[c\]\\d*"));
        for everything in ["", "*", " ", "**", "?*", "[^]", r"\*"] {
            assert_eq!(pattern(everything), None, "{everything}");
        }
    }
}
