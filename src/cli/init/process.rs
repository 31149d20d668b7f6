//! Servers that run.

use super::survey::{Findings, Machine, Step, Var};

/// Programs on which others depend, by the name of their process.
const SERVERS: &[&str] = &[
    "apache2",
    "httpd",
    "nginx",
    "caddy",
    "lighttpd",
    "haproxy",
    "traefik",
    "varnishd",
    "gunicorn",
    "uwsgi",
    "uvicorn",
    "celery",
    "mariadbd",
    "mysqld",
    "postgres",
    "redis-server",
    "valkey-server",
    "memcached",
    "mongod",
    "dovecot",
    "exim4",
    "slapd",
    "named",
];

/// The name of PHP's server ends with its version.
const PHP: &str = "php-fpm";

pub fn detect(machine: &Machine) -> Findings {
    let known = |name: &&String| SERVERS.contains(&name.as_str()) || is_php(name);
    let names: Vec<String> = machine.processes.iter().filter(known).cloned().collect();
    if names.is_empty() {
        return Findings::default();
    }
    Findings {
        found: vec![names.join(", ")],
        vars: vec![Var {
            name: "servers".to_owned(),
            value: names.into(),
            about: "Processes of which at least one must run".to_owned(),
        }],
        steps: vec![Step {
            id: "servers-run".to_owned(),
            title: "Every server runs".to_owned(),
            body: vec![
                "probe: { process: { name: \"{{ servers }}\" } }".to_owned(),
                "expect: { count: at least 1 }".to_owned(),
                "next: read the server's log, then start it".to_owned(),
            ],
        }],
        ..Findings::default()
    }
}

fn is_php(name: &str) -> bool {
    name.strip_prefix(PHP).is_some_and(|version| version.chars().all(|c| c.is_ascii_digit() || c == '.'))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::survey::tests::machine;
    use super::*;

    #[test]
    fn known_servers_become_one_step_and_other_programs_none() {
        let mut here = machine(Path::new("/nowhere"));
        here.processes = ["bash", "php-fpm8.3", "nginx", "php-fpm-helper", "mariadbd"].map(str::to_owned).into();
        let findings = detect(&here);
        assert_eq!(findings.vars[0].value, serde_json::json!(["mariadbd", "nginx", "php-fpm8.3"]));
        assert_eq!(findings.steps.len(), 1);
    }
}
