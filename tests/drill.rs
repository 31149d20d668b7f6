//! The practice system: each fault really breaks the real thing, and nothing of it outlives its starter.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use chrono::{DateTime, Days, NaiveDateTime, TimeDelta, Utc};
use flate2::read::GzDecoder;
use opsctl::drill::{Fault, System};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection};

use crate::support::server::wait_until;

mod faults;

fn own_exe() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_opsctl"))
}

fn start(faults: &[Fault]) -> System {
    System::start(faults, own_exe()).expect("a practice system that starts")
}

// --- looking at it ---

/// The status and the body of a page, or the error of a server that does not answer within `limit`.
fn get_within(system: &System, path: &str, limit: Duration) -> io::Result<(u16, String)> {
    let address = system.url().trim_start_matches("http://");
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(limit))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: helpdesk\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    Ok((head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status"), body.to_owned()))
}

fn get(system: &System, path: &str) -> (u16, String) {
    get_within(system, path, Duration::from_secs(30)).expect("an answer")
}

/// The entry of the site file after `key:`, as text.
fn site(system: &System, key: &str) -> String {
    let text = fs::read_to_string(system.site_file()).expect("a site file");
    let line = text.lines().find_map(|line| line.trim().strip_prefix(&format!("{key}: "))).expect("that key");
    serde_json::from_str(line).unwrap_or_else(|_| line.to_owned())
}

fn query<T>(database: &Path, sql: &str) -> Result<T, sqlx::Error>
where
    T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let options =
            SqliteConnectOptions::new().filename(database).read_only(true).busy_timeout(Duration::from_millis(50));
        let mut connection = SqliteConnection::connect_with(&options).await?;
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut connection).await
    })
}

fn database(system: &System) -> PathBuf {
    system.folder().join("data/helpdesk.sqlite3")
}

/// The backups by name, oldest first, without the pointer.
fn backups(system: &System) -> Vec<PathBuf> {
    let folder = PathBuf::from(site(system, "backup_folder"));
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("a backup folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("backup_")))
        .collect();
    files.sort();
    files
}

fn latest(system: &System) -> PathBuf {
    PathBuf::from(site(system, "backup_folder")).join("latest.sql.gz")
}

fn name(path: &Path) -> String {
    path.file_name().expect("a name").to_string_lossy().into_owned()
}

/// The name of the backup of so many days ago, in the site's time zone.
fn backup_name(system: &System, days_ago: u64) -> String {
    let timezone: chrono_tz::Tz = site(system, "timezone").parse().expect("a time zone");
    let day = Utc::now().with_timezone(&timezone).date_naive() - Days::new(days_ago);
    format!("backup_{}.sql.gz", day.format("%Y%m%d"))
}

fn unpacked(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    GzDecoder::new(fs::File::open(file)?).read_to_string(&mut text).map(|_| text)
}

/// The command lines of all processes that mention the folder of a practice system.
fn processes(folder: &Path) -> Vec<String> {
    let folder = folder.to_string_lossy();
    fs::read_dir("/proc")
        .expect("/proc")
        .filter_map(|entry| fs::read_to_string(entry.ok()?.path().join("cmdline")).ok())
        .filter(|line| line.split('\0').any(|argument| argument == folder))
        .collect()
}

fn process_names(folder: &Path) -> BTreeSet<String> {
    processes(folder).iter().filter_map(|line| line.split('\0').next()).map(str::to_owned).collect()
}

/// The moment of a line of django.log, if it begins an entry.
fn django_time(system: &System, line: &str) -> Option<DateTime<Utc>> {
    let timezone: chrono_tz::Tz = site(system, "timezone").parse().expect("a time zone");
    let stamp = line.splitn(4, ' ').skip(1).take(2).collect::<Vec<_>>().join(" ");
    let local = NaiveDateTime::parse_from_str(&stamp, "%Y-%m-%d %H:%M:%S,%3f").ok()?;
    Some(local.and_local_timezone(timezone).latest()?.to_utc())
}

fn log_text(system: &System, key: &str) -> String {
    fs::read_to_string(site(system, key)).expect("a log")
}

// --- without faults ---

#[test]
fn the_home_page_tells_how_many_tickets_are_open() {
    let system = start(&[]);
    let open: i64 =
        query(&database(&system), "SELECT count(*) FROM crm_ticket WHERE status IN ('new', 'in_progress')").unwrap();
    assert!(open > 0);
    let (status, body) = get(&system, "/");
    assert_eq!(status, 200);
    assert!(body.contains("Helpdesk") && body.contains(&format!("{open} open tickets")), "{body}");

    let (status, body) = get(&system, "/tickets");
    assert_eq!((status, body.matches("<tr>").count()), (200, 25));

    let (status, body) = get(&system, "/health");
    let health: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, health), (200, serde_json::json!({ "status": "ok", "database": "ok", "open_tickets": open })));
}

#[test]
fn requests_are_in_the_access_log() {
    let system = start(&[]);
    assert_eq!(get(&system, "/no-such-page").0, 404);
    let log = fs::read_to_string(system.folder().join("log/access.log")).unwrap();
    let line = log.lines().find(|line| line.contains("/no-such-page")).expect("the request's line");
    assert!(line.starts_with("127.0.0.1 - - [") && line.contains("] \"GET /no-such-page HTTP/1.1\" 404 "), "{line}");
}

#[test]
fn all_logs_and_the_activity_grow_while_it_runs() {
    let system = start(&[]);
    let sizes = || {
        ["log/access.log", "log/error.log", "log/django.log"]
            .map(|log| fs::metadata(system.folder().join(log)).unwrap().len())
    };
    let activity = || query::<i64>(&database(&system), "SELECT count(*) FROM activity_log").unwrap();
    let (before, rows) = (sizes(), activity());
    wait_until("every log and the activity", || {
        sizes().iter().zip(before).all(|(now, before)| *now > before) && activity() > rows
    });
}

#[test]
fn the_last_day_of_the_logs_has_lines_but_no_errors() {
    let system = start(&[]);
    let day_ago = Utc::now() - TimeDelta::hours(24);
    let log = log_text(&system, "django_log");
    let (old, new): (Vec<&str>, Vec<&str>) =
        log.lines().partition(|line| django_time(&system, line).expect("a time in every line") < day_ago);
    assert!(old.iter().any(|line| line.starts_with("ERROR ")), "an old error is there to be left out");
    assert!(new.len() > 1000, "{} lines", new.len());
    assert!(new.iter().any(|line| line.contains(" 0 errors")));
    assert!(new.iter().all(|line| line.starts_with("INFO ")));
    assert!(!log_text(&system, "apache_log").to_lowercase().contains("error"));
}

#[test]
fn the_data_of_a_healthy_helpdesk_gives_no_cause_for_alarm() {
    let system = start(&[]);
    for (what, sql) in [
        ("a critical ticket without an agent", "SELECT count(*) FROM crm_ticket WHERE assigned_to_id IS NULL"),
        (
            "a ticket open for more than a day",
            "SELECT count(*) FROM crm_ticket WHERE status IN ('new', 'in_progress') \
             AND created_at < datetime('now', '-1 day')",
        ),
        ("a locked account", "SELECT count(*) FROM crm_userprofile WHERE is_locked"),
        ("anything of the future", "SELECT count(*) FROM activity_log WHERE created_at > datetime('now', '+1 minute')"),
        ("a comment without its ticket", "SELECT count(*) FROM pragma_foreign_key_check"),
    ] {
        assert_eq!(query::<i64>(&database(&system), sql).unwrap(), 0, "{what}");
    }
}

#[test]
fn the_last_eight_days_have_backups_that_grow_and_end_yesterday() {
    let system = start(&[]);
    let files = backups(&system);
    let expected: Vec<_> = (1..=8).rev().map(|days_ago| backup_name(&system, days_ago)).collect();
    assert_eq!(files.iter().map(|file| name(file)).collect::<Vec<_>>(), expected);
    assert_eq!(name(&fs::read_link(latest(&system)).unwrap()), expected[7]);

    let sizes: Vec<_> = files.iter().map(|file| fs::metadata(file).unwrap().len()).collect();
    assert!(sizes.is_sorted_by(|a, b| a < b), "{sizes:?}");
    assert!(sizes[7] < sizes[0] * 2, "slightly growing: {sizes:?}");
    let times: Vec<_> = files.iter().map(|file| fs::metadata(file).unwrap().modified().unwrap()).collect();
    assert!(times.is_sorted());
    assert!(DateTime::<Utc>::from(times[7]) > Utc::now() - TimeDelta::hours(25), "{:?}", times[7]);
}

#[test]
fn a_backup_restores_to_the_database_of_its_day() {
    let system = start(&[]);
    let newest = backups(&system).pop().unwrap();
    let dump = unpacked(&newest).unwrap();
    assert!(dump.starts_with("PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCREATE TABLE auth_user "), "{dump}");
    assert!(dump.ends_with("COMMIT;\n"));

    let restored = tempfile::NamedTempFile::new().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let options = SqliteConnectOptions::new().filename(restored.path());
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(dump)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    });

    let made: DateTime<Utc> = fs::metadata(&newest).unwrap().modified().unwrap().into();
    let made = made.format("%Y-%m-%d %H:%M:%S%.6f");
    for (table, born) in [
        ("auth_user", "date_joined"),
        ("crm_ticket", "created_at"),
        ("crm_ticketcomment", "created_at"),
        ("activity_log", "created_at"),
    ] {
        // Every row with all its values, in one text.
        let rows = |database: &Path, columns: &str| {
            let sql = format!("SELECT group_concat({columns}, ';') FROM {table} WHERE {born} <= '{made}'");
            query::<String>(database, &sql).unwrap()
        };
        let columns: String = query(
            &database(&system),
            &format!("SELECT group_concat('quote('||name||')', '||') FROM pragma_table_info('{table}')"),
        )
        .unwrap();
        assert_eq!(rows(restored.path(), &columns), rows(&database(&system), &columns), "{table}");
        let all: i64 = query(restored.path(), &format!("SELECT count(*) FROM {table}")).unwrap();
        let then: i64 =
            query(&database(&system), &format!("SELECT count(*) FROM {table} WHERE {born} <= '{made}'")).unwrap();
        assert!(all > 0 && all == then, "{table}: {all} rows, {then} then");
    }
}

#[test]
fn the_services_run_under_the_names_that_the_site_file_says() {
    let system = start(&[]);
    let named = ["web_process", "database_process", "application_pattern"].map(|key| site(&system, key));
    assert_eq!(process_names(system.folder()), BTreeSet::from(named.clone()));
    assert!(named[0].starts_with("helpdesk-web-"), "{}", named[0]);
}

#[test]
fn the_site_file_leads_to_everything() {
    let system = start(&[]);
    assert_eq!(site(&system, "site_url"), system.url());
    assert_eq!(site(&system, "packs"), "[helpdesk]");
    assert_eq!(site(&system, "disk_paths"), system.folder().to_str().unwrap());
    let url = site(&system, "helpdesk");
    let url = url.trim_start_matches("{ url: \"").trim_end_matches("\" }");
    let options: SqliteConnectOptions = url.parse().expect("a database URL");
    assert_eq!(query::<i64>(options.get_filename(), "SELECT count(*) FROM auth_user").unwrap(), 40);
}

// --- its end ---

#[test]
fn dropping_it_leaves_no_process_and_no_folder() {
    let system = start(&[]);
    let folder = system.folder().to_owned();
    assert_eq!(processes(&folder).len(), 3);
    drop(system);
    assert_eq!(processes(&folder), Vec::<String>::new());
    assert!(!folder.exists());
}

#[test]
fn a_panic_leaves_no_process_and_no_folder() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let result = std::thread::spawn(move || {
        let system = start(&[]);
        sender.send(system.folder().to_owned()).unwrap();
        panic!("this panic is part of the test");
    })
    .join();
    assert!(result.is_err());
    let folder = receiver.recv().unwrap();
    assert_eq!(processes(&folder), Vec::<String>::new());
    assert!(!folder.exists());
}

/// This test plays both parts: the starter that is killed is this test again, in a process of its own.
#[test]
fn killing_the_starter_leaves_no_process_and_no_folder() {
    const PART: &str = "OPSCTL_TEST_DRILL_STARTER";
    if std::env::var_os(PART).is_some() {
        // A mounted disk has to go, too, where the right to mount one is given.
        let system = System::start(&[Fault::DiskFull], own_exe()).unwrap_or_else(|_| start(&[]));
        println!("folder {}", system.folder().display());
        loop {
            std::thread::park();
        }
    }
    let mut starter = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "drill::killing_the_starter_leaves_no_process_and_no_folder", "--nocapture"])
        .env(PART, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(starter.stdout.take().unwrap()).lines();
    let folder = lines.map_while(Result::ok).find_map(|line| Some(PathBuf::from(line.split_once("folder ")?.1)));
    let folder = folder.expect("the starter says its folder");
    assert_eq!(processes(&folder).len(), 3);
    starter.kill().unwrap();
    starter.wait().unwrap();
    wait_until("the end of the services", || processes(&folder).is_empty());
    assert!(!folder.exists(), "the services removed what the starter could not");
}

#[test]
fn a_program_that_is_no_service_is_named_as_the_cause() {
    let error = System::start(&[], Path::new("/bin/true")).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("the service helpdesk-database-") && text.ends_with("it ended at once"), "{text}");
}

// --- its page in the manual ---

#[test]
fn the_manual_lists_exactly_the_faults_that_there_are() {
    let manual = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/drill.md")).unwrap();
    let table: Vec<&str> = manual.lines().filter(|line| line.starts_with("| `")).collect();
    let expected: Vec<String> = Fault::ALL
        .iter()
        .map(|fault| {
            let mut line = String::new();
            write!(line, "| `{fault}` | {} |", fault.about()).unwrap();
            line
        })
        .collect();
    assert_eq!(table, expected);
}
