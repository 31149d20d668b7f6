//! What chronyd says of the clock, by `chronyc`: any user of the machine may ask.

use tokio::time::Instant;

use super::Clock;
use crate::probe::command::ask;
use crate::probe::{Context, ProbeError};

/// `None` when chrony does not keep the clock of this machine.
pub async fn ask(deadline: Instant, cx: &Context) -> Result<Option<Clock>, ProbeError> {
    let run = |what: &'static str| async move { ask::ask("chronyc", &["-n", "-c", what], deadline, cx).await };
    let tracking = match run("tracking").await {
        Ok(said) => said,
        Err(error) if error.code == "no_such_tool" => return Ok(None),
        Err(error) => return Err(error),
    };
    // Nothing else is wrong when there is no daemon that could answer.
    if !tracking.status.success() {
        return Ok(None);
    }
    let text = tracking.stdout.text();
    let mut clock = parse(&text, cx.now.timestamp()).ok_or_else(|| {
        let message = format!("`chronyc -c tracking` says `{}`", text.trim());
        ProbeError::new("bad_answer", message).help("compare with `chronyc tracking`")
    })?;
    let sources = run("sources").await?;
    if sources.status.success() {
        clock.sources = Some(reachable(&sources.stdout.text()));
    }
    Ok(Some(clock))
}

/// `id,name,stratum,time,offset,last offset,rms,frequency,residual,skew,delay,dispersion,interval,leap status`
pub(crate) fn parse(tracking: &str, now: i64) -> Option<Clock> {
    /// What chronyd names as its source when it was told to take its own clock for right.
    const ITSELF: &str = "7F7F0101";
    let fields: Vec<&str> = tracking.trim().split(',').collect();
    let [id, name, stratum, time, offset, .., leap] = fields[..] else { return None };
    let time: f64 = time.parse().ok()?;
    let follows = leap != "Not synchronised";
    let mut clock = Clock {
        synchronised: follows && id != ITSELF,
        service: Some("chrony"),
        stratum: Some(stratum.parse().ok()?).filter(|_| follows),
        ..Clock::default()
    };
    if clock.synchronised {
        clock.offset = Some(offset.parse().ok()?);
        clock.source = Some(if name.is_empty() { id.to_owned() } else { name.to_owned() });
        let age = now as f64 - time;
        clock.last_sync = std::time::Duration::try_from_secs_f64(age.max(0.0)).ok();
    } else if follows {
        clock.note = Some("chrony follows nothing but the clock itself (`local` in its configuration)");
    } else {
        clock.note = Some("`chronyc sources -v` shows which servers chrony tries");
    }
    Some(clock)
}

/// `mode,state,name,stratum,poll,reach,...`, a line for each source; `reach` has a bit for each of the last 8 answers.
fn reachable(sources: &str) -> u64 {
    let reach = |line: &str| line.split(',').nth(5).is_some_and(|reach| reach.bytes().any(|digit| digit != b'0'));
    sources.lines().filter(|line| reach(line)).fold(0, |count, _| count + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_follows_a_server_tells_its_offset() {
        let text = "C0A80001,192.168.0.1,3,1795289600.250000000,-0.000123456,0.00001,0.00002,1.5,0.0,0.1,0.02,0.001,64.2,Normal\n";
        let clock = parse(text, 1_795_289_685).expect("a clock");
        assert!(clock.synchronised);
        assert_eq!((clock.offset, clock.stratum), (Some(-0.000_123_456), Some(3)));
        assert_eq!(
            (clock.source.as_deref(), clock.last_sync.map(|age| age.as_millis())),
            (Some("192.168.0.1"), Some(84_750))
        );
    }

    #[test]
    fn a_clock_that_follows_nothing_but_itself_is_not_synchronised() {
        let text = "7F7F0101,,8,1795289600.25,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,Normal\n";
        let clock = parse(text, 1_795_289_685).expect("a clock");
        assert_eq!((clock.synchronised, clock.offset), (false, None));
        let text = "00000000,,0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,1.0,1.0,0.0,Not synchronised\n";
        let clock = parse(text, 1_795_289_685).expect("a clock");
        assert_eq!((clock.synchronised, clock.offset, clock.stratum, clock.last_sync), (false, None, None, None));
        assert_eq!(parse("506 Cannot talk to daemon\n", 0), None);
    }

    #[test]
    fn only_sources_that_answered_are_counted() {
        let text = "^,*,192.0.2.1,2,6,377,12,0.0,0.0,0.0\n^,?,192.0.2.2,0,6,0,4294967295,0.0,0.0,0.0\n#,x,PPS0,0,4,17,1,0.0,0.0,0.0\n";
        assert_eq!(reachable(text), 2);
    }
}
