//! The program is killed at every event of a run, goes on, and does nothing twice.

use std::sync::atomic::{AtomicU64, Ordering};

use opsctl::journal::{Access, Filter, Journal};
use opsctl::model::event::doing::{Ended, Phase};
use opsctl::model::event::{Event, EventKind};
use opsctl::model::outcome::{Exit, Outcome};
use opsctl::model::record::Record;
use regex::Regex;

use crate::support::case::{Case, Ran};
use crate::support::shop::sqlite;

mod stopped;
mod whole;

/// Where a run is cut off: `before` an event, with everything done that leads to it, or `after` it, with nothing done that
/// follows from it.
type Cut = (&'static str, u64);

fn named((moment, point): Cut) -> String {
    format!("{moment}:{point}")
}

/// A procedure, and the person who runs it.
struct Script {
    /// A case with everything as it is before the run.
    case: fn(&str) -> Case,
    command: &'static str,
    /// What is said when something fails.
    on_failure: &'static str,
}

/// A run of the program, gone on with until it has an end.
struct Lived {
    case: Case,
    events: Vec<Event>,
    /// How often the run was gone on with.
    resumed: usize,
    last: Ran,
}

impl Script {
    /// Begins, is killed at the first of `cuts`, goes on, is killed at the next of them, ... and goes on to the end.
    fn live(&self, cuts: &[Cut]) -> Lived {
        let case = (self.case)("killed");
        let mut points = cuts.iter();
        let mut resumed = 0;
        for _ in 0..cuts.len() + 3 {
            let going_on = if events(&case).is_empty() { "" } else { " --resume last" };
            resumed += usize::from(!going_on.is_empty());
            let point = points.next().map(|cut| named(*cut));
            let env: Vec<(&str, &str)> = point.iter().map(|point| ("OPSCTL_FAILPOINT", point.as_str())).collect();
            let line = format!("{}{going_on}", self.command);
            let last = case.answer(&line, &env, |asked| self.say(&case, asked));
            let events = events(&case);
            if point.is_some() && last.exit == 128 + 9 {
                says_what_is_unknown(&case, &events);
                continue;
            }
            if Record::of(&events).finished.is_some() {
                return Lived { case, events, resumed, last };
            }
            assert!(!events.is_empty(), "nothing is on record: {last}");
        }
        panic!("no end comes");
    }

    /// What the operator says.
    fn say(&self, case: &Case, asked: &str) -> String {
        let prompt = asked.lines().last().unwrap_or_default();
        let word =
            |pattern: &str| Regex::new(pattern).expect("a pattern").captures(asked).map(|found| found[1].to_owned());
        let says = [
            ("when was it noticed?", ""),
            ("number or name", "bad"),
            ("done / not done", "done"),
            ("who says so", "anna"),
            ("in a few words", "known"),
            ("retry / skip / roll back / stop", self.on_failure),
        ];
        if let Some((_, said)) = says.iter().find(|(shown, _)| prompt.contains(shown)) {
            return (*said).to_owned();
        }
        if prompt.contains("what to type") {
            return word(r"to do it, type (\S+)").expect("what to type");
        }
        if prompt.contains("it had been done") {
            // The operator goes and looks.
            return if has_been_done(case, asked) { "yes" } else { "no" }.to_owned();
        }
        "yes".to_owned()
    }
}

/// Whether the effect of the action that a question is about is there.
fn has_been_done(case: &Case, asked: &str) -> bool {
    if let Some(found) = Regex::new(r"echo (\S+) >> (\w+)").expect("a pattern").captures(asked) {
        return lines(case, &found[2]).contains(&found[1].to_owned());
    }
    if asked.contains("INSERT INTO") {
        return !rows(case).is_empty();
    }
    if asked.contains("old.log") {
        return !case.path("logs/old.log").exists();
    }
    if asked.contains("VACUUM INTO") {
        return backups(case) > 0;
    }
    panic!("an unexpected question: {asked}");
}

fn lines(case: &Case, file: &str) -> Vec<String> {
    std::fs::read_to_string(case.path(file)).unwrap_or_default().lines().map(str::to_owned).collect()
}

fn rows(case: &Case) -> Vec<String> {
    sqlite(&case.path("shop.db").display().to_string(), "SELECT note FROM ledger")
}

fn backups(case: &Case) -> usize {
    std::fs::read_dir(case.path("backups")).map_or(0, Iterator::count)
}

/// All that is on record of the only run; nothing before it began.
fn events(case: &Case) -> Vec<Event> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let Ok(journal) = Journal::open(&case.journal(), Access::Read).await else { return Vec::new() };
        let runs = journal.runs(&Filter::default()).await.expect("a list of runs");
        assert!(runs.len() <= 1, "one run, not {}", runs.len());
        match runs.first() {
            Some(run) => journal.replay(run.run).await.expect("its events"),
            None => Vec::new(),
        }
    })
}

/// After a kill: what was under way is said to be unknown.
fn says_what_is_unknown(case: &Case, events: &[Event]) {
    let record = Record::of(events);
    let steps = record.procedures.values().flat_map(|procedure| procedure.steps.values());
    if steps.flat_map(|step| &step.actions).any(|action| action.end.is_none()) {
        case.run(["show", "last"]).exits(0).says("outcome unknown");
    }
}

impl Lived {
    /// What is the same for every run, however often it was killed.
    fn is_whole(&self, cuts: &[Cut], exit: Exit) {
        let at: Vec<String> = cuts.iter().copied().map(named).collect();
        let Self { case, events, last, .. } = self;
        case.run(["journal", "verify"]).exits(0).says("the journal is whole");
        let record = Record::of(events);
        let (_, ended) = record.finished.expect("an end");
        assert_eq!(ended, exit, "killed at {at:?}: {last}");
        assert_eq!(last.exit, i32::from(exit.code()), "killed at {at:?}: {last}");
        let open: usize =
            record.procedures.values().flat_map(|one| one.steps.values()).map(|step| step.open.len()).sum();
        assert_eq!(open, 0, "killed at {at:?}: a question is left: {last}");
        for procedure in record.procedures.values() {
            for (id, step) in &procedure.steps {
                for action in &step.actions {
                    assert!(action.end.is_some(), "killed at {at:?}: {id} has an action without an end");
                }
            }
        }
    }
}

/// What the actions of a run came to, on record: step, item and phase of each that was done.
fn done(record: &Record) -> Vec<String> {
    let steps = record.procedures.values().flat_map(|procedure| procedure.steps.values());
    let ended = steps
        .flat_map(|step| &step.actions)
        .filter(|action| action.end.as_ref().is_some_and(|end| matches!(end.ended, Ended::Done | Ended::FoundDone)));
    let mut done: Vec<String> = ended
        .map(|action| {
            let item = action.start.item.as_ref().map_or(String::new(), |item| format!(" {item}"));
            let phase = if action.start.phase == Phase::Undo { "undo " } else { "" };
            format!("{phase}{}{item}", action.start.step)
        })
        .collect();
    done.sort();
    done
}

fn outcome_of(record: &Record, step: &str) -> Option<Outcome> {
    let mut steps = record.procedures.values().flat_map(|procedure| &procedure.steps);
    steps.find(|(id, _)| id.as_str() == step)?.1.result.as_ref().map(|result| result.outcome)
}

/// Runs `check` for each of `all`, several at a time; a run waits more than it works.
fn for_each<T: Sync>(all: &[T], at_once: usize, check: impl Fn(&T) + Sync) {
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..at_once.min(all.len()) {
            scope.spawn(|| {
                while let Some(one) = all.get(usize::try_from(next.fetch_add(1, Ordering::Relaxed)).expect("a number"))
                {
                    check(one);
                }
            });
        }
    });
}

/// Before each event of a run; and after those that are followed by an effect, with the effect left out.
fn everywhere(run: &Lived) -> Vec<Cut> {
    let acts = |event: &&Event| matches!(event.kind, EventKind::ActionStarted(_) | EventKind::MessageQueued(_));
    let before = run.events.iter().map(|event| ("before", event.seq));
    before.chain(run.events.iter().filter(acts).map(|event| ("after", event.seq))).collect()
}
