//! Placeholder until the probe is written.

use super::Kind;
use crate::model::input::InputError;

pub static KIND: Kind = Kind {
    name: "command",
    about: "",
    inputs: &[],
    facts: &[],
    example: "",
    limit: std::time::Duration::from_secs(30),
    build: |_| Err(InputError::new("", "not written yet", "")),
};
