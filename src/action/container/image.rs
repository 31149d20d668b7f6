//! Images that are pulled by digest.

use std::fmt;
use std::path::Path;

use serde_json::Value as Json;
use tokio::time::Instant;

use super::engine::{Engine, encoded};
use crate::action::{ActionError, Changed, Context};
use crate::model::action::Plan;
use crate::model::fact::{Observation, Subject};
use crate::model::input::InputError;
use crate::model::text::one_line;
use crate::model::value::Value;

/// A repository and the digest of one image in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Image {
    repository: String,
    digest: String,
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.repository, self.digest)
    }
}

impl Image {
    pub fn parse(text: &str) -> Result<Self, InputError> {
        let is_repository = |name: &str| {
            name.starts_with(|c: char| c.is_ascii_alphanumeric())
                && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-/:".contains(c))
        };
        let is_digest = |digest: &str| {
            digest
                .strip_prefix("sha256:")
                .is_some_and(|sum| sum.len() == 64 && sum.chars().all(|c| c.is_ascii_digit() || matches!(c, 'a'..='f')))
        };
        match text.split_once('@') {
            Some((name, digest)) if is_repository(name) && is_digest(digest) => {
                // A tag besides the digest says nothing more.
                let repository = match name.rsplit_once(':') {
                    Some((repository, tag)) if !tag.contains('/') => repository,
                    _ => name,
                };
                Ok(Self { repository: repository.to_owned(), digest: digest.to_owned() })
            }
            _ => {
                let message = format!("`{}` is no image with a digest", text.escape_debug());
                let help =
                    "write `NAME@sha256:...` with 64 digits; `docker buildx imagetools inspect NAME:TAG` shows it";
                Err(InputError::new("image", message, help))
            }
        }
    }

    fn path(&self) -> String {
        format!("/images/create?fromImage={}&tag={}", encoded(&self.repository), encoded(&self.digest))
    }

    pub async fn plan(&self, socket: Option<&Path>, cx: &Context) -> Result<Plan, ActionError> {
        let engine = Engine::connect(socket, cx).await?;
        Ok(match self.id(&engine).await? {
            Some(id) => Plan::settled(format!("{self} is there: {id}")),
            None => Plan::new(vec![format!("POST {}", self.path())]).note("no container is changed by it"),
        })
    }

    pub async fn perform(&self, socket: Option<&Path>, plan: &Plan, cx: &Context) -> Result<Observation, ActionError> {
        let (engine, begun) = (Engine::connect(socket, cx).await?, Instant::now());
        if !plan.settled {
            if plan.does != [format!("POST {}", self.path())] {
                return Err(ActionError::before("changed", "the step has changed since this was planned")
                    .help("plan it again, and have the new plan agreed to"));
            }
            let answer = engine.post(&self.path()).await?;
            let trouble = if answer.status == 200 { trouble(&answer.body) } else { Some(answer.message()) };
            if let Some(trouble) = trouble {
                let message = format!("{self} was not pulled: {}", one_line(&trouble, 300));
                return Err(ActionError::before("failed", message).help(
                    "check the name, the digest, the network of the engine, and whether it is logged in (`docker pull` \
                     by hand says the same)",
                ));
            }
        }
        let id = self.id(&engine).await.map_err(|error| ActionError { changed: Changed::Perhaps, ..error })?;
        let Some(id) = id else {
            return Err(ActionError::midway(
                "failed",
                format!("the engine says that {self} was pulled, but does not have it"),
            )
            .help("`docker images --digests` shows what it has"));
        };
        let subject = Subject::new(self.to_string())
            .with("id", Value::text(id))
            .with("image", Value::text(&self.digest))
            .with("took", Value::duration(begun.elapsed()));
        Ok(subject.into())
    }

    /// The id of the image, if the engine has it.
    async fn id(&self, engine: &Engine<'_>) -> Result<Option<String>, ActionError> {
        let answer = engine.get(&format!("/images/{self}/json")).await?;
        let json: Option<Json> = serde_json::from_slice(&answer.body).ok();
        match (answer.status, json.as_ref().and_then(|json| json.get("Id")?.as_str())) {
            (200, Some(id)) => Ok(Some(id.to_owned())),
            (404, _) => Ok(None),
            (status, _) => {
                let message = format!("the engine does not tell of {self}: {status}, {}", answer.message());
                Err(ActionError::before("bad_answer", message).help("`docker info` shows whether it is well"))
            }
        }
    }
}

/// The error in a stream of JSON lines, which comes after the status 200 was sent.
fn trouble(body: &[u8]) -> Option<String> {
    let lines = body.split(|byte| *byte == b'\n');
    let error = |line: &[u8]| Some(serde_json::from_slice::<Json>(line).ok()?.get("error")?.as_str()?.to_owned());
    lines.rev().find_map(error)
}
