//! What ntpd says of the clock, by `ntpq`.

use std::time::Duration;

use tokio::time::Instant;

use super::Clock;
use super::sntp::Stamp;
use crate::probe::command::ask;
use crate::probe::{Context, ProbeError};

/// `None` when ntpd does not keep the clock of this machine.
pub async fn ask(deadline: Instant, cx: &Context) -> Result<Option<Clock>, ProbeError> {
    let said = match ask::ask("ntpq", &["-n", "-c", "readvar 0 leap,stratum,refid,offset,reftime"], deadline, cx).await
    {
        Ok(said) => said,
        Err(error) if error.code == "no_such_tool" => return Ok(None),
        Err(error) => return Err(error),
    };
    // Without a daemon it complains, and some versions end with 0 all the same.
    Ok(parse(&said.stdout.text(), cx.now.timestamp()))
}

/// `leap=00, stratum=2, refid=192.0.2.1, offset=-0.123,\nreftime=e8f4a3c1.1eb851eb  Tue, ...`; the offset is in
/// milliseconds.
pub(crate) fn parse(text: &str, now: i64) -> Option<Clock> {
    let value = |name: &str| {
        let found = text.split([',', '\n']).find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))?;
        Some(found.trim().trim_matches('"'))
    };
    let (leap, stratum): (&str, u64) = (value("leap")?, value("stratum")?.parse().ok()?);
    // Two bits, or as one number.
    let synchronised = !matches!(leap, "11" | "3") && (1..=15).contains(&stratum);
    let mut clock = Clock { synchronised, service: Some("ntpd"), ..Clock::default() };
    if synchronised {
        clock.stratum = Some(stratum);
        clock.source = value("refid").map(str::to_owned);
        clock.offset = value("offset").and_then(|offset| offset.parse::<f64>().ok()).map(|offset| offset / 1000.0);
        let whole = value("reftime").and_then(|time| u32::from_str_radix(time.split('.').next()?, 16).ok());
        let age = whole.map(|seconds| now - Stamp::unix(seconds, now));
        clock.last_sync = age.map(|age| Duration::from_secs(u64::try_from(age).unwrap_or_default()));
    } else {
        clock.note = Some("`ntpq -p` shows which servers ntpd tries");
    }
    Some(clock)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "associd=0 status=0615 leap_none, sync_ntp, 1 event, clock_sync,\n\
                        leap=00, stratum=2, refid=192.0.2.1, offset=-12.5,\n\
                        reftime=e8f4a3c1.1eb851eb  Tue, Nov  7 2023 10:00:01.120\n";

    #[test]
    fn a_clock_that_follows_a_server_tells_its_offset_in_seconds() {
        let reftime = 0xe8f4_a3c1_i64 - 2_208_988_800;
        let clock = parse(TEXT, reftime + 90).expect("a clock");
        assert!(clock.synchronised);
        assert_eq!((clock.offset, clock.stratum, clock.source.as_deref()), (Some(-0.0125), Some(2), Some("192.0.2.1")));
        assert_eq!(clock.last_sync, Some(Duration::from_secs(90)));
    }

    #[test]
    fn a_clock_that_follows_nothing_is_not_synchronised() {
        let clock = parse("leap=11, stratum=16, refid=INIT, offset=0.000,\nreftime=(no time)\n", 0).expect("a clock");
        assert_eq!((clock.synchronised, clock.offset, clock.last_sync), (false, None, None));
        assert_eq!(parse("ntpq: read: Connection refused\n", 0), None);
    }
}
