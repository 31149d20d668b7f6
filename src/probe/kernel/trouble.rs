//! What a line of the kernel's log tells of.

use std::sync::LazyLock;

use regex::{Regex, RegexSet};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trouble {
    OomKill,
    Hardware,
    FileSystem,
    Io,
    Hung,
    Oops,
    Segfault,
}

impl Trouble {
    pub const ALL: [Self; 7] =
        [Self::OomKill, Self::Hardware, Self::FileSystem, Self::Io, Self::Hung, Self::Oops, Self::Segfault];

    pub fn fact(self) -> &'static str {
        match self {
            Self::OomKill => "oom_kills",
            Self::Hardware => "hardware_errors",
            Self::FileSystem => "filesystem_errors",
            Self::Io => "io_errors",
            Self::Hung => "hung_tasks",
            Self::Oops => "oopses",
            Self::Segfault => "segfaults",
        }
    }

    /// The first that fits, in the order of [`Self::ALL`]: a line counts once.
    pub fn of(line: &str) -> Option<Self> {
        if HARMLESS.is_match(line) {
            return None;
        }
        PATTERNS.matches(line).into_iter().next().map(|index| Self::ALL[index])
    }

    fn pattern(self) -> &'static str {
        match self {
            // One line for each process that was killed, of a machine and of a control group.
            Self::OomKill => r"(?i)out of memory.*: kill(ed)? process|^(oom_reaper: )?killed process \d+",
            Self::Hardware => {
                r"(?x) \[Hardware\ Error\] | \bmce:.*(machine\ check|\berrors?\b) | ^EDAC\ .*\b[CU]E\b
                | Memory\ failure: | PCIe\ Bus\ Error | \bAER:.*\berror | temperature\ above\ threshold
                | NMI:\ (PCI\ system\ error|IOCK\ error|memory\ parity) | Uhhuh\.\ NMI"
            }
            Self::FileSystem => {
                r"(?x) EXT[234]-fs\ error | EXT4-fs\ .*(with\ errors|emount.*read-only) | JBD2:.*([Ee]rror|abort)
                | Aborting\ journal | XFS\ .*([Cc]orruption|metadata\ I/O\ error|log\ I/O\ error|[Ss]hut.*down)
                | BTRFS\ (error|critical) | BTRFS.*csum\ failed | F2FS-fs.*([Ee]rror|inconsistent) | FAT-fs.*error
                | NTFS-fs\ error | SQUASHFS\ error | EROFS.*error"
            }
            Self::Io => {
                r"(?x) I/O\ error | critical\ (medium|target|space\ allocation|nexus)\ error | \bMedium\ Error\b
                | \bata\d.*(failed\ command|exception\ Emask|\berror:) | rejecting\ I/O\ to\ (offline|dead)
                | nvme\d?.*(I/O.*timeout|controller\ is\ down|Abort\ status) | lost\ page\ write
                | md/raid.*(Disk\ failure|Operation\ continuing) | device\ offlined"
            }
            Self::Hung => {
                r"blocked for more than \d+ seconds|soft lockup|hard LOCKUP|rcu.*(self-detected stall|detected stalls)"
            }
            Self::Oops => r"\bBUG:|^BUG |\bOops\b|(?i:kernel panic)|\[#\d+\]|Unable to handle kernel|kernel BUG at",
            Self::Segfault => r"\bsegfault at |^traps: .*\b(trap|general protection)\b|: unhandled signal \d+",
        }
    }
}

static PATTERNS: LazyLock<RegexSet> =
    LazyLock::new(|| RegexSet::new(Trouble::ALL.map(Trouble::pattern)).expect("the patterns are tried by a test"));

/// Drives for disks that are mostly not in them, and settings.
static HARMLESS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\bdev (fd|sr)\d|errors=(remount-ro|continue|panic)").expect("the pattern is tried by a test")
});

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines as kernels between 3.10 and 6.12 write them.
    const LINES: &[(&str, Option<Trouble>)] = &[
        ("Out of memory: Killed process 4711 (java) total-vm:8388608kB, anon-rss:4194304kB", Some(Trouble::OomKill)),
        ("Out of memory: Kill process 4711 (java) score 901 or sacrifice child", Some(Trouble::OomKill)),
        ("Memory cgroup out of memory: Killed process 99 (node) total-vm:1kB", Some(Trouble::OomKill)),
        ("oom_reaper: reaped process 4711 (java), now anon-rss:0kB", None),
        ("java invoked oom-killer: gfp_mask=0x100cca(GFP_HIGHUSER_MOVABLE), order=0", None),
        ("mce: [Hardware Error]: Machine check events logged", Some(Trouble::Hardware)),
        ("mce: CPU0: Thermal monitoring enabled (TM1)", None),
        ("EDAC MC0: 1 CE memory read error on CPU_SrcID#0_Ha#0_Chan#1_DIMM#0", Some(Trouble::Hardware)),
        ("EDAC MC: Ver: 3.0.0", None),
        ("pcieport 0000:00:1c.5: PCIe Bus Error: severity=Corrected, type=Physical Layer", Some(Trouble::Hardware)),
        ("CPU3: Core temperature above threshold, cpu clock throttled (total events = 1)", Some(Trouble::Hardware)),
        ("EXT4-fs error (device sda1): ext4_lookup:1594: inode #2: comm ls: deleted inode", Some(Trouble::FileSystem)),
        ("EXT4-fs (sda1): Remounting filesystem read-only", Some(Trouble::FileSystem)),
        ("EXT4-fs (vda1): mounted filesystem with ordered data mode. Opts: errors=remount-ro", None),
        ("EXT4-fs (loop1): mounted filesystem 32221757 r/w with ordered data mode. Quota mode: none.", None),
        ("EXT4-fs (sda1): re-mounted. Opts: errors=remount-ro", None),
        ("XFS (dm-0): Corruption warning: Metadata has LSN ahead of current LSN", Some(Trouble::FileSystem)),
        ("BTRFS error (device sdb): bdev /dev/sdb errs: wr 0, rd 0, flush 0, corrupt 1", Some(Trouble::FileSystem)),
        ("blk_update_request: I/O error, dev sda, sector 2048 op 0x0:(READ)", Some(Trouble::Io)),
        ("blk_update_request: I/O error, dev fd0, sector 0", None),
        ("Buffer I/O error on dev sr0, logical block 0, async page read", None),
        ("critical medium error, dev sdb, sector 123", Some(Trouble::Io)),
        ("ata1.00: failed command: READ FPDMA QUEUED", Some(Trouble::Io)),
        ("ata1: SATA link up 6.0 Gbps (SStatus 133 SControl 300)", None),
        ("nvme nvme0: I/O 12 QID 3 timeout, aborting", Some(Trouble::Io)),
        ("INFO: task kworker/0:1:7 blocked for more than 120 seconds.", Some(Trouble::Hung)),
        ("watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [migration/1:15]", Some(Trouble::Hung)),
        ("BUG: unable to handle page fault for address: ffff8881", Some(Trouble::Oops)),
        ("Oops: 0002 [#1] PREEMPT SMP PTI", Some(Trouble::Oops)),
        ("general protection fault, probably for non-canonical address 0xdead: 0000 [#1] SMP", Some(Trouble::Oops)),
        ("php-fpm[123]: segfault at 0 ip 000055d0 sp 00007ffd error 4 in php-fpm[55d0]", Some(Trouble::Segfault)),
        ("traps: chrome[77] trap int3 ip:5566 sp:7ffc error:0 in chrome", Some(Trouble::Segfault)),
        ("systemd[1]: Started Session 4 of User root.", None),
        ("Debug: sleeping function", None),
    ];

    #[test]
    fn each_line_tells_of_one_thing_and_harmless_ones_of_nothing() {
        for (line, expected) in LINES {
            assert_eq!(Trouble::of(line), *expected, "{line}");
        }
    }
}
