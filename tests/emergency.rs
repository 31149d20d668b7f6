//! Emergencies from the first look to the report, with real servers under systemd: each is really down, and comes back.

mod outage;
mod site;

use crate::support::case::Turn::{self, Type};

/// What is shown, and what the person at the terminal does then.
type Turns<'t> = Vec<(&'t str, Turn<'t>)>;

/// It only has to be shown.
const SEEN: Turn = Type("");

/// Turns that follow each other.
fn talk<'t>(parts: &[&[(&'t str, Turn<'t>)]]) -> Turns<'t> {
    parts.concat()
}
