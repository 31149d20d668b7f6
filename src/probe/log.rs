//! Placeholder until the probe is written.

use super::Kind;
use crate::model::input::InputError;

pub static KIND: Kind = Kind {
    name: "log",
    about: "",
    inputs: &[],
    facts: &[],
    example: "",
    build: |_| Err(InputError::new("", "not written yet", "")),
};
