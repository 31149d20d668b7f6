//! Database servers that listen. How to log in is for a person to say.

use std::collections::BTreeMap;

use super::survey::{Database, Findings, Machine};

/// A kind of database server.
struct Kind {
    name: &'static str,
    title: &'static str,
    /// Processes whose sockets are such a server's.
    owners: &'static [&'static str],
    port: u16,
    /// Where its sockets are, in the order in which they are looked for.
    sockets: &'static [&'static str],
    /// The form of a URL to `{}`.
    tcp: fn(u16) -> String,
    socket: fn(&str) -> String,
}

const KINDS: &[Kind] = &[
    Kind {
        name: "mysql",
        title: "MySQL or MariaDB",
        owners: &["mariadbd", "mysqld"],
        port: 3306,
        sockets: &["/run/mysqld/mysqld.sock", "/var/lib/mysql/mysql.sock"],
        tcp: |port| format!("mysql://USER:PASSWORD@127.0.0.1:{port}/NAME"),
        socket: |path| format!("mysql://USER:PASSWORD@localhost/NAME?socket={path}"),
    },
    Kind {
        name: "postgresql",
        title: "PostgreSQL",
        owners: &["postgres"],
        port: 5432,
        sockets: &["/run/postgresql/.s.PGSQL.5432", "/tmp/.s.PGSQL.5432"],
        tcp: |port| format!("postgres://USER:PASSWORD@127.0.0.1:{port}/NAME"),
        socket: |path| {
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            format!("postgres:///NAME?host={folder}&user=USER")
        },
    },
];

pub fn detect(machine: &Machine) -> Findings {
    let mut findings = Findings::default();
    for kind in KINDS {
        let ports = kind.ports(machine);
        for (&port, title) in &ports {
            let name = if port == kind.port { kind.name.to_owned() } else { format!("{}-{port}", kind.name) };
            findings.add(name, title, &format!("on port {port}"), (kind.tcp)(port));
        }
        let socket = kind.sockets.iter().find(|path| machine.path(path).exists());
        if let Some(path) = socket.filter(|_| ports.is_empty()) {
            findings.add(kind.name.to_owned(), kind.title, &format!("at {path}"), (kind.socket)(path));
        }
    }
    findings
}

impl Kind {
    /// The ports of such servers, with what they are.
    fn ports(&self, machine: &Machine) -> BTreeMap<u16, &'static str> {
        let listeners = machine.listeners.iter();
        let own = listeners.filter_map(|one| {
            let title = match one.owner.as_deref() {
                Some("mariadbd") => "MariaDB",
                Some(_) | None => self.title,
            };
            let is_own = match &one.owner {
                Some(owner) => self.owners.contains(&owner.as_str()),
                None => one.port == self.port,
            };
            is_own.then_some((one.port, title))
        });
        // MySQL's port for its X protocol, which is another language.
        own.filter(|(port, _)| *port != 33060).collect()
    }
}

impl Findings {
    fn add(&mut self, name: String, title: &str, place: &str, url: String) {
        self.found.push(format!("{title} {place}; say how to log in, then remove the comment signs"));
        self.databases.push(Database { name, title: title.to_owned(), url });
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::super::listeners::Listener;
    use super::super::survey::tests::{machine, write};
    use super::*;

    fn listener(port: u16, owner: Option<&str>) -> Listener {
        Listener { address: Ipv4Addr::LOCALHOST.into(), port, owner: owner.map(str::to_owned) }
    }

    fn urls(findings: &Findings) -> Vec<(&str, &str)> {
        findings.databases.iter().map(|one| (one.name.as_str(), one.url.as_str())).collect()
    }

    #[test]
    fn databases_are_known_by_their_owner_or_else_by_their_port() {
        let folder = tempfile::tempdir().unwrap();
        let mut here = machine(folder.path());
        here.listeners = vec![
            listener(3306, None),
            listener(33060, Some("mysqld")),
            listener(3307, Some("mariadbd")),
            listener(5432, Some("postgres")),
            listener(5432, Some("postgres")),
            listener(8080, Some("nginx")),
        ];
        let findings = detect(&here);
        assert_eq!(
            urls(&findings),
            [
                ("mysql", "mysql://USER:PASSWORD@127.0.0.1:3306/NAME"),
                ("mysql-3307", "mysql://USER:PASSWORD@127.0.0.1:3307/NAME"),
                ("postgresql", "postgres://USER:PASSWORD@127.0.0.1:5432/NAME"),
            ]
        );
        assert!(findings.found[1].starts_with("MariaDB on port 3307"), "{:?}", findings.found);
    }

    #[test]
    fn another_program_on_the_port_of_a_database_is_none() {
        let mut here = machine(std::path::Path::new("/nowhere"));
        here.listeners = vec![listener(5432, Some("nginx"))];
        assert_eq!(detect(&here), Findings::default());
    }

    #[test]
    fn a_server_that_only_has_a_socket_is_found_there() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &["run/mysqld/mysqld.sock", "run/postgresql/.s.PGSQL.5432"]);
        assert_eq!(
            urls(&detect(&machine(folder.path()))),
            [
                ("mysql", "mysql://USER:PASSWORD@localhost/NAME?socket=/run/mysqld/mysqld.sock"),
                ("postgresql", "postgres:///NAME?host=/run/postgresql&user=USER"),
            ]
        );
    }
}
