//! The reports that go to files, besides the one to standard output.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::ArgMatches;

use super::report_file::ReportFile;
use crate::cli::message::Failure;
use crate::model::event::Event;
use crate::report::{Format, FormatError, Pace, Reporter, Style};

/// What one `--report FORMAT=FILE` asks for.
pub type Asked = (Format, PathBuf);

/// All that are asked for.
///
/// # Errors
/// One names no format that there is, or no file; two name the same file.
pub fn asked(matches: &ArgMatches) -> Result<Vec<Asked>, Failure> {
    let given = matches.get_many::<String>("report").into_iter().flatten();
    let asked: Vec<Asked> = given.map(|report| one(report)).collect::<Result<_, _>>()?;
    for (index, (_, path)) in asked.iter().enumerate() {
        let target = ReportFile::target(path);
        let is_same = |(_, other): &&Asked| target.is_some() && ReportFile::target(other) == target;
        if asked[..index].iter().any(|other| is_same(&other)) {
            let message = format!("two reports go to the same file, {}", path.display());
            return Err(Failure::new(message, "give each --report a file of its own"));
        }
    }
    Ok(asked)
}

fn one(report: &str) -> Result<Asked, Failure> {
    let Some((format, file)) = report.split_once('=').filter(|(_, file)| !file.is_empty()) else {
        return Err(Failure::new(
            format!("--report {report} names no file"),
            "write --report FORMAT=FILE, such as json=check.json",
        ));
    };
    let format: Format =
        format.parse().map_err(|error: FormatError| Failure::new(format!("--report {report}: {error}"), ""))?;
    if file == "-" {
        let help = format!("write --format {} for standard output", format.name());
        return Err(Failure::new(format!("--report {report} names no file"), help));
    }
    Ok((format, PathBuf::from(file)))
}

/// The files of a run, each with who writes it.
pub struct ReportFiles(Vec<Open>);

struct Open {
    file: ReportFile,
    /// None once it could not be written.
    reporter: Result<Box<dyn Reporter>, io::Error>,
}

impl ReportFiles {
    /// # Errors
    /// One of them could not be put there at the end of the run.
    pub fn open(asked: &[Asked], style: Style) -> Result<Self, Failure> {
        let open = |(format, path): &Asked| {
            let (file, draft) = ReportFile::begin(path, *format).map_err(|error| unwritable(path, &error))?;
            let out = writer(*format, draft);
            Ok(Open { file, reporter: Ok(format.reporter(out, Style { colour: false, ..style })) })
        };
        asked.iter().map(open).collect::<Result<_, _>>().map(Self)
    }

    /// What cannot be written is told at the end: the run comes first.
    pub fn hear(&mut self, event: &Event) {
        for open in &mut self.0 {
            if let Ok(reporter) = &mut open.reporter
                && let Err(error) = reporter.on_event(event)
            {
                open.reporter = Err(error);
            }
        }
    }

    pub fn unrecorded(&mut self) {
        self.0.iter_mut().filter_map(|open| open.reporter.as_mut().ok()).for_each(|reporter| reporter.on_unrecorded());
    }

    /// Puts them in place; what could not be written.
    pub fn finish(self) -> Vec<Failure> {
        let finish = |Open { file, reporter }: Open| {
            let path = file.path().to_owned();
            let done = reporter.and_then(Reporter::finish).and_then(|()| file.put_in_place());
            done.err().map(|error| unwritten(&path, &error))
        };
        self.0.into_iter().filter_map(finish).collect()
    }
}

fn writer(format: Format, draft: File) -> Box<dyn Write + Send> {
    match format.pace() {
        Pace::AsItHappens => Box::new(Anew { file: draft, begun: false }),
        Pace::AtTheEnd => Box::new(BufWriter::new(draft)),
    }
}

/// What the file had is there until the run says something: a run that is refused takes nothing away.
struct Anew {
    file: File,
    begun: bool,
}

impl Write for Anew {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.begun && self.file.metadata()?.is_file() {
            self.file.set_len(0)?;
        }
        self.begun = true;
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    let message = format!("cannot write the report {}: {error}", path.display());
    Failure::new(message, "check the folder and its permissions")
}

fn unwritten(path: &Path, error: &io::Error) -> Failure {
    let message = format!("cannot write the report {}: {error}", path.display());
    Failure::new(message, "check the space that is left; `opsctl show last --report FORMAT=FILE` writes it again")
}
