//! All tests of the whole: one binary, so that it links once. Servers are started once and shared.

mod support;

mod action_backup;
mod action_cache;
mod action_cleanup;
mod action_command;
mod action_container;
mod action_git;
mod action_http;
mod action_packages;
mod action_restore;
mod action_service;
mod action_sql;
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
mod report;
mod restore_drill;
