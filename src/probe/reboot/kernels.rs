//! Kernels that are installed, in the order of their versions.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The newest one that is installed, of the flavour of `running` if there is one.
pub fn newest(running: &str) -> Option<String> {
    newest_in(Path::new("/boot"), Path::new("/lib/modules"), running)
}

/// Whether it would be another one after a start.
pub fn is_newer(installed: &str, running: &str) -> bool {
    compare(installed, running) == Ordering::Greater
}

fn newest_in(boot: &Path, modules: &Path, running: &str) -> Option<String> {
    let mut versions = BTreeSet::new();
    let names = |folder: &Path| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect::<Vec<_>>()
    };
    for name in names(boot) {
        let version = ["vmlinuz-", "vmlinux-", "Image-"].iter().find_map(|prefix| name.strip_prefix(prefix));
        // Copies for rescue, and those that a package is about to replace, are not started by themselves.
        let is_version = |version: &&str| {
            version.starts_with(|c: char| c.is_ascii_digit())
                && ![".dpkg-", ".old"].iter().any(|mark| version.contains(mark))
        };
        versions.extend(version.filter(is_version).map(str::to_owned));
    }
    // The folder alone may be left of a kernel that was removed.
    versions.extend(names(modules).into_iter().filter(|name| modules.join(name).join("vmlinuz").is_file()));
    let flavour = flavour(running);
    let alike: Vec<&String> = versions.iter().filter(|version| self::flavour(version) == flavour).collect();
    let candidates = if alike.is_empty() { versions.iter().collect() } else { alike };
    candidates.into_iter().max_by(|one, other| compare(one, other)).cloned()
}

/// `cloud-amd64` of `6.1.0-25-cloud-amd64`: kernels with and without it stand beside each other.
fn flavour(version: &str) -> &str {
    let parts = version.match_indices('-').map(|(at, _)| &version[at + 1..]);
    parts.into_iter().find(|part| part.starts_with(|c: char| c.is_ascii_alphabetic())).unwrap_or_default()
}

/// Numbers by their worth, words by the alphabet; a candidate (`6.2.0-rc1`) is older than what it is one for.
fn compare(one: &str, other: &str) -> Ordering {
    let (mut one, mut other) = (parts(one).into_iter(), parts(other).into_iter());
    loop {
        let ordering = match (one.next(), other.next()) {
            (None, None) => return Ordering::Equal,
            (Some(part), None) => {
                if part.starts_with("rc") {
                    Ordering::Less
                } else {
                    Ordering::Greater
                }
            }
            (None, Some(part)) => {
                if part.starts_with("rc") {
                    Ordering::Greater
                } else {
                    Ordering::Less
                }
            }
            (Some(one), Some(other)) => match (one.parse::<u64>(), other.parse::<u64>()) {
                (Ok(one), Ok(other)) => one.cmp(&other),
                (Ok(_), Err(_)) => Ordering::Greater,
                (Err(_), Ok(_)) => Ordering::Less,
                (Err(_), Err(_)) => one.cmp(other),
            },
        };
        if ordering != Ordering::Equal {
            return ordering;
        }
    }
}

/// Runs of digits and runs of letters.
fn parts(version: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    for word in version.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
        let mut rest = word;
        while let Some(first) = rest.chars().next() {
            let end = rest.find(|c: char| c.is_ascii_digit() != first.is_ascii_digit()).unwrap_or(rest.len());
            parts.push(&rest[..end]);
            rest = &rest[end..];
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers_and_not_as_text() {
        for (older, newer) in [
            ("6.1.0-9-amd64", "6.1.0-10-amd64"),
            ("6.9.12", "6.10.1"),
            ("5.14.0-362.8.1.el9_3.x86_64", "5.14.0-362.24.2.el9_3.x86_64"),
            ("5.15.0-91-generic", "5.15.0-105-generic"),
            ("6.2.0-rc7", "6.2.0"),
            ("6.2.0-rc7", "6.2.0-rc10"),
        ] {
            assert!(is_newer(newer, older), "{newer} is newer than {older}");
            assert!(!is_newer(older, newer) && !is_newer(older, older), "{older} is not newer");
        }
    }

    fn newest_of(boot: &[&str], modules: &[&str], running: &str) -> Option<String> {
        let root = tempfile::tempdir().expect("a folder");
        let (boot_folder, modules_folder) = (root.path().join("boot"), root.path().join("modules"));
        fs::create_dir_all(&boot_folder).expect("a folder");
        for name in boot {
            fs::write(boot_folder.join(name), "").expect("a file");
        }
        for name in modules {
            fs::create_dir_all(modules_folder.join(name)).expect("a folder");
            fs::write(modules_folder.join(name).join("vmlinuz"), "").expect("a file");
        }
        fs::create_dir_all(modules_folder.join("9.9.9-left-behind")).expect("a folder");
        newest_in(&boot_folder, &modules_folder, running)
    }

    #[test]
    fn the_newest_kernel_is_that_of_the_flavour_that_runs() {
        let debian =
            ["vmlinuz-6.1.0-9-amd64", "vmlinuz-6.1.0-10-amd64", "vmlinuz-6.1.0-11-cloud-amd64", "System.map-7-amd64"];
        assert_eq!(newest_of(&debian, &[], "6.1.0-9-amd64").as_deref(), Some("6.1.0-10-amd64"));
        assert_eq!(newest_of(&debian, &[], "6.1.0-9-cloud-amd64").as_deref(), Some("6.1.0-11-cloud-amd64"));
        assert_eq!(
            newest_of(&["vmlinuz-0-rescue-1a2b"], &["5.14.0-362.el9.x86_64"], "5.14.0-361.el9.x86_64").as_deref(),
            Some("5.14.0-362.el9.x86_64")
        );
    }

    #[test]
    fn folders_of_removed_kernels_are_no_kernels() {
        assert_eq!(newest_of(&["vmlinuz-6.1.0-10-amd64.dpkg-tmp"], &[], "6.1.0-9-amd64"), None);
    }
}
