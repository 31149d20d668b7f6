//! Who is told of a run while it goes on: the screen, the report and the files.

use std::io::{self, IsTerminal, Write};

use super::report_file::ReportFile;
use super::request::Request;
use crate::cli::message::Failure;
use crate::cli::settings::Globals;
use crate::model::event::{Event, EventKind, Mode};
use crate::model::outcome::{Exit, Outcome};
use crate::report::{Live, Progress, Reporter, Style};

/// Who is told of a run.
pub struct Listeners {
    progress: Option<Box<dyn Reporter>>,
    main: Box<dyn Reporter>,
    /// With --quiet the main report is only written when something does not hold.
    quiet: bool,
    files: Vec<(ReportFile, Box<dyn Reporter>)>,
}

impl Listeners {
    pub fn open(request: &Request, globals: &Globals, timezone: chrono_tz::Tz) -> Result<Self, Failure> {
        let style = globals.style(timezone);
        let format = request.format.unwrap_or_else(|| globals.default_format());
        let mut files = Vec::new();
        for (format, path) in &request.reports {
            let unwritable = |error| {
                let message = format!("cannot write the report {}: {error}", path.display());
                Failure::new(message, "check the folder and its permissions")
            };
            let (file, draft) = ReportFile::begin(path).map_err(unwritable)?;
            let style = Style { colour: false, ..style };
            files.push((file, format.reporter(Box::new(io::BufWriter::new(draft)), style)));
        }
        Ok(Self {
            progress: match request.mode {
                _ if request.quiet || !io::stderr().is_terminal() => None,
                Mode::Run => Some(Box::new(Live::on_stderr(style)) as Box<dyn Reporter>),
                Mode::Check | Mode::DryRun => Some(Box::new(Progress::on_stderr())),
            },
            main: format.reporter(Box::new(Stdout), style),
            quiet: request.quiet,
            files,
        })
    }

    /// What happened before a run went on: no news.
    pub fn recall(&mut self, event: &Event) -> Result<(), Failure> {
        for (_, reporter) in &mut self.files {
            reporter.on_event(event).map_err(|error| cannot_report(&error))?;
        }
        self.main.on_event(event).map_err(|error| cannot_report(&error))
    }

    pub fn hear(&mut self, event: &Event) -> Result<(), Failure> {
        if let Some(progress) = &mut self.progress {
            progress.on_event(event).ok();
        }
        for (_, reporter) in &mut self.files {
            reporter.on_event(event).map_err(|error| cannot_report(&error))?;
        }
        self.main.on_event(event).map_err(|error| cannot_report(&error))
    }

    pub fn tick(&mut self) {
        if let Some(progress) = &mut self.progress {
            progress.on_tick().ok();
        }
    }

    pub fn unrecorded(&mut self) {
        self.main.on_unrecorded();
        for (_, reporter) in &mut self.files {
            reporter.on_unrecorded();
        }
    }

    pub fn finish(mut self, last: &Event, outcome: Outcome) -> Result<(), Failure> {
        self.hear(last)?;
        if let Some(progress) = self.progress {
            progress.finish().ok();
        }
        let mut written = Ok(());
        for (file, reporter) in self.files {
            let path = file.path().display().to_string();
            let done = reporter.finish().and_then(|()| file.put_in_place()).map_err(|error| {
                let message = format!("cannot write the report {path}: {error}");
                Failure::new(message, "check the space that is left; `opsctl show last` shows the run again")
            });
            written = written.and(done);
        }
        let holds = matches!(outcome, Outcome::Passed | Outcome::Waived | Outcome::Skipped | Outcome::Pending);
        let interrupted = matches!(
            last.kind,
            EventKind::RunFinished { exit: Exit::Interrupted | Exit::Terminated | Exit::CouldNotTell, .. }
        );
        if self.quiet && holds && !interrupted {
            return written;
        }
        match self.main.finish() {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(cannot_report(&error)),
            Ok(()) | Err(_) => written,
        }
    }
}

fn cannot_report(error: &io::Error) -> Failure {
    Failure::new(format!("cannot write the report: {error}"), "`opsctl show last` shows the run again")
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
