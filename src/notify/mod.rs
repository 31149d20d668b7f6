//! The channels: ways in which a message leaves the house.

mod command;
mod file;

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::model::event::incident::{Delivered, Delivery, Message};
use crate::model::id::RunId;

/// A way to reach people.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Channel {
    pub kind: Kind,
    /// Which address of a role it takes.
    pub address: Address,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A line of JSON for each message, at the end of a file.
    File(PathBuf),
    /// A program, which gets the message as JSON on standard input and in its environment.
    Command {
        /// The program and its arguments.
        run: Vec<String>,
        /// Where it runs.
        folder: PathBuf,
        /// How long it may take.
        limit: Duration,
    },
    /// A person tells them.
    ByHand,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Address {
    Mail,
    Phone,
    /// The mail address, else the phone number.
    Any,
}

/// How long a file may take: it may be on a dead mount.
const WRITING: Duration = Duration::from_secs(10);

/// How long a command may take when the site file does not say.
pub const COMMAND_LIMIT: Duration = Duration::from_secs(30);

impl Channel {
    /// The longest time after which it is known whether a message went out.
    #[must_use]
    pub fn limit(&self) -> Duration {
        match &self.kind {
            Kind::File(_) => WRITING,
            Kind::Command { limit, .. } => *limit + command::TIDYING,
            Kind::ByHand => Duration::ZERO,
        }
    }

    /// Sends a message of `run`, once. Whatever goes wrong is in the delivery.
    pub async fn send(&self, run: RunId, message: &Message) -> Delivery {
        let sent = match &self.kind {
            Kind::File(path) => file::append(path, &as_json(run, message)).await,
            Kind::Command { run: words, folder, limit } => command::run(words, folder, *limit, run, message).await,
            Kind::ByHand => return delivery(message, Delivered::Waiting, None),
        };
        match sent {
            Ok(()) => delivery(message, Delivered::Sent, None),
            Err(reason) => delivery(message, Delivered::Failed, Some(reason)),
        }
    }
}

fn delivery(message: &Message, state: Delivered, detail: Option<String>) -> Delivery {
    Delivery { id: message.id.clone(), state, detail }
}

/// As a program or a reader of the file gets it; what is not known is null.
fn as_json(run: RunId, message: &Message) -> Json {
    let Message { id, to, channel, address, severity, text, deadline } = message;
    json!({
        "run": run, "id": id, "to": to, "channel": channel, "address": address, "severity": severity, "text": text,
        "deadline": deadline,
    })
}
