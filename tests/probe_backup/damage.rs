//! Backups that cannot be restored, each damaged in one way.

use super::*;

/// A compressor with its way to be called, and the extension of its files.
const COMPRESSORS: &[(&str, &[&str], &str)] =
    &[("gzip", &["-6"], "gz"), ("zstd", &["-q", "-3"], "zst"), ("xz", &["-1"], "xz"), ("bzip2", &["-1"], "bz2")];

/// Each compressor's dump, whole.
fn compressed() -> &'static [(String, Vec<u8>)] {
    static DUMPS: OnceLock<Vec<(String, Vec<u8>)>> = OnceLock::new();
    DUMPS.get_or_init(|| {
        let make = |(name, arguments, extension): &(&str, &[&str], &str)| {
            (format!("backup.sql.{extension}"), filter(name, arguments, sqlite_dump()))
        };
        COMPRESSORS.iter().map(make).collect()
    })
}

fn gzip() -> &'static [u8] {
    &compressed()[0].1
}

/// The one note on a backup that is not intact, without the name of the file with which it begins.
fn trouble(name: &str, content: &[u8]) -> String {
    let seen = read_bytes(name, content);
    assert_eq!(fact(&seen, "intact"), NO, "{name}: {seen:?}");
    assert_eq!(seen.error, None, "{name}");
    assert_eq!(seen.notes.len(), 1, "{name}: {:?}", seen.notes);
    let about_the_file = seen.notes[0].strip_prefix(&format!("{name} "));
    about_the_file.unwrap_or_else(|| panic!("{:?}", seen.notes)).to_owned()
}

#[test]
fn a_whole_backup_is_intact_in_every_compression() {
    for (name, content) in compressed() {
        let seen = read_bytes(name, content);
        assert_eq!((fact(&seen, "intact"), fact(&seen, "complete")), (YES, YES), "{name}: {seen:?}");
        assert_eq!(fact(&seen, "unpacked_size"), Some(&Value::bytes(sqlite_dump().len() as u64)), "{name}");
        assert_eq!((seen.error, seen.notes), (None, Vec::new()), "{name}");
    }
}

#[test]
fn a_file_that_is_cut_off_is_not_intact_wherever_the_cut_is() {
    for (name, content) in compressed() {
        let length = content.len();
        for cut in [length / 2, length - 1, length - 5, 12, 7] {
            let note = trouble(name, &content[..cut]);
            assert!(note.contains("cut off") || note.contains("damaged"), "{name} at {cut}: {note}");
        }
    }
    let half = gzip().len() / 2;
    assert_eq!(
        trouble("a.sql.gz", &gzip()[..half]),
        format!("is cut off: the gzip data stop at byte {half} without their end")
    );
}

#[test]
fn a_cut_off_dump_keeps_what_could_be_read() {
    let seen = read_bytes("a.sql.gz", &gzip()[..gzip().len() / 2]);
    assert_eq!(text(&seen, "kind"), "sqlite-dump");
    assert_eq!(fact(&seen, "complete"), NO);
    assert_eq!(text(&seen, "compression"), "gzip");
}

#[test]
fn flipped_bytes_are_found_and_the_place_is_named() {
    for (name, content) in compressed() {
        for place in [content.len() / 3, content.len() / 2, content.len() - 40] {
            let mut content = content.clone();
            content[place] ^= 0x55;
            let note = trouble(name, &content);
            assert!(
                note.contains("damaged") && note.contains(" near byte ") || note.contains("cut off"),
                "{name}: {note}"
            );
        }
    }
}

#[test]
fn a_wrong_checksum_or_length_at_the_end_is_found() {
    for from_end in [8, 5, 4, 1] {
        let mut content = gzip().to_vec();
        let place = content.len() - from_end;
        content[place] ^= 1;
        let note = trouble("a.sql.gz", &content);
        assert!(note.starts_with("is damaged") && note.contains("checksum"), "{note}");
    }
}

#[test]
fn an_empty_file_is_no_backup() {
    for name in ["a.sql.gz", "a.sql", "a.dump", "a.sql.zst", "a.tar"] {
        assert_eq!(trouble(name, b""), "is empty (0 bytes)");
    }
}

#[test]
fn a_dump_program_that_failed_leaves_nothing_in_a_whole_gzip() {
    assert_eq!(trouble("a.sql.gz", &filter("gzip", &[], b"")), "has no content (0 bytes when unpacked)");
}

#[test]
fn what_follows_the_end_is_damage() {
    for (name, content) in compressed() {
        let mut content = content.clone();
        content.extend_from_slice(b"and then some more text");
        let note = trouble(name, &content);
        assert!(note.starts_with("is damaged"), "{name}: {note}");
    }
    let note = trouble("a.sql.gz", &[gzip(), b"!"].concat());
    let end = gzip().len();
    assert_eq!(note, format!("is damaged: the gzip data are wrong near byte {end} (what follows the end is not gzip)"));
}

#[test]
fn several_members_are_one_backup_and_a_cut_second_one_is_found() {
    let middle = sqlite_dump().len() / 2;
    let (first, second) = sqlite_dump().split_at(middle);
    for (name, arguments, extension) in COMPRESSORS {
        let first = filter(name, arguments, first);
        let second = filter(name, arguments, second);
        let name = format!("a.sql.{extension}");
        let whole = read_bytes(&name, &[&first[..], &second[..]].concat());
        assert_eq!((fact(&whole, "intact"), fact(&whole, "complete")), (YES, YES), "{name}: {whole:?}");
        for cut in [second.len() / 2, second.len() - 2, 1] {
            trouble(&name, &[&first[..], &second[..cut]].concat());
        }
    }
}

#[test]
fn plain_text_under_a_name_of_gzip_is_not_intact() {
    assert_eq!(trouble("a.sql.gz", sqlite_dump()), "is named as gzip, but its content is not gzip");
    assert_eq!(trouble("a.sql.gz", &compressed()[2].1), "is named as gzip, but its content is not gzip");
}

#[test]
fn a_plain_dump_without_its_last_line_is_not_intact() {
    let whole = read_bytes("a.sql", sqlite_dump());
    assert_eq!((fact(&whole, "intact"), text(&whole, "compression")), (YES, "none".to_owned()));
    let cut = &sqlite_dump()[..sqlite_dump().len() - 200];
    assert_eq!(trouble("a.sql", cut), "ends without the line `COMMIT;`");
    // Compressed after it was cut: every checksum is right, and it cannot be restored from all the same.
    assert_eq!(trouble("a.sql.gz", &filter("gzip", &[], cut)), "ends without the line `COMMIT;`");
}

#[test]
fn no_content_of_a_backup_is_told() {
    let seen = read_bytes("a.sql", &sqlite_dump()[..sqlite_dump().len() / 2]);
    let told = format!("{seen:?}");
    assert!(!told.contains("INSERT") && !told.contains("VALUES"), "{told}");
}

#[test]
fn content_of_no_known_kind_is_not_called_intact() {
    let seen = read_bytes("a.gpg", b"\x85\x02\x0c something encrypted");
    assert_eq!((fact(&seen, "intact"), text(&seen, "kind")), (None, "other".to_owned()));
    assert_eq!(seen.notes, ["a.gpg has content of no kind that can be checked"]);
}

#[test]
fn why_it_is_not_known_whether_a_backup_is_complete_is_told_to_those_who_ask() {
    let folder = folder();
    let seen = |name: &str, content: &[u8], asked: &[&str]| {
        let file = folder.path().join(name);
        fs::write(&file, content).expect("a backup");
        Look::new("backup", json!({ "file": file })).asked(asked).subject()
    };
    let without_comments =
        filter("gzip", &[], b"CREATE TABLE `tickets` (id int);\nINSERT INTO `tickets` VALUES (1);\n");
    let asked = seen("a.sql.gz", &without_comments, &["complete"]);
    assert_eq!((fact(&asked, "complete"), fact(&asked, "intact")), (None, YES));
    let why = "it has neither the header nor the last line of a dump (one without comments has none)";
    assert_eq!(asked.notes, [format!("whether a.sql.gz is complete cannot be told: {why}")]);
    assert!(seen("a.sql.gz", &without_comments, &["intact"]).notes.is_empty());
    let archive = seen("a.tar", &tar(folder.path()), &["complete"]);
    let why = "only SQL dumps end with a line that says so; expect `intact` instead";
    assert_eq!(archive.notes, [format!("whether a.tar is complete cannot be told: {why}")]);
    assert!(seen("a.sql", sqlite_dump(), &["complete"]).notes.is_empty());
}

fn tar(folder: &Path) -> Vec<u8> {
    let name = "n".repeat(150);
    fs::write(folder.join(&name), vec![1; 300_000]).expect("a file with a long name");
    fs::write(folder.join("small"), "small").expect("a small file");
    fs::create_dir(folder.join("folder")).expect("a folder");
    fs::hard_link(folder.join("small"), folder.join("folder/hard")).expect("a hard link");
    std::os::unix::fs::symlink("small", folder.join("soft")).expect("a symbolic link");
    filter("tar", &["-C", &folder.display().to_string(), "-cf", "-", &name, "small", "folder", "soft"], b"")
}

#[test]
fn a_tar_archive_is_followed_to_its_end() {
    let folder = folder();
    let tar = tar(folder.path());
    for (name, content) in
        [("a.tar", tar.clone()), ("a.tar.gz", filter("gzip", &[], &tar)), ("a.tgz", filter("gzip", &[], &tar))]
    {
        let seen = read_bytes(name, &content);
        assert_eq!((fact(&seen, "intact"), text(&seen, "kind")), (YES, "tar".to_owned()), "{name}: {seen:?}");
        assert_eq!(fact(&seen, "complete"), None);
    }
    let note = trouble("a.tar", &tar[..200_000]);
    assert_eq!(note, "is cut off: the archive stops at byte 200000 without the mark of its end");
    let mut broken = tar;
    broken[0] ^= 1;
    assert_eq!(trouble("a.tar", &broken), "is damaged: no tar header at byte 0 of the archive");
}
