//! Redis and Valkey servers.

pub(crate) mod connection;
pub(crate) mod site;
