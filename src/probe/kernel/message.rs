//! One record of `/dev/kmsg`.

use chrono::{DateTime, TimeDelta, Utc};

use crate::model::text::shortened;

/// Priorities, as in syslog.
pub const ERROR: u8 = 3;
pub const WARNING: u8 = 4;

/// Characters of a line that are kept.
const LONGEST: usize = 400;

#[derive(Clone, PartialEq, Debug)]
pub struct Message {
    /// From 0 with the start of the machine.
    pub number: u64,
    pub at: DateTime<Utc>,
    /// 0 is the worst.
    pub priority: u8,
    /// Programs may write into the kernel's log too, which marks what they wrote.
    pub is_of_kernel: bool,
    pub text: String,
}

impl Message {
    /// `priority and facility,number,microseconds,flags[,...];text`, and lines with details that begin with a space:
    /// see the kernel's `Documentation/ABI/testing/dev-kmsg`. The microseconds count from `boot`.
    pub fn parse(record: &str, boot: DateTime<Utc>) -> Option<Self> {
        let (head, text) = record.lines().next()?.split_once(';')?;
        let mut fields = head.split(',');
        let code: u32 = fields.next()?.parse().ok()?;
        let number = fields.next()?.parse().ok()?;
        let microseconds = fields.next()?.parse().ok()?;
        Some(Self {
            number,
            at: boot.checked_add_signed(TimeDelta::microseconds(microseconds))?,
            priority: u8::try_from(code & 7).unwrap_or_default(),
            is_of_kernel: code >> 3 == 0,
            text: shortened(&unescaped(text), LONGEST),
        })
    }
}

/// The kernel writes bytes that cannot be shown, and the backslash, as `\x1b`.
fn unescaped(text: &str) -> String {
    text.replace("\\x5c", "\\").replace("\\x09", "\t")
}

/// A whole log, as reading `/dev/kmsg` to its end prints it.
#[cfg(test)]
pub fn parse_all(log: &str, boot: DateTime<Utc>) -> Vec<Message> {
    log.lines().filter(|line| !line.starts_with(' ')).filter_map(|line| Message::parse(line, boot)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_a_time_a_priority_and_an_author() {
        let boot = Utc::now();
        let record =
            "6,339,5140900,-,caller=T1;NET: Registered\\x09protocol \\x5cfamily; 10\n SUBSYSTEM=net\n DEVICE=n1\n";
        let message = Message::parse(record, boot).expect("a message");
        assert_eq!((message.number, message.priority, message.is_of_kernel), (339, 6, true));
        assert_eq!(message.at - boot, TimeDelta::microseconds(5_140_900));
        assert_eq!(message.text, "NET: Registered\tprotocol \\family; 10");
        let of_a_program = Message::parse("12,340,5140901,-;hello", boot).expect("a message");
        assert_eq!((of_a_program.priority, of_a_program.is_of_kernel), (4, false));
        for wrong in ["", "no record", "x,1,2,-;text", " SUBSYSTEM=net"] {
            assert_eq!(Message::parse(wrong, boot), None, "{wrong}");
        }
    }
}
