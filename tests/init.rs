//! `opsctl init` with the real program on this machine, next to real servers. What else runs here varies, so the
//! tests look at what they know to be there.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use opsctl::procedure::diagnostic::Source;
use opsctl::procedure::yaml;
use tempfile::TempDir;

use crate::support::{mariadb, web};

/// An empty folder in which the program is run.
struct Place {
    folder: TempDir,
}

struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    fn run(&self, args: &[&str]) -> Ran {
        self.run_with(args, &[])
    }

    fn run_with(&self, args: &[&str], environment: &[(&str, &str)]) -> Ran {
        let home = self.folder.path().join("home");
        let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_opsctl"))
            .args(args)
            .current_dir(self.folder.path())
            .env_remove("OPSCTL_SITE")
            .env("HOME", &home)
            .env("XDG_CONFIG_HOME", &home)
            .env("XDG_STATE_HOME", &home)
            .env("XDG_DATA_HOME", &home)
            .env("TZ", "Europe/Warsaw")
            .envs(environment.iter().copied())
            .output()
            .expect("the program runs");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        Ran { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.folder.path().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.folder.path().join(file), text).expect("a file that can be written");
    }

    fn has(&self, file: &str) -> bool {
        self.folder.path().join(file).exists()
    }
}

impl Ran {
    #[track_caller]
    fn succeeds(self) -> Self {
        assert_eq!(self.code, Some(0), "{}{}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    fn refuses(self, message: &str) -> Self {
        assert_eq!((self.code, self.stdout.as_str()), (Some(3), ""), "{}", self.stderr);
        assert!(self.stderr.contains(message), "{}", self.stderr);
        self
    }
}

const PROCEDURE: &str = "procedures/daily/services.yaml";

/// The lines of a procedure's step.
fn step(procedure: &str, id: &str) -> String {
    let found = procedure.split("\n\n").find(|step| step.contains(&format!("- id: {id}\n")));
    found.unwrap_or_else(|| panic!("no step {id} in {procedure}")).to_owned()
}

#[test]
fn what_is_written_passes_lint_and_runs_at_once() {
    let apache = web::apache();
    let place = Place::new();
    let said = place.run(&["init"]).succeeds().stdout;
    assert!(said.contains("Wrote opsctl.yaml\nWrote procedures/daily/services.yaml\n"), "{said}");
    assert!(said.ends_with("\nNext:\n  opsctl lint\n  opsctl daily check\n"), "{said}");
    assert!(said.contains(&format!("apache2 on port {0}: http://127.0.0.1:{0}/ answers 200", apache.plain)), "{said}");

    let linted = place.run(&["lint"]).succeeds().stdout;
    assert!(linted.starts_with("2 procedures"), "{linted}");

    let servers = place.read("opsctl.yaml").lines().find(|line| line.starts_with("  servers: ")).map(str::to_owned);
    assert!(servers.as_deref().is_some_and(|names| names.contains("\"apache2\"")), "{servers:?}");

    let only = format!("web-{},web-{}", apache.plain, apache.tls);
    let checked = place.run(&["daily", "services", "--check", "--only", &only]).succeeds().stdout;
    for port in [apache.plain, apache.tls] {
        assert!(checked.contains(&format!("PASS  web-{port} ")), "{checked}");
    }
}

#[test]
fn a_server_behind_tls_is_checked_without_its_name_but_with_its_certificate() {
    let apache = web::apache();
    let place = Place::new();
    place.run(&["init"]).succeeds();
    let site = place.read("opsctl.yaml");
    assert!(site.contains(&format!("  url_{0}: \"https://127.0.0.1:{0}/\"\n", apache.expired)), "{site}");
    let step = step(&place.read(PROCEDURE), &format!("web-{}", apache.expired));
    assert!(step.contains("verify: false") && step.contains("certificate_expires_in: above 14d"), "{step}");

    let checked = place.run(&["daily", "services", "--check", "--only", &format!("web-{}", apache.expired)]);
    assert_eq!(checked.code, Some(1), "{}", checked.stdout);
    assert!(checked.stdout.contains("certificate_expires_in -"), "{}", checked.stdout);
}

#[test]
fn a_database_waits_behind_comment_signs_until_somebody_says_how_to_log_in() {
    let port = mariadb::server().port;
    let place = Place::new();
    let said = place.run(&["init"]).succeeds().stdout;
    assert!(said.contains(&format!("MariaDB on port {port}; ")), "{said}");
    assert!(!said.contains(mariadb::PASSWORD));

    // What a person would do: remove the comment signs of this database here and there.
    let name = format!("mysql-{port}");
    let site = place.read("opsctl.yaml");
    let entry = site.lines().find(|line| line.contains(&format!("  {name}: ")));
    let entry = entry.unwrap_or_else(|| panic!("no {name} in {site}")).strip_prefix("# ").expect("a comment");
    place.write("opsctl.yaml", &format!("{site}databases:\n{entry}\n"));
    let procedure = place.read(PROCEDURE);
    let commented = step(&procedure, &format!("{name}-answers"));
    let alive: Vec<String> = commented.lines().map(|line| line.replacen("# ", "", 1)).collect();
    place.write(PROCEDURE, &procedure.replace(&commented, &alive.join("\n")));

    place.run(&["lint"]).succeeds();
    let variable = format!("MYSQL_{port}_URL");
    let args = ["daily", "services", "--check", "--only", &format!("{name}-answers")];
    let checked = place.run_with(&args, &[(&variable, &mariadb::url("mysql"))]).succeeds();
    assert!(checked.stdout.contains(&format!("PASS  {name}-answers")), "{}", checked.stdout);
}

#[test]
fn the_site_file_names_the_host_and_its_time_zone() {
    let place = Place::new();
    place.run(&["init"]).succeeds();
    let host = fs::read_to_string("/proc/sys/kernel/hostname").expect("a host name");
    let site = place.read("opsctl.yaml");
    assert!(site.contains(&format!("\nsite: \"{}\"\ntimezone: Europe/Warsaw\n", host.trim())), "{site}");
    let mode = fs::metadata(place.folder.path().join("opsctl.yaml")).expect("a site file").permissions().mode();
    assert_eq!(mode & 0o444, 0o444 & !umask(), "as readable as any new file");
}

fn umask() -> u32 {
    let status = fs::read_to_string("/proc/self/status").expect("the status of this process");
    let line = status.lines().find_map(|line| line.strip_prefix("Umask:")).expect("a umask");
    u32::from_str_radix(line.trim(), 8).expect("an octal number")
}

#[test]
fn an_existing_file_is_kept_unless_it_may_be_replaced() {
    let place = Place::new();
    place.write("opsctl.yaml", "site: mine\n");
    let refused = place.run(&["init"]).refuses("opsctl.yaml exists; nothing was written");
    assert!(refused.stderr.contains("--force"), "{}", refused.stderr);
    assert_eq!(place.read("opsctl.yaml"), "site: mine\n");
    assert!(!place.has("procedures"));

    place.run(&["init", "--force"]).succeeds();
    assert_ne!(place.read("opsctl.yaml"), "site: mine\n");
    place.run(&["init", "--force"]).succeeds();
    place.run(&["lint"]).succeeds();
}

#[test]
fn an_existing_procedure_is_kept_too_before_anything_is_written() {
    let place = Place::new();
    fs::create_dir_all(place.folder.path().join("procedures/daily")).expect("a folder");
    place.write(PROCEDURE, "title: mine\n");
    place.run(&["init"]).refuses("procedures/daily/services.yaml exists; nothing was written");
    assert!(!place.has("opsctl.yaml"));
}

/// The schema that the first line of a file names for editors.
fn schema_of(place: &Place, file: &str) -> serde_json::Value {
    let text = place.read(file);
    let first = text.lines().next().expect("a first line");
    let named = first.strip_prefix("# yaml-language-server: $schema=").unwrap_or_else(|| panic!("{first}"));
    let folder = Path::new(file).parent().expect("a folder");
    serde_json::from_str(&place.read(folder.join(named).to_str().expect("a path"))).expect("JSON")
}

#[test]
fn editors_find_the_schema_of_what_is_written_and_it_fits() {
    let _ = web::apache();
    let place = Place::new();
    place.run(&["init", "--output", "etc/opsctl.yaml"]).succeeds();
    for file in ["etc/opsctl.yaml", "etc/procedures/daily/services.yaml"] {
        let schema = schema_of(&place, file);
        let text = place.read(file);
        let source = Arc::new(Source { name: file.to_owned(), text: text.clone() });
        let json = yaml::parse(&source).expect("YAML").to_json();
        let validator = jsonschema::validator_for(&schema).expect("a schema");
        let wrong: Vec<String> = validator.iter_errors(&json).map(|error| error.to_string()).collect();
        assert!(wrong.is_empty(), "{text}\n{}", wrong.join("\n"));
        let mut broken = json;
        broken["nonsense"] = serde_json::json!(1);
        assert!(!validator.is_valid(&broken), "an unknown key is marked");
    }
    assert!(
        !place.run(&["init", "--output", "-"]).succeeds().stdout.contains("yaml-language-server"),
        "no file beside it"
    );
}

#[test]
fn a_link_to_the_site_file_stays_a_link() {
    let place = Place::new();
    place.write("real.yaml", "site: old\n");
    symlink("real.yaml", place.folder.path().join("opsctl.yaml")).expect("a link");
    place.run(&["init", "--force"]).succeeds();
    assert!(place.folder.path().join("opsctl.yaml").is_symlink());
    assert!(place.read("real.yaml").contains("Written by `opsctl init`"));
}

#[test]
fn only_printed_it_is_a_site_file_that_needs_no_other_file() {
    let place = Place::new();
    let printed = place.run(&["init", "--output", "-"]).succeeds().stdout;
    assert_eq!(fs::read_dir(place.folder.path()).expect("the folder").count(), 0, "nothing is written");
    place.write("opsctl.yaml", &printed);
    place.run(&["lint"]).succeeds();
}

#[test]
fn the_procedures_go_beside_the_site_file() {
    web::apache();
    let place = Place::new();
    let said = place.run(&["init", "--output", "etc/site.yaml"]).succeeds().stdout;
    assert!(place.has("etc/procedures/daily/services.yaml"));
    assert!(
        said.ends_with("  opsctl --site etc/site.yaml lint\n  opsctl --site etc/site.yaml daily check\n"),
        "{said}"
    );
    place.run(&["--site", "etc/site.yaml", "lint"]).succeeds();
}

#[test]
fn a_folder_that_takes_no_files_is_named() {
    // Nobody may make files there, not even root.
    let refused = Place::new().run(&["init", "--output", "/sys/opsctl.yaml"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(3), ""));
    assert!(refused.stderr.starts_with("error: cannot ") && refused.stderr.contains("/sys/"), "{}", refused.stderr);
    assert!(refused.stderr.contains("help: write elsewhere with --output FILE"), "{}", refused.stderr);
}

#[test]
fn a_folder_in_place_of_the_file_is_refused() {
    let place = Place::new();
    fs::create_dir(place.folder.path().join("etc")).expect("a folder");
    let refused = place.run(&["init", "--force", "--output", "etc"]).refuses("etc is a folder");
    assert!(refused.stderr.contains("--output etc/opsctl.yaml"), "{}", refused.stderr);
    assert!(Path::new(place.folder.path()).join("etc").is_dir());
}
