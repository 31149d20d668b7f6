//! The words of opsctl as types: values, facts, conditions, outcomes, events. Pure: no I/O, no clock, no runtime.

pub mod action;
pub mod condition;
pub mod event;
pub mod expectation;
pub mod fact;
pub mod id;
pub mod incident;
pub mod input;
pub mod ladder;
pub mod outcome;
pub mod past;
pub mod pattern;
pub mod record;
pub mod secret;
pub mod text;
pub mod unit;
pub mod value;
