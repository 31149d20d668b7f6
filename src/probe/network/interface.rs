//! What `/sys/class/net` tells of one interface.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

const NET: &str = "/sys/class/net";

#[derive(Clone, PartialEq, Debug)]
pub struct Interface {
    /// Its traffic is that of the machine, and not counted elsewhere.
    pub is_real: bool,
    /// By whoever administers it.
    pub is_on: bool,
    pub has_link: bool,
    /// Bytes a second, where it knows.
    pub speed: Option<f64>,
    pub link_changes: Option<u64>,
}

/// Of containers, virtual machines and traffic control, which the kernel does not mark as such.
const FOREIGN: &[&str] =
    &["veth", "cali", "lxc", "vnet", "tap", "dummy", "ifb", "docker", "flannel", "cni", "gre", "sit"];

/// `DEVTYPE` of what carries the traffic of other interfaces.
const LAYERED: &[&str] = &["bridge", "vlan", "vxlan", "macvlan", "ipvlan", "geneve", "dsa"];

const LOOPBACK: u32 = 772;

impl Interface {
    /// `None` when `/sys` does not know it.
    pub fn of(name: &str) -> Option<Self> {
        // The name of an alias, `eth0:1`, is not there, and no name leads out of the folder.
        if name.contains('/') || name.starts_with('.') {
            return None;
        }
        Self::at(&Path::new(NET).join(name), name)
    }

    fn at(folder: &Path, name: &str) -> Option<Self> {
        const UP: u32 = 1;
        let flags = u32::from_str_radix(text(folder, "flags")?.strip_prefix("0x")?, 16).ok()?;
        let state = text(folder, "operstate").unwrap_or_default();
        let megabits: Option<f64> = number(folder, "speed");
        Some(Self {
            is_real: is_real(folder, name),
            is_on: flags & UP != 0,
            // Many virtual ones do not tell.
            has_link: state == "up" || state == "unknown",
            // -1 where it is not known.
            speed: megabits.filter(|speed| *speed > 0.0).map(|speed| speed * 125e3),
            link_changes: number(folder, "carrier_changes"),
        })
    }
}

fn text(folder: &Path, file: &str) -> Option<String> {
    Some(fs::read_to_string(folder.join(file)).ok()?.trim().to_owned())
}

fn number<T: FromStr>(folder: &Path, file: &str) -> Option<T> {
    text(folder, file)?.parse().ok()
}

fn is_real(folder: &Path, name: &str) -> bool {
    let has = |entry: &str| folder.join(entry).exists();
    if has("device") || has("bonding") {
        return true;
    }
    let uevent = text(folder, "uevent").unwrap_or_default();
    let layered = uevent.lines().filter_map(|line| line.strip_prefix("DEVTYPE=")).any(|ty| LAYERED.contains(&ty));
    // What is left is real: the interface of a container, which looks like any other from inside, or of a modem.
    number(folder, "type") != Some(LOOPBACK)
        && !layered
        && !has("bridge")
        && !has("tun_flags")
        && !FOREIGN.iter().any(|prefix| name.starts_with(prefix))
}

/// The counters of trouble that are not zero, with their interfaces.
pub fn troubles(names: &[String]) -> Vec<String> {
    let mut lines = Vec::new();
    for name in names {
        let mut counters: Vec<PathBuf> = fs::read_dir(Path::new(NET).join(name).join("statistics"))
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .collect();
        counters.sort();
        for path in counters {
            let Some(counter) = path.file_name().and_then(|name| name.to_str()) else { continue };
            let is_trouble = ["error", "dropped", "collisions", "nohandler"].iter().any(|word| counter.contains(word));
            let count: u64 = fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
            if is_trouble && count > 0 {
                lines.push(format!("{name}: {counter} {count}"));
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(name: &str, files: &[(&str, &str)]) -> Interface {
        let folder = tempfile::tempdir().expect("a folder");
        for (file, content) in files {
            fs::write(folder.path().join(file), content).expect("a file");
        }
        Interface::at(folder.path(), name).expect("an interface")
    }

    #[test]
    fn a_network_card_is_real_and_a_pulled_cable_is_no_link() {
        let card = [("device", ""), ("flags", "0x1003\n"), ("operstate", "down\n"), ("speed", "-1\n"), ("type", "1\n")];
        let seen = interface("eth0", &card);
        assert_eq!((seen.is_real, seen.is_on, seen.has_link, seen.speed), (true, true, false, None));
        let fast = [("device", ""), ("flags", "0x1003\n"), ("operstate", "up\n"), ("speed", "1000\n")];
        assert_eq!(interface("eth0", &fast).speed, Some(125e6));
    }

    #[test]
    fn loopback_bridges_vlans_tunnels_and_those_of_containers_are_not_real() {
        let on = ("flags", "0x1003\n");
        assert!(!interface("lo", &[on, ("type", "772\n")]).is_real);
        assert!(!interface("br0", &[on, ("uevent", "DEVTYPE=bridge\nINTERFACE=br0\n")]).is_real);
        assert!(!interface("eth0.7", &[on, ("uevent", "DEVTYPE=vlan\n")]).is_real);
        assert!(!interface("tun0", &[on, ("tun_flags", "0x1001\n")]).is_real);
        assert!(!interface("veth1a2b", &[on, ("type", "1\n")]).is_real);
    }

    #[test]
    fn inside_a_container_its_own_interface_is_real() {
        let seen = interface("eth0", &[("flags", "0x1003\n"), ("operstate", "up\n"), ("type", "1\n")]);
        assert!(seen.is_real && seen.is_on && seen.has_link);
    }
}
