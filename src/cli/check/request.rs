//! What the options of a run ask for.

use clap::ArgMatches;

use super::report_files::{self, Asked};
use crate::cli::message::Failure;
use crate::engine::Selection;
use crate::model::event::Mode;
use crate::report::Format;

/// What the options ask for.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct Request {
    pub format: Option<Format>,
    /// Reports to files besides the one to standard output.
    pub reports: Vec<Asked>,
    pub quiet: bool,
    pub selection: Selection,
    pub parallel: usize,
    pub mode: Mode,
    pub yes: bool,
    pub one_by_one: bool,
    /// Goes on with a run: the one that is named, or the newest.
    pub resume: Option<Goes>,
    pub accept_change: bool,
    /// Begins anew although a run waits.
    pub anew: bool,
    pub since: Option<String>,
    pub occurred: Option<String>,
}

/// Which run goes on.
pub enum Goes {
    Newest,
    Named(String),
}

impl Request {
    /// # Errors
    /// A `--report` that is not `FORMAT=FILE`, or two for the same file.
    pub fn from_matches(matches: &ArgMatches) -> Result<Self, Failure> {
        let words = |name: &str| matches.get_many::<String>(name).into_iter().flatten().cloned().collect();
        Ok(Self {
            format: matches.get_one::<Format>("format").copied(),
            reports: report_files::asked(matches)?,
            quiet: matches.get_flag("quiet"),
            selection: Selection {
                only: words("only"),
                skip: words("skip"),
                tags: words("tag"),
                from: text(matches, "from"),
            },
            parallel: usize::from(matches.get_one::<u16>("parallel").copied().unwrap_or(8)),
            mode: mode(matches),
            yes: flag(matches, "yes"),
            one_by_one: flag(matches, "step"),
            resume: resumed(matches),
            accept_change: flag(matches, "accept-change"),
            anew: flag(matches, "new"),
            since: text(matches, "since"),
            occurred: text(matches, "occurred"),
        })
    }
}

/// Whether an option is given, where the command has it.
fn flag(matches: &ArgMatches, name: &str) -> bool {
    matches.try_get_one::<bool>(name).ok().flatten().copied().unwrap_or(false)
}

/// The value of an option, where the command has it.
fn text(matches: &ArgMatches, name: &str) -> Option<String> {
    matches.try_get_one::<String>(name).ok().flatten().cloned()
}

/// `--resume` names a run, or none.
fn resumed(matches: &ArgMatches) -> Option<Goes> {
    let given = matches.try_contains_id("resume").is_ok() && matches.contains_id("resume");
    let named = text(matches, "resume").filter(|run| !run.is_empty());
    given.then(|| named.map_or(Goes::Newest, Goes::Named))
}

/// `<group> check` has no other way than to look.
fn mode(matches: &ArgMatches) -> Mode {
    if matches.try_contains_id("check").is_err() || flag(matches, "check") {
        Mode::Check
    } else if flag(matches, "dry-run") {
        Mode::DryRun
    } else {
        Mode::Run
    }
}
