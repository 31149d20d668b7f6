//! Starting a process, as another user if that is wanted, and saying plainly why it cannot be started.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use rustix::process::geteuid;
use tokio::process::Command;

use super::child::Running;
use crate::probe::ProbeError;

/// Starts `command` in a process group of its own, without input, its output in pipes. Blocks until the program is
/// found and loaded, which may take long on a dead mount.
pub fn start(mut command: Command, program: &str, user: Option<&str>) -> Result<Running, ProbeError> {
    let folder = command.as_std().get_current_dir().map(Path::to_owned);
    if let Some(folder) = &folder
        && !folder
            .metadata()
            .map_err(|error| ProbeError::io(format!("the folder {}", folder.display()), &error))?
            .is_dir()
    {
        let message = format!("{} is not a folder, so `{program}` cannot run there", folder.display());
        return Err(ProbeError::new("not_found", message).help("correct the step's `folder`"));
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    command.spawn().map(Running::new).map_err(|error| explain(&error, program, folder.as_deref(), user))
}

pub fn explain(error: &io::Error, program: &str, folder: Option<&Path>, user: Option<&str>) -> ProbeError {
    let who = user.map(|user| format!(" as user {user}")).unwrap_or_default();
    if error.raw_os_error() == NOT_PERMITTED {
        return ProbeError::new("permission", format!("no permission to run `{program}`{who}"))
            .help("run opsctl as root, or leave out `user`");
    }
    // A folder of the PATH that may not be entered makes the system say "permission denied" for what is nowhere.
    let is_there = place_of(program, folder).is_some();
    match error.kind() {
        io::ErrorKind::NotFound if is_there => {
            let message = format!("the interpreter that the first line of {program} names is missing");
            ProbeError::new("no_such_tool", message).help("install it, or correct the first line")
        }
        io::ErrorKind::NotFound if program.contains('/') => {
            ProbeError::new("no_such_tool", format!("there is no program {program}"))
                .help("correct the path, or install the program")
        }
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied if !is_there && !program.contains('/') => {
            ProbeError::new("no_such_tool", format!("there is no program `{program}` on the PATH"))
                .help("install it, or write its whole path")
        }
        io::ErrorKind::PermissionDenied => {
            let place = folder.map(|folder| format!(" in {}", folder.display())).unwrap_or_default();
            ProbeError::new("permission", format!("no permission to run `{program}`{who}{place}"))
                .help("make the file executable (`chmod +x`), and its folder and the step's `folder` accessible")
        }
        _ => ProbeError::new("io", format!("cannot start `{program}`: {error}")),
    }
}

/// Where the system looks for `program`: beside `folder` if it has a slash, else on the PATH.
fn place_of(program: &str, folder: Option<&Path>) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let candidates: Vec<PathBuf> = if program.contains('/') {
        vec![folder.unwrap_or(Path::new("/")).join(program)]
    } else {
        std::env::split_paths(&path).map(|folder| folder.join(program)).collect()
    };
    candidates.into_iter().find(|candidate| candidate.is_file())
}

/// EPERM: the system refuses the change of user, whereas EACCES is about a file.
const NOT_PERMITTED: Option<i32> = Some(rustix::io::Errno::PERM.raw_os_error());

/// An entry of the user database.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct User {
    name: String,
    uid: u32,
    gid: u32,
    home: String,
}

impl User {
    /// Lets `command` run as this user. Nothing is switched for the user who runs opsctl.
    pub fn apply(&self, command: &mut Command) {
        if geteuid().as_raw() != self.uid {
            command.uid(self.uid).gid(self.gid);
        }
        command.env("HOME", &self.home).env("USER", &self.name).env("LOGNAME", &self.name);
    }

    fn parse(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.trim_end().split(':').collect();
        let [name, _, uid, gid, _, home, _] = fields[..] else { return None };
        Some(Self { name: name.to_owned(), uid: uid.parse().ok()?, gid: gid.parse().ok()?, home: home.to_owned() })
    }
}

/// Looks a user up by name or number, wherever the system keeps its users.
pub async fn user(name: &str) -> Result<User, ProbeError> {
    let local = tokio::fs::read_to_string("/etc/passwd").await.unwrap_or_default();
    if let Some(user) = local.lines().filter_map(User::parse).find(|user| user.name == name) {
        return Ok(user);
    }
    let getent = Command::new("getent")
        .args(["passwd", "--", name])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await;
    let listed = getent.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    listed.lines().find_map(User::parse).ok_or_else(|| {
        ProbeError::new("no_such_user", format!("there is no user {name} on this machine"))
            .help("correct the step's `user`; `getent passwd` lists the users")
    })
}
