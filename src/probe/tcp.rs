//! Can a TCP port be reached, how fast, and what does the server say.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};

use self::banner::Banner;
use self::connect::{Way, connect, end_of};
use self::place::{Place, families};
use super::http::ADDRESS;
use super::http::exchange::Family;
use super::{Context, Kind, Probe, ProbeError};
use crate::model::fact::{ANSWERS, FactSpec, FactType, Observation, Subject};
use crate::model::input::{InputError, InputSpec, InputType, Inputs, Need};
use crate::model::value::Value;

mod banner;
pub(crate) mod connect;
pub(crate) mod place;

pub static KIND: Kind = Kind {
    name: "tcp",
    about: "whether a TCP port can be reached from here, how fast, and what the server says. For the ports of this \
            machine and who holds them, see `port`",
    inputs: &[
        InputSpec {
            name: "host",
            ty: InputType::Texts,
            need: Need::Required,
            about: "a name or an address with a port, such as `db.example.com:5432` or `[::1]:22`, or a list of them; \
                    each is one result",
        },
        InputSpec {
            name: "send",
            ty: InputType::Text,
            need: Need::Optional,
            about: "a text to send once connected, after which the banner is read. Most protocols want the end of the \
                    line: `\"PING\\r\\n\"`, in double quotes",
        },
        ADDRESS,
    ],
    facts: &[
        FactSpec::implied(
            ANSWERS,
            "the connection was accepted; where the step asks for the banner or sends something, the server also said \
             something",
        ),
        FactSpec::new("resolve", FactType::Duration, "looking up the name; missing for an address"),
        FactSpec::new("connect", FactType::Duration, "the TCP connection"),
        FactSpec::new("address", FactType::Text, "the IP address that accepted the connection"),
        FactSpec::new(
            "first_byte",
            FactType::Duration,
            "from the connection, or from what was sent, to the first byte of the banner",
        ),
        FactSpec::new(
            BANNER,
            FactType::Text,
            "what the server says, without the end of the last line, such as `SSH-2.0-OpenSSH_9.2`; bytes that are no \
             text are shown as `.`. Read only when a step names it or `send` is given: until the server pauses after \
             a line, closes the connection or has said 4 KiB",
        ),
        FactSpec::new(BANNER_SIZE, FactType::Size, "of the banner; read as that is"),
    ],
    example: include_str!("../../examples/probes/tcp.yaml"),
    limit: Duration::from_secs(10),
    build: |inputs| Ok(Arc::new(Tcp::new(inputs)?)),
};

const BANNER: &str = "banner";
const BANNER_SIZE: &str = "banner_size";
const FIRST_BYTE: &str = "first_byte";

struct Tcp {
    places: Vec<Place>,
    send: Option<String>,
    families: Vec<Family>,
}

impl Tcp {
    fn new(inputs: &Inputs) -> Result<Self, InputError> {
        let places = Place::all(inputs, "host", None)?;
        let families = families(inputs, places.iter().map(|place| place.host.as_str()))?;
        Ok(Self { places, send: inputs.text("send").map(str::to_owned), families })
    }

    async fn look(&self, place: &Place, family: Family, cx: &Context) -> Subject {
        let mut seen = Subject::new(family.subject(place)).with(ANSWERS, Value::Bool(false));
        let (mut way, end) = (Way::default(), end_of(cx));
        let connected = connect(place, family, end, &mut way).await;
        way.report(&mut seen);
        match connected {
            Ok(mut stream) => {
                let read = self.send.is_some()
                    || cx.asked.iter().any(|fact| [BANNER, BANNER_SIZE, FIRST_BYTE].contains(&&**fact));
                if read {
                    let banner = Banner::read(&mut stream, self.send.as_deref(), end).await;
                    report(banner, &mut seen);
                } else {
                    seen.set(ANSWERS, Value::Bool(true));
                }
                banner::close(stream).await;
            }
            Err(why) => seen.note(why),
        }
        seen
    }
}

fn report(banner: Banner, seen: &mut Subject) {
    seen.set(ANSWERS, Value::Bool(!banner.said.is_empty()));
    if let Some(first_byte) = banner.first_byte {
        seen.set(FIRST_BYTE, Value::duration(first_byte));
        seen.set(BANNER, Value::text(banner.text()));
        seen.set(BANNER_SIZE, Value::bytes(banner.said.len() as u64));
    }
    if let Some(note) = banner.note {
        seen.note(note);
    }
}

impl Probe for Tcp {
    fn target(&self) -> String {
        self.places.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }

    fn resource(&self) -> Option<String> {
        match self.places.as_slice() {
            [one] => Some(one.to_string()),
            _ => None,
        }
    }

    fn observe<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Observation, ProbeError>> {
        let looks = self.places.iter().flat_map(|place| self.families.iter().map(move |&family| (place, family)));
        Box::pin(async move {
            let subjects =
                cx.unless_cancelled(join_all(looks.map(|(place, family)| self.look(place, family, cx)))).await?;
            Ok(Observation { subjects, evidence: Vec::new() })
        })
    }
}
