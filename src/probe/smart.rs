//! What disks say of their own health (SMART), asked by `smartctl` of smartmontools.

pub(crate) mod report;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use serde_json::Value as Json;
use tokio::time::Instant;

use self::report::Report;
use super::command::ask::{self, Said};
use super::{Context, Kind, Probe, ProbeError};
use crate::model::fact::{Evidence, FactSpec, FactType, Observation, Subject};
use crate::model::input::{InputSpec, InputType, Inputs, Need};

pub static KIND: Kind = Kind {
    name: "smart",
    about: "what disks say of their own health (SMART), one result each, asked by `smartctl` (package smartmontools), \
            as root. What the disk and smartctl find wrong is kept as evidence",
    inputs: &[InputSpec {
        name: "device",
        ty: InputType::Texts,
        need: Need::Optional,
        about: "devices, such as `/dev/sda` or `/dev/nvme0`. Without it: every disk that `smartctl --scan` finds",
    }],
    facts: FACTS,
    example: include_str!("../../examples/probes/smart.yaml"),
    limit: Duration::from_mins(1),
    build: |inputs| Ok(Arc::new(Smart::new(inputs))),
};

const FACTS: &[FactSpec] = &[
    FactSpec::new("passed", FactType::Bool, "the disk finds itself healthy; if not, it expects to fail soon"),
    FactSpec::new("failing", FactType::Bool, "the disk says of itself that it is failing"),
    FactSpec::new("prefail", FactType::Bool, "some value that announces a failure is beyond its limit now"),
    FactSpec::new("was_prefail", FactType::Bool, "some value was beyond its limit at some time"),
    FactSpec::new("error_log", FactType::Bool, "the disk has recorded errors"),
    FactSpec::new("self_test_failed", FactType::Bool, "the newest self-tests that the disk has recorded found errors"),
    FactSpec::new("temperature", FactType::Count, "in degrees Celsius"),
    FactSpec::new("power_on", FactType::Duration, "for how long the disk was switched on in its life"),
    FactSpec::new("reallocated", FactType::Count, "sectors that were replaced by spare ones; of ATA and SCSI disks"),
    FactSpec::new(
        "pending_sectors",
        FactType::Count,
        "sectors that could not be read, and are not replaced yet; of ATA disks",
    ),
    FactSpec::new(
        "percentage_used",
        FactType::Percent,
        "of the life that the maker gives it, may exceed 100 %; of NVMe",
    ),
    FactSpec::new("available_spare", FactType::Percent, "spare blocks that are left; of NVMe"),
    FactSpec::new("media_errors", FactType::Count, "data that could not be read or checked; of NVMe"),
    FactSpec::new("model", FactType::Text, "maker and model"),
    FactSpec::new("serial", FactType::Text, "serial number, by which the disk is found in its box"),
];

/// How many disks are asked at the same time.
const SIDE_BY_SIDE: usize = 8;

const TOOL: &str = "smartctl";

struct Smart {
    /// Empty for every disk.
    devices: Vec<String>,
}

/// A disk as smartctl wants to be told of it.
#[derive(Clone, Debug)]
struct Device {
    name: String,
    /// Such as `megaraid,0`, for disks behind a controller.
    ty: Option<String>,
}

impl Smart {
    fn new(inputs: &Inputs) -> Self {
        Self { devices: inputs.texts("device").to_vec() }
    }

    async fn look(&self, cx: &Context) -> Result<Observation, ProbeError> {
        let deadline = Instant::now() + cx.limit.mul_f64(0.9);
        let mut devices: Vec<Device> =
            self.devices.iter().map(|name| Device { name: name.clone(), ty: None }).collect();
        if devices.is_empty() {
            devices = scan(deadline, cx).await?;
        }
        let mut seen = Observation::default();
        for some in devices.chunks(SIDE_BY_SIDE) {
            for looked in join_all(some.iter().map(|device| device.look(deadline, cx))).await {
                let (subject, evidence) = looked?;
                seen.subjects.push(subject);
                seen.evidence.extend(evidence);
            }
        }
        Ok(seen)
    }
}

impl Probe for Smart {
    fn target(&self) -> String {
        if self.devices.is_empty() { "every disk".to_owned() } else { self.devices.join(", ") }
    }

    fn observe<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Observation, ProbeError>> {
        Box::pin(self.look(cx))
    }
}

/// Every disk that smartctl finds.
async fn scan(deadline: Instant, cx: &Context) -> Result<Vec<Device>, ProbeError> {
    let json = answer(&run(&["--json", "--scan"], deadline, cx).await?)?;
    let device = |found: &Json| {
        let ty = found["type"].as_str().filter(|ty| *ty != "scsi").map(str::to_owned);
        Some(Device { name: found["name"].as_str()?.to_owned(), ty })
    };
    let devices: Vec<Device> = json["devices"].as_array().into_iter().flatten().filter_map(device).collect();
    if devices.is_empty() {
        let message = "`smartctl --scan` finds no disk that could be asked";
        let help = "disks of virtual machines and containers have no SMART: ask on the host, or name the devices with `device`";
        return Err(ProbeError::new("nothing_selected", message).help(help));
    }
    Ok(devices)
}

async fn run(args: &[&str], deadline: Instant, cx: &Context) -> Result<Said, ProbeError> {
    ask::ask(TOOL, args, deadline, cx).await.map_err(|error| match error.code {
        "no_such_tool" => error.help("install the package smartmontools"),
        _ => error,
    })
}

fn answer(said: &Said) -> Result<Json, ProbeError> {
    serde_json::from_str(&said.stdout.text()).map_err(|_| {
        let message = format!("smartctl does not answer in JSON: {}", said.reason());
        ProbeError::new("bad_answer", message).help("opsctl needs smartctl 7.0 or newer")
    })
}

impl Device {
    /// The error is one of the tool; a disk that cannot be asked is a subject that says so.
    async fn look(&self, deadline: Instant, cx: &Context) -> Result<(Subject, Option<Evidence>), ProbeError> {
        let mut args = vec!["--json", "-H", "-A", "-i", "-l", "error", "-l", "selftest"];
        if let Some(ty) = &self.ty {
            args.extend(["-d", ty]);
        }
        args.extend(["--", &self.name]);
        let said = run(&args, deadline, cx).await?;
        let report = Report { status: said.status.code(), json: answer(&said)? };
        Ok(report.describe(self.shown()))
    }

    fn shown(&self) -> String {
        match self.ty.as_deref().filter(|ty| ty.contains(',')) {
            Some(ty) => format!("{} ({ty})", self.name),
            None => self.name.clone(),
        }
    }
}
