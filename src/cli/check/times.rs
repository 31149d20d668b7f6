//! Times as people type them.

use chrono::{DateTime, Duration, NaiveDateTime, NaiveTime, TimeZone, Utc};

/// A time that has been: `02:40` (the last time that it was), `2026-11-21 02:40`, or with a zone.
///
/// # Errors
/// It is none, lies in the future, or did not exist.
pub fn past(text: &str, zone: chrono_tz::Tz, now: DateTime<Utc>) -> Result<DateTime<Utc>, String> {
    let text = text.trim();
    let local = |naive: NaiveDateTime| {
        zone.from_local_datetime(&naive)
            .earliest()
            .map(|at| at.with_timezone(&Utc))
            .ok_or_else(|| format!("{naive} did not exist in {zone}: the clocks were put forward"))
    };
    let with_day = |text: &str| {
        ["%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S"]
            .iter()
            .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
    };
    let time = ["%H:%M", "%H:%M:%S"].iter().find_map(|form| NaiveTime::parse_from_str(text, form).ok());
    let at = match (time, with_day(text), DateTime::parse_from_rfc3339(text)) {
        (Some(time), ..) => {
            let today = now.with_timezone(&zone).date_naive();
            let at = local(today.and_time(time))?;
            if at > now { local((today - Duration::days(1)).and_time(time))? } else { at }
        }
        (None, Some(naive), _) => local(naive)?,
        (None, None, Ok(at)) => at.with_timezone(&Utc),
        (None, None, Err(_)) => return Err(format!("`{text}` is no time; write 02:40, or 2026-11-21 02:40")),
    };
    if at > now {
        return Err(format!("{text} is in the future"));
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_is_the_last_one() {
        let zone = chrono_tz::Europe::Warsaw;
        let now = "2026-11-21T02:00:00Z".parse().expect("a time");
        let at = |text: &str| past(text, zone, now).map(|at| at.to_rfc3339());
        assert_eq!(at("02:40").as_deref(), Ok("2026-11-21T01:40:00+00:00"));
        assert_eq!(at("23:50").as_deref(), Ok("2026-11-20T22:50:00+00:00"));
        assert_eq!(at("2026-11-20 23:50").as_deref(), Ok("2026-11-20T22:50:00+00:00"));
        assert_eq!(at("2026-11-21T01:00:00Z").as_deref(), Ok("2026-11-21T01:00:00+00:00"));
        assert!(at("2026-11-21 10:00").is_err());
        assert!(at("soon").is_err());
    }

    #[test]
    fn an_hour_that_the_clocks_left_out_is_refused() {
        let now = "2026-03-30T02:00:00Z".parse().expect("a time");
        assert!(past("2026-03-29 02:30", chrono_tz::Europe::Warsaw, now).is_err());
    }
}
