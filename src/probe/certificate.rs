//! Certificates, as servers present them and as they lie in files.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{BoxFuture, try_join_all};
use rustls::pki_types::{CertificateDer, ServerName};

use self::handshake::{Call, Shown};
use self::report::Chain;
use self::starttls::StartTls;
use super::http::exchange::Family;
use super::http::tls::{Certificate, Presented, Trust};
use super::http::{ADDRESS, CA};
use super::log::find::{self, Named};
use super::log::scan::Watch;
use super::tcp::connect::end_of;
use super::tcp::place::{Place, families};
use super::{Context, Kind, Probe, ProbeError};
use crate::model::fact::{ANSWERS, Evidence, FactSpec, FactType, Observation, Subject};
use crate::model::input::{InputError, InputSpec, InputType, Inputs, Need};
use crate::model::value::Value;

mod file;
mod handshake;
pub(crate) mod read;
mod report;
mod starttls;

pub static KIND: Kind = Kind {
    name: "certificate",
    about: "TLS certificates: the whole chain that a server presents, or that a file holds. A certificate that does not \
            hold is looked at like any other",
    inputs: INPUTS,
    facts: FACTS,
    example: include_str!("../../examples/probes/certificate.yaml"),
    limit: Duration::from_secs(20),
    build: |inputs| Ok(Arc::new(Certificates::new(inputs)?)),
};

const INPUTS: &[InputSpec] = &[
    InputSpec {
        name: "host",
        ty: InputType::Texts,
        need: Need::Optional,
        about: "whom to ask for the certificate: `example.com`, `example.com:8443`, `[::1]:636`, or a list of them; each \
                is one result. Without a port it is 443, or that of `starttls`",
    },
    InputSpec {
        name: "starttls",
        ty: InputType::Choice(StartTls::WORDS),
        need: Need::Default("none"),
        about: "for servers that begin without TLS: the protocol in which they are asked for it. A MySQL server counts \
                each look as a connection that was given up (`max_connect_errors`), until somebody logs in from here",
    },
    InputSpec {
        name: "name",
        ty: InputType::Text,
        need: Need::Optional,
        about: "the name that the server is asked for (SNI) and that the certificate must be for, if it is not the \
                host's",
    },
    InputSpec {
        name: "file",
        ty: InputType::Paths,
        need: Need::Optional,
        about: "a PEM file, a glob, or a list of them. With `host`, they are only compared with what is presented \
                (`matches_file`); alone, each is one result: its first certificate, with the chain that follows in it",
    },
    InputSpec {
        name: "key",
        ty: InputType::Path,
        need: Need::Optional,
        about: "a PEM file with a private key, for the fact `key_fits`; it must be readable here",
    },
    CA,
    ADDRESS,
];

const FACTS: &[FactSpec] = &[
    FactSpec::implied(ANSWERS, "connected, and a certificate was presented, whatever it is worth"),
    FactSpec::implied_unless(
        "valid",
        &["trusted", "name_matches", "self_signed", "chain_complete", "not_yet_valid"],
        "the certificate holds now, as any program would judge it: trusted, for this name (of a file: for `name`, if \
         that is given), neither expired nor too early. Implied unless the step names a part of it",
    ),
    FactSpec::new(
        "expires_in",
        FactType::Duration,
        "until the first certificate of the whole chain expires, which is not always the server's own; negative when it \
         has",
    ),
    FactSpec::new("leaf_expires_in", FactType::Duration, "until the server's own certificate expires"),
    FactSpec::new(
        "lifetime_left",
        FactType::Percent,
        "how much of the time for which the server's own certificate was issued is left: `above 20%` fits certificates \
         of 90 days as well as those of a year",
    ),
    FactSpec::new("not_yet_valid", FactType::Bool, "the time of a certificate of the chain has not begun"),
    FactSpec::new("name_matches", FactType::Bool, "it is for this name; missing for a file without `name`"),
    FactSpec::new(
        "trusted",
        FactType::Bool,
        "the chain leads to an authority that is trusted here; whether it expired does not matter",
    ),
    FactSpec::new("self_signed", FactType::Bool, "it was issued by nobody but itself"),
    FactSpec::new(
        "chain_complete",
        FactType::Bool,
        "the chain comes with every intermediate certificate. False when one is missing, which browsers may have and \
         other programs have not, or when the authority is not known here",
    ),
    FactSpec::new("chain_length", FactType::Count, "how many certificates are presented"),
    FactSpec::new("subject", FactType::Text, "whose it is, such as `CN=example.com`"),
    FactSpec::new("issuer", FactType::Text, "who issued it"),
    FactSpec::new("names", FactType::Texts, "the host names and addresses that it is for"),
    FactSpec::new(
        "weak",
        FactType::Bool,
        "a certificate of the chain is signed with MD5 or SHA-1, or has an RSA key below 2048 bits or an elliptic curve \
         below 224; what an authority signed for itself does not count",
    ),
    FactSpec::new("serial", FactType::Text, "its number in hexadecimal, as `openssl x509 -serial` shows it"),
    FactSpec::new("fingerprint", FactType::Text, "SHA-256 of the certificate in hexadecimal"),
    FactSpec::new("key_type", FactType::Text, "`RSA`, `EC`, `Ed25519`, ..."),
    FactSpec::new("key_bits", FactType::Count, "size of the public key"),
    FactSpec::new("signature", FactType::Text, "how it is signed, such as `sha256WithRSAEncryption`"),
    FactSpec::new("ocsp_responder", FactType::Text, "who tells whether it was revoked; missing when it names nobody"),
    FactSpec::new("ocsp_stapled", FactType::Bool, "the server presents an answer of the OCSP responder with it"),
    FactSpec::new("tls_version", FactType::Text, "`TLS 1.2` or `TLS 1.3`; older ones are not spoken here"),
    FactSpec::new(
        MATCHES,
        FactType::Bool,
        "what is presented is the first certificate of one of the files `file`. False after a renewal that the server \
         has not read",
    ),
    FactSpec::new(KEY_FITS, FactType::Bool, "the private key `key` belongs to it"),
    FactSpec::new("resolve", FactType::Duration, "looking up the name; missing for an address"),
    FactSpec::new("connect", FactType::Duration, "the TCP connection"),
    FactSpec::new("address", FactType::Text, "the IP address that was asked"),
];

const MATCHES: &str = "matches_file";
const KEY_FITS: &str = "key_fits";

struct Certificates {
    places: Vec<Place>,
    families: Vec<Family>,
    starttls: StartTls,
    name: Option<ServerName<'static>>,
    files: Vec<PathBuf>,
    key: Option<PathBuf>,
    ca: Option<PathBuf>,
}

/// What is read from files once for all hosts.
struct OnDisk {
    /// Whole chains.
    files: Vec<(PathBuf, Result<Vec<CertificateDer<'static>>, ProbeError>)>,
    /// The public half of the private key.
    key: Option<Vec<u8>>,
}

impl Certificates {
    fn new(inputs: &Inputs) -> Result<Self, InputError> {
        let starttls = StartTls::of(inputs.text("starttls"));
        let places = Place::all(inputs, "host", Some(starttls.port()))?;
        let files = inputs.paths("file").to_vec();
        if places.is_empty() && files.is_empty() {
            return Err(InputError::new(
                "",
                "nothing is named",
                "write `host: example.com`, or `file: /etc/ssl/x.pem`",
            ));
        }
        if places.is_empty() && starttls != StartTls::None {
            return Err(InputError::new("starttls", "it is for hosts, and none is named", "name a `host`"));
        }
        for place in &places {
            server_name("host", &place.host)?;
        }
        Ok(Self {
            families: families(inputs, places.iter().map(|place| place.host.as_str()))?,
            places,
            starttls,
            name: inputs.text("name").map(|name| server_name("name", name)).transpose()?,
            files,
            key: inputs.path("key").cloned(),
            ca: inputs.path("ca").cloned(),
        })
    }

    async fn look(&self, cx: &Context) -> Result<Observation, ProbeError> {
        let trust = match &self.ca {
            Some(path) => Trust::file(path, cx).await?,
            None => Trust::system(cx).await?,
        };
        let (files, key) = (self.files.clone(), self.key.clone());
        let watch = Watch { cancel: cx.cancel.clone(), until: Instant::now() + cx.limit };
        let place = files.iter().chain(&key).map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
        let disk = cx.reading(place, move || OnDisk::read(&files, key.as_deref(), &watch)).await?;
        let mut all = Observation::default();
        if self.places.is_empty() {
            for (path, chain) in &disk.files {
                let (subject, evidence) = self.of_file(path, chain, &disk, &trust, cx);
                all.subjects.push(subject);
                all.evidence.extend(evidence);
            }
            return Ok(all);
        }
        let pairs = self.places.iter().flat_map(|place| self.families.iter().map(move |&family| (place, family)));
        let looks = pairs.map(|(place, family)| self.of_host(place, family, &disk, &trust, cx));
        for (subject, evidence) in try_join_all(looks).await? {
            all.subjects.push(subject);
            all.evidence.extend(evidence);
        }
        Ok(all)
    }

    async fn of_host(
        &self,
        place: &Place,
        family: Family,
        disk: &OnDisk,
        trust: &Trust,
        cx: &Context,
    ) -> Result<(Subject, Option<Evidence>), ProbeError> {
        let mut seen = Subject::new(family.subject(place)).with(ANSWERS, Value::Bool(false));
        let name = match &self.name {
            Some(name) => name.clone(),
            None => server_name("host", &place.host).map_err(|error| ProbeError::new("bad_name", error.message))?,
        };
        let call = Call { place, family, starttls: self.starttls, name };
        let Shown { way, presented, version, trouble } = call.make(trust, end_of(cx), cx).await?;
        let mut evidence = None;
        if let Some(presented) = &presented {
            seen.set(ANSWERS, Value::Bool(true));
            let chain = Chain { presented, name: Some(&call.name), trust, now: cx.now };
            if chain.report(&mut seen) {
                seen.set("ocsp_stapled", Value::Bool(presented.stapled));
                evidence = Some(chain.evidence(format!("the chain that {} presents", seen.name)));
            }
            disk.compare(&presented.ders, &mut seen);
        }
        if let Some(version) = version {
            seen.set("tls_version", Value::text(version));
        }
        way.report(&mut seen);
        // What is wrong with the certificate may also have ended the handshake.
        if let Some(trouble) = trouble.filter(|trouble| !seen.notes.contains(trouble)) {
            seen.note(trouble);
        }
        Ok((seen, evidence))
    }

    fn of_file(
        &self,
        path: &Path,
        chain: &Result<Vec<CertificateDer<'static>>, ProbeError>,
        disk: &OnDisk,
        trust: &Trust,
        cx: &Context,
    ) -> (Subject, Option<Evidence>) {
        let ders = match chain {
            Ok(ders) => ders,
            Err(error) => return (Subject::unseen(path.display().to_string(), &error.message), None),
        };
        let mut seen = Subject::new(path.display().to_string());
        let of_servers = [ANSWERS, "ocsp_stapled", "tls_version", MATCHES, "resolve", "connect", "address"];
        seen.inapplicable.extend(of_servers.map(str::to_owned));
        let name = self.name.as_ref().map_or_else(String::new, |name| name.to_str().into_owned());
        let presented = Presented::new(ders.clone(), name);
        let chain = Chain { presented: &presented, name: self.name.as_ref(), trust, now: cx.now };
        let readable = chain.report(&mut seen);
        disk.set_key_fits(ders, &mut seen);
        (seen, readable.then(|| chain.evidence(format!("the chain in {}", path.display()))))
    }
}

fn server_name(input: &'static str, name: &str) -> Result<ServerName<'static>, InputError> {
    ServerName::try_from(name.to_owned()).map_err(|_| {
        let message = format!("`{name}` is not a name that a certificate can be for");
        InputError::new(input, message, "write the name of a host, such as `example.com`, or an IP address")
    })
}

impl OnDisk {
    fn read(paths: &[PathBuf], key: Option<&Path>, watch: &Watch) -> Result<Self, ProbeError> {
        let files = find::expand(paths, watch)?.into_iter().map(|named| match named {
            Named::File(path) | Named::Matched(path) => {
                let chain = file::certificates(&path);
                (path, chain)
            }
            Named::Unseen(path, error) => (path, Err(error)),
        });
        Ok(Self { files: files.collect(), key: key.map(file::public_half).transpose()? })
    }

    /// Compares what a server presents with what lies here.
    fn compare(&self, ders: &[CertificateDer<'static>], seen: &mut Subject) {
        self.set_key_fits(ders, seen);
        if self.files.is_empty() {
            return;
        }
        if let Some(error) = self.files.iter().find_map(|(_, chain)| chain.as_ref().err()) {
            seen.error = Some(error.message.clone());
            return;
        }
        let firsts = || self.files.iter().filter_map(|(path, chain)| Some((path, chain.as_ref().ok()?.first()?)));
        let matches = firsts().any(|(_, first)| Some(first) == ders.first());
        seen.set(MATCHES, Value::Bool(matches));
        if matches {
            return;
        }
        let begins = |der: &CertificateDer<'_>| Certificate::read(der).map(|certificate| certificate.begins);
        let presented = ders.first().and_then(begins);
        let newer = firsts().find(|(_, first)| begins(first) > presented);
        seen.note(match newer {
            Some((path, _)) => {
                format!("{} holds a newer one: renewed, but the server has not loaded it; reload it", path.display())
            }
            None => "another certificate is presented than the files hold".to_owned(),
        });
    }

    fn set_key_fits(&self, ders: &[CertificateDer<'static>], seen: &mut Subject) {
        if let (Some(key), Some(public)) = (&self.key, ders.first().and_then(file::public_key)) {
            seen.set(KEY_FITS, Value::Bool(*key == public));
        }
    }
}

impl Probe for Certificates {
    fn target(&self) -> String {
        let hosts = self.places.iter().map(ToString::to_string);
        let files = self.files.iter().map(|path| path.display().to_string());
        hosts.chain(files).collect::<Vec<_>>().join(", ")
    }

    fn resource(&self) -> Option<String> {
        match self.places.as_slice() {
            [one] => Some(one.to_string()),
            _ => None,
        }
    }

    fn observe<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Observation, ProbeError>> {
        Box::pin(async move { cx.unless_cancelled(self.look(cx)).await? })
    }
}
