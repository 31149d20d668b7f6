//! Loading procedures: everything that is wrong is found at once, shown at its place, with what to write instead.

use std::path::Path;

use opsctl::model::id::ProcedureId;
use opsctl::probe;
use opsctl::procedure::diagnostic::Diagnostics;
use opsctl::procedure::document::Procedure;
use opsctl::procedure::library::Library;
use opsctl::procedure::site::Site;
use opsctl::procedure::template::Vars;
use tempfile::TempDir;

mod corpus;
mod hostile;
mod libraries;
mod mistakes;
mod remarks;
mod schema;
mod sites;
mod templates;
mod yaml;

/// A site with one pack of procedures in a folder of its own.
pub struct Case {
    folder: TempDir,
}

const SITE: &str = "site: test
timezone: UTC
packs: [./pack]
vars:
  site_url: http://127.0.0.1/
  names: [alpha, beta]
  empty: ''
  none: []
  token: { env: OPSCTL_TEST_TOKEN }
databases:
  helpdesk: { url: sqlite://helpdesk.db }
  cache: { url: redis://127.0.0.1 }
";

impl Case {
    pub fn new() -> Self {
        let case = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        case.with("opsctl.yaml", SITE)
    }

    /// A file in the folder of the site file; procedures are `pack/group/name.yaml`.
    pub fn with(self, name: &str, text: impl AsRef<[u8]>) -> Self {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
        self
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn site(&self) -> Result<Site, Diagnostics> {
        Site::read(&self.path().join("opsctl.yaml"))
    }

    pub fn library(&self) -> Result<(Site, Library), Diagnostics> {
        let site = self.site()?;
        let library = Library::open(&site, &Vars::new())?;
        Ok((site, library))
    }

    pub fn load(&self) -> Result<Vec<Procedure>, Diagnostics> {
        let (site, library) = self.library()?;
        let ids: Vec<ProcedureId> = library.ids().cloned().collect();
        library.load(&ids, &site)
    }

    /// What people read about all that is wrong; empty when nothing is.
    pub fn complaints(&self) -> String {
        let rendered = self.load().map_or_else(|wrong| wrong.render(false), |_| String::new());
        let folder = format!("{}/", self.path().display());
        let lines: Vec<&str> = rendered.lines().map(str::trim_end).collect();
        lines.join("\n").replace(&folder, "").trim().to_owned()
    }
}

/// What is said of `text` as the procedure `daily/check`.
pub fn complaints(text: &str) -> String {
    Case::new().with("pack/daily/check.yaml", text).complaints()
}

/// The only procedure, which must be right.
pub fn good(text: &str) -> Procedure {
    let case = Case::new().with("pack/daily/check.yaml", text);
    case.load().unwrap_or_else(|wrong| panic!("{}", wrong.render(false))).remove(0)
}

/// A procedure of one step, the lines of which are indented by four.
pub fn of_step(step: &str) -> String {
    format!("title: Check\nsteps:\n  - {}\n", step.trim().replace('\n', "\n    "))
}

/// `<facts of http>`, `<inputs of http>`, `<about url of http>` and `<kinds>` stand for what is written elsewhere.
fn filled_in(text: &str) -> String {
    let mut text = text.replace("<kinds>", &probe::KINDS.iter().map(|kind| kind.name).collect::<Vec<_>>().join(", "));
    for kind in probe::KINDS {
        let facts: Vec<&str> = kind.facts.iter().map(|fact| fact.name).collect();
        let inputs: Vec<&str> = kind.inputs.iter().map(|input| input.name).collect();
        for input in kind.inputs {
            text = text.replace(&format!("<about {} of {}>", input.name, kind.name), input.about);
        }
        text = text.replace(&format!("<facts of {}>", kind.name), &facts.join(", "));
        text = text.replace(&format!("<inputs of {}>", kind.name), &inputs.join(", "));
    }
    text
}

#[track_caller]
pub fn assert_says(said: &str, expected: &str) {
    let expected = filled_in(expected.trim_matches('\n'));
    assert!(said == expected, "it says:\n{said}\n\nexpected:\n{expected}");
}
