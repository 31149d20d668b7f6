//! All tests of the whole: one binary, so that it links once. Servers are started once and shared.

mod support;

mod cli;
mod docs;
mod drill;
mod engine;
mod examples;
mod init;
mod inventory;
mod journal;
mod layers;
mod model;
mod port;
mod probe_backup;
mod probe_command;
mod probe_disk;
mod probe_file;
mod probe_http;
mod probe_load;
mod probe_log;
mod probe_memory;
mod probe_process;
mod probe_sql;
mod procedures;
mod redis;
mod report;
