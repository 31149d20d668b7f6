//! Command lines as people may see them: short, and without the secrets that some programs take as arguments.

use std::sync::LazyLock;

use regex::bytes::{Regex, RegexBuilder};

use crate::model::secret::MASK;
use crate::model::text::shortened;

/// How many characters of the arguments are shown.
const SHOWN: usize = 80;

/// What the name of a secret contains.
const WORD: &str = r"(?:passw|passphrase|\bpass\b|pwd|secret|token|credential|api[-_]?key|access[-_]?key|private[-_]?key|authorization)";

/// A character of such a name.
const NAMED: &str = r"[\w.\x80-\xff-]";

/// Lower-case parts of which a text with a secret has one: looking for them takes far less than compiling the rest.
const HINTS: &[&str] = &["pass", "pwd", "secret", "token", "credential", "key", "authorization", "://"];

/// Short options that take a password: the program's name starts with the first.
const SHORT_OPTIONS: &[(&str, &str)] =
    &[("curl", "-u"), ("mariadb", "-p"), ("mysql", "-p"), ("redis-cli", "-a"), ("sshpass", "-p")];

/// An argument that is the name of a secret alone: the next one is its value.
static NAME: LazyLock<Regex> = LazyLock::new(|| regex(&format!("^-*{NAMED}*{WORD}{NAMED}*$")));
/// `--password=...`, `PASSWORD=...`, `X-Api-Key: ...`
static NAME_AND_VALUE: LazyLock<Regex> =
    LazyLock::new(|| regex(&format!(r"(?s)^(-*{NAMED}*{WORD}{NAMED}*[=:]\s*).+$")));
/// The same inside an argument that is a script or a connection string.
static INSIDE: LazyLock<Regex> = LazyLock::new(|| {
    regex(&format!(
        r#"({WORD}{NAMED}*(?:["']?\s*[=:]\s*|\s+))(?:'[^']*'|"[^"]*"|(?:(?:bearer|basic|digest)\s+)?[^\s'"]+)"#
    ))
});
static IN_URL: LazyLock<Regex> = LazyLock::new(|| regex(r"(://[^/\s:@]*:)[^/\s@]+@"));

/// Without the tables of Unicode, which would take longer to compile than all processes to read. Bytes outside ASCII
/// are letters of names and of values, so rather too much is masked.
fn regex(pattern: &str) -> Regex {
    let built = RegexBuilder::new(pattern).unicode(false).case_insensitive(true).build();
    built.expect("a constant regular expression")
}

/// The arguments as one text, for patterns: joined by spaces.
pub fn joined(arguments: &[u8]) -> String {
    let bytes = arguments.strip_suffix(b"\0").unwrap_or(arguments);
    String::from_utf8_lossy(bytes).replace('\0', " ")
}

/// The file name of the first argument; `None` of a process without arguments.
pub fn program(arguments: &[u8]) -> Option<String> {
    let first = arguments.split(|byte| *byte == 0).next()?;
    let name = first.rsplit(|byte| *byte == b'/').next().filter(|name| !name.is_empty())?;
    Some(String::from_utf8_lossy(name).into_owned())
}

/// The program's file name and the beginning of its arguments, values of secrets masked.
pub fn shown(arguments: &[u8]) -> String {
    let text = String::from_utf8_lossy(arguments.strip_suffix(b"\0").unwrap_or(arguments)).into_owned();
    let mut parts = text.split('\0');
    // A program may write a sentence here (`nginx: master process /usr/sbin/nginx`), so only the first word is a path.
    let first = parts.next().unwrap_or_default();
    let (path, title) = first.split_at(first.find(' ').unwrap_or(first.len()));
    let name = path.rsplit('/').next().unwrap_or_default();

    let mut masked = masked_inside(title);
    let mut hide_next = false;
    for part in parts {
        masked.push(' ');
        if std::mem::take(&mut hide_next) {
            masked.push_str(MASK);
        } else if let Some((_, option)) =
            SHORT_OPTIONS.iter().find(|(program, option)| name.starts_with(program) && part.starts_with(option))
        {
            hide_next = part == *option;
            masked.push_str(option);
            masked.push_str(if hide_next { "" } else { MASK });
        } else if !may_hold_secret(part) {
            masked.push_str(part);
        } else if let Some(found) = NAME_AND_VALUE.captures(part.as_bytes()) {
            masked.push_str(&String::from_utf8_lossy(&found[1]));
            masked.push_str(MASK);
        } else {
            hide_next = NAME.is_match(part.as_bytes());
            masked.push_str(&if hide_next { part.to_owned() } else { masked_inside(part) });
        }
    }
    let line: String = masked.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    [name, &shortened(&line, SHOWN)].concat()
}

fn may_hold_secret(text: &str) -> bool {
    let text = text.to_lowercase();
    HINTS.iter().any(|hint| text.contains(hint))
}

fn masked_inside(text: &str) -> String {
    if !may_hold_secret(text) {
        return text.to_owned();
    }
    let text = IN_URL.replace_all(text.as_bytes(), format!("${{1}}{MASK}@").as_bytes());
    let text = INSIDE.replace_all(&text, format!("${{1}}{MASK}").as_bytes());
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown_of(arguments: &[&str]) -> String {
        shown(arguments.join("\0").as_bytes())
    }

    #[test]
    fn values_of_secrets_are_masked_however_they_are_written() {
        for secret in [
            ["tool", "--password=s3cret", ""],
            ["tool", "--db-password", "s3cret"],
            ["tool", "token", "s3cret"],
            ["tool", "-pass", "s3cret"],
            ["mysqldump", "-ps3cret", "helpdesk"],
            ["redis-cli", "-a", "s3cret"],
            ["/usr/bin/curl", "-u", "me:s3cret"],
            ["/usr/bin/curl", "-H", "Authorization: Bearer s3cret"],
            ["/usr/bin/curl", "-H", "X-Api-Key: s3cret"],
            ["curl", "https://me:s3cret@host/", ""],
            ["env", "PGPASSWORD=s3cret with blanks s3cret", "psql"],
            ["psql", "host=db password=s3cret dbname=x", ""],
            ["psql", "host=db password='a s3cret' dbname=x", ""],
            ["sh", "-c", "MYSQL_PWD=s3cret mysql"],
            ["sh", "-c", "curl -H 'Authorization: Bearer s3cret' http://x"],
            ["tool", r#"{"client_secret": "s3cret"}"#, ""],
            ["worker: --token=s3cret", "", ""],
            ["tool", "--główne_password", "s3cret"],
            ["tool", "PASSWORD_BAZY_DANYCH_ŁÓDŹ=s3cret", ""],
            ["tool", "hasło: password\u{a0}= s3cret", ""],
            ["sh", "-c", "PASSWORD='zażółć s3cret' tool"],
        ] {
            let shown = shown_of(&secret);
            assert!(!shown.contains("s3cret") && shown.contains(MASK), "{shown}");
        }
    }

    #[test]
    fn ordinary_arguments_are_shown_with_the_file_name_of_the_program() {
        assert_eq!(shown_of(&["/usr/bin/python3", "manage.py", "runserver"]), "python3 manage.py runserver");
        assert_eq!(shown_of(&["nginx: master process /usr/sbin/nginx"]), "nginx: master process /usr/sbin/nginx");
        assert_eq!(shown_of(&["ssh", "-p", "22", "--compass", "/etc/secrets/x"]), "ssh -p 22 --compass /etc/secrets/x");
    }

    #[test]
    fn a_long_command_line_is_cut_after_its_secrets_are_masked() {
        let shown = shown_of(&["java", &"x".repeat(70), "--password=s3cret-that-is-long"]);
        assert_eq!(shown, format!("java {} --passwo...", "x".repeat(70)));
    }

    #[test]
    fn the_program_is_the_file_name_of_the_first_argument() {
        assert_eq!(program(b"/usr/sbin/apache2\0-k\0start\0").as_deref(), Some("apache2"));
        assert_eq!(program(b""), None);
        assert_eq!(joined(b"a\0b c\0"), "a b c");
    }
}
