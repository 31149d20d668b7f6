//! The container engine, asked by an action: what breaks off may have been carried out.

use std::path::Path;

use reqwest::Method;
use serde_json::Value as Json;

use crate::action::{ActionError, Changed, Context, run};
use crate::probe::ProbeError;
use crate::probe::container::engine;

pub use crate::probe::container::engine::{Answer, encoded};

pub struct Engine<'c>(pub engine::Engine<'c>);

impl<'c> Engine<'c> {
    pub async fn connect(socket: Option<&Path>, cx: &'c Context) -> Result<Self, ActionError> {
        let engine = engine::Engine::connect(socket, run::deadline(&cx.look), &cx.look).await;
        engine.map(Self).map_err(unchanged)
    }

    /// Asks without changing anything.
    pub async fn get(&self, path: &str) -> Result<Answer, ActionError> {
        self.0.get(path).await.map_err(unchanged)
    }

    /// As [`Engine::get`], for what must be JSON.
    pub async fn json(&self, path: &str) -> Result<Json, ActionError> {
        self.0.json(path).await.map_err(unchanged)
    }

    pub async fn post(&self, path: &str) -> Result<Answer, ActionError> {
        let help = "the engine may go on with it: `docker ps -a` and `docker events` show what it does";
        let begun = |trouble| ActionError { changed: Changed::Perhaps, ..unchanged(trouble) }.help(help);
        self.0.call(Method::POST, path).await.map_err(begun)
    }
}

fn unchanged(trouble: engine::Trouble) -> ActionError {
    ProbeError::from(trouble).into()
}
