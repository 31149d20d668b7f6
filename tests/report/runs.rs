//! One run for each way in which a run can go.

use std::time::Duration;

use opsctl::model::event::{Event, ProcedurePlan, SubjectResult};
use opsctl::model::expectation::Level;
use opsctl::model::outcome::{Outcome, Skip, Verdict};
use opsctl::model::value::Value;

use super::story::{GIB, Seen, Step, Story, mount, subject, tuesday};

fn page(latency_ms: u64) -> SubjectResult {
    let latency = Value::duration(Duration::from_millis(latency_ms));
    subject("https://helpdesk.example", Outcome::Passed)
        .seen("answers", Value::Bool(true), "true", true)
        .seen("status", Value::Integer(200), "200", true)
        .checked(Level::Prefer, "latency", Some(latency), "below 2 s", Some(latency_ms < 2000))
}

fn home_page() -> Step {
    Step::new("home-page", Outcome::Passed).subject(page(120))
}

fn database() -> Step {
    Step::new("database", Outcome::Passed).subject(subject("helpdesk", Outcome::Passed).seen(
        "value",
        Value::Integer(1),
        "1",
        true,
    ))
}

fn disks() -> Step {
    Step::new("disks", Outcome::Passed).subject(mount("/", 57 * GIB, 80 * GIB)).subject(mount(
        "/boot",
        GIB / 5,
        GIB / 2,
    ))
}

/// One hundredth of a GiB, so that the shares are round.
const CENTI: u64 = GIB / 100;

fn full_disk() -> Step {
    Step::new("disks", Outcome::Failed)
        .subject(mount("/", 57 * GIB, 80 * GIB))
        .subject(mount("/var", 190 * CENTI, 5000 * CENTI))
        .evidence("", &["14.2 GiB  /var/log/app/debug.log  (+3.1 GiB/day)"])
        .result(|result| result.since = Some(tuesday()))
        .plan(|plan| {
            plan.why = Some("PostgreSQL's log shares this file system".to_owned());
            plan.next = Some("opsctl emergency disk-full".to_owned());
        })
}

fn logs(outcome: Outcome) -> Step {
    Step::new("error-logs", outcome)
}

pub fn passed() -> Vec<Event> {
    Story::new()
        .step(home_page())
        .step(database())
        .step(disks())
        .criterion("The system answers with HTTP 200", Verdict::Met, &["home-page"])
        .criterion("The database answers", Verdict::Met, &["database"])
        .criterion("More than 20 % of each disk is free", Verdict::Met, &["disks"])
        .ends(Outcome::Passed)
}

pub fn disk_failed() -> Vec<Event> {
    Story::new()
        .step(home_page())
        .step(logs(Outcome::Skipped).skipped(Skip::Need, "needs `database`, which errored"))
        .step(full_disk())
        .step(
            Step::new("database", Outcome::Errored)
                .reason("could not connect to database `helpdesk`: password authentication failed for user `opsctl`")
                .result(|result| {
                    result.attempts = 3;
                    result.help = Some("check $HELPDESK_DATABASE_URL".to_owned());
                }),
        )
        .criterion("The system answers with HTTP 200", Verdict::Met, &["home-page"])
        .criterion("The database answers", Verdict::NotProven, &["database"])
        .criterion("No critical errors in the logs", Verdict::NotProven, &["error-logs"])
        .criterion("More than 20 % of each disk is free", Verdict::Unmet, &["disks"])
        .ends(Outcome::Failed)
}

pub fn errored() -> Vec<Event> {
    let missing = subject("/var/log/django.log", Outcome::Errored);
    Story::new()
        .step(home_page())
        .step(
            logs(Outcome::Errored)
                .subject(subject("/var/log/apache2/error.log", Outcome::Passed).seen(
                    "matches",
                    Value::Integer(0),
                    "0",
                    true,
                ))
                .subject(SubjectResult { error: Some("no permission to read it".to_owned()), ..missing })
                .result(|result| result.help = Some("add the user to the group `adm`".to_owned())),
        )
        .ends(Outcome::Errored)
}

/// An outage, and a body that lacks what was asked of it.
pub fn unreachable() -> Vec<Event> {
    let mut down =
        subject("https://helpdesk.example", Outcome::Failed).seen("answers", Value::Bool(false), "true", false);
    down.notes.push("connection refused by 192.0.2.7:443".to_owned());
    down.checks[0].note = Some(down.notes[0].clone());
    let queue = subject("http://127.0.0.1:8080/health", Outcome::Errored).checked(
        Level::Expect,
        "json.queue.depth",
        None,
        "at most 10",
        None,
    );
    Story::new()
        .step(Step::new("home-page", Outcome::Failed).subject(down))
        .step(Step::new("queue", Outcome::Errored).subject(queue))
        .ends(Outcome::Failed)
}

pub fn warned() -> Vec<Event> {
    let slow = SubjectResult { outcome: Outcome::Warned, ..page(3100) };
    Story::new()
        .step(Step::new("home-page", Outcome::Warned).subject(slow))
        .step(database())
        .criterion("The system answers with HTTP 200", Verdict::Met, &["home-page"])
        .ends(Outcome::Warned)
}

/// Everything that is neither good nor bad, and a pass that needed a second look.
pub fn remarks() -> Vec<Event> {
    Story::new()
        .step(home_page().reason("passed on attempt 2 of 3: timeout").result(|result| result.attempts = 2))
        .step(database().result(|result| result.attempts = 2))
        .step(logs(Outcome::Skipped).skipped(Skip::Condition, "its condition `vars.web` is false"))
        .step(Step::new("replica", Outcome::Skipped).result(|result| result.skip = Some(Skip::Filter)))
        .step(Step::new("certificate", Outcome::Waived).reason("waived by anna until 2025-11-01: renewal ordered"))
        .step(Step::new("call-customer", Outcome::Pending).plan(|plan| plan.kind = "manual".into()))
        .step(
            Step::new("versions", Outcome::Passed)
                .plan(|plan| plan.kind = "gather".into())
                .evidence("packages", &["apache2 2.4.65", "postgresql 17.6"]),
        )
        .ends(Outcome::Pending)
}

pub fn interrupted() -> Vec<Event> {
    Story::new()
        .step(home_page())
        .step(full_disk())
        .step(database().result(|result| {
            result.outcome = Outcome::Skipped;
            result.skip = Some(Skip::Stopped);
            result.subjects.clear();
        }))
        .criterion("The database answers", Verdict::NotProven, &["database"])
        .interrupted(Outcome::Failed)
}

pub fn killed() -> Vec<Event> {
    Story::new()
        .step(home_page())
        .step(Step::started("database"))
        .step(Step::planned("disks"))
        .criterion("The database answers", Verdict::NotProven, &["database"])
        .killed()
}

fn many_mounts(failing: usize) -> impl Iterator<Item = SubjectResult> {
    (0..200).map(move |index| {
        let free = if index < failing { 3 } else { 250 - index as u64 };
        mount(&format!("/srv/data/{index:03}"), free * CENTI, 250 * CENTI)
    })
}

pub fn many_passed() -> Vec<Event> {
    let disks = many_mounts(0).fold(Step::new("disks", Outcome::Passed), Step::subject);
    Story::new().step(disks).ends(Outcome::Passed)
}

pub fn many_failed() -> Vec<Event> {
    let disks = many_mounts(22).fold(Step::new("disks", Outcome::Failed), Step::subject);
    Story::new().step(disks).ends(Outcome::Failed)
}

pub fn long_names() -> Vec<Event> {
    let id = "a-step-with-a-name-that-somebody-thought-would-explain-everything-about-it-1";
    let mut deep = mount(&format!("/srv/{}", "very/deep/folders/".repeat(8)), CENTI, 100 * CENTI).seen(
        "inodes_free",
        Value::percent(2.0),
        "above 10 %",
        false,
    );
    deep.notes.push("held by ".to_owned() + &"mount-".repeat(40));
    Story::new()
        .edit(|start| {
            start.command = "emergency outage --from identify-the-cause --set region=eu-central-1".into();
            start.site = "helpdesk-production-of-the-customer".into();
            start.procedures[0].title = "Überwachung aller Dateisysteme und Dienste 日本語の名前 ".repeat(3);
        })
        .step(
            Step::new(id, Outcome::Failed)
                .subject(deep)
                .evidence(&"a title ".repeat(20), &["x".repeat(500).as_str(), &"日本語".repeat(60)])
                .result(|result| result.since = Some(tuesday()))
                .plan(|plan| {
                    plan.why = Some("Every customer ".repeat(20));
                    plan.next = Some(format!("https://wiki.example/{}", "page-".repeat(30)));
                }),
        )
        .step(Step::new(&id.replace("-1", "-2"), Outcome::Passed).subject(page(120)))
        .criterion(&"More than 20 % of each disk is free, ".repeat(5), Verdict::Unmet, &[id; 3])
        .took(Duration::from_secs(1300))
        .ends(Outcome::Failed)
}

pub const HOSTILE: &str = "\x1b[2J\x1b]0;owned\x07\r\nPASSED  daily check\u{9b}1A\u{202e}gnorw\u{2066}\u{85}\x7f\0";

/// Outside text with escape sequences in each place where outside text can be.
pub fn hostile() -> Vec<Event> {
    let mut bad = subject(HOSTILE, Outcome::Failed).seen("value", Value::text(HOSTILE), HOSTILE, false);
    bad.notes.push(HOSTILE.to_owned());
    bad.error = Some(HOSTILE.to_owned());
    let good = subject(HOSTILE, Outcome::Passed).seen("value", Value::text(HOSTILE), "contains x", true);
    Story::new()
        .edit(|start| {
            for text in [&mut start.command, &mut start.site, &mut start.host, &mut start.operator] {
                HOSTILE.clone_into(text);
            }
            HOSTILE.clone_into(&mut start.procedures[0].title);
        })
        .step(
            Step::new("logs", Outcome::Failed)
                .subject(bad)
                .reason(HOSTILE)
                .evidence(HOSTILE, &[HOSTILE])
                .result(|result| result.help = Some(HOSTILE.to_owned()))
                .plan(|plan| {
                    plan.title = HOSTILE.into();
                    plan.why = Some(HOSTILE.to_owned());
                    plan.next = Some(HOSTILE.to_owned());
                }),
        )
        .step(Step::new("value", Outcome::Passed).subject(good).reason(HOSTILE))
        .step(Step::new("later", Outcome::Skipped).skipped(Skip::Condition, HOSTILE))
        .criterion(HOSTILE, Verdict::Unmet, &[HOSTILE])
        .ends(Outcome::Failed)
}

/// Two procedures in one run.
pub fn two_procedures() -> Vec<Event> {
    Story::new()
        .step(home_page())
        .edit(|start| {
            start.procedures.push(ProcedurePlan {
                hash: String::new(),
                called_by: None,
                id: "daily/backup".parse().expect("an id"),
                title: "Backups of the night".to_owned(),
                budget_ms: None,
                criteria: Vec::new(),
                steps: Vec::new(),
            });
        })
        .step(full_disk())
        .ends(Outcome::Failed)
}

pub fn all() -> Vec<(&'static str, Vec<Event>)> {
    vec![
        ("passed", passed()),
        ("disk_failed", disk_failed()),
        ("errored", errored()),
        ("unreachable", unreachable()),
        ("warned", warned()),
        ("remarks", remarks()),
        ("interrupted", interrupted()),
        ("killed", killed()),
        ("many_passed", many_passed()),
        ("many_failed", many_failed()),
        ("long_names", long_names()),
        ("hostile", hostile()),
        ("two_procedures", two_procedures()),
    ]
}
