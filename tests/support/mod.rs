//! The harness: one way to look with a probe, one way to run the program, real servers.

pub mod act;
pub mod again;
pub mod case;
pub mod look;
pub mod mariadb;
pub mod postgres;
pub mod server;
pub mod shop;
pub mod terminal;
pub mod web;
