//! An entry, as `journalctl --output=json` prints it: a text for each field, or numbers where it is no UTF-8.

use serde::Deserialize;

/// The fields that are asked for; those with two underscores always come.
pub const FIELDS: &str = "--output-fields=MESSAGE,PRIORITY,SYSLOG_IDENTIFIER,_SYSTEMD_UNIT,UNIT,_COMM,_PID,SYSLOG_PID";

#[derive(Deserialize)]
struct Raw {
    #[serde(rename = "__REALTIME_TIMESTAMP")]
    at: Field,
    #[serde(rename = "MESSAGE")]
    message: Option<Field>,
    #[serde(rename = "PRIORITY")]
    priority: Option<Field>,
    #[serde(rename = "SYSLOG_IDENTIFIER")]
    identifier: Option<Field>,
    #[serde(rename = "_COMM")]
    program: Option<Field>,
    #[serde(rename = "UNIT")]
    about_unit: Option<Field>,
    #[serde(rename = "_SYSTEMD_UNIT")]
    unit: Option<Field>,
    #[serde(rename = "_PID")]
    pid: Option<Field>,
    #[serde(rename = "SYSLOG_PID")]
    syslog_pid: Option<Field>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Field {
    Text(String),
    /// With bytes that are no UTF-8, or control characters.
    Bytes(Vec<u8>),
    /// A field that the entry has more than once.
    Several(Vec<Field>),
}

impl Field {
    fn bytes(self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.into_bytes(),
            Self::Bytes(bytes) => bytes,
            Self::Several(fields) => fields.into_iter().map(Self::bytes).collect::<Vec<_>>().join(&b'\n'),
        }
    }

    fn text(self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }
}

#[derive(PartialEq, Eq, Debug)]
pub struct Entry {
    /// Microseconds since 1970.
    pub at: i64,
    /// Perhaps many lines.
    pub message: Vec<u8>,
    /// 0 is the gravest, 7 the least.
    pub priority: Option<usize>,
    /// The unit that it is of or about, or else what logged it.
    pub source: String,
    /// `sshd[812]`.
    pub tag: String,
}

impl Entry {
    pub fn parse(line: &[u8]) -> Option<Self> {
        let raw: Raw = serde_json::from_slice(line).ok()?;
        let [identifier, program, unit, about_unit, pid, syslog_pid] =
            [raw.identifier, raw.program, raw.unit, raw.about_unit, raw.pid, raw.syslog_pid]
                .map(|field| field.map(Field::text).filter(|text| !text.is_empty()));
        let who = identifier.or(program).unwrap_or_else(|| "unknown".to_owned());
        let pid = pid.or(syslog_pid).map(|pid| format!("[{pid}]")).unwrap_or_default();
        Some(Self {
            at: raw.at.text().parse().ok()?,
            message: raw.message.map(Field::bytes).unwrap_or_default(),
            priority: raw.priority.and_then(|priority| priority.text().parse().ok()).filter(|priority| *priority < 8),
            tag: who.clone() + &pid,
            source: about_unit.or(unit).unwrap_or(who),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_may_be_texts_numbers_or_several() {
        let line = br#"{"__REALTIME_TIMESTAMP":"1795288000000001","MESSAGE":[116,195,40,10,117],"PRIORITY":"3",
            "SYSLOG_IDENTIFIER":["app","other"],"_PID":"7","_SYSTEMD_UNIT":"app.service"}"#;
        let entry = Entry::parse(line).expect("an entry");
        assert_eq!((entry.at, entry.message.as_slice()), (1_795_288_000_000_001, b"t\xc3(\nu".as_slice()));
        assert_eq!((entry.priority, entry.source.as_str()), (Some(3), "app.service"));
        let bare = Entry::parse(br#"{"__REALTIME_TIMESTAMP":"1","MESSAGE":null,"PRIORITY":"9"}"#).expect("an entry");
        assert_eq!((bare.message.as_slice(), bare.priority, bare.tag.as_str()), (b"".as_slice(), None, "unknown"));
        assert_eq!(Entry::parse(b"{}"), None);
    }

    #[test]
    fn what_systemd_says_of_a_unit_is_of_that_unit() {
        let line =
            br#"{"__REALTIME_TIMESTAMP":"1","MESSAGE":"Started","UNIT":"app.service","_SYSTEMD_UNIT":"init.scope",
            "SYSLOG_IDENTIFIER":"systemd","_PID":"1"}"#;
        let entry = Entry::parse(line).expect("an entry");
        assert_eq!((entry.source.as_str(), entry.tag.as_str()), ("app.service", "systemd[1]"));
    }
}
