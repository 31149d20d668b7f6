use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use opsctl::model::fact::{Observation, Subject};
use opsctl::model::unit::Quantity;
use opsctl::model::value::Value;
use serde_json::json;
use tempfile::TempDir;

use crate::support::again::with_own_mounts;
use crate::support::fuse::Fuse;
use crate::support::look::Look;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// The folder `name` in `parent`.
fn made(parent: &TempDir, name: &str) -> String {
    let path = parent.path().join(name);
    fs::create_dir_all(&path).expect("a folder");
    path.to_str().expect("a plain path").to_owned()
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).env("LC_ALL", "C").output().expect("the program starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// An ext4 file system of 20 MiB with 10 % reserved for root, mounted at `point`.
fn mount_ext4(folder: &TempDir, point: &str, options: &str) {
    let image = folder.path().join("image");
    let image = image.to_str().expect("a plain path");
    run("truncate", &["-s", "20M", image]);
    run("mkfs.ext4", &["-q", "-m", "10", "-N", "64", image]);
    run("mount", &["-o", &format!("loop,{options}"), image, point]);
}

fn mount_tmpfs(point: &str, options: &str) {
    run("mount", &["-t", "tmpfs", "-o", options, "a-source", point]);
}

fn subject<'o>(seen: &'o Observation, name: &str) -> &'o Subject {
    seen.subjects.iter().find(|subject| subject.name == name).unwrap_or_else(|| panic!("{name} is not in {seen:?}"))
}

fn names(seen: &Observation) -> Vec<&str> {
    seen.subjects.iter().map(|subject| subject.name.as_str()).collect()
}

/// What `df` prints for `path`, in bytes and percent: size, used, available, used %, used inodes %.
fn df(path: &str) -> [f64; 5] {
    let text = run("df", &["-B1", "--output=size,used,avail,pcent,ipcent", path]);
    let line = text.lines().nth(1).expect("a line of numbers");
    let numbers: Vec<f64> =
        line.split_whitespace().map(|word| word.trim_end_matches('%').parse().expect("a number")).collect();
    numbers.try_into().expect("five numbers")
}

fn share(percent: f64, bytes: f64) -> Value {
    let amount = Quantity::new(bytes, Quantity::bytes(0).dimension());
    Value::Share { percent, amount }
}

fn agrees_with_df(subject: &Subject, path: &str) {
    let [size, used, available, used_percent, used_inodes] = df(path);
    assert_eq!(subject.facts["size"].history_number().map(Quantity::amount), Some(size));
    assert_eq!(subject.facts["used"], share(used_percent, used));
    assert_eq!(subject.facts["free"], share(100.0 - used_percent, available));
    assert_eq!(subject.facts["inodes_free"], Value::percent(100.0 - used_inodes));
}

#[test]
fn the_numbers_are_those_of_df_with_blocks_reserved_for_root() {
    with_own_mounts(|| {
        let folder = folder();
        let point = made(&folder, "disk");
        mount_ext4(&folder, &point, "rw");
        for (file, size) in [("a", "1M"), ("b", "5M"), ("c", "10M")] {
            run("fallocate", &["-l", size, &format!("{point}/{file}")]);
            let seen = Look::new("disk", json!({ "path": point })).subject();
            agrees_with_df(&seen, &point);
        }
        let seen = Look::new("disk", json!({})).run().expect("a look");
        let disk = subject(&seen, &point);
        agrees_with_df(disk, &point);
        assert_eq!(disk.facts["type"], Value::text("ext4"));
        assert_eq!(disk.facts["mounted"], Value::Bool(true));
        assert_eq!(disk.facts["read_only"], Value::Bool(false));
        assert!(disk.facts["source"].to_string().starts_with("/dev/loop"), "{disk:?}");
    });
}

#[test]
fn the_root_is_always_seen_and_pseudo_file_systems_are_not() {
    with_own_mounts(|| {
        let folder = folder();
        let point = made(&folder, "memory");
        mount_tmpfs(&point, "size=1M");
        let seen = Look::new("disk", json!({})).run().expect("a look");
        assert_eq!(subject(&seen, "/").facts["mounted"], Value::Bool(true));
        for pseudo in ["/proc", "/sys", "/dev", "/dev/shm", point.as_str()] {
            assert!(!names(&seen).contains(&pseudo), "{pseudo} in {:?}", names(&seen));
        }
    });
}

#[test]
fn a_tmpfs_counts_when_it_is_named() {
    with_own_mounts(|| {
        let folder = folder();
        let point = made(&folder, "memory");
        mount_tmpfs(&point, "size=1M,nr_inodes=10");
        fs::write(Path::new(&point).join("file"), vec![1; 300_000]).expect("a file");
        let seen = Look::new("disk", json!({ "path": point })).subject();
        agrees_with_df(&seen, &point);
        assert_eq!(seen.facts["type"], Value::text("tmpfs"));
        assert_eq!(seen.facts["source"], Value::text("a-source"));
    });
}

#[test]
fn a_file_system_without_inodes_or_blocks_has_no_such_facts() {
    let seen = Look::new("disk", json!({ "path": "/proc" })).subject();
    assert_eq!(seen.facts.keys().collect::<Vec<_>>(), ["read_only", "mounted", "type", "source"]);
}

#[test]
fn bind_mounts_count_once_under_the_shortest_mount_point() {
    with_own_mounts(|| {
        let folder = folder();
        let point = made(&folder, "disk");
        mount_ext4(&folder, &point, "rw");
        let part = made(&folder, "disk/part");
        let [whole, piece] = ["another-name-for-it", "b"].map(|name| made(&folder, name));
        run("mount", &["--bind", &point, &whole]);
        run("mount", &["--bind", &part, &piece]);
        let seen = Look::new("disk", json!({})).run().expect("a look");
        let base = folder.path().to_str().expect("a plain path");
        let ours: Vec<&str> = names(&seen).into_iter().filter(|name| name.starts_with(base)).collect();
        assert_eq!(ours, [point.as_str()]);

        let named = Look::new("disk", json!({ "path": piece })).subject();
        assert_eq!(named.facts["mounted"], Value::Bool(true));
    });
}

#[test]
fn a_mount_point_with_spaces_and_signs_is_found() {
    with_own_mounts(|| {
        let folder = folder();
        let point = made(&folder, "my disk\\040 #1 ä");
        mount_ext4(&folder, &point, "rw");
        let seen = Look::new("disk", json!({})).run().expect("a look");
        agrees_with_df(subject(&seen, &point), &point);
        let seen = Look::new("disk", json!({ "path": point })).subject();
        assert_eq!(seen.facts["mounted"], Value::Bool(true));
    });
}

#[test]
fn a_read_only_remount_is_seen() {
    with_own_mounts(|| {
        let folder = folder();
        let point = made(&folder, "disk");
        mount_ext4(&folder, &point, "rw");
        run("mount", &["-o", "remount,ro", &point]);
        let seen = Look::new("disk", json!({ "path": point })).subject();
        assert_eq!(seen.facts["read_only"], Value::Bool(true));
    });
}

#[test]
fn a_disk_that_the_kernel_made_read_only_after_an_error_is_seen() {
    with_own_mounts(|| {
        let folder = folder();
        let point = made(&folder, "disk");
        mount_ext4(&folder, &point, "rw,errors=remount-ro");
        let source = Look::new("disk", json!({ "path": point })).subject().facts["source"].to_string();
        let device = source.trim_start_matches("/dev/");
        fs::write(format!("/sys/fs/ext4/{device}/trigger_fs_error"), "a test").expect("a simulated error");
        let seen = Look::new("disk", json!({ "path": point })).subject();
        assert_eq!(seen.facts["read_only"], Value::Bool(true));
    });
}

#[test]
fn a_path_inside_a_mount_says_which_mount_holds_it() {
    with_own_mounts(|| {
        let folder = folder();
        let point = made(&folder, "disk");
        mount_tmpfs(&point, "size=1M");
        let inside = made(&folder, "disk/a/b");
        let seen = Look::new("disk", json!({ "path": inside })).subject();
        assert_eq!(seen.name, inside);
        assert_eq!(seen.facts["mounted"], Value::Bool(false));
        agrees_with_df(&seen, &inside);
        assert_eq!(seen.notes, [format!("not a mount point itself; it lies on {point}, tmpfs of a-source")]);
    });
}

#[test]
fn a_link_to_a_mount_point_is_followed() {
    with_own_mounts(|| {
        let folder = folder();
        let point = made(&folder, "disk");
        mount_tmpfs(&point, "size=1M");
        let [first, second] = ["first", "second"].map(|name| folder.path().join(name));
        std::os::unix::fs::symlink("disk/../disk", &first).expect("a link");
        std::os::unix::fs::symlink(&first, &second).expect("a link");
        let seen = Look::new("disk", json!({ "path": second })).subject();
        assert_eq!(seen.facts["mounted"], Value::Bool(true));
        assert_eq!(seen.facts["size"], Value::bytes(1 << 20));

        let circle = folder.path().join("circle");
        std::os::unix::fs::symlink("circle", &circle).expect("a link");
        let seen = Look::new("disk", json!({ "path": circle })).subject();
        assert_eq!(seen.error.as_deref(), Some("too many symbolic links"));
    });
}

#[test]
fn an_absent_path_is_never_answered_by_its_parent() {
    let folder = folder();
    let absent = folder.path().join("backup/disk");
    let seen = Look::new("disk", json!({ "path": absent })).subject();
    assert_eq!(seen.error.as_deref(), Some("does not exist"));
    assert!(seen.facts.is_empty(), "{seen:?}");
}

#[test]
fn an_absent_path_is_not_mounted_for_a_step_that_asks() {
    let folder = folder();
    let absent = folder.path().join("backup");
    let seen = Look::new("disk", json!({ "path": absent })).asked(&["mounted", "free"]).subject();
    assert_eq!((seen.error, seen.notes), (None, vec!["does not exist".to_owned()]));
    assert_eq!(seen.facts.into_iter().collect::<Vec<_>>(), [("mounted".to_owned(), Value::Bool(false))]);
}

#[test]
fn the_newest_of_two_mounts_at_one_place_is_the_one_that_counts() {
    with_own_mounts(|| {
        let folder = folder();
        let point = made(&folder, "disk");
        mount_ext4(&folder, &point, "rw");
        mount_tmpfs(&point, "size=1M");
        let seen = Look::new("disk", json!({ "path": point })).subject();
        assert_eq!(seen.facts["type"], Value::text("tmpfs"));
        let all = Look::new("disk", json!({})).run().expect("a look");
        assert!(!names(&all).contains(&point.as_str()), "the hidden ext4 is reported: {:?}", names(&all));
    });
}

#[test]
fn mounts_are_left_out_by_place_and_by_type() {
    with_own_mounts(|| {
        let folder = folder();
        let point = made(&folder, "disk");
        mount_ext4(&folder, &point, "rw");
        let base = folder.path().to_str().expect("a plain path");
        for exclude in [json!(format!("{base}/*")), json!(["xfs", "/tmp/no/**", point])] {
            let seen = Look::new("disk", json!({ "exclude": exclude })).run().expect("a look");
            assert!(!names(&seen).contains(&point.as_str()) && names(&seen).contains(&"/"), "{exclude}: {seen:?}");
        }
        let error = Look::new("disk", json!({ "exclude": "*" })).run().expect_err("nothing is left");
        assert_eq!(error.code, "nothing_selected");
        let named = Look::new("disk", json!({ "path": point, "exclude": "*" })).subject();
        assert_eq!(named.facts["type"], Value::text("ext4"));
    });
}

#[test]
fn a_glob_stands_for_the_mounts_that_it_matches() {
    with_own_mounts(|| {
        let folder = folder();
        let point = made(&folder, "disk-1");
        made(&folder, "disk-2");
        mount_ext4(&folder, &point, "rw");
        let seen = Look::new("disk", json!({ "path": folder.path().join("disk-*") })).subject();
        assert_eq!(seen.name, point);
        let nothing = Look::new("disk", json!({ "path": folder.path().join("tape-*") })).subject();
        assert_eq!(nothing.error.as_deref(), Some("matches no mounted file system"));
    });
}

#[test]
fn a_bad_glob_is_refused() {
    let Err(error) = Look::new("disk", json!({ "exclude": "/mnt/[a" })).build() else { panic!("it is accepted") };
    assert_eq!(error.input, "exclude");
    assert!(error.message.contains("`/mnt/[a` is not a glob"), "{error}");
}

#[test]
fn a_fuse_mount_that_answers_has_the_numbers_of_df() {
    with_own_mounts(|| {
        let folder = folder();
        let [source, point] = ["source", "point"].map(|name| made(&folder, name));
        mount_tmpfs(&source, "size=1M,nr_inodes=10");
        let _fuse = Fuse::mount(&source, &point);
        let inside = made(&folder, "source/inside").replace("/source/", "/point/");
        for path in [&point, &inside] {
            let seen = Look::new("disk", json!({ "path": path })).subject();
            agrees_with_df(&seen, path);
            assert_eq!(seen.facts["type"], Value::text("fuse"));
            assert_eq!(seen.facts["mounted"], Value::Bool(path == &point));
        }
        let absent = Look::new("disk", json!({ "path": format!("{point}/absent") })).subject();
        assert_eq!(absent.error.as_deref(), Some("does not exist"));
    });
}

#[test]
fn a_mount_that_hangs_costs_its_own_time_and_nothing_else() {
    with_own_mounts(|| {
        let folder = folder();
        let [source, point, disk] = ["source", "point", "disk"].map(|name| made(&folder, name));
        mount_ext4(&folder, &disk, "rw");
        let fuse = Fuse::mount(&source, &point);
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(format!("{point}/x"), &link).expect("a link");
        fuse.stop();

        let limit = Duration::from_millis(2500);
        let seen = Look::new("disk", json!({})).limit(limit).run().expect("a look");
        agrees_with_df(subject(&seen, &disk), &disk);
        let hanging = subject(&seen, &point);
        let expected = format!("does not answer within 2 s (type fuse, source {source})");
        assert_eq!(hanging.error.as_deref(), Some(expected.as_str()));
        assert!(!hanging.facts.contains_key("free"), "{hanging:?}");

        // A path and a link that lead there do not hang either.
        let paths = json!([format!("{point}/a/b"), link, disk]);
        let seen = Look::new("disk", json!({ "path": paths })).limit(limit).run().expect("a look");
        let errors: Vec<bool> = seen.subjects.iter().map(|subject| subject.error.is_some()).collect();
        assert_eq!(errors, [true, true, false]);

        drop(fuse);
        assert_eq!(stat_children_of(&point), Vec::<String>::new());
        let seen = Look::new("disk", json!({ "path": point })).subject();
        let error = seen.error.expect("the daemon is gone");
        assert!(error.starts_with("cannot be read: Transport endpoint is not connected"), "{error}");
    });
}

/// The command lines of `stat` processes that still ask for `point`.
fn stat_children_of(point: &str) -> Vec<String> {
    let lines = run("ps", &["-eo", "stat=,args="]);
    let asks = |line: &&str| line.contains("stat -f") && line.contains(point);
    lines.lines().filter(asks).map(str::to_owned).collect()
}
