//! Emergencies from the first look to the report, with real servers under systemd: each is really down, and comes back.

mod cut_off;
mod data_loss;
mod outage;
mod security;
mod site;

use crate::support::case::Turn::{self, Do, Type};

/// What is shown, and what the person at the terminal does then.
type Turns<'t> = Vec<(&'t str, Turn<'t>)>;

/// It only has to be shown.
const SEEN: Turn = Type("");
/// It was noticed just now.
const NOW: [(&str, Turn); 1] = [("Enter for now> ", Type(" "))];
/// The end of a run that did what it should.
const PASSED: [(&str, Turn); 2] = [("PASSED", SEEN), ("see it again", SEEN)];

/// Turns that follow each other.
fn talk<'t>(parts: &[&[(&'t str, Turn<'t>)]]) -> Turns<'t> {
    parts.concat()
}

/// What is asked, and the answer.
fn asks<'t>(question: &'t str, answer: &'t str) -> [(&'t str, Turn<'t>); 2] {
    [(question, SEEN), ("stop> ", Type(answer))]
}

/// What is asked, what is done elsewhere before it is answered, and the answer.
fn asks_while<'t>(question: &'t str, work: &'t dyn Fn(), answer: &'t str) -> [(&'t str, Turn<'t>); 2] {
    [(question, SEEN), ("stop> ", Do(work, answer))]
}

/// Something destructive, which `y` alone does not do.
fn agrees<'t>(command: &'t str, target: &'t str) -> [(&'t str, Turn<'t>); 4] {
    [(command, SEEN), ("stop> ", Type("y")), ("this is destructive: type", SEEN), ("stop> ", Type(target))]
}
