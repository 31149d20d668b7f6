//! What a server told, as far as it came.

use std::time::Duration;

use super::super::Context;
use super::super::growth::Earlier;
use super::info::Info;
use super::slow_log::SlowLog;
use crate::model::fact::{Observation, Subject};
use crate::model::text::one_line;
use crate::model::value::Value;

#[derive(Default)]
pub struct Answer {
    /// What is missing if nothing more comes.
    pub stage: &'static str,
    pub connect_time: Option<Duration>,
    pub latency: Option<Duration>,
    /// In the server's words. INFO may be answered all the same.
    pub ping_refused: Option<String>,
    info: Option<Info>,
    info_refused: Option<String>,
    pub slow_log: Option<SlowLog>,
}

impl Answer {
    /// What came of INFO, or why it was refused.
    pub fn set_info(&mut self, told: Result<redis::Value, String>) {
        match told {
            Ok(redis::Value::BulkString(text)) => self.info = Some(Info::new(&text)),
            Ok(_) => self.info_refused = Some("its answer is no text".to_owned()),
            Err(refusal) => self.info_refused = Some(refusal),
        }
    }

    /// `down` is why the server does not answer, if it does not.
    pub fn observation(self, name: &str, down: Option<String>, earlier: &Earlier, cx: &Context) -> Observation {
        let mut subject = Subject::new(name).with("answers", Value::Bool(down.is_none()));
        for (fact, time) in [("latency", self.latency), ("connect_time", self.connect_time)] {
            if let Some(time) = time {
                subject.set(fact, Value::duration(time));
            }
        }
        if let (None, Some(refusal)) = (&down, &self.info_refused) {
            let refusal = one_line(refusal, 200);
            subject.note(format!("INFO was refused: {refusal}; allow it on the server: ACL SETUSER NAME +info"));
        }
        subject.notes.extend(down);
        let mut seen = Observation::from(subject);
        if let Some(info) = self.info {
            let subject = &mut seen.subjects[0];
            info.describe(subject, cx);
            if let Some(log) = &self.slow_log {
                log.describe(subject, cx);
            }
            info.compare(subject, self.slow_log.as_ref().and_then(SlowLog::count), earlier, cx);
            seen.evidence.extend(info.replicas(name));
        }
        seen.evidence.extend(self.slow_log.and_then(|log| log.evidence(name)));
        seen
    }
}
