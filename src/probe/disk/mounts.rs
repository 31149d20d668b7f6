//! The mount table of the kernel: what is mounted where, and which mount a path belongs to.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use crate::probe::{ProbeError, proc_file};

const MOUNTINFO: &str = "/proc/self/mountinfo";

/// One line of `/proc/self/mountinfo`.
#[derive(Clone, PartialEq, Debug)]
pub struct Mount {
    pub id: u32,
    /// The mount that holds `point`; `None` where that one cannot be seen from here (the root, a chroot).
    parent: Option<u32>,
    /// `major:minor`, the same for every mount of one file system.
    device: String,
    /// The folder of the file system that is mounted; not `/` for a bind mount of a part.
    root: PathBuf,
    pub point: PathBuf,
    pub kind: String,
    /// A device, `server:/folder`, or what a FUSE program says; passwords in URLs are hidden.
    pub source: String,
    pub read_only: bool,
}

#[derive(Debug)]
pub struct MountTable {
    mounts: Vec<Mount>,
    by_point: HashMap<PathBuf, Vec<usize>>,
}

/// Made by the kernel, in memory, or a copy of what is counted elsewhere: its free space says nothing.
const PSEUDO: &[&str] = &[
    "aufs",
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fuse.gvfsd-fuse",
    "fuse.lxcfs",
    "fuse.portal",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "nfsd",
    "nsfs",
    "overlay",
    "proc",
    "pstore",
    "ramfs",
    "rootfs",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "sysfs",
    "tmpfs",
    "tracefs",
];

/// Images: full by nature.
const IMAGES: &[&str] = &["cramfs", "erofs", "fuse.snapfuse", "fuse.squashfuse", "iso9660", "romfs", "squashfs", "udf"];

/// Answered by another machine or another process, which may never answer.
const REMOTE: &[&str] = &[
    "9p",
    "afs",
    "autofs",
    "beegfs",
    "ceph",
    "cifs",
    "coda",
    "fuse",
    "fuseblk",
    "glusterfs",
    "gpfs",
    "lustre",
    "ncpfs",
    "nfs",
    "nfs4",
    "orangefs",
    "smb3",
    "smbfs",
    "vboxsf",
    "virtiofs",
];

impl Mount {
    fn is_remote(&self) -> bool {
        REMOTE.contains(&self.kind.as_str()) || self.kind.starts_with("fuse.")
    }

    /// The root counts whatever it is: in a container it is an overlay.
    fn is_real(&self) -> bool {
        self.point == Path::new("/") || !(PSEUDO.contains(&self.kind.as_str()) || IMAGES.contains(&self.kind.as_str()))
    }
}

impl MountTable {
    pub fn read() -> Result<Self, ProbeError> {
        let text = proc_file::read(MOUNTINFO)
            .map_err(|error| ProbeError::io(MOUNTINFO, &error).help("opsctl needs the /proc file system"))?;
        Ok(Self::parse(&text))
    }

    pub(crate) fn parse(text: &[u8]) -> Self {
        let mut mounts: Vec<Mount> = text.split(|byte| *byte == b'\n').filter_map(parse_line).collect();
        let ids: HashSet<u32> = mounts.iter().map(|mount| mount.id).collect();
        let mut by_point: HashMap<PathBuf, Vec<usize>> = HashMap::new();
        for (index, mount) in mounts.iter_mut().enumerate() {
            mount.parent = mount.parent.filter(|parent| *parent != mount.id && ids.contains(parent));
            by_point.entry(mount.point.clone()).or_default().push(index);
        }
        Self { mounts, by_point }
    }

    /// The mount that `path` belongs to, found as the kernel finds it, from the root down: a mount that lies hidden
    /// under a later one is never the answer. Follows no links and touches no file.
    pub fn holder(&self, path: &Path) -> Option<&Mount> {
        let mut current: Option<&Mount> = None;
        let prefixes: Vec<&Path> = path.ancestors().collect();
        for prefix in prefixes.into_iter().rev() {
            let here = self.by_point.get(prefix).map_or(&[][..], Vec::as_slice);
            for _ in here {
                let above = |mount: &&Mount| mount.parent == current.map(|mount| mount.id);
                match here.iter().map(|&index| &self.mounts[index]).find(above) {
                    Some(next) => current = Some(next),
                    None => break,
                }
            }
        }
        current
    }

    pub fn is_mount_point(&self, path: &Path) -> bool {
        self.by_point.contains_key(path)
    }

    /// Whether a look at something on `mount` may hang for ever, even a plain `stat`: the way to a local mount can lead
    /// over a remote one.
    pub fn may_hang(&self, mount: &Mount) -> bool {
        let parent = |id: u32| self.mounts.iter().find(|other| other.id == id);
        let mut way = std::iter::successors(Some(mount), |mount| mount.parent.and_then(parent)).take(self.mounts.len());
        way.any(Mount::is_remote)
    }

    /// A single file bound into a container, such as `/etc/hosts`.
    fn is_file(&self, mount: &Mount) -> bool {
        mount.root != Path::new("/") && !self.may_hang(mount) && mount.point.is_file()
    }

    /// Every file system whose free space matters, once each, by mount point: of several mounts of one file system the
    /// one at `/`, else one with the whole of it, else the one with the shortest mount point.
    pub fn real(&self) -> Vec<&Mount> {
        let visible = |mount: &Mount| self.holder(&mount.point).is_some_and(|visible| visible.id == mount.id);
        let mut real: Vec<&Mount> = self.mounts.iter().filter(|mount| mount.is_real() && visible(mount)).collect();
        real.retain(|mount| !self.is_file(mount));
        let root = Path::new("/");
        real.sort_by_key(|mount| (mount.point != root, mount.root != root, mount.point.as_os_str().len()));
        let mut known = HashSet::new();
        real.retain(|mount| known.insert(mount.device.as_str()));
        real.sort_by(|one, other| one.point.cmp(&other.point));
        real
    }
}

/// `36 35 98:0 /root /point rw,noatime master:1 - ext3 /dev/root rw,errors=continue`
fn parse_line(line: &[u8]) -> Option<Mount> {
    let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let dash = fields.iter().position(|field| *field == b"-")?;
    let number = |index: usize| std::str::from_utf8(fields.get(index)?).ok()?.parse::<u32>().ok();
    let text = |index: usize| fields.get(index).map(|field| unescape(field));
    let words = |index: usize| fields.get(index).into_iter().flat_map(|field| field.split(|byte| *byte == b','));
    // `emergency_ro`: what ext4 says instead of `ro` when it stopped writing because of an error.
    let read_only =
        words(5).any(|word| word == b"ro") || words(dash + 3).any(|word| word == b"ro" || word == b"emergency_ro");
    Some(Mount {
        id: number(0)?,
        parent: number(1),
        device: text(2)?.to_string_lossy().into_owned(),
        root: text(3)?.into(),
        point: text(4)?.into(),
        kind: text(dash + 1)?.to_string_lossy().into_owned(),
        source: without_password(&text(dash + 2)?.to_string_lossy()),
        read_only,
    })
}

/// The kernel writes a space as `\040`, a tab as `\011`, a line end as `\012`, a backslash as `\134`.
fn unescape(field: &[u8]) -> OsString {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, after)) = rest.split_first() {
        let code = after.get(..3).filter(|_| byte == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        if let Some(escaped) = code.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            bytes.push(escaped);
            rest = &after[3..];
        } else {
            bytes.push(byte);
            rest = after;
        }
    }
    OsString::from_vec(bytes)
}

/// `ftp://user:secret@host/` without the secret.
fn without_password(source: &str) -> String {
    let hidden = || {
        let (scheme, rest) = source.split_once("://")?;
        let (account, host) = rest.split_once('@')?;
        let (user, _) = account.split_once(':')?;
        Some(format!("{scheme}://{user}:***@{host}"))
    };
    hidden().unwrap_or_else(|| source.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn real_points(table: &str) -> Vec<String> {
        MountTable::parse(table.as_bytes()).real().iter().map(|mount| mount.point.display().to_string()).collect()
    }

    #[test]
    fn escapes_of_the_kernel_are_undone_and_other_backslashes_stay() {
        assert_eq!(unescape(br"/mnt/my\040disk\134\011\9"), OsString::from("/mnt/my disk\\\t\\9"));
    }

    #[test]
    fn a_password_in_a_source_is_hidden() {
        assert_eq!(without_password("curlftpfs#ftp://me:s3cret@host/x"), "curlftpfs#ftp://me:***@host/x");
        assert_eq!(without_password("me@host:/home"), "me@host:/home");
    }

    #[test]
    fn pseudo_file_systems_images_and_copies_are_left_out() {
        let table = "\
            27 1 254:0 / / rw - ext4 /dev/vda rw\n\
            21 27 0:21 / /proc rw - proc proc rw\n\
            24 27 0:6 / /dev rw - devtmpfs udev rw\n\
            25 27 0:25 / /run rw - tmpfs tmpfs rw\n\
            30 27 7:1 / /snap/core/1 ro - squashfs /dev/loop1 ro\n\
            31 27 254:0 / /x rw - ext4 /dev/vda rw\n\
            32 27 8:17 / /data/long rw - xfs /dev/sdb1 rw\n\
            33 27 8:17 /part /d rw - xfs /dev/sdb1 rw\n\
            34 27 0:50 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw\n\
            35 27 0:51 / /mnt/files rw - nfs4 server:/files rw\n";
        assert_eq!(real_points(table), ["/", "/data/long", "/mnt/files"]);
    }

    #[test]
    fn the_root_of_a_container_counts_even_if_it_is_an_overlay() {
        let table = "\
            500 400 0:90 / / rw - overlay overlay rw\n\
            501 500 0:91 / /proc rw - proc proc rw\n\
            502 500 8:1 /volumes/db /var/lib/mysql rw - ext4 /dev/sda1 rw\n";
        assert_eq!(real_points(table), ["/", "/var/lib/mysql"]);
    }

    #[test]
    fn a_mount_that_lies_under_a_later_one_is_not_seen() {
        let table = "\
            1 0 8:1 / / rw - ext4 /dev/sda1 rw\n\
            2 1 8:2 / /a rw - ext4 /dev/sda2 rw\n\
            3 2 8:3 / /a/b rw - ext4 /dev/sda3 rw\n\
            4 2 8:4 / /a rw - xfs /dev/sda4 rw\n";
        assert_eq!(real_points(table), ["/", "/a"]);
        let table = MountTable::parse(table.as_bytes());
        assert_eq!(table.holder(Path::new("/a/b/c")).map(|mount| mount.id), Some(4));
        assert_eq!(table.holder(Path::new("/ab")).map(|mount| mount.id), Some(1));
    }

    #[test]
    fn inside_a_chroot_that_is_no_mount_the_mounts_below_are_found() {
        let table = MountTable::parse(b"9 3 8:9 / /data rw - ext4 /dev/sdc rw\n");
        assert_eq!(table.holder(Path::new("/data/x")).map(|mount| mount.id), Some(9));
        assert_eq!(table.holder(Path::new("/etc")), None);
    }

    #[test]
    fn read_only_is_seen_of_the_mount_of_the_file_system_and_after_an_error() {
        let read_only = |line: &str| parse_line(line.as_bytes()).expect("a mount").read_only;
        assert!(!read_only("1 0 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro"));
        assert!(read_only("1 0 8:1 / / ro,relatime - ext4 /dev/sda1 rw"));
        assert!(read_only("1 0 8:1 / / rw - ext4 /dev/sda1 ro"));
        assert!(read_only("1 0 8:1 / / rw - ext4 /dev/sda1 rw,emergency_ro"));
    }
}
