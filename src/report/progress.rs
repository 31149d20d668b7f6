//! What a person sees while a run takes its time: one line per running step, and how far the run is.

use std::fmt;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use indexmap::IndexMap;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Reporter;
use super::line::harmless;
use crate::model::event::{Event, EventKind, RunStart};
use crate::model::id::{ProcedureId, StepId};
use crate::model::outcome::Exit;

/// A run that is over sooner shows no progress at all.
const CALM: Duration = Duration::from_millis(200);
/// More running steps are only counted.
const MOST_LINES: usize = 8;

type Key = (ProcedureId, StepId);

/// Draws from the first event or tick after 200 ms; until then it only counts. Never starts a thread: time passes on
/// the screen only as far as [`Reporter::on_tick`] is called.
pub struct Progress {
    /// Taken when the drawing starts.
    target: Option<ProgressDrawTarget>,
    screen: Option<Screen>,
    started: Option<Instant>,
    budget: Option<Duration>,
    titles: IndexMap<Key, String>,
    running: IndexMap<Key, Instant>,
    done: usize,
    /// It is a terminal with a keyboard, which shows a Ctrl-C as `^C`.
    keyboard: bool,
}

struct Screen {
    all: MultiProgress,
    steps: IndexMap<Key, ProgressBar>,
    run: ProgressBar,
}

impl Progress {
    /// On the terminal at standard error; draws nothing if there is none, or a dumb one.
    #[must_use]
    pub fn on_stderr() -> Self {
        let keyboard = rustix::termios::isatty(io::stdin());
        Self { keyboard, ..Self::on(ProgressDrawTarget::stderr()) }
    }

    #[must_use]
    pub fn on(target: ProgressDrawTarget) -> Self {
        Self {
            target: Some(target),
            screen: None,
            started: None,
            budget: None,
            titles: IndexMap::new(),
            running: IndexMap::new(),
            done: 0,
            keyboard: false,
        }
    }

    /// The cursor waits at the end of the last line, so the `^C` of the terminal stands on a line that nobody drew:
    /// unless it goes, everything is wiped away one line too low.
    fn wipe_echo(&self) -> io::Result<()> {
        if self.keyboard && self.screen.is_some() {
            let mut terminal = io::stderr().lock();
            terminal.write_all(b"\r\x1b[2K\x1b[1A")?;
            terminal.flush()?;
        }
        Ok(())
    }

    fn start(&mut self, start: &RunStart, elapsed: Duration) {
        let now = Instant::now();
        self.started = Some(now.checked_sub(elapsed).unwrap_or(now));
        let several = start.procedures.len() > 1;
        for procedure in &start.procedures {
            for step in &procedure.steps {
                let title = if several { format!("{}: {}", procedure.title, step.title) } else { step.title.clone() };
                self.titles.insert((procedure.id.clone(), step.id.clone()), harmless(&title));
            }
        }
        if let [only] = start.procedures.as_slice() {
            self.budget = only.budget_ms.map(Duration::from_millis);
        }
    }

    fn draw(&mut self) {
        let Some(started) = self.started.filter(|started| started.elapsed() >= CALM) else { return };
        let text = Share { done: self.done, all: self.titles.len(), spent: started.elapsed(), budget: self.budget };
        if self.screen.is_none() {
            self.screen = self.target.take().filter(|target| !target.is_hidden()).map(Screen::new);
        }
        let Some(screen) = &mut self.screen else { return };
        for (key, since) in &self.running {
            if screen.steps.len() < MOST_LINES && !screen.steps.contains_key(key) {
                let title = self.titles.get(key).cloned().unwrap_or_default();
                screen.add(key.clone(), title, since.elapsed());
            }
        }
        screen.steps.values().for_each(ProgressBar::tick);
        let hidden = self.running.len() - screen.steps.len();
        let more = if hidden > 0 { format!("  {hidden} more running") } else { String::new() };
        screen.run.set_message(format!("{text}{more}"));
    }
}

impl Screen {
    fn new(target: ProgressDrawTarget) -> Self {
        let all = MultiProgress::with_draw_target(target);
        let run = all.add(ProgressBar::no_length().with_style(style("{wide_msg}")));
        Self { all, steps: IndexMap::new(), run }
    }

    fn add(&mut self, key: Key, title: String, running: Duration) {
        let bar = ProgressBar::no_length().with_style(style("{spinner} {wide_msg} {elapsed}"));
        let bar = self.all.insert_before(&self.run, bar.with_elapsed(running).with_message(title));
        self.steps.insert(key, bar);
    }
}

/// Plain characters: the console at three in the morning may be a serial line.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner()).tick_chars("-\\|/ ")
}

impl Reporter for Progress {
    fn on_event(&mut self, event: &Event) -> io::Result<()> {
        match &event.kind {
            EventKind::RunStarted(start) => self.start(start, event.elapsed),
            EventKind::StepStarted { procedure, step } => {
                self.running.insert((procedure.clone(), step.clone()), Instant::now());
            }
            EventKind::StepFinished(result) => {
                let key = (result.procedure.clone(), result.step.clone());
                self.running.shift_remove(&key);
                self.done += 1;
                if let Some(screen) = &mut self.screen
                    && let Some(bar) = screen.steps.shift_remove(&key)
                {
                    screen.all.remove(&bar);
                }
            }
            EventKind::Interrupted { exit: Exit::Interrupted } => self.wipe_echo()?,
            _ => {}
        }
        self.draw();
        Ok(())
    }

    fn on_tick(&mut self) -> io::Result<()> {
        self.draw();
        Ok(())
    }

    /// Leaves the terminal as it was.
    fn finish(self: Box<Self>) -> io::Result<()> {
        match &self.screen {
            Some(screen) => screen.all.clear(),
            None => Ok(()),
        }
    }
}

/// `12/31 steps  00:03 of 15:00`
struct Share {
    done: usize,
    all: usize,
    spent: Duration,
    budget: Option<Duration>,
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} steps  {}", self.done, self.all, Clock(self.spent))?;
        match self.budget {
            Some(budget) => write!(f, " of {}", Clock(budget)),
            None => Ok(()),
        }
    }
}

/// `00:03`, from an hour on `1:00:03`.
struct Clock(Duration);

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (hours, minutes, seconds) = (seconds / 3600, seconds % 3600 / 60, seconds % 60);
        if hours > 0 { write!(f, "{hours}:{minutes:02}:{seconds:02}") } else { write!(f, "{minutes:02}:{seconds:02}") }
    }
}
