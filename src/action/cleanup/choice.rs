//! Which files a clean-up takes: pure, and in bounded memory however many files there are.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, SystemTime};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use serde::{Deserialize, Serialize};

/// A file or an empty folder, and what tells whether it is still the same one.
///
/// The order is that of age, the oldest first.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Found {
    /// Seconds and nanoseconds since 1970.
    pub modified: (i64, u64),
    /// Below the folder that is cleaned up.
    pub path: String,
    pub folder: bool,
    pub size: u64,
    pub device: u64,
    pub inode: u64,
}

impl Found {
    /// Zero for what was modified after `now`.
    pub fn age(&self, now: SystemTime) -> Duration {
        let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let modified =
            Duration::new(u64::try_from(self.modified.0).unwrap_or(0), u32::try_from(self.modified.1).unwrap_or(0));
        since.saturating_sub(modified)
    }
}

/// Globs: one without `/` is for the name alone, one with `/` for the path below the folder.
#[derive(Clone, Debug)]
pub struct Names {
    plain: GlobSet,
    /// Those that begin with a dot themselves: no other glob matches a hidden name.
    hidden: GlobSet,
}

impl Names {
    /// # Errors
    /// The glob that is none, with the reason.
    pub fn new(globs: &[String]) -> Result<Self, String> {
        let (mut plain, mut hidden) = (GlobSetBuilder::new(), GlobSetBuilder::new());
        for text in globs {
            let anywhere = if text.contains('/') { text.clone() } else { format!("**/{text}") };
            let glob = GlobBuilder::new(&anywhere).literal_separator(true).build();
            let glob = glob.map_err(|error| format!("`{text}` is not a glob: {}", error.kind()))?;
            let last = text.rsplit('/').next().unwrap_or_default();
            if last.starts_with('.') {
                hidden.add(glob)
            } else {
                plain.add(glob)
            };
        }
        let built = |set: GlobSetBuilder| set.build().map_err(|error| error.to_string());
        Ok(Self { plain: built(plain)?, hidden: built(hidden)? })
    }

    pub fn matches(&self, path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or_default();
        if name.starts_with('.') { self.hidden.is_match(path) } else { self.plain.is_match(path) }
    }
}

#[derive(Clone, Debug)]
pub struct Rule {
    pub names: Names,
    pub except: Names,
    pub older_than: Option<Duration>,
    /// In bytes.
    pub larger_than: Option<u64>,
    pub keep_newest: usize,
    pub empty_folders: bool,
    /// How many are taken at most.
    pub most: usize,
}

/// What a rule takes of the files that it is shown.
pub struct Choice<'r> {
    rule: &'r Rule,
    now: SystemTime,
    /// The newest that match, which stay; a file that is pushed out of here can never come back.
    newest: BinaryHeap<Reverse<Found>>,
    /// The oldest of all others that match.
    taken: BinaryHeap<Found>,
    /// How many more there are than may be taken.
    pub more: u64,
}

impl<'r> Choice<'r> {
    pub fn new(rule: &'r Rule, now: SystemTime) -> Self {
        Self { rule, now, newest: BinaryHeap::new(), taken: BinaryHeap::new(), more: 0 }
    }

    pub fn wants(&self, path: &str) -> bool {
        self.rule.names.matches(path) && !self.rule.except.matches(path)
    }

    /// An empty file is no backup and no log worth keeping: it is not one of the newest.
    pub fn file(&mut self, found: Found) {
        if self.rule.keep_newest == 0 || found.size == 0 {
            return self.take(found);
        }
        self.newest.push(Reverse(found));
        if self.newest.len() > self.rule.keep_newest
            && let Some(Reverse(pushed_out)) = self.newest.pop()
        {
            self.take(pushed_out);
        }
    }

    pub fn empty_folder(&mut self, found: Found) {
        if self.rule.empty_folders && !self.rule.except.matches(&found.path) && self.is_old(&found) {
            self.push(found);
        }
    }

    fn take(&mut self, found: Found) {
        if self.is_old(&found) && self.rule.larger_than.is_none_or(|size| found.size > size) {
            self.push(found);
        }
    }

    fn push(&mut self, found: Found) {
        self.taken.push(found);
        if self.taken.len() > self.rule.most {
            self.taken.pop();
            self.more += 1;
        }
    }

    fn is_old(&self, found: &Found) -> bool {
        self.rule.older_than.is_none_or(|age| found.age(self.now) > age)
    }

    /// How many of the newest stay.
    pub fn kept(&self) -> usize {
        self.newest.len()
    }

    /// By path.
    pub fn taken(self) -> Vec<Found> {
        let mut taken = self.taken.into_vec();
        taken.sort_by(|a, b| a.path.cmp(&b.path));
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(keep_newest: usize, most: usize) -> Rule {
        let all = Names::new(&["*".to_owned()]).expect("a glob");
        let none = Names::new(&[]).expect("no glob");
        Rule { names: all, except: none, older_than: None, larger_than: None, keep_newest, empty_folders: false, most }
    }

    fn found(day: i64, size: u64) -> Found {
        let modified = (day * 86_400, 0);
        Found { modified, path: format!("day{day:02}"), folder: false, size, device: 1, inode: day.unsigned_abs() }
    }

    fn taken(rule: &Rule, days: &[i64]) -> Vec<String> {
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(24 * 30);
        let mut choice = Choice::new(rule, now);
        for day in days {
            choice.file(found(*day, 10));
        }
        choice.taken().into_iter().map(|found| found.path).collect()
    }

    #[test]
    fn the_newest_stay_in_whatever_order_they_are_seen() {
        for days in [[1, 2, 3, 4], [4, 3, 2, 1], [2, 4, 1, 3]] {
            assert_eq!(taken(&rule(2, 100), &days), ["day01", "day02"]);
            assert_eq!(taken(&rule(9, 100), &days), [""; 0]);
        }
    }

    #[test]
    fn the_newest_stay_even_when_they_are_old() {
        let rule = Rule { older_than: Some(Duration::from_hours(24 * 10)), ..rule(2, 100) };
        assert_eq!(taken(&rule, &[1, 2, 3, 25]), ["day01", "day02"]);
        assert_eq!(taken(&rule, &[25, 26, 27, 28]), [""; 0]);
    }

    #[test]
    fn an_empty_file_is_none_of_the_newest() {
        let rule = rule(1, 100);
        let mut choice = Choice::new(&rule, SystemTime::now());
        choice.file(found(1, 10));
        choice.file(found(2, 0));
        assert_eq!(choice.taken(), [found(2, 0)]);
    }

    #[test]
    fn of_too_many_the_oldest_are_taken_and_the_others_counted() {
        let rule = rule(0, 2);
        let mut choice = Choice::new(&rule, SystemTime::now());
        for day in [5, 1, 4, 2, 3] {
            choice.file(found(day, 10));
        }
        assert_eq!(choice.more, 3);
        assert_eq!(choice.taken(), [found(1, 10), found(2, 10)]);
    }

    #[test]
    fn exactly_the_age_and_the_size_are_not_more_than_it() {
        let month = Rule { older_than: Some(Duration::from_hours(24 * 29)), ..rule(0, 100) };
        assert_eq!(taken(&month, &[0, 1]), ["day00"]);
        let large = Rule { larger_than: Some(10), ..rule(0, 100) };
        assert_eq!(taken(&large, &[1]), [""; 0]);
    }

    #[test]
    fn a_glob_is_for_the_name_or_for_the_path_and_never_for_what_is_hidden() {
        let matches = |glob: &str, path: &str| Names::new(&[glob.to_owned()]).expect("a glob").matches(path);
        assert!(matches("*.log", "a.log") && matches("*.log", "deep/er/a.log"));
        assert!(matches("old/*.log", "old/a.log"));
        assert!(!matches("old/*.log", "older/old/a.log") && !matches("old/*.log", "old/er/a.log"));
        assert!(matches("**/*.log", "old/er/a.log"));
        assert!(!matches("*", ".gitkeep") && matches(".git*", ".gitkeep") && !matches(".git*", "git"));
        assert!(!matches("*.log", "a.log.1") && matches("*.{gz,xz}", "a.log.gz"));
        assert!(Names::new(&["[a".to_owned()]).is_err());
    }
}
