//! A helpdesk on a machine of its own: an application behind Apache, with MariaDB and Redis, as units of systemd.

use crate::support::case::{Case, Ran, Turn};
use crate::support::lab::Lab;
use crate::support::server::wait_until;
use crate::support::terminal::as_seen;

pub struct Helpdesk {
    pub lab: Lab,
    pub case: Case,
}

impl Helpdesk {
    /// Works as it should: 60 tickets, half of them open, an answer to each; yesterday's backup has 50, the one before 40.
    pub fn up() -> Self {
        let lab = Lab::up(&["dbus.service", "mariadb.service"]);
        for (file, content) in [
            ("/srv/helpdesk/setup.sh", include_str!("helpdesk/setup.sh")),
            ("/srv/helpdesk/helpdesk.sql", include_str!("helpdesk/helpdesk.sql")),
            ("/srv/helpdesk/wsgi.py", include_str!("helpdesk/wsgi.py")),
        ] {
            lab.write(file, content);
        }
        lab.run(["bash", "/srv/helpdesk/setup.sh"]).exits(0);
        let case = Case::inside(&lab, "helpdesk").file("opsctl.yaml", include_str!("helpdesk/opsctl.yaml"));
        let helpdesk = Self { lab, case };
        wait_until("the helpdesk", || helpdesk.page() == "200 <h1>Helpdesk</h1><p>30 open tickets, 40 users</p>");
        helpdesk
    }

    /// The status and the text of the home page; 000 when nobody answers.
    pub fn page(&self) -> String {
        let format = "%{stderr}%{http_code}";
        let seen = self.lab.run(["curl", "--silent", "--max-time", "10", "--write-out", format, "http://127.0.0.1/"]);
        format!("{} {}", seen.stderr, seen.stdout)
    }

    pub fn is_active(&self, unit: &str) -> bool {
        self.lab.run(["systemctl", "is-active", "--quiet", unit]).exit == 0
    }

    /// Runs statements as root, past the application; the rows as lines.
    pub fn sql(&self, sql: &str) -> String {
        let client = ["mariadb", "--batch", "--skip-column-names", "helpdesk_db", "--execute", sql];
        self.lab.run(client).exits(0).stdout.trim().to_owned()
    }

    /// The name of the backup of that day, such as `yesterday`.
    pub fn backup(&self, day: &str) -> String {
        self.lab.run(["date", "--date", day, "+backup_%Y%m%d.sql.gz"]).exits(0).stdout.trim().to_owned()
    }

    /// Runs the lines of a shell, all of which must succeed.
    pub fn shell(&self, lines: &str) {
        self.output(lines);
    }

    /// What the lines of a shell print, all of which must succeed.
    pub fn output(&self, lines: &str) -> String {
        self.lab.run(["bash", "-euo", "pipefail", "-c", lines]).exits(0).stdout
    }

    /// At a terminal; what stood on it in the end is what it gives.
    pub fn talk(&self, line: &str, turns: &[(&str, Turn)]) -> Ran {
        let mut ran = self.case.converse(line, turns);
        ran.stdout = as_seen(&ran.stdout);
        ran
    }

    /// Everything runs, and the page is there.
    pub fn works(&self) {
        for unit in ["apache2", "mariadb", "redis-server"] {
            assert!(self.is_active(unit), "{unit} does not run");
        }
        assert!(self.page().starts_with("200 <h1>Helpdesk</h1>"), "{}", self.page());
    }

    /// The record of the last run is whole, and says what was changed, how often, and who agreed.
    pub fn recorded(&self, actions: &[&str]) -> Ran {
        let shown = self.case.run(["show", "last"]).exits(0);
        let done: Vec<&str> =
            shown.stdout.lines().filter(|line| line.contains(", agreed by ")).map(str::trim).collect();
        assert_eq!(done, actions, "{shown}");
        self.case.run(["journal", "verify"]).exits(0).says("the journal is whole").never_says("has no end");
        shown
    }

    /// The report of the last run, which passed: its timeline has `marks`, its criteria are met.
    pub fn report(&self, marks: &[&str], criteria: &[&str]) -> Ran {
        self.case.run(["history"]).exits(0).says("  passed      ");
        let report = self.case.run(["report", "emergency", "--run", "last", "--format", "human"]).exits(0);
        let marked = marks.iter().map(|mark| format!("  [time]  {mark}  (by root"));
        let met = criteria.iter().map(|criterion| format!("  met         {criterion}\n"));
        marked.chain(met).fold(report, |report, line| report.says(&line))
    }
}
