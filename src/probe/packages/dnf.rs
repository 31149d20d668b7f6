//! Packages of a Fedora, Red Hat or similar machine, from the lists that dnf has in its cache.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::{Asks, Update, note_no_lists, set_lists_age, set_updates};
use crate::model::fact::{Observation, Subject};
use crate::probe::{Context, ProbeError};

/// Of dnf 4 and of dnf 5. Below the last, users other than root have folders of their own.
const CACHES: [&str; 3] = ["/var/cache/dnf", "/var/cache/libdnf5", "/var/tmp"];

/// A repository that dnf has no lists of would be passed over in silence.
const ALL_REPOSITORIES: &str = "--setopt=*.skip_if_unavailable=False";

const RENEW: &str = "dnf makecache";

pub async fn look(asks: &Asks<'_>) -> Result<Observation, ProbeError> {
    let mut seen = Observation::from(Subject::new("dnf"));
    let all = upgrades(asks, &[]).await?;
    let security = upgrades(asks, &["--security"]).await?;
    let installed = installed(asks).await?;
    let updates = all
        .into_iter()
        .map(|(name, to)| {
            let from = installed.iter().find(|(known, _)| *known == name).map(|(_, version)| version.clone());
            let security = security.iter().any(|(known, _)| *known == name);
            Update { from: from.unwrap_or_else(|| "?".to_owned()), security, name, to, remark: None }
        })
        .collect();
    match renewed(asks.cx).await? {
        Some(renewed) => {
            set_lists_age(&mut seen.subjects[0], renewed, asks.cx, RENEW);
            set_updates(&mut seen, updates, true);
        }
        None => note_no_lists(&mut seen.subjects[0], RENEW),
    }
    Ok(seen)
}

/// Name and newest version of each package that could be newer. `check-update` wraps its lines; this does not.
async fn upgrades(asks: &Asks<'_>, only: &[&str]) -> Result<Vec<(String, String)>, ProbeError> {
    let begin = ["dnf", "--quiet", "--cacheonly", ALL_REPOSITORIES, "repoquery", "--upgrades", "--latest-limit=1"];
    let format = ["--queryformat", "%{name}.%{arch}\t%{evr}\n"];
    let done = asks.run(&[&begin[..], only, &format].concat()).await?;
    if !done.status.success() {
        let message = format!("dnf cannot tell what is pending: {}", done.last_words());
        return Err(ProbeError::new("bad_answer", message)
            .help("without root, dnf has lists of its own: run opsctl as root, or `dnf makecache` as its user"));
    }
    Ok(pairs(&done.stdout.text()))
}

async fn installed(asks: &Asks<'_>) -> Result<Vec<(String, String)>, ProbeError> {
    let done = asks.run(&["rpm", "--query", "--all", "--queryformat", "%{NAME}.%{ARCH}\t%{EVR}\n"]).await?;
    if !done.status.success() {
        let message = format!("rpm does not tell what is installed: {}", done.last_words());
        return Err(ProbeError::new("bad_answer", message).help("`rpm --verifydb` shows what is wrong"));
    }
    Ok(pairs(&done.stdout.text()))
}

fn pairs(text: &str) -> Vec<(String, String)> {
    let pair = |line: &str| line.split_once('\t').map(|(name, version)| (name.to_owned(), version.to_owned()));
    text.lines().filter_map(pair).collect()
}

/// When the lists that were renewed last were renewed. Those of a repository that is switched off stay there, so the
/// oldest say nothing.
async fn renewed(cx: &Context) -> Result<Option<SystemTime>, ProbeError> {
    cx.blocking(|| {
        let folders = |path: &Path| std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
        let is_own = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("dnf-"));
        let [old, new, users] = CACHES.map(Path::new);
        let repositories = folders(old).chain(folders(new));
        let repositories = repositories.chain(folders(users).filter(is_own).flat_map(|own| {
            let all: Vec<PathBuf> = folders(&own).collect();
            all
        }));
        let changed = |path: PathBuf| path.join("repodata/repomd.xml").metadata().and_then(|file| file.modified()).ok();
        Ok(repositories.filter_map(changed).max())
    })
    .await
}
