//! The disk that a container engine takes. A kind of its own: the engine walks through all volumes for it, which takes
//! long, while a look at containers is quick.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Deserialize;

use super::container::description::or_null;
use super::container::engine::{Engine, SOCKET};
use super::container::{deadline, settled};
use super::{Context, Kind, Probe, ProbeError};
use crate::model::fact::{Evidence, FactSpec, FactType, Observation, Subject};
use crate::model::unit::Quantity;
use crate::model::value::Value;

pub static KIND: Kind = Kind {
    name: "container_disk",
    about: "the disk that a container engine takes, and how much of it nothing uses, counted as `docker system df` \
            counts it. The engine measures every volume, which may take long. The largest are kept as evidence",
    inputs: &[SOCKET],
    facts: &[
        FactSpec::implied("answers", "the engine answers"),
        FactSpec::new("size", FactType::Size, "images, containers, volumes and build cache together"),
        FactSpec::new("reclaimable", FactType::SizeShare, "of this, what nothing uses"),
        FactSpec::new("images", FactType::Size, "layers of images, each counted once"),
        FactSpec::new(
            "images_reclaimable",
            FactType::SizeShare,
            "layers that only images without a container have, and layers that images share",
        ),
        FactSpec::new("containers", FactType::Size, "what containers have written into their own layers"),
        FactSpec::new("containers_reclaimable", FactType::SizeShare, "of this, in containers that do not run"),
        FactSpec::new("volumes", FactType::Size, "volumes whose size the engine knows"),
        FactSpec::new("volumes_reclaimable", FactType::SizeShare, "of this, in volumes that no container has"),
        FactSpec::new("unused_volumes", FactType::Count, "volumes that no container has, running or not"),
        FactSpec::new("build_cache", FactType::Size, "what building images has left"),
        FactSpec::new("build_cache_reclaimable", FactType::SizeShare, "of this, what no build uses now"),
    ],
    example: include_str!("../../examples/probes/container_disk.yaml"),
    limit: Duration::from_mins(2),
    build: |inputs| Ok(Arc::new(Disk { socket: inputs.path("socket").cloned() })),
};

/// How many images, containers and volumes are kept as evidence.
const LARGEST: usize = 10;

const NAME: &str = "container engine";

struct Disk {
    socket: Option<PathBuf>,
}

/// The answer to `GET /system/df`, as far as it matters here.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Usage {
    layers_size: u64,
    #[serde(default, deserialize_with = "or_null")]
    images: Vec<Image>,
    #[serde(default, deserialize_with = "or_null")]
    containers: Vec<Written>,
    #[serde(default, deserialize_with = "or_null")]
    volumes: Vec<Volume>,
    #[serde(default, deserialize_with = "or_null")]
    build_cache: Vec<Cached>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Image {
    id: String,
    #[serde(default, deserialize_with = "or_null")]
    repo_tags: Vec<String>,
    /// These are -1 where the engine has not counted.
    size: i64,
    shared_size: i64,
    containers: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Written {
    id: String,
    #[serde(default, deserialize_with = "or_null")]
    names: Vec<String>,
    #[serde(default)]
    size_rw: u64,
    #[serde(default)]
    state: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Volume {
    name: String,
    usage_data: Option<VolumeUsage>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct VolumeUsage {
    /// -1 where the engine has not counted.
    size: i64,
    ref_count: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Cached {
    #[serde(default)]
    size: u64,
    #[serde(default)]
    in_use: bool,
    /// Counted with the images.
    #[serde(default)]
    shared: bool,
}

/// Bytes of one sort, and those of them that something uses.
#[derive(Clone, Copy, Default)]
struct Sum {
    all: u64,
    used: u64,
}

impl Sum {
    fn of(parts: impl Iterator<Item = (u64, bool)>) -> Self {
        parts.fold(Self::default(), |sum, (size, is_used)| Self {
            all: sum.all.saturating_add(size),
            used: sum.used.saturating_add(if is_used { size } else { 0 }),
        })
    }

    fn reclaimable(self) -> Value {
        Value::share(self.all.saturating_sub(self.used), self.all)
    }
}

impl Probe for Disk {
    fn target(&self) -> String {
        NAME.to_owned()
    }

    fn resource(&self) -> Option<String> {
        Some(NAME.to_owned())
    }

    fn observe<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Observation, ProbeError>> {
        async move {
            let asked = async {
                let engine = Engine::connect(self.socket.as_deref(), deadline(cx), cx).await?;
                engine.json::<Usage>("/system/df").await
            };
            settled(asked.await.map(|usage| usage.observation()), &[NAME.to_owned()])
        }
        .boxed()
    }
}

impl Usage {
    fn observation(&self) -> Observation {
        let images = Sum {
            all: self.layers_size,
            used: self
                .images
                .iter()
                .filter(|image| image.containers != 0)
                .filter_map(Image::own)
                .fold(0, u64::saturating_add),
        };
        let containers = Sum::of(self.containers.iter().map(|one| (one.size_rw, one.is_used())));
        let volumes = Sum::of(self.volumes.iter().filter_map(|one| Some((one.size()?, one.is_used()))));
        let build_cache = Sum::of(self.build_cache.iter().filter(|one| !one.shared).map(|one| (one.size, one.in_use)));
        let sums = [
            ("images", "images_reclaimable", images),
            ("containers", "containers_reclaimable", containers),
            ("volumes", "volumes_reclaimable", volumes),
            ("build_cache", "build_cache_reclaimable", build_cache),
        ];
        let total = sums.iter().fold(Sum::default(), |sum, (_, _, one)| Sum {
            all: sum.all.saturating_add(one.all),
            used: sum.used.saturating_add(one.used.min(one.all)),
        });
        let mut subject = Subject::new(NAME)
            .with("answers", Value::Bool(true))
            .with("size", Value::bytes(total.all))
            .with("reclaimable", total.reclaimable());
        for (size, reclaimable, sum) in sums {
            subject.set(size, Value::bytes(sum.all));
            subject.set(reclaimable, sum.reclaimable());
        }
        subject.set("unused_volumes", Value::count(self.volumes.iter().filter(|one| !one.is_used()).count() as u64));
        let unknown = self.volumes.iter().filter(|one| one.size().is_none()).count();
        if unknown > 0 {
            subject.note(format!("{unknown} volumes are not counted, for the engine does not know their size"));
        }
        Observation { subjects: vec![subject], evidence: self.largest().into_iter().collect() }
    }

    fn largest(&self) -> Option<Evidence> {
        let images = self.images.iter().map(|one| ("image", one.name(), one.own().unwrap_or(0), one.containers != 0));
        let containers = self.containers.iter().map(|one| ("container", one.name(), one.size_rw, one.is_used()));
        let volumes = self.volumes.iter().map(|one| ("volume", &*one.name, one.size().unwrap_or(0), one.is_used()));
        let mut all: Vec<_> = images.chain(containers).chain(volumes).filter(|(_, _, size, _)| *size > 0).collect();
        all.sort_by_key(|(_, _, size, _)| std::cmp::Reverse(*size));
        let line = |(sort, name, size, is_used): &(&str, &str, u64, bool)| {
            let unused = if *is_used { "" } else { "  unused" };
            format!("{:>10}  {sort} {name}{unused}", Quantity::bytes(*size).rounded())
        };
        let lines: Vec<String> = all.iter().take(LARGEST).map(line).collect();
        let left_out = all.len().saturating_sub(LARGEST) as u64;
        (!lines.is_empty()).then(|| Evidence { left_out, ..Evidence::new("the largest", lines) })
    }
}

impl Image {
    /// Bytes that no other image has; none where the engine has not counted.
    fn own(&self) -> Option<u64> {
        let (size, shared) = (u64::try_from(self.size).ok()?, u64::try_from(self.shared_size).ok()?);
        Some(size.saturating_sub(shared))
    }

    fn name(&self) -> &str {
        self.repo_tags.first().unwrap_or(&self.id)
    }
}

impl Written {
    fn is_used(&self) -> bool {
        matches!(self.state.as_str(), "running" | "paused" | "restarting")
    }

    fn name(&self) -> &str {
        self.names.first().map_or(&*self.id, |name| name.trim_start_matches('/'))
    }
}

impl Volume {
    fn size(&self) -> Option<u64> {
        u64::try_from(self.usage_data.as_ref()?.size).ok()
    }

    /// A volume of which that is not known may be used.
    fn is_used(&self) -> bool {
        self.usage_data.as_ref().is_none_or(|usage| usage.ref_count != 0)
    }
}
