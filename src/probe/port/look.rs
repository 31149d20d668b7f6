//! Facts about the ports that were asked for, and about all others.

use super::super::Context;
use super::super::process::table::Process;
use super::super::process::users::Users;
use super::holders::Holders;
use super::sockets::Socket;
use super::{FACTS, OTHERS, PUBLIC_OTHERS, Port};
use crate::model::fact::{Evidence, Observation, Subject};
use crate::model::value::Value;

/// How many ports are shown as evidence, and how many in a note.
const SHOWN: usize = 50;
const NOTED: usize = 10;

pub struct Look<'l> {
    /// Every port when empty.
    pub wanted: &'l [Port],
    /// By port.
    pub sockets: &'l [Socket],
    pub holders: &'l Holders,
    pub users: &'l Users,
}

/// What is known of one port.
struct Seen<'l> {
    port: Port,
    sockets: &'l [Socket],
    /// The first to start first.
    processes: Vec<&'l Process>,
}

impl<'l> Look<'l> {
    pub fn observation(&self, cx: &Context) -> Observation {
        let all: Vec<Seen<'l>> = self.sockets.chunk_by(|a, b| a.port == b.port).map(|own| self.seen(own)).collect();
        let (mut named, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|seen| self.wanted.contains(&seen.port));
        let others_asked = cx.asked.iter().any(|fact| is_of_others(fact));
        let mut subjects: Vec<Subject> = self
            .wanted
            .iter()
            .map(|port| match named.iter().find(|seen| seen.port == *port) {
                Some(seen) => self.subject(seen),
                None => silent(*port),
            })
            .collect();
        if self.wanted.is_empty() {
            subjects = others.iter().map(|seen| self.subject(seen)).collect();
        }
        if others_asked || subjects.is_empty() {
            subjects.push(Self::others(&others));
        }
        if others_asked || self.wanted.is_empty() {
            named.extend(others);
        }
        let mut evidence = Vec::new();
        if !named.is_empty() {
            let lines = named.iter().take(SHOWN).map(|seen| self.line(seen)).collect();
            let left_out = named.len().saturating_sub(SHOWN) as u64;
            evidence.push(Evidence { left_out, ..Evidence::new("listening ports", lines) });
        }
        Observation { subjects, evidence }
    }

    /// `own` are the sockets of one port.
    fn seen(&self, own: &'l [Socket]) -> Seen<'l> {
        Seen { port: own[0].port, sockets: own, processes: self.holders.holding(own) }
    }

    fn subject(&self, seen: &Seen<'_>) -> Subject {
        let mut subject = Subject::new(seen.port.to_string());
        subject.set("listening", Value::Bool(true));
        subject.set("addresses", Value::List(seen.addresses().into_iter().map(Value::Text).collect()));
        subject.set("public", Value::Bool(seen.is_public()));
        let takes_v4: Vec<Option<bool>> = seen.sockets.iter().map(Socket::takes_v4).collect();
        if takes_v4.contains(&Some(true)) {
            subject.set("ipv4", Value::Bool(true));
        } else if !takes_v4.contains(&None) {
            subject.set("ipv4", Value::Bool(false));
        }
        subject.set("ipv6", Value::Bool(seen.sockets.iter().any(Socket::takes_v6)));
        match seen.processes.first() {
            Some(first) => {
                subject.set("process", Value::text(seen.names()));
                subject.set("pid", Value::Integer(first.pid.into()));
            }
            None if self.holders.hidden => {
                subject.note("which process it is cannot be seen by this user: run opsctl as root");
            }
            None => subject.note("no process that can be seen holds it: the kernel itself, or one in a container"),
        }
        subject.set("user", Value::text(self.user(seen)));
        subject.inapplicable.extend([OTHERS, PUBLIC_OTHERS].map(str::to_owned));
        subject
    }

    /// The listening ports that are not named.
    fn others(others: &[Seen<'_>]) -> Subject {
        let (public, local): (Vec<&Seen<'_>>, Vec<_>) = others.iter().partition(|seen| seen.is_public());
        let mut subject = Subject::new("other ports");
        subject.set(OTHERS, Value::count(others.len() as u64));
        subject.set(PUBLIC_OTHERS, Value::count(public.len() as u64));
        subject.inapplicable =
            FACTS.iter().map(|spec| spec.name).filter(|fact| !is_of_others(fact)).map(str::to_owned).collect();
        if !public.is_empty() {
            subject.note(format!("others can reach {}", numbers(&public)));
        }
        if !local.is_empty() {
            subject.note(format!("on loopback alone listen {}", numbers(&local)));
        }
        subject
    }

    fn user(&self, seen: &Seen<'_>) -> String {
        let mut names: Vec<String> = seen.sockets.iter().map(|socket| self.users.name(socket.user)).collect();
        names.sort();
        names.dedup();
        names.join(", ")
    }

    /// `22/tcp 0.0.0.0 :: sshd (812) of root`
    fn line(&self, seen: &Seen<'_>) -> String {
        let process = match seen.processes.first() {
            Some(first) => format!("{} ({})", seen.names(), first.pid),
            None => "process not seen,".to_owned(),
        };
        format!("{} {} {process} of {}", seen.port, seen.addresses().join(" "), self.user(seen))
    }
}

impl Seen<'_> {
    fn addresses(&self) -> Vec<String> {
        let mut addresses: Vec<_> = self.sockets.iter().map(|socket| socket.address).collect();
        addresses.dedup();
        addresses.into_iter().map(|address| address.to_string()).collect()
    }

    fn is_public(&self) -> bool {
        self.sockets.iter().any(Socket::is_public)
    }

    fn names(&self) -> String {
        let mut names: Vec<&str> = Vec::new();
        for process in &self.processes {
            let name = process.names().own();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names.join(", ")
    }
}

/// `25/tcp, 631/tcp and 3 more`
fn numbers(ports: &[&Seen<'_>]) -> String {
    let shown: Vec<String> = ports.iter().take(NOTED).map(|seen| seen.port.to_string()).collect();
    match ports.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// A port on which nothing listens.
fn silent(port: Port) -> Subject {
    let mut subject = Subject::new(port.to_string());
    subject.set("listening", Value::Bool(false));
    subject.set("public", Value::Bool(false));
    subject.inapplicable.extend([OTHERS, PUBLIC_OTHERS].map(str::to_owned));
    subject
}

fn is_of_others(fact: &str) -> bool {
    matches!(fact, OTHERS | PUBLIC_OTHERS)
}
