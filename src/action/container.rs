//! Containers of an engine that speaks Docker's API, over its socket.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::{Action, ActionError, Context, Kind};
use crate::model::action::{Effect, Plan};
use crate::model::fact::{FactSpec, FactType, Observation};
use crate::model::input::{InputError, InputSpec, InputType, Inputs, Need};
use crate::probe::container::engine::SOCKET;

mod engine;
mod image;
mod state;

use state::Change;

pub static KIND: Kind = Kind {
    name: "container",
    about: "containers of Docker (or of another engine with its API) are started, stopped or restarted as they are, or \
            an image is pulled by its digest. A container that ends again at once has not been started. Nothing is \
            made anew: a changed Compose file or a pulled image needs `docker compose up`",
    inputs: &[
        InputSpec {
            name: "state",
            ty: InputType::Choice(&["started", "stopped", "restarted", "pulled"]),
            need: Need::Required,
            about: "`pulled` is for an `image` and restarts nothing",
        },
        InputSpec {
            name: "name",
            ty: InputType::Text,
            need: Need::Optional,
            about: "the container's name or id. Exactly one of `name`, `service` and `image` is given",
        },
        InputSpec {
            name: "project",
            ty: InputType::Text,
            need: Need::Optional,
            about: "the Compose project of `service`",
        },
        InputSpec {
            name: "service",
            ty: InputType::Text,
            need: Need::Optional,
            about: "the service of a Compose project: all its containers, one after the other",
        },
        InputSpec {
            name: "image",
            ty: InputType::Text,
            need: Need::Optional,
            about: "what is pulled, by digest: `registry.example.com/shop@sha256:...`. A tag may lead to something else \
                    tomorrow, and is refused",
        },
        InputSpec {
            name: "grace",
            ty: InputType::Duration,
            need: Need::Optional,
            about: "how long a container may take to end before it is killed; what it was made with if not given",
        },
        SOCKET,
    ],
    facts: &[
        FactSpec::new("state_before", FactType::Text, "`running`, `exited`, `paused`, ... before"),
        FactSpec::new("state", FactType::Text, "the same afterwards"),
        FactSpec::new(
            "health",
            FactType::Text,
            "`starting`, `healthy` or `unhealthy` afterwards; missing without a health check",
        ),
        FactSpec::new("restarts", FactType::Count, "how often the engine itself has restarted it"),
        FactSpec::new("id", FactType::Text, "the container's, or of a pulled image the image's"),
        FactSpec::new("image", FactType::Text, "the digest or id of the image"),
        FactSpec::new("took", FactType::Duration, "from asking for it to its end"),
    ],
    checks: "the engine answers and the containers are there; how each stands is shown, with its image, and \
             whether the engine would start it again",
    effect: Effect::Change,
    destructive_when: "",
    least: |_| Effect::Change,
    example: include_str!("../../examples/actions/container.yaml"),
    limit: Duration::from_mins(5),
    build,
};

/// What is to become of containers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Wanted {
    Started,
    Stopped,
    Restarted,
}

impl Wanted {
    /// As the API and the command line call it.
    fn verb(self) -> &'static str {
        match self {
            Self::Started => "start",
            Self::Stopped => "stop",
            Self::Restarted => "restart",
        }
    }
}

/// Which containers.
#[derive(Clone, Debug)]
enum Which {
    Name(String),
    Service { project: String, service: String },
}

enum Container {
    State(Change),
    Pull { socket: Option<PathBuf>, image: image::Image },
}

fn build(inputs: &Inputs) -> Result<Arc<dyn Action>, InputError> {
    let socket = inputs.path("socket").cloned();
    let [name, project, service, image] =
        ["name", "project", "service", "image"].map(|input| inputs.text(input).map(str::to_owned));
    let grace = inputs.duration("grace");
    let which = match (name, project, service, image) {
        (None, None, None, Some(image)) => {
            if inputs.text("state") != Some("pulled") || grace.is_some() {
                return Err(InputError::new("state", "an image can only be pulled", "write `state: pulled` alone"));
            }
            return Ok(Arc::new(Container::Pull { socket, image: image::Image::parse(&image)? }));
        }
        (Some(name), None, None, None) => Which::Name(name),
        (None, Some(project), Some(service), None) => Which::Service { project, service },
        (None, None, Some(_), None) | (None, Some(_), None, None) => {
            let help = "write `project: shop` and `service: web`; `docker compose ls` shows the projects";
            return Err(InputError::new("", "a service of Compose needs `project` and `service`", help));
        }
        _ => {
            let message = "exactly one of `name`, `service` and `image` is needed";
            return Err(InputError::new(
                "",
                message,
                "write `name: shop-web-1`, or `project: shop` and `service: web`",
            ));
        }
    };
    let wanted = match inputs.text("state") {
        Some("started") => Wanted::Started,
        Some("stopped") => Wanted::Stopped,
        Some("restarted") => Wanted::Restarted,
        _ => return Err(InputError::new("state", "only an image can be pulled", "write `image: NAME@sha256:...`")),
    };
    let is_word = |text: &String| {
        text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
    };
    let words = match &which {
        Which::Name(name) => vec![name],
        Which::Service { project, service } => vec![project, service],
    };
    if let Some(wrong) = words.into_iter().find(|word| !is_word(word)) {
        let message = format!("`{}` is no name of a container or a service", wrong.escape_debug());
        return Err(InputError::new("", message, "write it as `docker ps` shows it"));
    }
    Ok(Arc::new(Container::State(Change { socket, which, wanted, grace })))
}

impl Action for Container {
    fn target(&self) -> String {
        match self {
            Self::State(Change { which: Which::Name(name), .. }) => name.clone(),
            Self::State(Change { which: Which::Service { project, service }, .. }) => format!("{project}/{service}"),
            Self::Pull { image, .. } => image.to_string(),
        }
    }

    fn plan<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Plan, ActionError>> {
        match self {
            Self::State(change) => change.plan(cx).boxed(),
            Self::Pull { socket, image } => image.plan(socket.as_deref(), cx).boxed(),
        }
    }

    fn perform<'a>(&'a self, plan: &'a Plan, cx: &'a Context) -> BoxFuture<'a, Result<Observation, ActionError>> {
        match self {
            Self::State(change) => change.perform(plan, cx).boxed(),
            Self::Pull { socket, image } => image.perform(socket.as_deref(), plan, cx).boxed(),
        }
    }
}
