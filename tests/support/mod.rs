//! The harness: one way to look with a probe, one way to run the program, real servers, disposable machines.

pub mod act;
pub mod again;
pub mod alertmanager;
pub mod answers;
pub mod case;
pub mod containers;
pub mod debian;
pub mod fuse;
pub mod lab;
pub mod look;
pub mod mail;
pub mod mariadb;
pub mod nameserver;
pub mod npm;
pub mod postgres;
pub mod prometheus;
pub mod redis;
pub mod server;
pub mod shop;
pub mod terminal;
pub mod tls;
pub mod venv;
pub mod web;
