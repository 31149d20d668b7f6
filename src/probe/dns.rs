//! What name servers say of a name.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::system_conf::read_system_conf;
use tokio::time::Instant;

use self::ask::{Answer, ask};
use self::found::Found;
use super::http::exchange::Family;
use super::tcp::connect::{Way, end_of, resolve};
use super::tcp::place::Place;
use super::{Context, Kind, Probe, ProbeError};
use crate::model::fact::{ANSWERS, Evidence, FactSpec, FactType, Observation, Subject};
use crate::model::input::{InputError, InputSpec, InputType, Inputs, Need};
use crate::model::value::Value;

mod ask;
mod found;

pub static KIND: Kind = Kind {
    name: "dns",
    about: "what name servers say of a name. `/etc/hosts` and search domains are not looked at: a name is meant as it is \
            written",
    inputs: INPUTS,
    facts: FACTS,
    example: include_str!("../../examples/probes/dns.yaml"),
    limit: Duration::from_secs(15),
    build: |inputs| Ok(Arc::new(Dns::new(inputs)?)),
};

const TYPES: &[&str] =
    &["A", "AAAA", "CAA", "CNAME", "DNSKEY", "DS", "HTTPS", "MX", "NS", "PTR", "SOA", "SRV", "SSHFP", "TLSA", "TXT"];

const INPUTS: &[InputSpec] = &[
    InputSpec {
        name: "name",
        ty: InputType::Texts,
        need: Need::Required,
        about: "a name, or a list of them; each is one result. With the type PTR, an IP address is meant as its name in \
                `in-addr.arpa` or `ip6.arpa`",
    },
    InputSpec {
        name: "type",
        ty: InputType::Texts,
        need: Need::Optional,
        about: "the type of record: A, AAAA, CAA, CNAME, DNSKEY, DS, HTTPS, MX, NS, PTR, SOA, SRV, SSHFP, TLSA or TXT, or a list of them; \
                each is one result. Without it A and AAAA are asked for, and together are one",
    },
    InputSpec {
        name: "resolver",
        ty: InputType::Texts,
        need: Need::Optional,
        about: "a name server with or without a port, or a list of them; each is one result, and `agrees` compares \
                them. Without it those of /etc/resolv.conf are asked as the system does: the next one when one does \
                not answer",
    },
];

const FACTS: &[FactSpec] = &[
    FactSpec::implied(ANSWERS, "the resolver answered, whatever it said"),
    FactSpec::implied_unless(
        "resolves",
        &["rcode", "count"],
        "the name has a record of the type. Implied unless the step names `rcode` or `count`",
    ),
    FactSpec::new("rcode", FactType::Text, "`NOERROR`, `NXDOMAIN` (no such name), `SERVFAIL`, `REFUSED`, ..."),
    FactSpec::new(
        "records",
        FactType::Texts,
        "the records of the type, sorted: addresses, names without the dot at their end, `10 mail.example.com` for MX. \
         Those that an alias leads to are included; missing when there are none",
    ),
    FactSpec::new("count", FactType::Count, "how many records; missing when the resolver could not find out"),
    FactSpec::new("ttl", FactType::Duration, "the shortest time to live of the answer, that of an alias included"),
    FactSpec::new("canonical_name", FactType::Text, "whose records they are, where the name is an alias"),
    FactSpec::new("serial", FactType::Count, "the number of the zone's version, of a SOA record"),
    FactSpec::new("authoritative", FactType::Bool, "the answer is of a name server of the zone itself, not of a cache"),
    FactSpec::new(
        "authenticated",
        FactType::Bool,
        "the resolver says that it verified the answer by DNSSEC; worth as much as the way to the resolver",
    ),
    FactSpec::new("agrees", FactType::Bool, "all resolvers that answered say the same; missing with fewer than two"),
    FactSpec::new("resolver", FactType::Text, "the address and port that answered"),
    FactSpec::new(
        "latency",
        FactType::Duration,
        "from the question to the answer; of A and AAAA, which are asked at the same time, the longer one",
    ),
];

struct Dns {
    questions: Vec<Question>,
    resolvers: Vec<Place>,
}

/// One result for each resolver.
struct Question {
    /// As it is written, with the type where the step names it.
    text: String,
    name: Name,
    types: Vec<RecordType>,
}

impl Dns {
    fn new(inputs: &Inputs) -> Result<Self, InputError> {
        let types: Vec<RecordType> = inputs.texts("type").iter().map(|text| type_of(text)).collect::<Result<_, _>>()?;
        let mut questions = Vec::new();
        for text in inputs.texts("name") {
            if types.is_empty() {
                let types = vec![RecordType::A, RecordType::AAAA];
                questions.push(Question { text: text.clone(), name: name_of(text, RecordType::A)?, types });
            }
            for &kind in &types {
                let name = name_of(text, kind)?;
                questions.push(Question { text: format!("{text} {kind}"), name, types: vec![kind] });
            }
        }
        Ok(Self { questions, resolvers: Place::all(inputs, "resolver", Some(53))? })
    }

    async fn look(&self, cx: &Context) -> Result<Observation, ProbeError> {
        let end = end_of(cx);
        let of_system = if self.resolvers.is_empty() { cx.blocking(servers_of_system).await? } else { Vec::new() };
        let looks = self.questions.iter().map(|question| question.look(&self.resolvers, &of_system, end));
        let mut all = Observation::default();
        for (subjects, evidence) in join_all(looks).await {
            all.subjects.extend(subjects);
            all.evidence.extend(evidence);
        }
        Ok(all)
    }
}

impl Question {
    async fn look(&self, resolvers: &[Place], of_system: &[SocketAddr], end: Instant) -> (Vec<Subject>, Vec<Evidence>) {
        if resolvers.is_empty() {
            let mut seen = Subject::new(&self.text).with(ANSWERS, Value::Bool(false));
            self.ask_in_turn(of_system, end, &mut seen).await;
            return (vec![seen], Vec::new());
        }
        let looks = resolvers.iter().map(|resolver| async move {
            let name = if resolvers.len() == 1 { self.text.clone() } else { format!("{} at {resolver}", self.text) };
            let mut seen = Subject::new(name).with(ANSWERS, Value::Bool(false));
            let servers = resolve(resolver, Family::Any, end, &mut Way::default()).await;
            let found = match servers {
                Ok(servers) => self.ask_in_turn(&servers, end, &mut seen).await,
                Err(why) => {
                    seen.note(why);
                    None
                }
            };
            (seen, found)
        });
        let (mut subjects, found): (Vec<Subject>, Vec<Option<Found>>) = join_all(looks).await.into_iter().unzip();
        let evidence = compare(&mut subjects, &found);
        (subjects, evidence)
    }

    /// Asks the servers one after the other until one answers. Each has its share of the time until `end`.
    async fn ask_in_turn(&self, servers: &[SocketAddr], end: Instant, seen: &mut Subject) -> Option<Found> {
        for (index, server) in servers.iter().enumerate() {
            let left = u32::try_from(servers.len() - index).unwrap_or(1);
            let until = Instant::now() + end.saturating_duration_since(Instant::now()) / left;
            match self.ask(*server, until).await {
                Ok(answers) => {
                    let found = Found::of(&self.name, &answers);
                    found.report(seen);
                    seen.set("resolver", Value::text(server.to_string()));
                    return Some(found);
                }
                Err(why) => seen.note(why),
            }
        }
        None
    }

    /// All types at the same time.
    async fn ask(&self, server: SocketAddr, end: Instant) -> Result<Vec<(RecordType, Answer)>, String> {
        let asked = self.types.iter().map(|&kind| async move { Ok((kind, ask(server, &self.name, kind, end).await?)) });
        join_all(asked).await.into_iter().collect()
    }
}

/// Whether those that answered say the same; if they do not, what each says.
fn compare(subjects: &mut [Subject], found: &[Option<Found>]) -> Vec<Evidence> {
    let answered: Vec<&Found> = found.iter().flatten().collect();
    let [first, others @ ..] = answered.as_slice() else { return Vec::new() };
    if others.is_empty() {
        return Vec::new();
    }
    let agrees = others.iter().all(|other| first.agrees_with(other));
    let mut evidence = Vec::new();
    for (seen, found) in subjects.iter_mut().zip(found) {
        let Some(found) = found else { continue };
        seen.set("agrees", Value::Bool(agrees));
        if !agrees {
            evidence.push(found.evidence(format!("what is said of {}", seen.name)));
        }
    }
    evidence
}

fn type_of(text: &str) -> Result<RecordType, InputError> {
    let written = text.to_uppercase();
    let known = TYPES.contains(&written.as_str()).then(|| RecordType::from_str(&written).ok()).flatten();
    known.ok_or_else(|| {
        let help = format!("write one of {}", TYPES.join(", "));
        InputError::new("type", format!("`{text}` is not a type of record that is known here"), help)
    })
}

fn name_of(text: &str, kind: RecordType) -> Result<Name, InputError> {
    if kind == RecordType::PTR
        && let Ok(address) = text.parse::<IpAddr>()
    {
        return Ok(Name::from(address));
    }
    let mut name = Name::from_utf8(text).ok().filter(|_| !text.is_empty()).ok_or_else(|| {
        InputError::new("name", format!("`{text}` is not a name"), "write a name such as `www.example.com`")
    })?;
    name.set_fqdn(true);
    Ok(name)
}

fn servers_of_system() -> Result<Vec<SocketAddr>, ProbeError> {
    let (config, _) = read_system_conf().map_err(|error| {
        ProbeError::new("no_resolver", format!("no name server is known from /etc/resolv.conf: {error}"))
            .help("write one into it, or name one as `resolver`")
    })?;
    Ok(config.name_servers().iter().map(|server| SocketAddr::new(server.ip, 53)).collect())
}

impl Probe for Dns {
    fn target(&self) -> String {
        let names = self.questions.iter().map(|question| question.text.as_str()).collect::<Vec<_>>().join(", ");
        match self.resolvers.as_slice() {
            [] => names,
            resolvers => {
                format!("{names} at {}", resolvers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
            }
        }
    }

    fn observe<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Observation, ProbeError>> {
        Box::pin(async move { cx.unless_cancelled(self.look(cx)).await? })
    }
}
