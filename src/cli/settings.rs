//! Settings: what stands before the command, the environment, and the site file that they lead to.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::PathBuf;

use super::message::{self, Failure};
use crate::journal::Access;
use crate::procedure::library::Library;
use crate::procedure::site::{self, Site};
use crate::procedure::template::Vars;
use crate::procedure::yaml::{Node, NodeKind};
use crate::report::{Format, Kept, Style};

/// The options that decide which commands there are, read before clap knows the commands.
#[derive(Debug, Default)]
pub struct Globals {
    pub site: Option<PathBuf>,
    /// `name=value` of --set, in order.
    pub set: Vec<String>,
    pub colour: Option<String>,
    /// The first word that is no option.
    pub command: Option<String>,
    /// The second one.
    pub subcommand: Option<String>,
    pub wants_help: bool,
    pub wants_version: bool,
    /// As typed, without the program.
    pub typed: String,
}

/// Options of any command that take a value: their value is not a command.
const WITH_VALUE: &[&str] =
    &["--site", "--set", "--color", "--format", "--report", "--only", "--skip", "--tag", "--parallel", "--fault"];

impl Globals {
    pub fn scan(args: &[OsString]) -> Self {
        let mut globals = Self::default();
        let words: Vec<String> = args.iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            let (option, inline) = match word.split_once('=') {
                Some((option, value)) if word.starts_with("--") => (option, Some(value.to_owned())),
                _ => (word.as_str(), None),
            };
            match option {
                "--" => break,
                "--help" | "-h" => globals.wants_help = true,
                "--version" | "-V" => globals.wants_version = true,
                _ if WITH_VALUE.contains(&option) => {
                    let Some(value) = inline.or_else(|| rest.next().cloned()) else { continue };
                    match option {
                        "--site" => globals.site = Some(value.into()),
                        "--set" => globals.set.push(value),
                        "--color" => globals.colour = Some(value),
                        _ => {}
                    }
                }
                _ if option.starts_with('-') => {}
                _ if globals.command.is_none() => globals.command = Some(word.clone()),
                _ if globals.subcommand.is_none() => globals.subcommand = Some(word.clone()),
                _ => {}
            }
        }
        if globals.command.as_deref() == Some("help") {
            globals.wants_help = true;
        }
        globals.typed = typed(&words);
        globals
    }

    /// `--color`, `NO_COLOR`, `TERM=dumb`, and whether a terminal reads it.
    fn colour(&self, terminal: bool) -> bool {
        match self.colour.as_deref() {
            Some("always") => true,
            Some("never") => false,
            _ => {
                let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
                terminal && !set("NO_COLOR") && std::env::var_os("TERM").is_some_and(|term| term != "dumb")
            }
        }
    }

    pub fn colour_of_stderr(&self) -> bool {
        self.colour(std::io::stderr().is_terminal())
    }

    /// How reports to standard output look.
    pub fn style(&self, timezone: chrono_tz::Tz) -> Style {
        let colour = self.colour(std::io::stdout().is_terminal());
        let kept =
            if std::env::var_os(crate::drill::PRACTISED).is_none() { Kept::InJournal } else { Kept::ForTheDrill };
        Style { colour, width: width(), timezone, kept }
    }

    /// How a report looks that names no format: for people where people read, or where they ask for colour in a pipe.
    pub fn default_format(&self) -> Format {
        let people = std::io::stdout().is_terminal() || self.colour.as_deref() == Some("always");
        if people { Format::Human } else { Format::Plain }
    }

    /// The same for clap, which paints help and errors.
    pub fn colour_choice(&self) -> clap::ColorChoice {
        match self.colour.as_deref() {
            Some("always") => clap::ColorChoice::Always,
            Some("never") => clap::ColorChoice::Never,
            _ => clap::ColorChoice::Auto,
        }
    }
}

/// For the record: without options that are no part of what was done.
fn typed(words: &[String]) -> String {
    let mut kept = Vec::new();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        match word.as_str() {
            "--site" | "--color" | "--format" | "--report" => _ = rest.next(),
            _ if ["--site=", "--color=", "--format=", "--report="].iter().any(|option| word.starts_with(option)) => {}
            // Values may be secrets.
            "--set" => kept
                .push(format!("--set {}=...", rest.next().and_then(|pair| pair.split('=').next()).unwrap_or_default())),
            _ if word.starts_with("--set=") => {
                kept.push(format!("--set {}=...", word[6..].split('=').next().unwrap_or_default()));
            }
            _ => kept.push(word.clone()),
        }
    }
    kept.join(" ")
}

/// `COLUMNS`, else the terminal's, else 80.
fn width() -> usize {
    let from_environment = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let from_terminal = || rustix::termios::tcgetwinsize(std::io::stdout()).ok().map(|size| usize::from(size.ws_col));
    from_environment.or_else(from_terminal).filter(|&columns| columns >= 40).unwrap_or(80)
}

/// Where the site file is; `None` checks this machine without one.
///
/// # Errors
/// A site file was asked for that is not there.
pub fn site_file(globals: &Globals) -> Result<Option<PathBuf>, Failure> {
    let asked = globals.site.clone().map(|path| (path, "--site"));
    let asked = asked.or_else(|| {
        std::env::var_os("OPSCTL_SITE").filter(|path| !path.is_empty()).map(|path| (path.into(), "$OPSCTL_SITE"))
    });
    if let Some((path, by)) = asked {
        if path.is_file() {
            return Ok(Some(path));
        }
        let message = format!("there is no site file {} ({by})", path.display());
        return Err(Failure::new(message, "check the path, or write one with `opsctl init`"));
    }
    let here = PathBuf::from("opsctl.yaml");
    let user = || {
        use etcetera::BaseStrategy;
        etcetera::base_strategy::Xdg::new().ok().map(|base| base.config_dir().join("opsctl/opsctl.yaml"))
    };
    let system = PathBuf::from("/etc/opsctl/opsctl.yaml");
    Ok(if here.is_file() {
        Some(here)
    } else {
        user().filter(|path| path.is_file()).or_else(|| system.is_file().then_some(system))
    })
}

/// The site without a file.
pub fn no_site() -> Site {
    Site::of_this_machine(&host())
}

/// The site that the options lead to.
///
/// # Errors
/// All that is wrong in the site file.
pub fn site(globals: &Globals) -> Result<Site, Failure> {
    Ok(match site_file(globals)? {
        Some(path) => Site::read(&path)?,
        None => no_site(),
    })
}

/// The site and its library.
///
/// # Errors
/// All that is wrong in the site file, its packs and --set.
pub fn open(globals: &Globals) -> Result<(Site, Library), Failure> {
    let site = site(globals)?;
    let library = Library::open(&site, &set(globals)?)?;
    Ok((site, library))
}

/// The variables of --set.
pub fn set(globals: &Globals) -> Result<Vars, Failure> {
    let mut vars = Vars::new();
    for pair in &globals.set {
        let Some((name, value)) = pair.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            return Err(Failure::new(format!("--set {pair} has no value"), "write --set name=value"));
        };
        let kind = NodeKind::Scalar { text: value.into(), quoted: true };
        vars.insert(name.to_owned(), Node { span: 0..0, kind });
    }
    Ok(vars)
}

/// The name of this machine.
pub fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The user behind this process: who called sudo, else the owner of the process.
pub fn operator() -> String {
    let from = |name: &str| std::env::var(name).ok().filter(|user| !user.is_empty());
    let id = rustix::process::getuid().as_raw();
    let from_passwd = || {
        let users = std::fs::read_to_string("/etc/passwd").ok()?;
        users.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)?.parse() == Ok(id)).then(|| name.to_owned())
        })
    };
    from("SUDO_USER").or_else(from_passwd).unwrap_or_else(|| format!("uid {id}"))
}

/// Where runs are recorded.
pub fn journal_path(site: &Site) -> Result<PathBuf, Failure> {
    site.journal.clone().or_else(crate::journal::default_path).ok_or_else(|| {
        Failure::new("there is no place for the journal: no home folder", "set `journal` in the site file")
    })
}

/// The journal of the site that the options lead to, and the time zone in which its users live. Who only reads it gets
/// it even if something else in the site file is wrong, which is said on standard error.
///
/// # Errors
/// There is no such site file, or the journal is to be written and the site file is wrong.
pub fn journal_of(globals: &Globals, access: Access) -> Result<(PathBuf, chrono_tz::Tz), Failure> {
    let Some(file) = site_file(globals)? else {
        let site = no_site();
        return Ok((journal_path(&site)?, site.timezone));
    };
    let problems = match Site::read(&file) {
        Ok(site) => return Ok((journal_path(&site)?, site.timezone)),
        Err(problems) if access == Access::Write => return Err(problems.into()),
        Err(problems) => problems,
    };
    let left = Site { journal: site::journal_alone(&file), timezone: site::timezone_alone(&file), ..no_site() };
    let path = journal_path(&left)?;
    let whose = if left.journal.is_some() { "the journal that it names" } else { "the usual journal" };
    message::warn(&format!(
        "{}the site file has mistakes; this is from {whose}: {}\n",
        problems.render(globals.colour_of_stderr()),
        path.display()
    ));
    Ok((path, left.timezone))
}
