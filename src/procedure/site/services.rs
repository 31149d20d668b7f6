//! Services that the site file names by the commands that manage them.

use indexmap::IndexMap;

use crate::probe::ManagedService;
use crate::procedure::decode::{Fields, Reader};
use crate::procedure::keys;
use crate::procedure::yaml::Node;

pub fn read(reader: &Reader, node: &Node) -> IndexMap<String, ManagedService> {
    let mut services = IndexMap::new();
    let Some(entries) = node.map() else {
        reader.error(
            &node.span,
            "`services` is a mapping",
            "",
            "write `search: { status: [searchctl, status], start: [searchctl, start] }`",
        );
        return services;
    };
    for (key, value) in entries {
        let Some(fields) = reader.fields(value, "a service", keys::SERVICE) else { continue };
        let status = fields.required(reader, "status", "a service").and_then(|node| command(reader, node, "status"));
        let [start, stop, restart, reload] =
            ["start", "stop", "restart", "reload"].map(|key| other(reader, &fields, key));
        let Some(status) = status else { continue };
        services.insert(key.text.to_string(), ManagedService { status, start, stop, restart, reload });
    }
    services
}

fn other(reader: &Reader, fields: &Fields<'_>, key: &str) -> Option<Vec<String>> {
    fields.get(key).and_then(|node| command(reader, node, key))
}

/// The program and its arguments. An argument may come twice, and only the program must not be empty.
fn command(reader: &Reader, node: &Node, key: &str) -> Option<Vec<String>> {
    let what = format!("`{key}`");
    let mut run = Vec::new();
    for (at, item) in reader.items(node, &what).iter().enumerate() {
        match item.scalar() {
            Some(text) if at > 0 => run.push(text.to_owned()),
            Some(_) => run.push(reader.text(item, &what)?),
            None => {
                reader.error(&item.span, format!("an argument of {what} is a text, not {}", item.describe()), "", "");
                return None;
            }
        }
    }
    if run.is_empty() { None } else { Some(run) }
}
