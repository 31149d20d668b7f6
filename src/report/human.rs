//! For people: the verdict first, then what is wrong, then everything that was looked at.

pub(super) mod block;
mod facts;
pub(super) mod led;
pub(super) mod procedure;
pub(super) mod words;

use super::line::{Line, Paint, cut, harmless, width};
use super::page::Page;
use super::{Kept, Style};
use crate::model::event::{RunStart, StepResult};
use crate::model::outcome::{Exit, Outcome, Skip};
use crate::model::record::{Record, StepRecord};
use words::{count, spent};

/// Of the names on the verdict line, at least this much is shown.
const SHORTEST_NAME: usize = 12;

/// Worst first; what merely passed needs no block.
const TROUBLE: [Outcome; 3] = [Outcome::Failed, Outcome::Errored, Outcome::Warned];

pub(super) fn render(record: &Record, mut page: Page, style: Style) -> String {
    let Some(start) = &record.start else { return String::new() };
    verdict_line(&mut page, record, start);
    led::goes_on(&mut page, record, start);
    let clock = words::Clock { now: record.started.unwrap_or_default(), timezone: style.timezone };
    for outcome in TROUBLE {
        for (step, result) in results(record).filter(|(_, result)| result.outcome == outcome) {
            page.blank();
            block::write(&mut page, step, result, clock);
        }
    }
    let (left_out, called): (Vec<_>, Vec<_>) = record.procedures.values().partition(|one| led::is_not_called(one));
    for procedure in called {
        page.blank();
        procedure::write(&mut page, record, procedure);
    }
    if !left_out.is_empty() {
        page.blank();
    }
    for procedure in left_out {
        let line = Line::default().with(Paint::Dim, procedure.plan.id.as_str()).with(Paint::Dim, "  not called");
        page.line(line);
    }
    led::timeline(&mut page, record, clock);
    page.blank();
    let begun = clock.full(clock.now);
    page.line(Line::default().with(Paint::Dim, format!("started {begun} on {} by {}", start.host, start.operator)));
    footer(&mut page, record, start, style);
    page.into_text()
}

fn results(record: &Record) -> impl Iterator<Item = (&StepRecord, &StepResult)> {
    record
        .procedures
        .values()
        .flat_map(|procedure| procedure.steps.values())
        .filter_map(|step| Some((step, step.result.as_ref()?)))
}

/// A run that was stopped says so, whatever it had found by then: its outcome is not the whole truth.
pub(super) fn verdict(record: &Record) -> (&'static str, Paint) {
    if record.suspended.is_some() && record.finished.is_none() {
        return ("WAITING", Paint::Caution);
    }
    match (record.finished, record.interrupted) {
        (_, Some(_)) => ("INTERRUPTED", Paint::Unknown),
        (None, None) => ("UNFINISHED", Paint::Unknown),
        (Some((outcome, _)), None) => {
            let word = match outcome {
                Outcome::Passed => "PASSED",
                Outcome::Waived => "WAIVED",
                Outcome::Skipped => "SKIPPED",
                Outcome::Pending => "PENDING",
                Outcome::Warned => "WARNED",
                Outcome::Errored => "COULD NOT TELL",
                Outcome::Failed => "FAILED",
            };
            (word, Paint::of(outcome))
        }
    }
}

fn verdict_line(page: &mut Page, record: &Record, start: &RunStart) {
    let (word, paint) = verdict(record);
    let parts = summary(record);
    let took = spent(record.took);
    let (mut command, mut site) = (harmless(&start.command), harmless(&start.site));
    let mut shown = parts.len();
    if let Some(page_width) = page.width() {
        let fixed = |shown: usize| width(word) + width(&parts[..shown].join(", ")) + width(&took) + 10;
        let names = width(&command) + width(&site);
        while shown > 1 && fixed(shown) + names.min(2 * SHORTEST_NAME) > page_width {
            shown -= 1;
        }
        let room = page_width.saturating_sub(fixed(shown));
        site = cut(&site, room.saturating_sub(width(&command)).max(room / 2));
        command = cut(&command, room.saturating_sub(width(&site)));
    }
    let mut line = Line::default().with(paint, word);
    for (gap, text) in [("  ", command), ("  ", site), ("   ", parts[..shown].join(", ")), ("   ", took)] {
        line = line.with(Paint::Plain, gap).with(Paint::Plain, text);
    }
    page.line(line);
}

/// What the verdict rests on, the most important first; never empty.
pub(super) fn summary(record: &Record) -> Vec<String> {
    let tally = record.tally();
    let steps = planned(record);
    let found = |outcome| {
        let findings = results(record).filter(|(step, _)| led::is_finding(step));
        findings.filter(|(_, result)| result.outcome == outcome).count()
    };
    let (failed, warned) = (found(Outcome::Failed), found(Outcome::Warned));
    let mut left: Vec<(usize, &str)> = vec![
        (tally.failed - failed, "failed"),
        (tally.errored, "errored"),
        (tally.warned - warned, "warned"),
        (failed + warned, "with findings"),
        (tally.pending, "pending"),
        (tally.waived, "waived"),
        (tally.skipped, "skipped"),
    ];
    left.retain(|(number, _)| *number > 0);
    let named = |(number, word): (usize, &str)| format!("{number} {word}");

    if record.finished.is_none() || record.interrupted.is_some() {
        let stopped = results(record).filter(|(_, result)| result.skip == Some(Skip::Stopped)).count();
        let done = steps - tally.unfinished - stopped;
        let trouble =
            left.into_iter().filter(|(_, word)| matches!(*word, "failed" | "errored" | "warned" | "with findings"));
        let waits = record.suspended.clone().filter(|_| record.finished.is_none());
        return waits
            .into_iter()
            .chain([format!("{done} of {} finished", count(steps, "step", "steps"))])
            .chain(trouble.map(named))
            .collect();
    }
    let criteria = tally.met + tally.unmet + tally.not_proven;
    if criteria == 0 {
        if left.is_empty() {
            return vec![format!("{} of {} passed", tally.passed, count(steps, "step", "steps"))];
        }
        let (number, word) = left.remove(0);
        let first = format!("{number} of {} {word}", count(steps, "step", "steps"));
        return std::iter::once(first).chain(left.into_iter().map(named)).collect();
    }
    let all = count(criteria, "criterion", "criteria");
    if tally.met == criteria {
        let more = left.into_iter().map(|(number, word)| format!("{} {word}", count(number, "step", "steps")));
        return std::iter::once(format!("{criteria} of {all} met")).chain(more).collect();
    }
    if tally.unmet == 0 {
        return vec![format!("{} of {all} not proven", tally.not_proven)];
    }
    let unproven = (tally.not_proven > 0).then(|| format!("{} not proven", tally.not_proven));
    std::iter::once(format!("{} of {all} unmet", tally.unmet)).chain(unproven).collect()
}

fn planned(record: &Record) -> usize {
    let called = record.procedures.values().filter(|procedure| !led::is_not_called(procedure));
    called.map(|procedure| procedure.steps.len()).sum()
}

/// How to see the run again, and what the exit status means.
fn footer(page: &mut Page, record: &Record, start: &RunStart, style: Style) {
    let exit = match record.finished.map(|(_, exit)| exit) {
        Some(Exit::Ok) => Line::default(),
        Some(exit) => Line::default().with(Paint::Dim, format!("exit {}: {}", exit.code(), words::meaning(exit))),
        None if record.suspended.is_some() => Line::default().with(Paint::Dim, "it is not over"),
        None => Line::default().with(Paint::Dim, "the end of this run was not recorded"),
    };
    let dim = |text: &str| Line::default().with(Paint::Dim, text);
    let (left, right) = match style.kept {
        Kept::InJournal => {
            (dim("see it again: ").with(Paint::Plain, format!("opsctl show {}", start.run.short())), exit)
        }
        Kept::ForTheDrill => (exit, Line::default()),
        Kept::Nowhere => (dim("this run is not on record"), exit),
    };
    if !left.is_empty() && !page.sided(left, &right) {
        page.line(right);
    }
}
