//! Packages for apt, made for a test and kept in archives of a disposable machine.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

pub const REPOSITORY: &str = "/srv/repository";

/// An archive that says that it is for security.
pub const SECURITY: &str = "/srv/security";

/// A package that is made of `control` lines and files, whose paths are absolute; `DEBIAN/...` are its scripts.
pub fn package(name: &str, version: &str, control: &str, files: &[(&str, &str)]) {
    package_in(REPOSITORY, name, version, control, files);
}

/// The same in one of the two archives.
pub fn package_in(archive: &str, name: &str, version: &str, control: &str, files: &[(&str, &str)]) {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, text).expect("a file");
        succeed("chmod", &["755", path.to_str().expect("a path")]);
    };
    let control = format!(
        "Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: Test <test@localhost>\n\
         Description: made for a test\n{control}"
    );
    write("DEBIAN/control", &control);
    for (path, text) in files {
        write(path, text);
    }
    fs::create_dir_all(archive).expect("a folder");
    succeed("chmod", &["755", folder.path().to_str().expect("a path")]);
    let to = format!("{archive}/{name}_{version}.deb");
    succeed("dpkg-deb", &["--build", "--root-owner-group", folder.path().to_str().expect("a path"), &to]);
    index();
}

/// Makes the archives known, and nothing else: there is no network.
fn index() {
    for old in ["/etc/apt/sources.list", "/etc/apt/sources.list.d"] {
        succeed("rm", &["-rf", old]);
    }
    let archives = [REPOSITORY, SECURITY].into_iter().filter(|archive| Path::new(archive).exists());
    let mut sources = String::new();
    for archive in archives {
        list(archive);
        writeln!(sources, "deb [trusted=yes] file:{archive} ./").expect("text");
    }
    fs::write("/etc/apt/sources.list", sources).expect("a list");
    succeed("apt-get", &["update"]);
}

/// Lists the packages of an archive.
fn list(archive: &str) {
    let mut packages = String::new();
    for entry in fs::read_dir(archive).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            let path = path.to_str().expect("a path");
            let (size, sum) = (fs::metadata(path).expect("a file").len(), sum(path));
            let name = path.rsplit_once('/').expect("a name").1;
            write!(
                packages,
                "{}\nFilename: ./{name}\nSize: {size}\nSHA256: {sum}\n\n",
                succeed("dpkg-deb", &["-f", path]).trim_end()
            )
            .expect("text");
        }
    }
    let list = format!("{archive}/Packages");
    fs::write(&list, &packages).expect("an index");
    if archive == SECURITY {
        let release = format!(
            "Origin: Debian\nLabel: Debian-Security\nSuite: stable-security\nVersion: 12\nDate: Thu, 01 Jan 2026 00:00:00 \
             UTC\nSHA256:\n {} {} Packages\n",
            sum(&list),
            packages.len()
        );
        fs::write(format!("{archive}/Release"), release).expect("a release");
    }
}

fn sum(path: &str) -> String {
    succeed("sha256sum", &[path]).split(' ').next().expect("a sum").to_owned()
}

pub fn succeed(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// The version that is installed; empty without one.
pub fn version(name: &str) -> String {
    let format = "--showformat=${db:Status-Status} ${Version}";
    let output = Command::new("dpkg-query").args(["--show", format, name]).output().expect("dpkg-query");
    let text = String::from_utf8(output.stdout).expect("text");
    text.strip_prefix("installed ").unwrap_or_default().to_owned()
}

pub fn install(packages: &[&str]) {
    succeed("apt-get", &[&["--yes", "install"], packages].concat());
}
