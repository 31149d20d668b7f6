use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use opsctl::model::fact::{Observation, Subject};
use opsctl::model::unit::Dimension;
use serde_json::json;
use tempfile::TempDir;

use crate::support::again::again_under;
use crate::support::look::Look;

fn wait_until(what: &str, ready: impl Fn() -> bool) {
    for _ in 0..1200 {
        if ready() {
            return;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    panic!("{what} does not happen");
}

fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status().expect("the program starts");
    assert!(status.success(), "{program} {arguments:?}");
}

/// Programs of this test, which no other process on the machine runs, and the processes that they became.
struct Zoo {
    folder: TempDir,
    pids: Vec<u32>,
}

impl Zoo {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder"), pids: Vec::new() }
    }

    /// A copy of the program `of` under a name that starts with `name` and is used once.
    fn program(&self, of: &str, name: &str) -> (String, PathBuf) {
        let name = format!("{name}-{}", std::process::id());
        let path = self.folder.path().join(&name);
        fs::copy(format!("/bin/{of}"), &path).expect("a copy");
        (name, path)
    }

    /// Starts `command` so that it is no child of this test, and waits until it runs.
    fn start(&mut self, command: &[&str]) -> u32 {
        self.start_through(&[], command)
    }

    /// The same, with the words `through` before the command, which end by becoming the command.
    fn start_through(&mut self, through: &[&str], command: &[&str]) -> u32 {
        let note = self.folder.path().join(format!("pid-{}", self.pids.len()));
        let note = note.to_str().expect("a plain path");
        let script = "note=$1; shift; echo $$ > \"$note.new\" && mv \"$note.new\" \"$note\" && exec \"$@\"";
        let mut arguments = vec!["--fork", "sh", "-c", script, "sh", note];
        arguments.extend(through.iter().chain(command));
        let started = Command::new("setsid")
            .args(&arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(started.expect("setsid starts").success(), "{arguments:?}");
        wait_until("the start", || Path::new(note).exists());
        let pid: u32 = fs::read_to_string(note).expect("the number").trim().parse().expect("a number");
        self.pids.push(pid);
        let words = command.join("\0");
        wait_until("the command", || {
            let arguments = fs::read_to_string(format!("/proc/{pid}/cmdline")).expect("it runs");
            arguments.trim_end_matches('\0') == words
        });
        pid
    }

    /// Writes a pid file.
    fn pid_file(&self, text: impl std::fmt::Display) -> PathBuf {
        let path = self.folder.path().join("daemon.pid");
        fs::write(&path, format!("{text}\n")).expect("a file");
        path
    }
}

impl Drop for Zoo {
    fn drop(&mut self) {
        for pid in &self.pids {
            // With its children, since each is a session of its own. One that has ended already is as good.
            let _ = Command::new("kill").args(["-KILL", "--", &format!("-{pid}")]).output();
        }
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

fn number(subject: &Subject, fact: &str, dimension: Dimension) -> f64 {
    let value = subject.facts.get(fact).unwrap_or_else(|| panic!("no fact {fact} in {subject:?}"));
    value.number_in(dimension).expect("a number of that dimension")
}

fn count(subject: &Subject, fact: &str) -> f64 {
    number(subject, fact, Dimension::Count)
}

fn evidence(seen: &Observation) -> Vec<&str> {
    seen.evidence.iter().flat_map(|evidence| &evidence.lines).map(String::as_str).collect()
}

#[test]
fn a_process_is_found_by_its_whole_name_however_long() {
    let mut zoo = Zoo::new();
    let (name, path) = zoo.program("sleep", "a-very-long-process-name-daemon");
    let pid = zoo.start(&[text(&path), "600"]);
    let seen = Look::new("process", json!({ "name": name })).run().expect("a look");
    let subject = &seen.subjects[0];
    assert_eq!(subject.name, name);
    for (fact, expected) in
        [("count", 1.0), ("threads", 1.0), ("zombies", 0.0), ("stuck", 0.0), ("state.sleeping", 1.0)]
    {
        assert_eq!(count(subject, fact), expected, "{fact} of {subject:?}");
    }
    assert_eq!(count(subject, "deleted_executable"), 0.0);
    let open = fs::read_dir(format!("/proc/{pid}/fd")).expect("its files").count();
    assert_eq!(count(subject, "open_files"), open as f64);
    assert!(number(subject, "memory", Dimension::Size) > 0.0, "{subject:?}");
    assert_eq!(subject.facts["oldest_age"], subject.facts["youngest_age"]);
    let line = evidence(&seen)[0];
    assert!(line.starts_with(&format!("{pid} root ")), "{line}");
    assert!(line.ends_with(&format!("sleeping {name} 600")), "{line}");

    let other = name.replace("daemon", "domain");
    assert_eq!(count(&Look::new("process", json!({ "name": other })).subject(), "count"), 0.0);
    assert_eq!(count(&Look::new("process", json!({ "name": &name[..15] })).subject(), "count"), 1.0);
}

#[test]
fn each_name_is_a_result_of_its_own() {
    let mut zoo = Zoo::new();
    let (name, path) = zoo.program("sleep", "present");
    let (absent, _) = zoo.program("sleep", "absent");
    zoo.start(&[text(&path), "600"]);
    let seen = Look::new("process", json!({ "name": [absent, name] })).run().expect("a look");
    let counts: Vec<_> = seen.subjects.iter().map(|subject| (&subject.name, count(subject, "count"))).collect();
    assert_eq!(counts, [(&absent, 0.0), (&name, 1.0)]);
    for fact in ["oldest_age", "youngest_age", "cpu", "memory", "threads", "open_files", "deleted_executable"] {
        assert!(!seen.subjects[0].facts.contains_key(fact), "{fact} of no process");
        assert!(seen.subjects[1].facts.contains_key(fact), "no {fact}");
    }
}

#[test]
fn what_several_processes_use_is_summed() {
    let mut zoo = Zoo::new();
    let (name, path) = zoo.program("sleep", "several");
    for _ in 0..3 {
        zoo.start(&[text(&path), "600"]);
    }
    let seen = Look::new("process", json!({ "name": name })).run().expect("a look");
    let subject = &seen.subjects[0];
    assert_eq!((count(subject, "count"), count(subject, "threads")), (3.0, 3.0));
    let ages = ["oldest_age", "youngest_age"].map(|fact| number(subject, fact, Dimension::Time));
    assert!(ages[0] >= ages[1], "{ages:?}");
    assert_eq!(evidence(&seen).len(), 3);
}

#[test]
fn a_busy_process_has_used_the_processor() {
    let mut zoo = Zoo::new();
    let (name, path) = zoo.program("sh", "busy");
    zoo.start(&[text(&path), "-c", "while :; do :; done"]);
    wait_until("some work", || {
        let seen = Look::new("process", json!({ "name": name })).subject();
        number(&seen, "cpu", Dimension::Percent) > 0.0
    });
}

#[test]
fn what_opsctl_started_itself_is_never_found() {
    let zoo = Zoo::new();
    let (name, path) = zoo.program("sh", "our-own-child");
    let script = format!("{} -c 'sleep 600; true' & wait", text(&path));
    let mut child = Command::new(&path).args(["-c", &script]).process_group(0).spawn().expect("a child");
    let running = || {
        let printed = Command::new("ps").args(["-eo", "args="]).output().expect("ps");
        String::from_utf8_lossy(&printed.stdout).lines().filter(|line| line.contains(&name)).count()
    };
    wait_until("child and grandchild", || running() >= 2);
    for inputs in [json!({ "name": name }), json!({ "arguments": name })] {
        let seen = Look::new("process", inputs).subject();
        assert_eq!(count(&seen, "count"), 0.0, "{seen:?}");
    }
    run("kill", &["-KILL", "--", &format!("-{}", child.id())]);
    child.wait().expect("the child ends");
}

/// The number and the name of a thread of the kernel; `None` in a container.
fn thread_of_the_kernel() -> Option<(String, String)> {
    let started = fs::read_to_string("/proc/2/task/2/children").unwrap_or_default();
    started.split_ascii_whitespace().find_map(|pid| {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?.trim_end().to_owned();
        let has_words = fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|words| !words.is_empty());
        // Workers change their names with their work.
        (!has_words && !name.contains("worker") && !name.contains('/')).then(|| (pid.to_owned(), name))
    })
}

#[test]
fn a_thread_of_the_kernel_is_found_by_its_name_where_no_program_has_it() {
    let Some((pid, name)) = thread_of_the_kernel() else { return };
    let mut zoo = Zoo::new();
    let (program, path) = zoo.program("sleep", "beside-the-kernel");
    zoo.start(&[text(&path), "600"]);
    let seen = Look::new("process", json!({ "name": [program, name] })).run().expect("a look");
    assert_eq!(count(&seen.subjects[0], "count"), 1.0, "{seen:?}");
    assert!(evidence(&seen).iter().any(|line| line.starts_with(&format!("{pid} "))), "{pid} {name}: {seen:?}");
}

#[test]
fn arguments_are_matched_joined_by_spaces() {
    let mut zoo = Zoo::new();
    let (name, path) = zoo.program("sh", "interpreter");
    let script = zoo.folder.path().join("manage.py");
    fs::write(&script, "sleep 600; true\n").expect("a script");
    zoo.start(&[text(&path), text(&script), "run server", "--port", "8000"]);
    for pattern in [format!("{name} .*/manage.py run"), format!("{name}.*server --port 8000$")] {
        let seen = Look::new("process", json!({ "arguments": pattern })).subject();
        assert_eq!(count(&seen, "count"), 1.0, "{pattern}: {seen:?}");
        assert_eq!(seen.name, format!("arguments {pattern}"));
    }
    let both = json!({ "name": name, "arguments": "--port 9000" });
    assert_eq!(count(&Look::new("process", both).subject(), "count"), 0.0);
}

#[test]
fn the_shell_that_runs_opsctl_with_the_searched_words_is_not_found() {
    again_under(&["sh", "-c", "\"$@\"; exit $?  # a-word-of-our-own-command-line", "sh"], || {
        let mut zoo = Zoo::new();
        let pattern = "# a-word-of-our-own-command-line";
        let seen = Look::new("process", json!({ "arguments": pattern })).subject();
        assert_eq!(count(&seen, "count"), 0.0, "{seen:?}");
        let (_, path) = zoo.program("sh", "another");
        zoo.start(&[text(&path), "-c", "sleep 600; true # a-word-of-our-own-command-line"]);
        let seen = Look::new("process", json!({ "arguments": pattern })).subject();
        assert_eq!(count(&seen, "count"), 1.0, "{seen:?}");
    });
}

#[test]
fn a_process_is_found_by_the_name_that_its_first_argument_has() {
    let mut zoo = Zoo::new();
    let (name, path) = zoo.program("sleep", "executable");
    let given = format!("given-name-that-is-long-{}", std::process::id());
    let shown = format!("/opt/{given}");
    zoo.start_through(&["bash", "-c", "exec -a \"$1\" \"$0\" \"$2\"", text(&path)], &[&shown, "600"]);
    for name in [&name, &given] {
        let seen = Look::new("process", json!({ "name": name })).subject();
        assert_eq!(count(&seen, "count"), 1.0, "{seen:?}");
    }
}

#[test]
fn only_processes_of_the_user_are_counted() {
    let mut zoo = Zoo::new();
    let (name, path) = zoo.program("sleep", "of-a-user");
    run("chmod", &["755", text(zoo.folder.path())]);
    zoo.start(&[text(&path), "600"]);
    let other = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    let pid = zoo.start_through(&other, &[text(&path), "600"]);
    for (user, expected) in [("nobody", 1.0), ("65534", 1.0), ("root", 1.0), ("daemon", 0.0)] {
        let seen = Look::new("process", json!({ "name": name, "user": user })).run().expect("a look");
        assert_eq!(count(&seen.subjects[0], "count"), expected, "{user}");
        if user == "nobody" {
            assert!(evidence(&seen)[0].starts_with(&format!("{pid} nobody ")), "{seen:?}");
        }
    }
    let error = Look::new("process", json!({ "user": "no-such-user" })).run().expect_err("no such user");
    assert_eq!((error.code, error.message.as_str()), ("not_found", "there is no user `no-such-user` on this machine"));
}

#[test]
fn a_zombie_is_counted_apart_and_shown_with_its_parent() {
    let mut zoo = Zoo::new();
    let (name, path) = zoo.program("sleep", "a-child-that-nobody-asks-for");
    let (parent, parent_path) = zoo.program("sleep", "a-careless-parent");
    let script = "\"$0\" 0 & exec \"$1\" 600";
    let pid = zoo.start_through(&["sh", "-c", script, text(&path)], &[text(&parent_path), "600"]);
    let zombie = || Look::new("process", json!({ "name": name })).run().expect("a look");
    wait_until("the end of the child", || count(&zombie().subjects[0], "zombies") == 1.0);
    let seen = zombie();
    assert_eq!((count(&seen.subjects[0], "count"), count(&seen.subjects[0], "state.zombie")), (0.0, 1.0));
    let line = evidence(&seen)[0];
    assert!(line.contains(" zombie [a-child-that-no] left by "), "{line}");
    assert!(line.ends_with(&format!("left by {pid} {}", &parent[..15])), "{line}");

    let all = Look::new("process", json!({})).run().expect("a look");
    assert_eq!(all.subjects[0].name, "all processes");
    assert!(count(&all.subjects[0], "zombies") >= 1.0, "{all:?}");
    assert_eq!(all.evidence[0].title, "zombies and stuck processes");
    let ours = line.split_once(' ').expect("the number comes first").0;
    let is_shown = evidence(&all).iter().any(|line| line.split(' ').next() == Some(ours));
    assert!(is_shown || all.evidence[0].left_out > 0, "{all:?}");
}

#[test]
fn a_stopped_process_is_there_and_stopped() {
    let mut zoo = Zoo::new();
    let (name, path) = zoo.program("sleep", "stopped");
    let pid = zoo.start(&[text(&path), "600"]);
    run("kill", &["-STOP", &pid.to_string()]);
    let look = || Look::new("process", json!({ "name": name })).subject();
    wait_until("the stop", || count(&look(), "state.stopped") == 1.0);
    assert_eq!(count(&look(), "count"), 1.0);
}

#[test]
fn a_process_that_waits_and_cannot_be_interrupted_is_stuck() {
    let mut zoo = Zoo::new();
    let (name, path) = zoo.program("perl", "stuck");
    // clone(CLONE_VFORK | SIGCHLD): the parent waits, in state D, for its child to end.
    let script = "syscall(`uname -m` =~ /aarch64/ ? 220 : 56, 0x4011, 0, 0, 0, 0) or sleep 600";
    zoo.start(&[text(&path), "-e", script]);
    let look = || Look::new("process", json!({ "name": name })).subject();
    wait_until("the wait", || count(&look(), "stuck") == 1.0);
    let seen = look();
    assert_eq!((count(&seen, "count"), count(&seen, "state.stuck")), (2.0, 1.0), "{seen:?}");
}

#[test]
fn an_executable_that_was_replaced_is_noticed() {
    let mut zoo = Zoo::new();
    let (name, path) = zoo.program("sleep", "updated");
    zoo.start(&[text(&path), "600"]);
    fs::remove_file(&path).expect("the file is there");
    zoo.program("sleep", "updated");
    zoo.start(&[text(&path), "600"]);
    let seen = Look::new("process", json!({ "name": name })).subject();
    assert_eq!((count(&seen, "count"), count(&seen, "deleted_executable")), (2.0, 1.0));
}

#[test]
fn a_pid_file_leads_to_its_process() {
    let mut zoo = Zoo::new();
    let (name, path) = zoo.program("sleep", "daemon");
    let pid = zoo.start(&[text(&path), "600"]);
    zoo.start(&[text(&path), "600"]);
    let file = zoo.pid_file(pid);
    for inputs in [json!({ "pid_file": file }), json!({ "pid_file": file, "name": name })] {
        let seen = Look::new("process", inputs).subject();
        assert_eq!((count(&seen, "count"), seen.notes.as_slice()), (1.0, &[][..]));
    }
    run("touch", &["-d", "2001-01-01", text(&file)]);
    let seen = Look::new("process", json!({ "pid_file": file })).subject();
    assert!(seen.notes[0].contains("may be another program"), "{:?}", seen.notes);
}

#[test]
fn a_pid_file_that_is_out_of_date_leads_to_no_process_and_says_why() {
    let mut zoo = Zoo::new();
    let (name, path) = zoo.program("sleep", "other");
    let pid = zoo.start(&[text(&path), "600"]);
    let file = zoo.pid_file(pid);
    let place = text(&file).to_owned();
    let notes = |inputs: serde_json::Value| {
        let seen = Look::new("process", inputs).subject();
        assert_eq!((count(&seen, "count"), &seen.error), (0.0, &None));
        seen.notes
    };
    let is_other = format!("process {pid} of {place} is `{name}`, which is not asked for");
    assert_eq!(notes(json!({ "pid_file": file, "name": "apache2" })), [is_other.as_str()]);
    assert_eq!(notes(json!({ "pid_file": file, "user": "nobody" })), [is_other.as_str()]);
    // More than any Linux counts to.
    zoo.pid_file(4_194_305);
    assert_eq!(notes(json!({ "pid_file": file })), [format!("process 4194305 of {place} does not run")]);
    zoo.pid_file("");
    assert_eq!(notes(json!({ "pid_file": file })), [format!("{place} holds no process number")]);
    fs::remove_file(&file).expect("the file is there");
    assert_eq!(notes(json!({ "pid_file": file })), [format!("{place} does not exist")]);
    run("mkfifo", &[&place]);
    assert_eq!(notes(json!({ "pid_file": file })), [format!("{place} holds no process number")]);
}

#[test]
fn secrets_in_arguments_are_not_shown() {
    let mut zoo = Zoo::new();
    let (name, path) = zoo.program("sh", "secretive");
    zoo.start(&[text(&path), "-c", "sleep 600; true", "x", "--password", "s3cret-1", "TOKEN=s3cret-2"]);
    let seen = Look::new("process", json!({ "name": name })).run().expect("a look");
    assert!(evidence(&seen)[0].ends_with(" x --password *** TOKEN=***"), "{seen:?}");
}

#[test]
fn at_most_twenty_processes_are_shown() {
    let mut zoo = Zoo::new();
    let (name, path) = zoo.program("sleep", "many");
    for _ in 0..22 {
        zoo.start(&[text(&path), "600"]);
    }
    let seen = Look::new("process", json!({ "name": name })).run().expect("a look");
    assert_eq!(count(&seen.subjects[0], "count"), 22.0);
    assert_eq!((evidence(&seen).len(), seen.evidence[0].left_out), (20, 2));
}

const AS_NOBODY: &str = "exec setpriv --reuid=65534 --regid=65534 --clear-groups \"$@\"";

#[test]
fn without_the_right_to_know_the_facts_are_missing_and_the_rest_is_seen() {
    again_under(&["sh", "-c", AS_NOBODY, "sh"], || {
        let seen = Look::new("process", json!({ "user": "root" })).subject();
        assert!(count(&seen, "count") >= 1.0, "{seen:?}");
        assert!(!seen.facts.contains_key("deleted_executable"), "{seen:?}");
    });
}

#[test]
fn where_other_users_are_hidden_nothing_found_is_not_nothing_there() {
    let script = format!("mount -t proc -o hidepid=2 proc /proc && {AS_NOBODY}");
    again_under(&["unshare", "--mount", "sh", "-c", &script, "sh"], || {
        let seen = Look::new("process", json!({ "name": "no-such-process" })).subject();
        let expected = "none is seen, but processes of other users are hidden (hidepid)";
        assert_eq!(seen.error.as_deref(), Some(expected));
        assert!(seen.facts.is_empty(), "{seen:?}");
        let absent = Look::new("process", json!({ "pid_file": "/no/such.pid" })).subject();
        assert_eq!((count(&absent, "count"), absent.error), (0.0, None));
    });
    let script = script.replace("hidepid=2", "hidepid=1");
    again_under(&["unshare", "--mount", "sh", "-c", &script, "sh"], || {
        let seen = Look::new("process", json!({ "name": "no-such-process" })).subject();
        assert!(seen.error.is_some_and(|error| error.contains("hidepid")));
    });
}

#[test]
fn names_and_patterns_that_cannot_be_right_are_refused() {
    for (inputs, input, message) in [
        (json!({ "name": "/usr/sbin/apache2" }), "name", "`/usr/sbin/apache2` is not the name of an executable"),
        (json!({ "name": "" }), "name", "`` is not the name of an executable"),
        (json!({ "arguments": "(" }), "arguments", "`(` is not a regular expression: unclosed group"),
    ] {
        let Err(error) = Look::new("process", inputs).build() else { panic!("{message}: it is accepted") };
        assert_eq!((error.input, error.message.as_str()), (input, message));
    }
}
