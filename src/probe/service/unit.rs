//! One unit: what its properties mean.

use std::time::Duration;

use super::clock::{self, Clock};
use super::name::unit_type;
use super::properties::Properties;
use super::timer::Timer;
use crate::model::fact::Subject;
use crate::model::unit::Quantity;
use crate::model::value::Value;
use crate::probe::command::child::signal_name;

/// A service that systemd has started again is in a crash loop as long as that was less than this ago.
const RECENT: Duration = Duration::from_mins(10);

/// ... and if it was not the first time.
const REPEATED: u64 = 2;

/// How a process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    Exited(i32),
    Killed(i32),
}

impl End {
    /// `ExecStart={ path=... ; pid=206 ; code=exited ; status=1 }`, `... code=killed ; status=9/KILL }`.
    pub fn of_command(line: &str) -> Option<Self> {
        let (_, end) = line.rsplit_once(" ; code=")?;
        let (code, status) = end.strip_suffix(" }")?.split_once(" ; status=")?;
        let number = status.split('/').next()?.parse().ok()?;
        match code {
            "exited" => Some(Self::Exited(number)),
            "killed" | "dumped" => Some(Self::Killed(number)),
            _ => None,
        }
    }

    fn words(self) -> String {
        match self {
            Self::Exited(status) => format!("exit status {status}"),
            Self::Killed(signal) => signal_name(signal),
        }
    }
}

#[derive(Debug)]
pub struct Unit {
    properties: Properties,
    clock: Clock,
    end: Option<End>,
}

impl Unit {
    pub fn new(properties: Properties, clock: Clock) -> Self {
        let status = properties.number("ExecMainStatus").and_then(|status| i32::try_from(status).ok());
        // CLD_EXITED, CLD_KILLED and CLD_DUMPED of waitid(2); 0 while it runs.
        let end = match (properties.number("ExecMainCode"), status) {
            (Some(1), Some(status)) => Some(End::Exited(status)),
            (Some(2 | 3), Some(signal)) => Some(End::Killed(signal)),
            _ => None,
        };
        Self { properties, clock, end }
    }

    /// Its own name, of which the one that was asked for may be an alias.
    pub fn id<'u>(&'u self, asked: &'u str) -> &'u str {
        self.properties.get("Id").unwrap_or(asked)
    }

    fn state(&self) -> &str {
        self.properties.get("ActiveState").unwrap_or("unknown")
    }

    fn is_active(&self) -> bool {
        matches!(self.state(), "active" | "reloading" | "refreshing")
    }

    /// No file defines it, and nothing is left of it.
    pub fn is_nowhere(&self) -> bool {
        self.properties.is("LoadState", "not-found") && self.state() == "inactive"
    }

    pub fn has_failed(&self) -> bool {
        self.state() == "failed"
    }

    fn is_masked(&self) -> bool {
        let file = self.properties.get("UnitFileState").unwrap_or_default();
        self.properties.is("LoadState", "masked") || file.starts_with("masked")
    }

    /// Masked units that never ran have nothing to tell.
    pub fn has_log(&self) -> bool {
        self.was_started() || !self.is_masked()
    }

    pub fn is_in_trouble(&self) -> bool {
        !self.is_active() || self.crash_loop() == Some(true)
    }

    /// Since boot, as far as systemd still knows.
    fn was_started(&self) -> bool {
        self.properties.instant("InactiveExitTimestampMonotonic").is_some()
            || self.properties.instant("ActiveEnterTimestampMonotonic").is_some()
    }

    fn is_service(&self) -> bool {
        unit_type(self.id("")) == "service"
    }

    fn is_timer(&self) -> bool {
        unit_type(self.id("")) == "timer"
    }

    /// A command that prepares or starts it failed, and not its main process.
    pub fn failed_before_main(&self) -> bool {
        self.properties.get("Result").is_some_and(|result| result != "success")
            && matches!(self.end, None | Some(End::Exited(0)))
    }

    pub fn set_control_end(&mut self, end: Option<End>) {
        self.end = end.or(self.end);
    }

    /// The counter of restarts begins anew when somebody starts the service, and it has no time: a service that was
    /// started again many times over a year is no crash loop, so the age of the last start counts too.
    pub fn crash_loop(&self) -> Option<bool> {
        if !self.is_service() {
            return None;
        }
        let restarts = self.properties.number("NRestarts").unwrap_or(0);
        let waits = self.properties.get("SubState").is_some_and(|state| state.starts_with("auto-restart"));
        let gave_up = self.properties.is("Result", "start-limit-hit") || (self.has_failed() && restarts > 0);
        let is_up_or_starts = self.is_active() || self.state() == "activating";
        let again = restarts >= REPEATED && is_up_or_starts && self.start_age().is_some_and(|age| age < RECENT);
        Some(waits || gave_up || again)
    }

    /// Since there were as many as `before`. A smaller number was begun anew when somebody started the service.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a counter is whole and positive")]
    pub fn recent_restarts(&self, before: f64) -> Option<u64> {
        let restarts = self.properties.number("NRestarts")?;
        Some(restarts.checked_sub(before as u64).unwrap_or(restarts))
    }

    /// When it elapses, if it is a timer.
    pub fn timer(&self) -> Option<Timer> {
        self.is_timer().then(|| Timer::of(&self.properties, self.is_active()))
    }

    /// How it ended last, if it was started since boot.
    pub fn last_result(&self) -> Option<&str> {
        self.properties.get("Result").filter(|_| self.was_started())
    }

    fn start_age(&self) -> Option<Duration> {
        let started = ["InactiveExitTimestampMonotonic", "ExecMainStartTimestampMonotonic"];
        let last = started.iter().filter_map(|name| self.properties.instant(name)).max()?;
        Some(self.clock.since(last))
    }

    /// Of the main state, as `systemctl status` counts it: a reload does not make a service younger.
    fn state_age(&self) -> Option<Duration> {
        let since = match self.state() {
            "active" | "reloading" | "refreshing" => "ActiveEnterTimestampMonotonic",
            "inactive" | "failed" => "InactiveEnterTimestampMonotonic",
            "activating" => "InactiveExitTimestampMonotonic",
            "deactivating" => "ActiveExitTimestampMonotonic",
            _ => "StateChangeTimestampMonotonic",
        };
        self.properties.instant(since).map(|moment| self.clock.since(moment))
    }

    /// What happened to it, in a line.
    pub fn story(&self) -> String {
        let mut words = vec![self.state().to_owned()];
        let sub_state = self.properties.get("SubState").filter(|sub_state| *sub_state != self.state());
        let result = self.properties.get("Result").filter(|result| *result != "success" && !self.is_active());
        let end = self.end.filter(|end| result.is_some() && *end != End::Exited(0)).map(End::words);
        let details: Vec<&str> = [sub_state, result, end.as_deref()].into_iter().flatten().collect();
        if !details.is_empty() {
            words.push(format!("({})", details.join(", ")));
        }
        match self.state_age() {
            Some(age) => words.push(format!("for {}", Quantity::duration(age).rounded())),
            None if !self.was_started() => words.push("and not started since boot".to_owned()),
            None => {}
        }
        let restarts = self.properties.number("NRestarts").unwrap_or(0);
        if restarts > 0 {
            words.push(format!("after {restarts} restart{} by systemd", if restarts == 1 { "" } else { "s" }));
        }
        words.join(" ")
    }

    /// Sets the facts and notes of `subject`; `asked` is the name that the step gives.
    pub fn describe(&self, asked: &str, subject: &mut Subject) {
        let properties = &self.properties;
        subject.set("active", Value::Bool(self.is_active()));
        subject.set("state", Value::text(self.state()));
        if let Some(sub_state) = properties.get("SubState") {
            subject.set("sub_state", Value::text(sub_state));
        }
        if let Some(age) = self.state_age() {
            subject.set("state_age", Value::duration(age));
        }
        self.describe_file(subject);
        if let Some(crash_loop) = self.crash_loop() {
            subject.set("crash_loop", Value::Bool(crash_loop));
        }
        if let Some(restarts) = properties.number("NRestarts") {
            subject.set("restarts", Value::count(restarts));
        }
        if let Some(result) = self.last_result() {
            subject.set("result", Value::text(result));
        }
        match self.end {
            Some(End::Exited(status)) => subject.set("exit", Value::Integer(status.into())),
            Some(End::Killed(signal)) => subject.set("signal", Value::text(signal_name(signal))),
            None => {}
        }
        if let Some(pid) = properties.number("MainPID").filter(|pid| *pid > 0) {
            subject.set("main_pid", Value::count(pid));
        }
        let (memory, limit) = (properties.number("MemoryCurrent"), properties.number("MemoryMax"));
        if let Some(memory) = memory {
            subject.set("memory", Value::bytes(memory));
        }
        if let Some(limit) = limit {
            subject.set("memory_limit", Value::bytes(limit));
        }
        if let (Some(memory), Some(limit @ 1..)) = (memory, limit) {
            subject.set("memory_share", Value::percent(memory as f64 / limit as f64 * 100.0));
        }
        if self.is_timer() {
            self.describe_timer(subject);
        }
        self.remark(asked, subject);
    }

    fn describe_file(&self, subject: &mut Subject) {
        let file = self.properties.get("UnitFileState");
        match file {
            Some("enabled" | "enabled-runtime" | "alias") => subject.set("enabled", Value::Bool(true)),
            Some("disabled" | "linked" | "linked-runtime" | "masked" | "masked-runtime") => {
                subject.set("enabled", Value::Bool(false));
            }
            Some("static" | "generated" | "transient") => subject.inapplicable.push("enabled".to_owned()),
            // `indirect`: another unit of its file may be enabled. `bad`: nobody knows.
            Some(_) | None => {}
        }
        if let Some(file) = file {
            subject.set("unit_file_state", Value::text(file));
        }
        subject.set("masked", Value::Bool(self.is_masked()));
        if let Some(needed) = self.properties.get("NeedDaemonReload") {
            subject.set("needs_reload", Value::Bool(needed == "yes"));
        }
    }

    fn describe_timer(&self, subject: &mut Subject) {
        let waits = self.properties.is("SubState", "waiting");
        subject.set("scheduled", Value::Bool(self.is_active() && !self.properties.is("SubState", "elapsed")));
        let date = |name: &str| self.properties.get(name).and_then(clock::parse_date);
        // While its unit runs, a timer still shows when it elapsed.
        if waits {
            let by_date = date("NextElapseUSecRealtime").map(|date| self.clock.until_date(date));
            let by_boot = self.properties.span("NextElapseUSecMonotonic").map(|moment| self.clock.until(moment));
            if let Some(next) = [by_date, by_boot].into_iter().flatten().min() {
                subject.set("next_in", Value::duration(next));
            }
        }
        if let Some(last) = date("LastTriggerUSec") {
            subject.set("last_age", Value::duration(self.clock.since_date(last)));
        }
    }

    /// What a person should know besides.
    fn remark(&self, asked: &str, subject: &mut Subject) {
        let id = self.id(asked);
        if self.is_in_trouble() {
            subject.note(self.story());
        }
        if id != asked {
            subject.note(format!("{asked} is an alias of {id}"));
        }
        match self.properties.get("LoadState") {
            Some("masked") => subject.note(format!("masked: nothing starts it before `systemctl unmask {id}`")),
            Some("not-found") => subject.note("no file defines it any more"),
            Some("bad-setting" | "error") => {
                let why = self.properties.get("LoadError").and_then(|error| error.split('"').nth(1)).unwrap_or("");
                subject.note(format!("systemd cannot use its file: {why} `systemd-analyze verify {id}` says more"));
            }
            _ => {}
        }
        if self.properties.is("UnitFileState", "disabled") && !self.is_active() {
            subject.note("disabled: it does not start with the machine");
        }
        if self.properties.is("NeedDaemonReload", "yes") {
            subject.note("its file changed: `systemctl daemon-reload` makes systemd read it");
        }
        if self.is_timer() && self.properties.is("SubState", "elapsed") {
            subject.note("it will not elapse again");
        }
    }
}
