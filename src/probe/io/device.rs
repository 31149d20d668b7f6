//! Block devices: their counters, their names, and which of them are disks.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

const BLOCK: &str = "/sys/block";

/// The kernel counts sectors of this size, whatever those of the device are.
const SECTOR: u64 = 512;

/// No disks, or parts of what is counted elsewhere.
const FOREIGN: &[&str] = &["loop", "ram", "zram", "dm-", "md", "sr", "fd", "nbd", "zd", "drbd", "bcache"];

/// What one device has done, since the start or within an interval.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Requests that have ended, the bytes that they moved, and the time that they took, summed.
    pub reads: u64,
    pub read: u64,
    pub reading: Duration,
    pub writes: u64,
    pub written: u64,
    pub writing: Duration,
    /// With some request under way.
    pub busy: Duration,
    /// The time of all requests under way, summed.
    pub waiting: Duration,
}

impl Counters {
    pub fn since(&self, before: &Self) -> Self {
        Self {
            reads: self.reads.saturating_sub(before.reads),
            read: self.read.saturating_sub(before.read),
            reading: self.reading.saturating_sub(before.reading),
            writes: self.writes.saturating_sub(before.writes),
            written: self.written.saturating_sub(before.written),
            writing: self.writing.saturating_sub(before.writing),
            busy: self.busy.saturating_sub(before.busy),
            waiting: self.waiting.saturating_sub(before.waiting),
        }
    }
}

/// `254 0 vda reads merged sectors ms writes merged sectors ms in_flight busy_ms weighted_ms ...`, by name: see the
/// kernel's `Documentation/admin-guide/iostats.rst`.
pub fn parse(diskstats: &str) -> BTreeMap<String, Counters> {
    let line = |line: &str| {
        let mut words = line.split_ascii_whitespace().skip(2);
        let name = words.next()?.to_owned();
        let numbers: Vec<u64> = words.map_while(|word| word.parse().ok()).collect();
        let number = |column: usize| numbers.get(column).copied();
        let time = |column: usize| number(column).map(Duration::from_millis);
        let counters = Counters {
            reads: number(0)?,
            read: number(2)?.saturating_mul(SECTOR),
            reading: time(3)?,
            writes: number(4)?,
            written: number(6)?.saturating_mul(SECTOR),
            writing: time(7)?,
            busy: time(9)?,
            waiting: time(10)?,
        };
        Some((name, counters))
    };
    diskstats.lines().filter_map(line).collect()
}

/// A whole disk with something on it, by the kernel's name.
pub fn is_real(name: &str) -> bool {
    // Partitions are in the folders of their disks.
    let folder = Path::new(BLOCK).join(name.replace('/', "!"));
    let sectors = fs::read_to_string(folder.join("size")).ok().and_then(|text| text.trim().parse::<u64>().ok());
    !FOREIGN.iter().any(|prefix| name.starts_with(prefix)) && sectors.is_some_and(|sectors| sectors > 0)
}

/// `sda` for `/dev/sda` and `/dev/disk/by-id/...`, `dm-0` for `/dev/mapper/data`.
pub fn kernel_name(device: &str) -> String {
    let target = if device.starts_with('/') { fs::canonicalize(device).ok() } else { None };
    let path = target.as_ref().and_then(|path| path.to_str()).unwrap_or(device);
    path.strip_prefix("/dev/").unwrap_or(path).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_those_of_old_and_new_kernels() {
        let seen = parse(
            "   8       0 sda 10 1 16 100 20 2 32 200 1 250 300\n 259 0 nvme0n1 1 0 8 1 0 0 0 0 0 1 1 5 0 0 0 2 3\n 8 1 x y\n",
        );
        assert_eq!(seen.keys().collect::<Vec<_>>(), ["nvme0n1", "sda"]);
        let ms = Duration::from_millis;
        let expected = Counters {
            reads: 10,
            read: 8192,
            reading: ms(100),
            writes: 20,
            written: 16_384,
            writing: ms(200),
            busy: ms(250),
            waiting: ms(300),
        };
        assert_eq!(seen["sda"], expected);
    }

    #[test]
    fn names_with_and_without_their_folder_are_the_same_device() {
        assert_eq!(kernel_name("sda"), "sda");
        assert_eq!(kernel_name("/dev/not-there"), "not-there");
    }
}
