//! A TCP connection within a time limit, and how far it came.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use super::place::Place;
use crate::model::fact::Subject;
use crate::model::value::Value;
use crate::probe::Context;
use crate::probe::http::exchange::{Family, literal, look_up};
use crate::probe::http::trouble::shown;
use crate::probe::sql::trouble::without_number;

/// A host with more addresses than this is not tried at all of them.
const MOST_ADDRESSES: usize = 8;

/// How far a connection came. Filled while it goes on, so that it can be told when the time is up.
#[derive(Default)]
pub struct Way {
    /// Looking up the name; nothing for an address.
    pub resolve: Option<Duration>,
    pub connect: Option<Duration>,
    /// That is connected, or was tried last.
    pub address: Option<SocketAddr>,
}

impl Way {
    /// What is known of it, as facts.
    pub fn report(&self, seen: &mut Subject) {
        if let Some(resolve) = self.resolve {
            seen.set("resolve", Value::duration(resolve));
        }
        if let (Some(connect), Some(address)) = (self.connect, self.address) {
            seen.set("connect", Value::duration(connect));
            seen.set("address", Value::text(address.ip().to_string()));
        }
    }
}

/// When a look must end to say by itself how far it came: shortly before the engine ends it.
pub fn end_of(cx: &Context) -> Instant {
    let margin = (cx.limit / 10).min(Duration::from_millis(500));
    Instant::now() + cx.limit.saturating_sub(margin)
}

/// Where `place` is, within the time until `end`.
pub async fn resolve(place: &Place, family: Family, end: Instant, way: &mut Way) -> Result<Vec<SocketAddr>, String> {
    let began = Instant::now();
    let found = timeout_at(end, look_up(&place.host, place.port, family)).await;
    let mut addresses = found.map_err(|_| format!("the name {} was not resolved in time", place.host))??;
    if literal(&place.host).is_none() {
        way.resolve = Some(began.elapsed());
    }
    addresses.truncate(MOST_ADDRESSES);
    Ok(addresses)
}

/// Tries the addresses of `place` one after the other. Each has its share of the time until `end`, so that one that is
/// dead does not take it from the others.
pub async fn connect(place: &Place, family: Family, end: Instant, way: &mut Way) -> Result<TcpStream, String> {
    let addresses = resolve(place, family, end, way).await?;
    let mut failures = Vec::new();
    for (index, address) in addresses.iter().enumerate() {
        way.address = Some(*address);
        let left = u32::try_from(addresses.len() - index).unwrap_or(1);
        let share = end.saturating_duration_since(Instant::now()) / left;
        let began = Instant::now();
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                way.connect = Some(began.elapsed());
                return Ok(stream);
            }
            Ok(Err(error)) => failures.push(refusal(&error, *address)),
            Err(_) => failures.push(format!("not connected to {address} within {}", shown(share))),
        }
    }
    Err(failures.join("; "))
}

pub fn refusal(error: &io::Error, address: SocketAddr) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => format!("connection refused by {address}"),
        _ => format!("cannot connect to {address}: {}", without_number(&error.to_string())),
    }
}
