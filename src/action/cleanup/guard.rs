//! Folders that are never cleaned up, whatever a procedure says.

use std::path::{Component, Path, PathBuf};

/// The system lives here: neither these folders nor anything below them.
const SYSTEM: &[&str] = &[
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/proc",
    "/sbin",
    "/sys",
    "/usr",
    "/var/lib/containerd",
    "/var/lib/docker",
    "/var/lib/dpkg",
    "/var/lib/mysql",
    "/var/lib/postgresql",
    "/var/lib/rpm",
    "/var/lib/systemd",
    "/var/log/audit",
    "/var/log/journal",
];

/// Many programs share these folders: a folder below them may be cleaned up, they themselves not.
const SHARED: &[&str] = &[
    "/",
    "/home",
    "/media",
    "/mnt",
    "/opt",
    "/root",
    "/run",
    "/srv",
    "/var",
    "/var/cache",
    "/var/lib",
    "/var/log",
    "/var/mail",
    "/var/spool",
    "/var/www",
];

/// Why `folder` is not cleaned up, if so. `homes` are the folders of the users of this machine.
pub fn refusal(folder: &Path, homes: &[PathBuf]) -> Option<String> {
    let shown = folder.display();
    if !folder.is_absolute() || folder.components().any(|part| matches!(part, Component::ParentDir)) {
        return Some(format!("{shown} is not a plain path from the root"));
    }
    if SYSTEM.iter().any(|system| folder.starts_with(system)) {
        return Some(format!("{shown} belongs to the system"));
    }
    if SHARED.iter().any(|shared| folder == Path::new(shared)) {
        return Some(format!("{shown} is shared by many programs"));
    }
    // Whoever cleans up a folder above a home cleans up the home.
    if homes.iter().any(|home| home.starts_with(folder)) || folder.parent() == Some(Path::new("/home")) {
        return Some(format!("{shown} is somebody's home"));
    }
    None
}

/// The homes of people and of root; those of system users may well be folders that are to be cleaned up.
pub fn homes() -> Vec<PathBuf> {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let listed = users.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let uid: u32 = fields.get(2)?.parse().ok()?;
        (uid == 0 || (1000..65534).contains(&uid)).then(|| PathBuf::from(fields.get(5).copied().unwrap_or_default()))
    });
    let own = std::env::var_os("HOME").map(PathBuf::from);
    listed.chain(own).filter(|home| home.is_absolute() && *home != Path::new("/")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_and_what_is_shared_are_refused_and_an_application_is_not() {
        let homes = [PathBuf::from("/data/people/anna")];
        let refused = |folder: &str| refusal(Path::new(folder), &homes).is_some();
        for folder in [
            "/",
            "/etc",
            "/etc/apache2",
            "/usr/share/doc",
            "/var",
            "/var/log",
            "/var/log/",
            "/var/log/journal/1f",
            "/var/lib/mysql/shop",
            "/proc/1",
            "/root",
            "/home",
            "/home/bob",
            "/data/people/anna",
            "/data/people",
            "/srv/../etc",
            "logs",
            "",
        ] {
            assert!(refused(folder), "{folder}");
        }
        for folder in [
            "/tmp",
            "/var/tmp",
            "/var/log/helpdesk",
            "/srv/app/logs",
            "/home/bob/cache",
            "/data/people/anna/tmp",
            "/etcetera",
        ] {
            assert!(!refused(folder), "{folder}");
        }
    }
}
