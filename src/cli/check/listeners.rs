//! Who is told of a run while it goes on: the screen, the report and the files.

use std::io::{self, IsTerminal, Write};

use super::report_files::ReportFiles;
use super::request::Request;
use crate::cli::message::Failure;
use crate::cli::settings::Globals;
use crate::model::event::{Event, EventKind, Mode};
use crate::model::outcome::{Exit, Outcome};
use crate::report::{Format, Live, Progress, Reporter, Style};

/// Who is told of a run.
pub struct Listeners {
    progress: Option<Box<dyn Reporter>>,
    main: Main,
    /// With --quiet the main report is only written when something does not hold: until then what happened is kept.
    quiet: Option<Vec<Event>>,
    files: ReportFiles,
    colour: bool,
}

impl Listeners {
    pub fn open(request: &Request, globals: &Globals, timezone: chrono_tz::Tz) -> Result<Self, Failure> {
        let style = globals.style(timezone);
        let format = request.format.unwrap_or_else(|| globals.default_format());
        Ok(Self {
            files: ReportFiles::open(&request.reports, style)?,
            progress: match request.mode {
                _ if request.quiet || !io::stderr().is_terminal() => None,
                Mode::Run => Some(Box::new(Live::on_stderr(style)) as Box<dyn Reporter>),
                Mode::Check | Mode::DryRun => Some(Box::new(Progress::on_stderr())),
            },
            main: Main::open(format, style),
            quiet: request.quiet.then(Vec::new),
            colour: globals.colour_of_stderr(),
        })
    }

    /// What happened before a run went on: no news.
    pub fn recall(&mut self, event: &Event) {
        self.files.hear(event);
        match &mut self.quiet {
            Some(kept) => kept.push(event.clone()),
            None => self.main.hear(event),
        }
    }

    pub fn hear(&mut self, event: &Event) {
        if let Some(progress) = &mut self.progress {
            progress.on_event(event).ok();
        }
        self.recall(event);
    }

    pub fn tick(&mut self) {
        if let Some(progress) = &mut self.progress {
            progress.on_tick().ok();
        }
    }

    /// The last event, if the run can be recorded.
    pub fn foresee(&mut self, last: &Event) {
        if self.quiet.is_none()
            && let Ok(reporter) = &mut self.main.0
        {
            reporter.foresee(last);
        }
    }

    pub fn unrecorded(&mut self) {
        self.main.unrecorded();
        self.files.unrecorded();
    }

    /// The end of the run. A report that could not be written hides nothing of the run, and is said; the status is then
    /// at least "could not tell".
    pub fn finish(mut self, mut last: Event, outcome: Outcome, exit: Exit) -> Exit {
        if let Some(mut progress) = self.progress {
            progress.on_event(&last).ok();
            progress.finish().ok();
        }
        self.files.hear(&last);
        let mut failures = self.files.finish();
        if !failures.is_empty()
            && let EventKind::RunFinished { exit, .. } = &mut last.kind
        {
            *exit = exit.at_least(Exit::CouldNotTell);
        }
        let holds = matches!(outcome, Outcome::Passed | Outcome::Waived | Outcome::Skipped | Outcome::Pending);
        let could_not_tell = matches!(
            last.kind,
            EventKind::RunFinished { exit: Exit::Interrupted | Exit::Terminated | Exit::CouldNotTell, .. }
        );
        if self.quiet.is_none() || !holds || could_not_tell {
            self.quiet.into_iter().flatten().for_each(|event| self.main.hear(&event));
            self.main.hear(&last);
            failures.extend(self.main.finish());
        }
        for failure in &failures {
            failure.print(self.colour);
        }
        if failures.is_empty() { exit } else { exit.at_least(Exit::CouldNotTell) }
    }
}

/// The report to standard output. A reader that went away is not an error.
pub struct Main(Result<Box<dyn Reporter>, io::Error>);

impl Main {
    pub fn open(format: Format, style: Style) -> Self {
        Self(Ok(format.reporter(Box::new(Stdout), style)))
    }

    pub fn hear(&mut self, event: &Event) {
        if let Ok(reporter) = &mut self.0
            && let Err(error) = reporter.on_event(event)
        {
            self.0 = Err(error);
        }
    }

    fn unrecorded(&mut self) {
        if let Ok(reporter) = &mut self.0 {
            reporter.on_unrecorded();
        }
    }

    pub fn finish(self) -> Option<Failure> {
        let error = self.0.and_then(Reporter::finish).err()?;
        let message = format!("cannot write the report: {error}");
        (error.kind() != io::ErrorKind::BrokenPipe)
            .then(|| Failure::new(message, "`opsctl show last` shows the run again"))
    }
}

/// Standard output, locked for each write only.
struct Stdout;

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::stdout().lock().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().lock().flush()
    }
}
