//! The answer of smartctl about one disk.

use std::time::Duration;

use serde_json::Value as Json;

use crate::model::fact::{Evidence, Subject};
use crate::model::value::Value;

pub struct Report {
    /// Bits, each with a meaning of its own: see `smartctl(8)`.
    pub status: Option<i32>,
    pub json: Json,
}

/// The command line was wrong; the device could not be opened, or does not answer.
const BLIND: i32 = 0b11;

/// What the higher bits mean, with the facts that they are.
const BITS: [(i32, &str, &str); 5] = [
    (3, "failing", "the disk says that it is failing"),
    (4, "prefail", "a value that announces a failure is beyond its limit"),
    (5, "was_prefail", "a value was beyond its limit at some time"),
    (6, "error_log", "the disk has recorded errors"),
    (7, "self_test_failed", "a self-test found errors"),
];

/// The bits of `critical_warning` of `NVMe` disks, from the lowest.
const NVME_WARNINGS: [&str; 5] = [
    "the spare blocks run out",
    "it is too hot or too cold",
    "it is not reliable any more",
    "it can be read only",
    "its memory is not kept any more when the power fails",
];

/// Of ATA disks, by their numbers.
const REALLOCATED: u64 = 5;
const PENDING: u64 = 197;

const MOST_LINES: usize = 20;

impl Report {
    pub fn describe(&self, name: String) -> (Subject, Option<Evidence>) {
        let (Some(status), json) = (self.status, &self.json) else {
            return (Subject::unseen(name, "smartctl was ended by a signal"), None);
        };
        if status & BLIND != 0 {
            return (Subject::unseen(name, self.refusal()), None);
        }
        let mut subject = Subject::new(name);
        match json.pointer("/smart_status/passed").and_then(Json::as_bool) {
            Some(passed) => subject.set("passed", Value::Bool(passed)),
            None if json.pointer("/smart_support/available").and_then(Json::as_bool) == Some(false) => {
                subject.error =
                    Some("the device has no SMART, as disks of virtual machines and many USB boxes".to_owned());
                return (subject, None);
            }
            None => {}
        }
        for (bit, fact, _) in BITS {
            subject.set(fact, Value::Bool(status & (1 << bit) != 0));
        }
        self.numbers(&mut subject);
        if status & 0b100 != 0 {
            subject.note("the disk did not answer one of the questions; what it did not say is missing");
        }
        let evidence = self.evidence(&subject.name, status);
        (subject, evidence)
    }

    fn numbers(&self, subject: &mut Subject) {
        let json = &self.json;
        let number = |path: &str| json.pointer(path).and_then(Json::as_u64);
        let health = |name: &str| number(&format!("/nvme_smart_health_information_log/{name}"));
        let facts = [
            ("temperature", number("/temperature/current").map(Value::count)),
            (
                "power_on",
                number("/power_on_time/hours")
                    .map(|hours| Value::duration(Duration::from_secs(hours.saturating_mul(3600)))),
            ),
            (
                "reallocated",
                self.attribute(REALLOCATED).or_else(|| number("/scsi_grown_defect_list")).map(Value::count),
            ),
            ("pending_sectors", self.attribute(PENDING).map(Value::count)),
            ("percentage_used", health("percentage_used").map(|percent| Value::percent(percent as f64))),
            ("available_spare", health("available_spare").map(|percent| Value::percent(percent as f64))),
            ("media_errors", health("media_errors").map(Value::count)),
            ("model", self.text("/model_name").or_else(|| self.text("/scsi_model_name")).map(Value::Text)),
            ("serial", self.text("/serial_number").map(Value::Text)),
        ];
        let (ata, nvme) =
            (json.get("ata_smart_attributes").is_some(), json.get("nvme_smart_health_information_log").is_some());
        for (name, value) in facts {
            match (name, value) {
                (_, Some(value)) => subject.set(name, value),
                // What disks of the other kind have.
                ("percentage_used" | "available_spare" | "media_errors", None) if !nvme => {
                    subject.inapplicable.push(name.to_owned());
                }
                ("reallocated" | "pending_sectors", None) if !ata => subject.inapplicable.push(name.to_owned()),
                (_, None) => {}
            }
        }
    }

    fn text(&self, path: &str) -> Option<String> {
        self.json.pointer(path).and_then(Json::as_str).map(str::to_owned)
    }

    /// The raw value of an ATA attribute.
    fn attribute(&self, id: u64) -> Option<u64> {
        let table = self.json.pointer("/ata_smart_attributes/table")?.as_array()?;
        let attribute = table.iter().find(|attribute| attribute["id"].as_u64() == Some(id))?;
        attribute.pointer("/raw/value")?.as_u64()
    }

    /// Why the disk could not be asked.
    fn refusal(&self) -> String {
        let said: Vec<&str> = self.messages().collect();
        let said = if said.is_empty() { "it did not say why".to_owned() } else { said.join("; ") };
        let advice = if said.contains("Permission denied") {
            "; run opsctl as root"
        } else if said.contains("Unable to detect device type") || said.contains("Unknown USB bridge") {
            "; disks of virtual machines have no SMART"
        } else {
            ""
        };
        format!("smartctl cannot ask it: {said}{advice}")
    }

    fn messages(&self) -> impl Iterator<Item = &str> {
        let messages = self.json.pointer("/smartctl/messages").and_then(Json::as_array);
        messages.into_iter().flatten().filter_map(|message| message["string"].as_str())
    }

    /// What is wrong: the bits in words, what smartctl says, and the attributes that are beyond their limits.
    fn evidence(&self, name: &str, status: i32) -> Option<Evidence> {
        let mut lines: Vec<String> =
            BITS.iter().filter(|(bit, ..)| status & (1 << bit) != 0).map(|(.., words)| (*words).to_owned()).collect();
        lines.extend(self.messages().map(str::to_owned));
        let table = self.json.pointer("/ata_smart_attributes/table").and_then(Json::as_array);
        for attribute in table.into_iter().flatten() {
            let when = attribute["when_failed"].as_str().unwrap_or_default();
            if !when.is_empty() {
                let raw = attribute.pointer("/raw/string").and_then(Json::as_str).unwrap_or("?");
                let (value, limit) = (&attribute["value"], &attribute["thresh"]);
                let name = attribute["name"].as_str().unwrap_or("?");
                lines.push(format!("{name} {value}, limit {limit}, raw {raw}: failed {when}"));
            }
        }
        let warning = self.json.pointer("/nvme_smart_health_information_log/critical_warning").and_then(Json::as_u64);
        let said = NVME_WARNINGS.iter().enumerate().filter(|(bit, _)| warning.unwrap_or(0) & (1 << bit) != 0);
        lines.extend(said.map(|(_, words)| (*words).to_owned()));
        let left_out = lines.len().saturating_sub(MOST_LINES) as u64;
        lines.truncate(MOST_LINES);
        (!lines.is_empty()).then(|| Evidence { left_out, ..Evidence::new(format!("smartctl of {name}"), lines) })
    }
}
