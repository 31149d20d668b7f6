//! The words between the program and the operator: prompts, and what an answer means.

use chrono::{DateTime, Utc};
use std::fmt::Write as _;

use crate::model::event::people::{Ask, Question, Reply};
use crate::model::unit::Quantity;

/// As many findings as a screen has room for beside the question.
pub const MOST_FINDINGS: usize = 6;

/// What the operator said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Said {
    /// With a note, if one was typed behind it.
    Reply(Reply, Option<String>),
    /// A note for the answer; without text it is asked for.
    Note(Option<String>),
    File(Option<String>),
    /// Not now.
    Stop,
}

/// The line before the cursor: all that can be said.
pub fn prompt(question: &Question) -> String {
    let more = "note, file, stop";
    match (&question.ask, &question.type_to_agree) {
        (Ask::Manual, _) => format!("done / not done / not applicable / retry / {more}> "),
        (Ask::Decision, _) => format!("number or name / {more}> "),
        // The target may be long: it stands on a line of its own above.
        (Ask::Confirm, Some(_)) => format!("what to type, as above / no / {more}> "),
        (Ask::Approval, _) | (Ask::Confirm, None) => format!("yes / no / {more}> "),
        (Ask::Failure, _) => "retry / skip / roll back / stop> ".to_owned(),
        (Ask::Settle, _) => "yes, it had been done / no> ".to_owned(),
        (Ask::Interrupted, _) => "later / roll back / leave> ".to_owned(),
    }
}

/// What `line` means as an answer to `question`; else what to type.
pub fn understand(line: &str, question: &Question) -> Result<Said, String> {
    let lower = line.trim().to_lowercase();
    let (word, rest) = lower.split_once([' ', ':']).map_or((lower.as_str(), ""), |(word, rest)| (word, rest));
    let tail =
        || Some(line.trim()[word.len()..].trim_start_matches([' ', ':']).to_owned()).filter(|text| !text.is_empty());
    if !matches!(question.ask, Ask::Failure | Ask::Interrupted) {
        match word {
            "note" => return Ok(Said::Note(tail())),
            "n" if matches!(question.ask, Ask::Manual | Ask::Decision) => return Ok(Said::Note(tail())),
            "file" | "attach" => return Ok(Said::File(tail())),
            "stop" | "later" if rest.is_empty() => return Ok(Said::Stop),
            _ => {}
        }
    }
    match question.ask {
        Ask::Manual => manual(&lower, line.trim()),
        Ask::Decision => choice(&lower, word, question, tail()),
        Ask::Approval | Ask::Settle => yes_or_no(word, tail()),
        Ask::Confirm => match &question.type_to_agree {
            Some(target) if line.trim() == target => Ok(Said::Reply(Reply::Yes, None)),
            Some(target) if matches!(word, "y" | "yes") => {
                Err(format!("this is destructive: type {target} to do it, or no"))
            }
            Some(target) => match yes_or_no(word, tail()) {
                Ok(said) => Ok(said),
                Err(_) => Err(format!("type {target} to do it, or no")),
            },
            None => yes_or_no(word, tail()),
        },
        Ask::Failure => match word {
            "retry" | "r" | "again" => Ok(Said::Reply(Reply::Retry, tail())),
            "skip" | "s" => Ok(Said::Reply(Reply::Skip, tail())),
            "roll" | "rollback" | "back" | "b" => Ok(Said::Reply(Reply::RollBack, None)),
            "stop" | "q" => Ok(Said::Reply(Reply::Stop, None)),
            _ => Err("type retry, skip, roll back or stop".to_owned()),
        },
        Ask::Interrupted => match word {
            "later" | "resume" | "" => Ok(Said::Stop),
            "roll" | "rollback" | "back" => Ok(Said::Reply(Reply::RollBack, None)),
            "leave" => Ok(Said::Reply(Reply::Skip, tail())),
            _ => Err("type later (Enter), roll back or leave".to_owned()),
        },
    }
}

fn manual(lower: &str, line: &str) -> Result<Said, String> {
    let forms: [(&[&str], Reply); 4] = [
        (&["not done", "no", "x", "failed"], Reply::NotDone),
        (&["not applicable", "n/a", "na", "-"], Reply::NotApplicable),
        (&["done", "d", "yes", "y", "ok"], Reply::Done),
        (&["retry", "r"], Reply::Retry),
    ];
    for (words, reply) in forms {
        for word in words {
            let Some(rest) = lower.strip_prefix(word) else { continue };
            if rest.is_empty() || rest.starts_with([' ', ':', ',']) {
                let note = line[word.len()..].trim_start_matches([' ', ':', ',']).to_owned();
                return Ok(Said::Reply(reply, Some(note).filter(|note| !note.is_empty())));
            }
        }
    }
    Err("type done, not done or not applicable; a note may follow: `done: 3 users tried`".to_owned())
}

fn choice(lower: &str, word: &str, question: &Question, note: Option<String>) -> Result<Said, String> {
    let names: Vec<&String> = question.choices.keys().collect();
    let by_number = word.parse::<usize>().ok().and_then(|number| names.get(number.checked_sub(1)?).copied());
    let exactly = names.iter().find(|name| name.to_lowercase() == word || name.to_lowercase() == lower).copied();
    let beginning: Vec<&&String> = names.iter().filter(|name| name.to_lowercase().starts_with(word)).collect();
    let begins = if let [one] = beginning.as_slice() { Some(**one) } else { None };
    match by_number.or(exactly).or(begins.filter(|_| !word.is_empty())) {
        Some(name) => Ok(Said::Reply(Reply::Chosen(name.clone()), note)),
        None => {
            let names: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
            Err(format!("type a number from 1 to {}, or one of {}", names.len(), names.join(", ")))
        }
    }
}

fn yes_or_no(word: &str, note: Option<String>) -> Result<Said, String> {
    match word {
        "yes" | "y" => Ok(Said::Reply(Reply::Yes, note)),
        "no" | "n" => Ok(Said::Reply(Reply::No, note)),
        _ => Err("type yes or no".to_owned()),
    }
}

/// Whether this answer has to say why.
pub fn wants_note(question: &Question, reply: &Reply) -> bool {
    question.note_required || (question.ask == Ask::Failure && *reply == Reply::Skip)
}

/// `12 min of 15 min left`
pub fn time_left(since: DateTime<Utc>, until: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let shown = |span: chrono::Duration| {
        let seconds = span.to_std().unwrap_or_default().as_secs();
        // Whole minutes: 1.99 h is no time that people think in.
        let seconds = if seconds < 120 { seconds } else { seconds.div_ceil(60) * 60 };
        Quantity::duration(std::time::Duration::from_secs(seconds)).rounded()
    };
    if now > until {
        return format!("{} over the budget of {}", shown(now - until), shown(until - since));
    }
    format!("{} of {} left", shown(until - now), shown(until - since))
}

/// Folded at words, each line behind `margin`.
pub fn paragraph(margin: &str, text: &str, width: usize) -> String {
    let room = width.saturating_sub(margin.chars().count()).max(20);
    let mut folded = String::new();
    for line in text.lines() {
        let mut current = String::new();
        for word in line.split_whitespace() {
            if !current.is_empty() && current.chars().count() + 1 + word.chars().count() > room {
                writeln!(folded, "{margin}{current}").ok();
                current.clear();
            }
            if !current.is_empty() {
                current.push(' ');
            }
            current += word;
        }
        writeln!(folded, "{margin}{current}").ok();
    }
    folded
}

/// A short label, and the text beside it.
pub fn labelled(label: &str, text: &str, width: usize) -> String {
    let head = format!("  {label:<10} ");
    let margin = " ".repeat(head.chars().count());
    let block = paragraph(&margin, text, width);
    match block.strip_prefix(&margin) {
        Some(rest) => format!("{head}{rest}"),
        None => format!("{head}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(ask: Ask) -> Question {
        let means = |name: &str| (name.to_owned(), String::new());
        Question {
            procedure: "emergency/outage".parse().expect("an id"),
            step: "step".parse().expect("an id"),
            item: None,
            ask,
            text: String::new(),
            choices: ["critical", "high", "medium"].map(means).into(),
            note_required: false,
            role: None,
            does: Vec::new(),
            hash: None,
            type_to_agree: None,
        }
    }

    fn reply(line: &str, ask: Ask) -> Option<(Reply, Option<String>)> {
        match understand(line, &question(ask)) {
            Ok(Said::Reply(reply, note)) => Some((reply, note)),
            _ => None,
        }
    }

    #[test]
    fn what_is_not_done_is_not_taken_for_done() {
        assert_eq!(reply("done", Ask::Manual), Some((Reply::Done, None)));
        assert_eq!(reply("not done", Ask::Manual), Some((Reply::NotDone, None)));
        assert_eq!(reply("Not Applicable", Ask::Manual), Some((Reply::NotApplicable, None)));
        assert_eq!(reply("n/a", Ask::Manual), Some((Reply::NotApplicable, None)));
        assert_eq!(reply("done: three Users", Ask::Manual), Some((Reply::Done, Some("three Users".to_owned()))));
        assert_eq!(reply("", Ask::Manual), None);
        assert_eq!(reply("donut", Ask::Manual), None);
    }

    #[test]
    fn a_choice_is_a_number_a_name_or_its_clear_beginning() {
        let chosen = |name: &str| Some((Reply::Chosen(name.to_owned()), None));
        assert_eq!(reply("2", Ask::Decision), chosen("high"));
        assert_eq!(reply("HIGH", Ask::Decision), chosen("high"));
        assert_eq!(reply("crit", Ask::Decision), chosen("critical"));
        for unclear in ["", "0", "4", "x"] {
            assert_eq!(reply(unclear, Ask::Decision), None, "{unclear}");
        }
    }

    #[test]
    fn something_destructive_is_not_done_by_yes() {
        let mut question = question(Ask::Confirm);
        question.type_to_agree = Some("apache2".to_owned());
        assert!(understand("yes", &question).is_err());
        assert!(understand("y", &question).is_err());
        assert!(understand("Apache2", &question).is_err());
        assert_eq!(understand("apache2", &question), Ok(Said::Reply(Reply::Yes, None)));
        assert_eq!(understand("no: too early", &question), Ok(Said::Reply(Reply::No, Some("too early".to_owned()))));
    }

    #[test]
    fn enter_alone_answers_nothing() {
        for ask in [Ask::Manual, Ask::Decision, Ask::Approval, Ask::Confirm, Ask::Failure, Ask::Settle] {
            assert!(understand("", &question(ask)).is_err());
        }
    }
}
