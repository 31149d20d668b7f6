#!/usr/bin/env bash
# A disposable machine with a systemd of its own. Use it through lab.rs.
#
#   lab.sh FOLDER FILE... -- UNIT...
#
# It is the root file system of this machine under a layer in memory that takes all changes, with processes, mounts,
# control groups, a host name and a network (loopback only) of its own, booted by the systemd that is installed here.
# Nothing that was enabled here starts there but the UNITs. FOLDER/share and every FILE are seen inside under the
# same names. FOLDER/leader holds the number of its first process as soon as it has booted, FOLDER/console what went
# wrong. It runs until this script gets SIGTERM; then nothing is left of it. Needs root.
set -euo pipefail

# The keeper: has mounts of its own (lab.rs starts it so), starts the machine, and cleans up after it.
keep() {
    folder=$1
    exec >"$folder/console" 2>&1 </dev/null
    [[ $EUID -eq 0 ]] || { echo "it needs root"; exit 1; }
    [[ -x /lib/systemd/systemd ]] || { echo "systemd is not installed; scripts/setup installs it"; exit 1; }
    mkdir -p "$folder"/{root,memory,share}
    machine='' leader=''
    trap clean EXIT
    trap 'exit 143' TERM
    make_groups
    setpriv --pdeathsig KILL -- unshare --fork --kill-child --pid --mount --uts --ipc --net -- \
        bash "$0" --boot "$@" &
    machine=$!
    until leader=$(pgrep --parent "$machine" --exact systemd) && [[ -n $(state) ]]; do
        kill -0 "$machine" 2>/dev/null || { echo "it did not boot"; exit 1; }
        sleep 0.05
    done
    echo "$leader" >"$folder/leader.new"
    mv "$folder/leader.new" "$folder/leader"
    wait "$machine"
}

# What systemd says when it has started all that it was told to start; nothing before it can be asked.
state() { nsenter --target "$leader" --all --root --wd systemctl is-system-running --wait 2>/dev/null || true; }

# A control group of its own in every hierarchy, so that two machines do not take each other's processes for theirs.
make_groups() {
    local number controllers path at old
    while IFS=: read -r number controllers path; do
        at=$folder/hierarchy-$number
        mkdir "$at"
        case $controllers in
            '') mount -t cgroup2 cgroup2 "$at" ;;
            name=*) mount -t cgroup -o "none,$controllers" cgroup "$at" ;;
            *) mount -t cgroup -o "$controllers" cgroup "$at" ;;
        esac
        for old in "$at$path"/opsctl-lab-*; do
            [[ -d /proc/${old##*-} ]] || remove_groups "$old"
        done
        mkdir "$at$path/opsctl-lab-$$"
        ln -s "$at$path/opsctl-lab-$$" "$folder/group-$number"
    done </proc/self/cgroup
}

remove_groups() { find "$(realpath "$1")" -depth -type d -exec rmdir {} + 2>/dev/null || true; }

clean() {
    trap '' TERM
    # The first process takes all others with it, and has ended only when they have.
    kill -KILL ${leader:-$machine} 2>/dev/null || true
    wait || true
    local group
    for group in "$folder"/group-*; do remove_groups "$group"; done
}

# The first process of the machine, until systemd takes over.
boot() {
    local folder=$1 root=$1/root group
    shift
    for group in "$folder"/group-*; do
        # A hierarchy that takes nobody in without more ado (cpuset) is one that systemd does not use.
        echo 0 2>/dev/null >"$group/cgroup.procs" || true
    done
    mount -t tmpfs -o size=2g tmpfs "$folder/memory"
    mkdir "$folder"/memory/{upper,work}
    mount -t overlay -o "lowerdir=/,upperdir=$folder/memory/upper,workdir=$folder/memory/work" overlay "$root"
    mount_system "$root"
    show "$root" "$folder/share"
    while [[ $1 != -- ]]; do show "$root" "$1"; shift; done
    shift
    configure "$root" "$@"
    ip link set lo up
    # The clock and the modules are those of this machine, whoever has them changed.
    exec unshare --cgroup -- env -i container=lab PATH="$PATH" chroot "$root" \
        setpriv --bounding-set -sys_time,-sys_module,-sys_rawio \
        /bin/bash -c "$(declare -f mount_groups); mount_groups; exec /lib/systemd/systemd --system --unit=lab.target \
            --log-target=journal --show-status=false"
}

mount_system() {
    local root=$1 at device
    mount -t proc proc "$root/proc"
    # Settings of the kernel are those of this machine too.
    for at in "$root"/proc/{sys,sysrq-trigger}; do
        [[ -e $at ]] || continue
        mount --bind "$at" "$at"
        mount -o remount,bind,ro "$at"
    done
    mount -t sysfs -o ro sysfs "$root/sys"
    for at in run tmp var/tmp dev; do mount -t tmpfs -o size=512m,mode=1777 tmpfs "$root/$at"; done
    chmod 755 "$root/run" "$root/dev"
    # Entries of this machine's journal would be taken for those of the units inside.
    [[ ! -d $root/var/log/journal ]] || mount -t tmpfs -o size=1m tmpfs "$root/var/log/journal"
    mkdir "$root"/dev/{shm,pts}
    for device in null:3 zero:5 full:7 random:8 urandom:9; do
        mknod -m 666 "$root/dev/${device%:*}" c 1 "${device#*:}"
    done
    mknod -m 666 "$root/dev/tty" c 5 0
    mount -t devpts -o newinstance,ptmxmode=0666,gid=5,mode=620 devpts "$root/dev/pts"
    ln -s pts/ptmx "$root/dev/ptmx"
    ln -s /proc/self/fd "$root/dev/fd"
}

# Control groups can be mounted only when the own one is the root of all that are seen.
mount_groups() {
    local at=/sys/fs/cgroup
    if grep -q '^[0-9]*:[^:]' /proc/self/cgroup; then
        mount -t tmpfs tmpfs $at
        mkdir $at/systemd
        mount -t cgroup -o none,name=systemd cgroup $at/systemd
    else
        mount -t cgroup2 cgroup2 $at
    fi
}

# Shows a folder or a file of this machine inside, under the same name.
show() {
    local root=$1 path=$2
    if [[ -d $path ]]; then
        mkdir -p "$root$path"
    else
        mkdir -p "$(dirname "$root$path")"
        [[ -e $root$path ]] || touch "$root$path"
    fi
    mount --bind "$path" "$root$path"
}

configure() {
    local root=$1 units=$root/run/systemd/system
    shift
    hostname lab
    echo lab >"$root/etc/hostname"
    printf '127.0.0.1 localhost lab\n::1 localhost\n' >"$root/etc/hosts"
    rm -rf "$root"/etc/systemd/system/*.wants
    mkdir -p "$units" "$root/run/systemd/journald.conf.d"
    # What is shown below /tmp is not for tidying up.
    ln -sf /dev/null "$root/etc/tmpfiles.d/tmp.conf"
    printf '[Unit]\nDescription=Lab\nRequires=basic.target\nAfter=basic.target\nWants=%s\n' "$*" >"$units/lab.target"
    printf '[Journal]\nStorage=volatile\nRuntimeMaxUse=32M\n' >"$root/run/systemd/journald.conf.d/lab.conf"
}

if [[ $1 == --boot ]]; then
    shift
    boot "$@"
else
    keep "$@"
fi
