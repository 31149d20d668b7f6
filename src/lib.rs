//! opsctl runs documented operations procedures as checklists: it looks, judges and leaves a record.
//!
//! `ARCHITECTURE.md` has the layers; an import goes down, never up, never sideways.

pub mod action;
pub mod cli;
pub mod drill;
pub mod engine;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod journal;
pub mod model;
pub mod notify;
pub mod probe;
pub mod procedure;
pub mod report;
