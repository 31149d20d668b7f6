//! The cleanup action on real files.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use opsctl::action::{ActionError, Changed};
use opsctl::model::action::Plan;
use opsctl::model::fact::Subject;
use opsctl::model::unit::Quantity;
use opsctl::model::value::Value;
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use crate::journal::as_nobody;
use crate::support::act::Act;
use crate::support::again::with_own_mounts;
use crate::support::server::{program, start};

const DAY: Duration = Duration::from_hours(24);

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

/// A file of `size` bytes that was modified `days` days ago.
fn put(folder: impl AsRef<Path>, name: &str, days: u32, size: usize) -> PathBuf {
    let path = folder.as_ref().join(name);
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(&path, vec![b'x'; size]).expect("written");
    age(&path, days);
    path
}

fn age(path: &Path, days: u32) {
    File::open(path).and_then(|file| file.set_modified(SystemTime::now() - DAY * days)).expect("a time");
}

fn act(folder: &Path, more: Json) -> Act {
    let mut inputs = json!({ "folder": folder, "name": "*" });
    if let Json::Object(more) = more {
        for (name, value) in more {
            inputs[name] = value;
        }
    }
    Act::new("cleanup", inputs)
}

fn plan(act: &Act) -> Plan {
    act.plan().expect("a plan")
}

/// The names of the files that the plan would delete.
fn listed(act: &Act) -> Vec<String> {
    let name = |line: &String| {
        let path = line.trim_start_matches("remove the empty folder ").trim_start_matches("delete ");
        path.split(": ").next().expect("a path").rsplit('/').next().expect("a name").to_owned()
    };
    plan(act).does.iter().map(name).collect()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<String> = entries.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn count(subject: &Subject, fact: &str) -> i64 {
    match subject.facts.get(fact) {
        Some(Value::Integer(count)) => *count,
        other => panic!("{fact} is {other:?}"),
    }
}

fn has_note(plan: &Plan, part: &str) {
    assert!(plan.notes.iter().any(|note| note.contains(part)), "{part}: {:?}", plan.notes);
}

fn refused(folder: &Path, more: Json) -> ActionError {
    let error = act(folder, more).plan().expect_err("no plan");
    assert_eq!(error.changed, Changed::Nothing);
    error
}

#[test]
fn the_plan_lists_each_file_with_what_tells_that_it_is_the_same_and_deletes_nothing() {
    let folder = folder();
    let old = put(&folder, "a.log.1", 40, 1024);
    put(&folder, "b.log", 40, 10);
    let act = act(folder.path(), json!({ "name": "*.log.*", "older_than": "30d" }));
    let plan = plan(&act);
    let seen = fs::metadata(&old).expect("metadata");
    let modified = chrono::DateTime::from_timestamp(seen.mtime(), 0).expect("a time").format("%Y-%m-%dT%H:%M:%SZ");
    let expected =
        format!("delete {}: 1 KiB, modified {modified}, inode {} on device {}", old.display(), seen.ino(), seen.dev());
    assert_eq!(plan.does, [expected]);
    assert_eq!(plan.notes[0], "1 to delete, 1 KiB in all");
    assert_eq!(names(folder.path()), ["a.log.1", "b.log"]);
    let stored = serde_json::from_str(&serde_json::to_string(&plan).expect("JSON")).expect("a plan");
    assert_eq!(count(&act.perform(&stored).expect("done").subjects[0], "deleted"), 1);
    assert_eq!(names(folder.path()), ["b.log"]);
}

#[test]
fn only_files_that_are_old_and_large_enough_and_match_are_deleted() {
    let folder = folder();
    put(&folder, "old.log", 31, 2048);
    put(&folder, "young.log", 29, 2048);
    put(&folder, "small.log", 31, 1024);
    put(&folder, "keep.log", 31, 2048);
    put(&folder, "old.txt", 31, 2048);
    put(&folder, ".hidden.log", 31, 2048);
    put(&folder, "below/old.log", 31, 2048);
    let rule = json!({ "name": "*.log", "except": "keep*", "older_than": "30d", "larger_than": "1KiB" });
    let subject = act(folder.path(), rule).subject();
    assert_eq!((count(&subject, "deleted"), count(&subject, "left")), (1, 0));
    assert!(!folder.path().join("old.log").exists());
    assert_eq!(names(folder.path()), [".hidden.log", "below", "keep.log", "old.txt", "small.log", "young.log"]);
    assert_eq!(names(&folder.path().join("below")), ["old.log"]);
}

#[test]
fn freed_is_what_the_file_system_gets_back() {
    let folder = folder();
    let (single, linked) = (put(&folder, "a.gz", 9, 100_000), put(&folder, "b.gz", 9, 100_000));
    fs::hard_link(&linked, folder.path().join("other-name")).expect("a link");
    let allocated = fs::metadata(&single).expect("metadata").blocks() * 512;
    let subject = act(folder.path(), json!({ "name": "*.gz" })).subject();
    assert_eq!(count(&subject, "deleted"), 2);
    assert_eq!(subject.facts["freed"], Value::Number(Quantity::bytes(allocated)));
}

#[test]
fn the_newest_stay_however_old_they_are_and_an_empty_file_is_none_of_them() {
    let folder = folder();
    for (day, size) in [(10, 5), (20, 5), (30, 5), (40, 5), (1, 0)] {
        put(&folder, &format!("backup-{day}.gz"), day, size);
    }
    let act = act(folder.path(), json!({ "name": "backup-*", "older_than": "5d", "keep_newest": 2 }));
    has_note(&plan(&act), "2 of the newest stay");
    act.subject();
    assert_eq!(names(folder.path()), ["backup-1.gz", "backup-10.gz", "backup-20.gz"]);
}

#[test]
fn folders_below_are_cleaned_up_only_when_asked_and_hidden_ones_never() {
    let folder = folder();
    for file in ["top", "a/b/deep", ".git/object"] {
        put(&folder, file, 9, 5);
    }
    assert_eq!(listed(&act(folder.path(), json!({}))), ["top"]);
    assert_eq!(listed(&act(folder.path(), json!({ "recursive": true }))), ["deep", "top"]);
    assert_eq!(listed(&act(folder.path(), json!({ "recursive": true, "name": "a/**/*" }))), ["deep"]);
}

#[test]
fn folders_are_removed_only_when_asked_and_empty() {
    let folder = folder();
    fs::create_dir_all(folder.path().join("empty")).expect("a folder");
    fs::create_dir_all(folder.path().join("new")).expect("a folder");
    put(&folder, "full/file", 1, 5);
    age(&folder.path().join("empty"), 9);
    let inputs = json!({ "name": "*.gz", "recursive": true, "older_than": "5d" });
    assert!(plan(&act(folder.path(), inputs.clone())).settled);
    let mut inputs = inputs;
    inputs["empty_folders"] = Json::Bool(true);
    assert_eq!(count(&act(folder.path(), inputs).subject(), "deleted"), 1);
    assert_eq!(names(folder.path()), ["full", "new"]);
}

#[test]
fn a_folder_that_is_filled_after_the_plan_stays() {
    let folder = folder();
    put(&folder, "old", 9, 5);
    fs::create_dir(folder.path().join("empty")).expect("a folder");
    let act = act(folder.path(), json!({ "recursive": true, "empty_folders": true }));
    let plan = plan(&act);
    put(&folder, "empty/file", 9, 5);
    let done = act.perform(&plan).expect("done");
    assert_eq!((count(&done.subjects[0], "deleted"), count(&done.subjects[0], "left")), (1, 1));
    assert_eq!(names(&folder.path().join("empty")), ["file"]);
}

#[test]
fn what_has_changed_since_the_plan_is_left_and_told() {
    let folder = folder();
    for name in ["as-it-was", "grown", "touched", "replaced", "gone"] {
        put(&folder, name, 9, 5);
    }
    let act = act(folder.path(), json!({}));
    let plan = plan(&act);
    put(&folder, "new", 9, 5);
    let modified = fs::metadata(folder.path().join("grown")).and_then(|file| file.modified()).expect("a time");
    fs::write(folder.path().join("grown"), "more than before").expect("written");
    File::open(folder.path().join("grown")).and_then(|file| file.set_modified(modified)).expect("a time");
    age(&folder.path().join("touched"), 8);
    let other = put(&folder, "other", 9, 5);
    let modified = fs::metadata(folder.path().join("replaced")).and_then(|file| file.modified()).expect("a time");
    File::open(&other).and_then(|file| file.set_modified(modified)).expect("a time");
    fs::rename(&other, folder.path().join("replaced")).expect("replaced");
    fs::remove_file(folder.path().join("gone")).expect("removed");

    let done = act.perform(&plan).expect("done");
    assert_eq!((count(&done.subjects[0], "deleted"), count(&done.subjects[0], "left")), (1, 4));
    assert_eq!(names(folder.path()), ["grown", "new", "replaced", "touched"]);
    let at = folder.path().display();
    let changed = |name: &str| format!("{at}/{name}: it has changed since it was listed");
    let expected =
        [format!("{at}/gone: it is gone already"), changed("grown"), changed("replaced"), changed("touched")];
    assert_eq!(done.evidence[0].lines, expected);
}

#[test]
fn when_nothing_is_as_it_was_the_action_has_failed() {
    let folder = folder();
    let file = put(&folder, "file", 9, 5);
    let act = act(folder.path(), json!({}));
    let plan = plan(&act);
    age(&file, 1);
    let error = act.perform(&plan).expect_err("nothing is deleted");
    assert_eq!((error.code, error.changed), ("nothing_deleted", Changed::Nothing));
    assert!(error.message.contains("it has changed since it was listed"), "{error}");
}

#[test]
fn a_file_that_a_process_has_open_is_left() {
    let folder = folder();
    let (live, later) = (put(&folder, "live.log", 9, 5), put(&folder, "later.log", 9, 5));
    put(&folder, "old.log", 9, 5);
    let held = File::open(&live).expect("opened");
    let act = act(folder.path(), json!({}));
    let plan = plan(&act);
    has_note(&plan, &format!("{} is left: ", live.display()));
    has_note(&plan, &format!("({}) has it open", std::process::id()));
    assert_eq!(plan.does.len(), 2);
    let second = File::open(&later).expect("opened");
    let done = act.perform(&plan).expect("done");
    assert_eq!(names(folder.path()), ["later.log", "live.log"]);
    assert!(done.evidence[0].lines[0].ends_with("has it open"), "{:?}", done.evidence);
    drop((held, second));
}

#[test]
fn a_file_that_another_program_writes_is_left() {
    let folder = folder();
    let live = put(&folder, "live.log", 9, 5);
    let shell = format!("exec 3>>{}; touch {}; sleep 600", live.display(), folder.path().join("ready").display());
    start(vec![program("sh"), "-c".to_owned(), shell]);
    crate::support::server::wait_until("the writer", || folder.path().join("ready").exists());
    let plan = plan(&act(folder.path(), json!({ "name": "*.log" })));
    assert!(plan.settled, "{:?}", plan.does);
    has_note(&plan, "has it open");
}

#[test]
fn symbolic_links_are_neither_deleted_nor_followed() {
    let (folder, elsewhere) = (folder(), folder());
    let treasure = put(&elsewhere, "treasure", 90, 5);
    symlink(&treasure, folder.path().join("link")).expect("a link");
    symlink(elsewhere.path(), folder.path().join("below")).expect("a link");
    let plan = plan(&act(folder.path(), json!({ "recursive": true })));
    assert!(plan.settled, "{:?}", plan.does);
    has_note(&plan, "2 links, sockets and the like are never deleted");
    let error = refused(&folder.path().join("below"), json!({}));
    assert_eq!(error.code, "link");
    assert_eq!(error.help, Some(format!("write the folder itself: {}", elsewhere.path().display())));
    let error = refused(&folder.path().join("below/deeper"), json!({}));
    assert_eq!(error.code, "link");
}

#[test]
fn a_folder_that_became_a_link_after_the_plan_leads_nowhere() {
    let (folder, elsewhere) = (folder(), folder());
    let inner = put(&folder, "inner/file", 9, 5);
    put(&folder, "old", 9, 5);
    let act = act(folder.path(), json!({ "recursive": true }));
    let plan = plan(&act);
    assert_eq!(plan.does.len(), 2);
    // The very same file, so that only the way to it differs.
    fs::rename(inner.parent().expect("inner"), elsewhere.path().join("inner")).expect("moved");
    symlink(elsewhere.path().join("inner"), folder.path().join("inner")).expect("a link");
    let done = act.perform(&plan).expect("done");
    assert_eq!((count(&done.subjects[0], "deleted"), count(&done.subjects[0], "left")), (1, 1));
    assert_eq!(names(&elsewhere.path().join("inner")), ["file"]);
}

#[test]
fn a_folder_that_was_exchanged_after_the_plan_is_refused() {
    let above = folder();
    let folder = above.path().join("logs");
    put(&folder, "file", 9, 5);
    let act = act(&folder, json!({}));
    let plan = plan(&act);
    fs::rename(&folder, above.path().join("logs.old")).expect("moved");
    put(&folder, "file", 9, 5);
    let error = act.perform(&plan).expect_err("it is refused");
    assert_eq!((error.code, error.changed), ("changed", Changed::Nothing));
    assert_eq!(names(&folder), ["file"]);
}

#[test]
fn another_file_system_is_not_entered() {
    with_own_mounts(|| {
        let (folder, other) = (folder(), folder());
        put(&folder, "old", 9, 5);
        for name in ["memory", "bound"] {
            fs::create_dir(folder.path().join(name)).expect("a folder");
        }
        put(&other, "file", 9, 5);
        let mount = |arguments: &[&str]| {
            let done = std::process::Command::new("mount").args(arguments).status().expect("mount runs");
            assert!(done.success(), "these tests mount file systems, so they run as root");
        };
        let at = |name: &str| folder.path().join(name).display().to_string();
        mount(&["-t", "tmpfs", "opsctl-test", &at("memory")]);
        // A bind mount has the same device number as what it is bound to.
        mount(&["--bind", &other.path().display().to_string(), &at("bound")]);
        put(&folder, "memory/file", 9, 5);
        let act = act(folder.path(), json!({ "recursive": true }));
        assert_eq!(listed(&act), ["old"]);
        has_note(&plan(&act), "is another file system and not looked at");
        act.subject();
        assert!(folder.path().join("memory/file").exists() && other.path().join("file").exists());
        for name in ["memory", "bound"] {
            std::process::Command::new("umount").arg(at(name)).status().expect("umount runs");
        }
    });
}

#[test]
fn of_too_many_the_oldest_are_taken_and_the_plan_says_so() {
    let folder = folder();
    for day in 1..=30 {
        put(&folder, &format!("{day:02}.log"), day, 5);
    }
    let act = act(folder.path(), json!({ "most": 3 }));
    assert_eq!(listed(&act), ["28.log", "29.log", "30.log"]);
    has_note(&plan(&act), "27 more match and wait for the next time: `most` is 3");
}

#[test]
fn a_name_with_a_line_break_is_one_line_of_the_plan_and_is_deleted() {
    let folder = folder();
    put(&folder, "a\ndelete all", 9, 5);
    let act = act(folder.path(), json!({}));
    let plan = plan(&act);
    assert_eq!(plan.does.len(), 1);
    assert!(plan.does[0].contains(r"a\ndelete all'") && !plan.does[0].contains('\n'), "{}", plan.does[0]);
    act.perform(&plan).expect("done");
    assert_eq!(names(folder.path()), [""; 0]);
}

#[test]
fn a_name_that_is_no_text_is_left_and_said() {
    use std::os::unix::ffi::OsStrExt;
    let folder = folder();
    fs::write(folder.path().join(std::ffi::OsStr::from_bytes(b"bad\xff")), "x").expect("written");
    has_note(&plan(&act(folder.path(), json!({}))), "1 with a name that is no UTF-8 are left");
}

#[test]
fn several_folders_are_one_result_each() {
    let (a, b) = (folder(), folder());
    put(&a, "old", 9, 5);
    let act = Act::new("cleanup", json!({ "folder": [a.path(), b.path()], "name": "*" }));
    let done = act.run().expect("done");
    let seen: Vec<_> = done.subjects.iter().map(|subject| (subject.name.as_str(), count(subject, "deleted"))).collect();
    let [a, b] = [a.path(), b.path()].map(|path| path.display().to_string());
    assert_eq!(seen, [(a.as_str(), 1), (b.as_str(), 0)]);
}

#[test]
fn nothing_to_delete_is_settled() {
    let folder = folder();
    put(&folder, "young", 1, 5);
    let act = act(folder.path(), json!({ "older_than": "30d" }));
    let plan = plan(&act);
    assert!(plan.settled && plan.does.is_empty());
    assert_eq!(count(&act.perform(&plan).expect("nothing to do").subjects[0], "deleted"), 0);
}

#[test]
fn a_cancelled_run_deletes_nothing_more() {
    let folder = folder();
    put(&folder, "old", 9, 5);
    let act = act(folder.path(), json!({}));
    let plan = plan(&act);
    act.cx.look.cancel.cancel();
    let error = act.perform(&plan).expect_err("it is ended");
    assert_eq!((error.code, error.changed), ("cancelled", Changed::Nothing));
    assert_eq!(names(folder.path()), ["old"]);
}

#[test]
fn the_plan_of_another_folder_is_refused() {
    let (a, b) = (folder(), folder());
    put(&a, "old", 9, 5);
    put(&b, "old", 9, 5);
    let error = act(b.path(), json!({})).perform(&plan(&act(a.path(), json!({})))).expect_err("it is refused");
    assert_eq!((error.code, error.changed), ("changed", Changed::Nothing));
    assert_eq!((names(a.path()), names(b.path())), (vec!["old".to_owned()], vec!["old".to_owned()]));
}

#[test]
fn what_other_users_have_open_is_not_known_and_that_is_said() {
    let folder = folder();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).expect("a mode");
    put(&folder, "old", 9, 5);
    as_nobody("action_cleanup::what_other_users_have_open_is_not_known_and_that_is_said", folder.path(), |folder| {
        has_note(&plan(&act(folder, json!({}))), "processes of other users cannot be seen");
        fs::create_dir(folder.join("mine")).expect("a folder");
        fs::write(folder.join("mine/file"), "x").expect("written");
        fs::set_permissions(folder.join("mine"), fs::Permissions::from_mode(0o555)).expect("a mode");
        let error = refused(&folder.join("mine"), json!({}));
        assert_eq!(error.code, "permission");
    });
}

#[test]
fn folders_that_must_not_be_cleaned_up_are_refused() {
    for folder in ["/", "/etc", "/etc/apache2", "/usr/lib", "/var", "/var/log", "/home", "/root", "/tmp/../etc"] {
        let error = act(Path::new(folder), json!({})).build().err().expect("it is refused");
        assert_eq!(error.input, "folder", "{folder}");
        assert!(error.help.contains("one application"), "{}", error.help);
    }
}

#[test]
fn inputs_that_do_not_fit_together_are_refused() {
    for (more, input) in [
        (json!({ "folder": ["/srv/a", "/srv/a/b"] }), "folder"),
        (json!({ "name": "[a" }), "name"),
        (json!({ "name": "" }), "name"),
        (json!({ "except": "{a" }), "except"),
        (json!({ "empty_folders": true }), "empty_folders"),
    ] {
        assert_eq!(act(Path::new("/srv/a"), more).build().err().expect("it is refused").input, input);
    }
    let error = refused(Path::new("/srv/no-such-folder"), json!({}));
    assert_eq!(error.message, "the folder /srv/no-such-folder does not exist");
}
