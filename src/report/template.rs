//! Documents from templates: HTML and Markdown, in which outside text means nothing.

use std::sync::OnceLock;

use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, State, UndefinedBehavior, Value};
use serde::Serialize;

/// What is in `view`, written by the template of that name.
pub(super) fn render(name: &str, view: &impl Serialize) -> Result<String, minijinja::Error> {
    environment().get_template(name)?.render(minijinja::value::Serde(view))
}

fn environment() -> &'static Environment<'static> {
    static ENVIRONMENT: OnceLock<Environment<'static>> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| environment_of(&TEMPLATES))
}

/// An environment with these templates, by name: `.html` ones escape for HTML, others for Markdown. The filters `code`
/// and `fenced` make code for Markdown; `prose` makes code of what stands between backticks, for both.
#[must_use]
pub fn environment_of(templates: &[(&'static str, &'static str)]) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true).build();
    environment.set_syntax(syntax.unwrap_or_default());
    environment.set_auto_escape_callback(|name| match name.rsplit_once('.') {
        Some((_, "html")) => AutoEscape::Html,
        _ => AutoEscape::Custom(MARKDOWN.into()),
    });
    environment.set_formatter(|out, state, value| match state.auto_escape() {
        AutoEscape::Custom(_) if !value.is_safe() => {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            out.write_str(&escaped(&text)).map_err(minijinja::Error::from)
        }
        AutoEscape::Custom(_) => write!(out, "{value}").map_err(minijinja::Error::from),
        _ => minijinja::escape_formatter(out, state, value),
    });
    environment.add_filter("code", |text: &str| Value::from_safe_string(code(text)));
    environment.add_filter("fenced", |lines: Vec<String>| Value::from_safe_string(fenced(&lines)));
    environment.add_filter("prose", |state: &State<'_, '_>, text: &str| Value::from_safe_string(prose(state, text)));
    // They are part of the program, and the tests render each.
    for (name, source) in templates {
        environment.add_template(name, source).ok();
    }
    environment
}

const MARKDOWN: &str = "markdown";
const TEMPLATES: [(&str, &str); 5] = [
    ("emergency.md", include_str!("template/emergency.md")),
    ("emergency.html", include_str!("template/emergency.html")),
    ("run.md", include_str!("template/run.md")),
    ("run.html", include_str!("template/run.html")),
    ("style.css", include_str!("template/style.css")),
];

/// Text that means nothing to Markdown, wherever it stands in a line.
fn escaped(text: &str) -> String {
    let mut clean = String::with_capacity(text.len() + 16);
    let number = text.find(|c: char| !c.is_ascii_digit()).filter(|end| *end > 0);
    for (at, c) in text.char_indices() {
        let begins = at == 0 && matches!(c, '-' | '+' | '=');
        let ends_number = Some(at) == number && matches!(c, '.' | ')');
        if begins || ends_number || matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '|' | '~' | '&')
        {
            clean.push('\\');
        }
        clean.push(c);
    }
    clean
}

/// A sentence in which commands stand between backticks.
fn prose(state: &State<'_, '_>, text: &str) -> String {
    let mut written = String::with_capacity(text.len() + 32);
    let mut rest = text;
    while let Some((before, (inside, after))) =
        rest.split_once('`').and_then(|(before, after)| Some((before, after.split_once('`')?)))
    {
        written += &plain(state, before);
        match state.auto_escape() {
            AutoEscape::Html => written.extend(["<code>", &plain(state, inside), "</code>"]),
            _ => written += &code(inside),
        }
        rest = after;
    }
    written + &plain(state, rest)
}

/// A text that means nothing to the form that is written.
fn plain(state: &State<'_, '_>, text: &str) -> String {
    match state.auto_escape() {
        AutoEscape::Html => minijinja::HtmlEscape(text).to_string(),
        _ => escaped(text),
    }
}

/// A span of code, whatever is in it.
fn code(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let gap = if longest > 0 || text.is_empty() { " " } else { "" };
    format!("{fence}{gap}{text}{gap}{fence}")
}

/// Lines of code between fences that none of them can close.
fn fenced(lines: &[String]) -> String {
    let longest = lines.iter().flat_map(|line| line.split(|c| c != '`')).map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}text\n{}\n{fence}", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_means_nothing_to_markdown() {
        assert_eq!(escaped("# *x* [a](b) <i> a|b"), r"\# \*x\* \[a\](b) \<i\> a\|b");
        assert_eq!(escaped("12. not a list"), r"12\. not a list");
        assert_eq!(escaped("- not a list"), r"\- not a list");
        assert_eq!(escaped("at 12.30"), "at 12.30");
    }

    #[test]
    fn code_keeps_its_backticks() {
        assert_eq!(code("ls -l"), "`ls -l`");
        assert_eq!(code("echo `date`"), "`` echo `date` ``");
    }

    #[test]
    fn no_line_closes_its_fence() {
        let lines = ["```".to_owned(), "x".to_owned()];
        assert_eq!(fenced(&lines), "````text\n```\nx\n````");
    }
}
