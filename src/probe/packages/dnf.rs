//! Packages of a Fedora, Red Hat or similar machine, from the lists that dnf has in its cache.

use std::path::Path;
use std::time::SystemTime;

use super::{Asks, Update, set_lists_age, set_updates};
use crate::model::fact::{Observation, Subject};
use crate::probe::{Context, ProbeError};

/// Of dnf 4 and of dnf 5.
const CACHES: [&str; 2] = ["/var/cache/dnf", "/var/cache/libdnf5"];

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
    set_updates(&mut seen, updates, true);
    if let Some(renewed) = renewed(asks.cx).await? {
        set_lists_age(&mut seen.subjects[0], renewed, asks.cx, "dnf makecache");
    }
    Ok(seen)
}

/// Name and newest version of each package that could be newer. `check-update` wraps its lines; this does not.
async fn upgrades(asks: &Asks<'_>, only: &[&str]) -> Result<Vec<(String, String)>, ProbeError> {
    let begin = ["dnf", "--quiet", "--cacheonly", "repoquery", "--upgrades", "--latest-limit=1"];
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
        let repositories = CACHES.iter().filter_map(|cache| std::fs::read_dir(cache).ok()).flatten().flatten();
        let changed = |path: &Path| path.metadata().and_then(|metadata| metadata.modified()).ok();
        Ok(repositories.filter_map(|entry| changed(&entry.path().join("repodata/repomd.xml"))).max())
    })
    .await
}
