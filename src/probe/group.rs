//! The control group (version 2) that opsctl runs in, which inside a container is the container's own.

use std::fs;
use std::path::Path;

/// What `file` says in our own group and in each of those above it, which limit it too.
pub fn limits(file: &str) -> Vec<String> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    own_group(&own).map(|group| limits_below(Path::new("/sys/fs/cgroup"), group, file)).unwrap_or_default()
}

/// The path of the version 2 control group in `/proc/self/cgroup`.
fn own_group(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.strip_prefix("0::"))
}

fn limits_below(root: &Path, group: &str, file: &str) -> Vec<String> {
    let folder = root.join(group.trim_start_matches('/'));
    let groups = folder.ancestors().take_while(|folder| folder.starts_with(root));
    groups.filter_map(|folder| fs::read_to_string(folder.join(file)).ok()).map(|text| text.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_of_the_group_and_of_those_above_are_found() {
        let root = tempfile::tempdir().expect("a folder");
        let inner = root.path().join("system.slice/opsctl.service");
        fs::create_dir_all(&inner).expect("folders");
        fs::write(inner.join("memory.max"), "max\n").expect("a file");
        fs::write(root.path().join("system.slice/memory.max"), "524288\n").expect("a file");
        let group = own_group("1:name=systemd:/x\n0::/system.slice/opsctl.service\n").expect("a group");
        assert_eq!(limits_below(root.path(), group, "memory.max"), ["max", "524288"]);
    }
}
