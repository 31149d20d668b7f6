//! What systemd says of the clock over D-Bus: systemd-timesyncd, and of any other service what the kernel knows.

use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;
use zbus::{Connection, OwnedVariant};

use super::Clock;
use crate::probe::{Context, ProbeError};

const BOOTED: &str = "/run/systemd/system";

/// `None` when systemd does not run this machine, or cannot be asked.
pub async fn ask(deadline: Instant, cx: &Context) -> Result<Option<Clock>, ProbeError> {
    if !Path::new(BOOTED).is_dir() {
        return Ok(None);
    }
    let now = cx.now.timestamp_micros();
    tokio::select! {
        clock = clock(now) => Ok(clock.ok().flatten()),
        () = tokio::time::sleep_until(deadline) => {
            let message = "the system bus does not answer in time when asked for the clock";
            Err(ProbeError::new("time_limit", message).help("see whether `timedatectl` answers"))
        }
        () = cx.cancel.cancelled() => Err(ProbeError::new("cancelled", "nobody waits for the answer any more")),
    }
}

async fn clock(now: i64) -> zbus::Result<Option<Clock>> {
    let bus = zbus::connection::Builder::system().build().await?;
    // Asked only when it runs: the bus would start it otherwise.
    let running = bus
        .call_method(
            Some("org.freedesktop.DBus"),
            "/org/freedesktop/DBus",
            Some("org.freedesktop.DBus"),
            "NameHasOwner",
            &("org.freedesktop.timesync1",),
        )
        .await?;
    if running.body().deserialize::<bool>()? {
        return timesyncd(&bus, now).await.map(Some);
    }
    let synchronised = get(&bus, "timedate1", "NTPSynchronized").await?;
    let Ok(synchronised) = bool::try_from(synchronised) else { return Ok(None) };
    let note = if synchronised {
        "the kernel says so; what keeps the clock is not known"
    } else {
        "no service keeps the clock: install chrony, or `timedatectl set-ntp true` where systemd-timesyncd is installed"
    };
    Ok(Some(Clock { synchronised, note: Some(note), ..Clock::default() }))
}

async fn get(bus: &Connection, service: &str, property: &str) -> zbus::Result<OwnedVariant> {
    let name = format!("org.freedesktop.{service}");
    let path = format!("/org/freedesktop/{service}");
    let interface = if service == "timesync1" { format!("{name}.Manager") } else { name.clone() };
    let asked = (interface.as_str(), property);
    let answer = bus
        .call_method(Some(name.as_str()), path.as_str(), Some("org.freedesktop.DBus.Properties"), "Get", &asked)
        .await?;
    answer.body().deserialize()
}

/// The newest answer of a server, `NTPMessage`: leap, version, mode, stratum, precision, root delay, root dispersion,
/// reference, the four times of the exchange in microseconds (asked, received, sent, arrived), whether it was ignored,
/// how many there were, jitter.
type Message = (u32, u32, u32, u32, i32, u64, u64, Vec<u8>, u64, u64, u64, u64, bool, u64, u64);

async fn timesyncd(bus: &Connection, now: i64) -> zbus::Result<Clock> {
    let message = Message::try_from(get(bus, "timesync1", "NTPMessage").await?).ok();
    let server = String::try_from(get(bus, "timesync1", "ServerName").await?).ok();
    Ok(of_timesyncd(message.as_ref(), server.filter(|name| !name.is_empty()), now))
}

fn of_timesyncd(message: Option<&Message>, server: Option<String>, now: i64) -> Clock {
    let mut clock = Clock { service: Some("systemd-timesyncd"), ..Clock::default() };
    let Some(&(leap, _, _, stratum, _, _, _, _, asked, received, sent, arrived, ignored, count, _)) = message else {
        return clock;
    };
    if count == 0 || ignored || leap == 3 {
        clock.note = Some("`timedatectl timesync-status` shows which server it tries");
        return clock;
    }
    let micros = |time: u64| i64::try_from(time).unwrap_or_default();
    let twice = (micros(received) - micros(asked)) + (micros(sent) - micros(arrived));
    clock.synchronised = true;
    clock.offset = Some(twice as f64 / 2e6);
    clock.stratum = Some(stratum.into());
    clock.source = server;
    clock.last_sync = Some(Duration::from_micros(u64::try_from(now - micros(arrived)).unwrap_or_default()));
    clock
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(leap: u32, count: u64) -> Message {
        (leap, 4, 4, 2, -25, 0, 0, vec![1, 2, 3, 4], 1_000_000, 1_060_000, 1_061_000, 1_021_000, false, count, 0)
    }

    #[test]
    fn the_offset_is_that_of_the_newest_answer() {
        let clock = of_timesyncd(Some(&message(0, 7)), Some("time.example.org".to_owned()), 31_021_000);
        assert!(clock.synchronised);
        assert_eq!((clock.offset, clock.stratum), (Some(0.05), Some(2)));
        assert_eq!(clock.last_sync, Some(Duration::from_secs(30)));
    }

    #[test]
    fn without_an_answer_the_clock_is_not_synchronised() {
        for silent in [None, Some(message(0, 0)), Some(message(3, 7))] {
            let clock = of_timesyncd(silent.as_ref(), None, 0);
            assert_eq!((clock.synchronised, clock.offset), (false, None));
        }
    }
}
