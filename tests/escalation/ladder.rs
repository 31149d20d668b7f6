//! The ladder as a function: of the site, of the record, of the time.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, TimeZone, Utc, Weekday};
use opsctl::model::event::incident::{Escalation, Message};
use opsctl::model::event::{Event, EventKind};
use opsctl::model::ladder::{ahead, due};
use opsctl::model::record::Record;
use opsctl::procedure::site::telling::{Asked, Hours, Policy, Turn};
use opsctl::procedure::site::{Role, Site};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

const ROLES: [&str; 5] = ["a", "b", "c", "d", "e"];

fn since() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, 27, 22, 0, 0).single().expect("a time")
}

fn hours() -> impl Strategy<Value = Hours> {
    let days = prop::sample::subsequence(
        vec![Weekday::Mon, Weekday::Tue, Weekday::Wed, Weekday::Thu, Weekday::Fri, Weekday::Sat, Weekday::Sun],
        1..=7,
    );
    (days, 0_u32..1440, 0_u32..1441).prop_map(|(days, from, to)| Hours { days, from, to })
}

fn step() -> impl Strategy<Value = Turn> {
    let minutes = || (1_u64..2000).prop_map(Duration::from_mins);
    (prop::sample::select(&ROLES), option::of(minutes()), minutes()).prop_map(|(to, within, answer)| Turn {
        to: to.to_owned(),
        channel: None,
        within,
        answer: Some(answer),
    })
}

/// A site whose roles have these hours; a role may name the one behind it for other hours.
fn site(calendars: Vec<Option<(Hours, bool)>>, ladders: Vec<Vec<Turn>>) -> Site {
    let mut site = Site::of_this_machine("here");
    site.timezone = chrono_tz::Europe::Warsaw;
    for (index, calendar) in calendars.into_iter().enumerate() {
        let name = ROLES[index].to_owned();
        let otherwise = ROLES.get(index + 1).map(|other| (*other).to_owned());
        let mut role = Role { mail: Some(format!("{name}@example.com")), ..Role::default() };
        if let Some((hours, replaced)) = calendar {
            site.telling.availability.insert(name.clone(), hours);
            role.available = Some(name.clone());
            role.otherwise = otherwise.filter(|_| replaced);
        }
        site.roles.insert(name, role);
    }
    site.telling.policies.insert("outage".to_owned(), Policy::from_iter([("default".to_owned(), ladders)]));
    site
}

fn any_site() -> impl Strategy<Value = Site> {
    let calendars = vec(option::of((hours(), any::<bool>())), ROLES.len());
    (calendars, vec(vec(step(), 1..6), 1..4)).prop_map(|(calendars, ladders)| site(calendars, ladders))
}

fn escalation(site: &Site) -> Escalation {
    let asked = Asked { to: &[], policy: Some("outage"), severity: None, channel: None, since: since() };
    Escalation {
        procedure: "emergency/outage".parse().expect("an id"),
        step: "tell".parse().expect("an id"),
        item: None,
        severity: None,
        since: since(),
        text: "down".to_owned(),
        tracks: site.tracks(&asked).expect("tracks"),
    }
}

fn event(at: DateTime<Utc>, kind: EventKind) -> Event {
    Event { seq: 0, at, elapsed: Duration::ZERO, kind }
}

fn is_there(site: &Site, role: &str, at: DateTime<Utc>) -> bool {
    site.telling.availability.get(role).is_none_or(|hours| hours.hold(at, site.timezone))
}

/// Track and rung of a message.
fn place(message: &Message) -> (usize, usize) {
    let mut parts = message.id.rsplit('.');
    let mut number = || parts.next().and_then(|part| part.parse().ok()).expect("a number");
    let rung = number();
    (number(), rung)
}

proptest! {
    #[test]
    fn whoever_has_a_turn_is_there_and_somebody_always_is_told(site in any_site()) {
        for (track, rungs) in escalation(&site).tracks.iter().enumerate() {
            let steps = &site.telling.policies["outage"]["default"][track];
            prop_assert!(!rungs.is_empty() && rungs[0].due == since());
            prop_assert!(rungs.is_sorted_by_key(|rung| rung.due));
            for rung in rungs {
                let nobody = rungs.len() == 1 && rung.to == steps[0].to;
                prop_assert!(is_there(&site, &rung.to, rung.due) || nobody, "{rung:?}");
                prop_assert!(rung.deadline.is_none_or(|deadline| deadline > rung.due));
            }
        }
    }

    #[test]
    fn no_rung_comes_twice_none_early_none_after_an_acknowledgement_and_all_in_order(
        site in any_site(),
        ticks in vec(0_i64..5000, 1..12),
        acknowledged in option::of(0_i64..5000),
    ) {
        let escalation = escalation(&site);
        let mut record = Record::of(&[event(since(), EventKind::Escalated(Box::new(escalation.clone())))]);
        let mut times: Vec<(i64, bool)> = ticks.into_iter().map(|minute| (minute, false)).collect();
        times.extend(acknowledged.map(|minute| (minute, true)));
        times.sort_unstable();
        let mut told: Vec<(usize, usize)> = Vec::new();
        for (minute, is_acknowledgement) in times {
            let now = since() + TimeDelta::minutes(minute);
            if is_acknowledgement {
                record.apply(&event(now, EventKind::Acknowledged { by: "somebody".to_owned() }));
                prop_assert!(ahead(&record).is_empty());
            }
            for message in due(&record, now) {
                prop_assert!(record.acknowledged.is_none());
                let (track, rung) = place(&message);
                prop_assert!(rung > 0 && escalation.tracks[track][rung].due <= now);
                prop_assert!(!told.contains(&(track, rung)), "twice: {}", message.id);
                prop_assert!(rung == 1 || told.contains(&(track, rung - 1)), "out of order: {}", message.id);
                told.push((track, rung));
                record.apply(&event(now, EventKind::MessageQueued(Box::new(message))));
            }
        }
        if acknowledged.is_none() {
            let rest = due(&record, since() + TimeDelta::days(60)).len();
            let all: usize = escalation.tracks.iter().map(|rungs| rungs.len() - 1).sum();
            prop_assert_eq!(told.len() + rest, all, "everybody has a turn in the end");
        }
    }
}

#[test]
fn hours_over_midnight_belong_to_the_day_on_which_they_begin() {
    let night = Hours { days: vec![Weekday::Fri], from: 22 * 60, to: 6 * 60 };
    let at = |text: &str| night.hold(text.parse().expect("a time"), chrono_tz::UTC);
    assert!(at("2026-03-27T22:00:00Z") && at("2026-03-28T05:59:00Z"));
    assert!(!at("2026-03-27T21:59:00Z") && !at("2026-03-28T06:00:00Z"));
    assert!(!at("2026-03-27T03:00:00Z") && !at("2026-03-28T22:30:00Z"));
}
