//! The report of an emergency: the form that people know, filled from the record, then the timeline and the figures.
//!
//! What the record does not have stays a line to fill in by hand.

pub(super) mod sheet;

use std::io::{self, Write as _};
use std::path::Path;
use std::str::FromStr;

use chrono_tz::Tz;

use super::line::{Line, Paint};
use super::page::Page;
use super::template;
use crate::model::record::Record;
use sheet::Sheet;

/// How the report is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    Markdown,
    /// One file without anything from elsewhere, made to be printed.
    Html,
    /// Text for a terminal.
    Human,
}

impl Form {
    pub const ALL: [(&str, Self); 3] = [("markdown", Self::Markdown), ("html", Self::Html), ("human", Self::Human)];

    /// The form that the name of a file asks for: HTML for `.html` and `.htm`, plain text for `.txt`, else Markdown.
    #[must_use]
    pub fn of_file(path: &Path) -> Self {
        match path.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase).as_deref() {
            Some("html" | "htm") => Self::Html,
            Some("txt") => Self::Human,
            _ => Self::Markdown,
        }
    }
}

impl FromStr for Form {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|(name, _)| *name == text);
        found.map(|(_, form)| form).ok_or_else(|| format!("`{text}` is not a form; write markdown, html or human"))
    }
}

/// The whole report; times are those of `zone`.
///
/// # Errors
/// The record has no beginning.
pub fn render(record: &Record, form: Form, zone: Tz) -> Result<String, String> {
    let Some(start) = &record.start else { return Err("the beginning of the run is not on record".to_owned()) };
    let sheet = Sheet::of(record, start, zone);
    let template = match form {
        Form::Human => return Ok(text(&sheet)),
        Form::Markdown => "emergency.md",
        Form::Html => "emergency.html",
    };
    template::render(template, &sheet).map_err(|error| format!("the report cannot be made: {error}"))
}

/// Whether a file that exists gives way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Existing {
    Keep,
    Replace,
}

/// Writes the report to `path`: whole or not at all.
///
/// # Errors
/// It cannot be written; with [`Existing::Keep`], `AlreadyExists` if there is something.
pub fn write(path: &Path, text: &str, existing: Existing) -> io::Result<()> {
    let path = std::path::absolute(path)?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    // The umask takes away what it takes from any other file.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    let mut file = tempfile::Builder::new().prefix(".opsctl-report-").permissions(mode).tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    match existing {
        Existing::Keep => file.persist_noclobber(path),
        Existing::Replace => file.persist(path),
    }
    .map(|_| ())
    .map_err(|error| error.error)
}

/// As plain text: the same in the same order.
fn text(sheet: &Sheet) -> String {
    let mut page = Page::endless();
    let mut line = |indent: usize, text: &str| {
        if text.is_empty() {
            page.blank();
        } else {
            page.line(Line::default().to(indent).with(Paint::Plain, text));
        }
    };
    line(0, &sheet.title);
    line(0, &sheet.run);
    for section in &sheet.sections {
        line(0, "");
        line(0, &section.title.to_uppercase());
        for field in &section.fields {
            let value = if field.values.is_empty() { BLANK.to_owned() } else { field.values.join("; ") };
            line(2, &format!("{:<18}{value}", field.name));
        }
        for (index, item) in section.items.iter().enumerate() {
            line(2, &format!("{}. {}", index + 1, item.text));
            item.lines.iter().for_each(|text| line(5, text));
        }
        if section.fields.is_empty() && section.items.is_empty() {
            line(2, BLANK);
        }
    }
    line(0, "");
    line(0, "TIMELINE");
    for row in &sheet.timeline {
        line(2, &format!("{}  {}{}", row.at, row.text, row.remark()));
        row.lines.iter().for_each(|text| line(20, text));
    }
    line(0, "");
    line(0, "FIGURES");
    sheet.figures.iter().for_each(|figure| line(2, &format!("{:<28}{}", figure.name, figure.value)));
    if !sheet.criteria.is_empty() {
        line(0, "");
        line(0, "CRITERIA");
        sheet.criteria.iter().for_each(|one| line(2, &format!("{:<12}{}", one.verdict, one.says)));
    }
    page.into_text()
}

/// What stands where the record has nothing.
const BLANK: &str = "______________________________ (to be filled in)";
