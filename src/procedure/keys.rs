//! The keys of the documents: one table each for vetting, `explain` and the schema.

/// A key of a mapping, and what it means.
#[derive(Clone, Copy, Debug)]
pub struct KeySpec {
    pub name: &'static str,
    pub required: bool,
    pub about: &'static str,
    /// How it may be written.
    pub form: Form,
}

#[derive(Clone, Copy, Debug)]
pub enum Form {
    Text,
    /// An id of letters, digits and dashes.
    Id,
    Words,
    Duration,
    /// A mapping with these keys.
    Keys(&'static [KeySpec]),
    Day,
    /// A list of mappings with these keys.
    List(&'static [KeySpec]),
    /// A mapping from names to mappings with these keys.
    Named(&'static [KeySpec]),
    Choice(&'static [&'static str]),
    Integer(i64, i64),
    /// A plain text or a reference to a secret.
    MaybeSecret,
    /// Texts, lists of texts or references to secrets, by name.
    Vars,
    /// `{ KIND: { inputs } }`.
    Look,
    /// One look or a list of looks.
    Looks,
    /// Conditions on facts.
    Conditions,
}

const fn key(name: &'static str, form: Form, about: &'static str) -> KeySpec {
    KeySpec { name, required: false, about, form }
}

const fn must(name: &'static str, form: Form, about: &'static str) -> KeySpec {
    KeySpec { name, required: true, about, form }
}

pub const MOST_RETRIES: i64 = 20;

pub const SCHEDULE: &[KeySpec] = &[
    must("cron", Form::Text, "minute, hour, day of month, month, day of week: \"0 8 * * *\""),
    key("missed", Form::Choice(&["run_once", "skip"]), "whether a missed run is made up for"),
];

pub const ESCALATION: &[KeySpec] = &[
    must("to", Form::Text, "a role of the site file"),
    key("when", Form::Choice(&["failed", "errored", "warned"]), "the outcome that escalates"),
];

pub const RETRY: &[KeySpec] = &[
    must("times", Form::Integer(1, MOST_RETRIES), "looks after the first one"),
    key("wait", Form::Duration, "between two looks; 1s if not given"),
    key("on", Form::Choice(&["failed", "errored"]), "only after this outcome; after both if not given"),
];

pub const CRITERION: &[KeySpec] = &[
    must("says", Form::Text, "the criterion, as the document states it"),
    must("proven_by", Form::Words, "steps, or facts of steps (`restore.dropped`), that prove it together"),
];

pub const STEP: &[KeySpec] = &[
    must("id", Form::Id, "unique in the procedure; `disk-free` is `steps.disk_free` in expressions"),
    key("title", Form::Text, "what a person reads"),
    key("why", Form::Text, "what breaks for whom when this fails"),
    key("next", Form::Text, "what to do when this fails: a command or a link"),
    key("tags", Form::Words, "for --tag"),
    key("needs", Form::Words, "steps that must have passed; else this one is skipped because of them"),
    key("when", Form::Text, "an expression over `vars`, `steps` and `run`; false skips the step"),
    key("timeout", Form::Duration, "the time limit of one look"),
    key("retry", Form::Keys(RETRY), "look again"),
    key("probe", Form::Look, "look, and judge by `expect` and `prefer`"),
    key("gather", Form::Looks, "look, and keep what was seen as evidence"),
    key("expect", Form::Conditions, "conditions on facts; not met is a failure"),
    key("prefer", Form::Conditions, "conditions on facts; not met is a warning"),
];

pub const PROCEDURE: &[KeySpec] = &[
    must("title", Form::Text, "what a person reads"),
    key("original_title", Form::Text, "the title in the document that this comes from"),
    key("purpose", Form::Text, "what it is good for, in one sentence"),
    key("owner", Form::Text, "the role that answers for it"),
    key("schedule", Form::Keys(SCHEDULE), "when it is due. A statement for people: cron or a timer starts it"),
    key("budget", Form::Duration, "how long it may take; looking does not go on beyond it"),
    key("escalate", Form::Keys(ESCALATION), "whom to tell. A statement for people: opsctl sends nothing"),
    must("steps", Form::List(STEP), "in the order in which they are shown; neighbours that only look run side by side"),
    key("criteria", Form::List(CRITERION), "what must hold for the procedure to have succeeded"),
];

pub const PACK: &[KeySpec] = &[
    key("title", Form::Text, "what the pack is about"),
    key("vars", Form::Vars, "variables, and their values where the site file gives none"),
];

pub const DATABASE: &[KeySpec] = &[must(
    "url",
    Form::MaybeSecret,
    "mysql://user@host/name, postgres://user@host/name, sqlite:///path, redis://host, rediss://host or unix:///socket (of Redis); with a password only as a reference to a secret",
)];

pub const ROLE: &[KeySpec] = &[
    key("mail", Form::Text, "mail address"),
    key("phone", Form::Text, "phone number"),
    key("responds_within", Form::Duration, "the promised reaction time"),
];

pub const WAIVER: &[KeySpec] = &[
    must("step", Form::Text, "what is waived: group/procedure.step"),
    key("subject", Form::Text, "only this mount, file, name; all if not given"),
    must("owner", Form::Text, "who answers for it"),
    must("reason", Form::Text, "why it is accepted"),
    must("until", Form::Day, "the last day on which it holds: 2026-12-31"),
];

pub const SITE: &[KeySpec] = &[
    must("site", Form::Text, "the name of this installation"),
    key("timezone", Form::Text, "an IANA name, such as Europe/Warsaw; that of the machine if not given"),
    key("packs", Form::Words, "packs of procedures: built in by name, or folders with a slash (`./procedures`)"),
    key("vars", Form::Vars, "variables of the procedures"),
    key("databases", Form::Named(DATABASE), "databases that sql and redis probes name"),
    key("roles", Form::Named(ROLE), "who is behind a role. A statement for people"),
    key("waivers", Form::List(WAIVER), "failures that somebody answers for until a day"),
    key("journal", Form::Text, "where runs are recorded: sqlite:///var/lib/opsctl/journal.db"),
];

/// The names of the keys.
#[must_use]
pub fn names(keys: &[KeySpec]) -> Vec<&'static str> {
    keys.iter().map(|key| key.name).collect()
}
