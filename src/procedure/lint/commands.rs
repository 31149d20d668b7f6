//! Commands of opsctl to which steps send people.

use crate::procedure::decode::Reader;
use crate::procedure::diagnostic::suggestion;
use crate::procedure::document::Step;
use crate::procedure::library::Library;
use crate::procedure::yaml::Node;

/// The commands that there are.
#[derive(Clone, Copy)]
pub struct Commands<'l> {
    pub library: &'l Library,
    /// Knows those that are no procedures.
    pub is_builtin: fn(&str) -> bool,
}

impl Commands<'_> {
    /// Remarks what the `next` of a step names and is not there.
    pub(super) fn next(&self, reader: &Reader, step: &Step, node: &Node) {
        let (Some(text), Some(place)) = (&step.next, node.get("next")) else { return };
        for (group, name) in commands(text).filter(|(group, _)| !(self.is_builtin)(group)) {
            let groups = self.library.groups();
            let Some(ids) = groups.get(group) else {
                let help = suggestion(group, groups.keys().copied(), "groups are");
                reader.remark(&place.span, format!("there is no command `opsctl {group}`"), help);
                continue;
            };
            if !name.is_empty() && name != "check" && !ids.iter().any(|id| id.name() == name) {
                let help = suggestion(name, ids.iter().map(|id| id.name()), "there are");
                reader.remark(&place.span, format!("there is no command `opsctl {group} {name}`"), help);
            }
        }
    }
}

/// Group and procedure of each command that the text begins with or has in backticks; elsewhere it is prose.
fn commands(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let begins = text.match_indices("opsctl ").filter(|(at, _)| *at == 0 || text[..*at].ends_with('`'));
    begins.filter_map(|(at, opsctl)| {
        let command = text[at + opsctl.len()..].split('`').next()?;
        let mut words = command.split(' ').map(|word| word.trim_end_matches(|c: char| c.is_ascii_punctuation()));
        let group = words.next().filter(|group| is_word(group))?;
        Some((group, words.next().filter(|name| is_word(name)).unwrap_or_default()))
    })
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}
