//! One test for each kind of mistake in a procedure, with the whole text that people read.

mod facts;
mod inputs;
mod reads;
mod steps;
mod writing;
