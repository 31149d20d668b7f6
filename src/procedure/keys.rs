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
    /// The program and its arguments, as a list.
    Arguments,
    Duration,
    /// A mapping with these keys.
    Keys(&'static [KeySpec]),
    Day,
    /// A list of mappings with these keys.
    List(&'static [KeySpec]),
    /// A mapping from names to mappings with these keys.
    Named(&'static [KeySpec]),
    /// A mapping from names to mappings from names to lists of mappings with these keys.
    Policies(&'static [KeySpec]),
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
    /// `{ KIND: { inputs } }` of an action.
    Action,
    Flag,
    /// One text or a list of texts.
    TextOrWords,
    /// One text, or texts by name.
    Points,
    /// Texts by name.
    Choices,
    /// One text or a mapping with these keys.
    TextOr(&'static [KeySpec]),
    /// Steps and facts of steps, or a mapping with these keys.
    WordsOr(&'static [KeySpec]),
    /// A mapping whose keys are the steps of a procedure; the text says what stands below each.
    BySteps(&'static str),
    /// A list of mappings with the first keys, or of sections of them with the second ones.
    Steps(&'static [KeySpec], &'static [KeySpec]),
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
    must(
        "proven_by",
        Form::WordsOr(CLOCK),
        "steps, or facts of steps (`restore.dropped`), that prove it together; or a point in time and its limit",
    ),
];

pub const CLOCK: &[KeySpec] = &[
    must("mark", Form::Id, "the point in time that a step `marks`"),
    key("within", Form::Duration, "the longest time until then"),
    key("from", Form::Id, "from when `within` counts; `detected` if not given, or `started`, `occurred`, another mark"),
    key("before", Form::Text, "the time of day, in the site's time zone, by which it must be: \"18:00\""),
];

pub const APPROVAL: &[KeySpec] = &[
    must("of", Form::Words, "the actions that are agreed to, exactly as they would be run"),
    key("by", Form::Text, "the role that agrees; whoever it is, it is not the operator"),
];

pub const MESSAGE: &[KeySpec] =
    &[must("template", Form::Id, "a template of the pack or of opsctl, such as outage-notice")];

pub const NOTIFY: &[KeySpec] = &[
    key("to", Form::TextOrWords, "roles of the site file; together with `escalation` only their tracks of the policy"),
    key("escalation", Form::Text, "a policy of the site file or the pack: whom to tell, how and by when"),
    key("severity", Form::Text, "the row of the policy; `{{ steps.severity.choice }}`"),
    key("channel", Form::Text, "a channel of the site file; that of the role if not given"),
    must("message", Form::TextOr(MESSAGE), "what they are told"),
];

pub const REPORT: &[KeySpec] = &[
    must("kind", Form::Choice(&["emergency"]), "which report"),
    must("file", Form::Text, "where to; the ending says how: .md or .html"),
];

pub const CALL: &[KeySpec] = &[
    must("run", Form::Text, "group/procedure"),
    key("same_incident", Form::Flag, "it belongs to the same run and incident, always"),
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
    key(
        "finding",
        Form::Flag,
        "what this look finds is what the procedure is there to find: no failure of the procedure",
    ),
    key("action", Form::Action, "change something"),
    key("precheck", Form::Words, "looks that must hold before the action"),
    key("verify", Form::Words, "looks that must hold after the action; after a crash they tell whether it was done"),
    key("undo", Form::Action, "the action that takes it back"),
    key("irreversible", Form::Text, "why nothing takes it back, instead of `undo`"),
    key("effect", Form::Choice(&["change", "destructive"]), "that of the kind if not given"),
    key(
        "on_failure",
        Form::Choice(ON_FAILURE),
        "what to do when the action fails and nobody can be asked; `stop` if not given",
    ),
    key("manual", Form::Points, "what a person does or judges: one text, or several by name"),
    key("decision", Form::Choices, "what a person chooses from: the choices by name; `steps.ID.choice` has the answer"),
    key("note", Form::Choice(&["required"]), "the answer needs a note"),
    key("approval", Form::Keys(APPROVAL), "another person agrees"),
    key("notify", Form::Keys(NOTIFY), "tell people"),
    key("report", Form::Keys(REPORT), "write a report"),
    key("procedure", Form::TextOr(CALL), "run another procedure as a part of this one"),
    key("marks", Form::Id, "the point of the timeline that is reached when this step has passed"),
    key(
        "for_each",
        Form::Text,
        "an expression that gives a list, such as `steps.locked.rows`; the step runs once for each `item`",
    ),
    key("always", Form::Flag, "runs even after a failure or a stop: cleaning up"),
];

/// The keys of which a step has exactly one: its kind.
pub const KINDS: &[&str] =
    &["probe", "gather", "action", "manual", "decision", "approval", "notify", "report", "procedure"];

/// Keys that only steps of some kinds have.
pub const ONLY: &[(&str, &[&str])] = &[
    ("expect", &["probe"]),
    ("prefer", &["probe"]),
    ("finding", &["probe"]),
    ("retry", &["probe", "gather"]),
    ("timeout", &["probe", "gather", "action"]),
    ("precheck", &["action"]),
    ("verify", &["action"]),
    ("undo", &["action"]),
    ("irreversible", &["action"]),
    ("effect", &["action"]),
    ("on_failure", &["action"]),
    ("note", &["manual", "decision"]),
    ("for_each", &["probe", "gather", "action", "manual", "decision", "notify"]),
];

pub const ON_FAILURE: &[&str] = &["stop", "skip", "retry", "roll_back"];

pub const SECTION: &[KeySpec] = &[
    must("section", Form::Text, "its title"),
    key("budget", Form::Duration, "how long its steps may take"),
    must("steps", Form::List(STEP), "its steps"),
];

pub const PROCEDURE: &[KeySpec] = &[
    must("title", Form::Text, "what a person reads"),
    key("original_title", Form::Text, "the title in the document that this comes from"),
    key("purpose", Form::Text, "what it is good for, in one sentence"),
    key("owner", Form::Text, "the role that answers for it"),
    key("schedule", Form::Keys(SCHEDULE), "when it is due. A statement for people: cron or a timer starts it"),
    key("budget", Form::Duration, "how long it may take, from detection; a look-only run does not go on beyond it"),
    key("escalate", Form::Keys(ESCALATION), "whom to tell. A statement for people: opsctl sends nothing"),
    key("report", Form::Choice(&["emergency"]), "it is an incident, whose record fills this report"),
    key("symptoms", Form::Words, "what people see when this is the right procedure"),
    key("lock", Form::Words, "what no other run may work on at the same time, besides this procedure"),
    key("unattended", Form::Choice(&["allow"]), "with --yes, its destructive actions run without a person"),
    must(
        "steps",
        Form::Steps(STEP, SECTION),
        "in the order in which they are shown; neighbours that only look run side by side, everything else alone",
    ),
    key("criteria", Form::List(CRITERION), "what must hold for the procedure to have succeeded"),
];

/// What was seen of steps.
const GIVEN: KeySpec = key(
    "given",
    Form::BySteps("{ FACT: value }, { subjects: { NAME: { FACT: value } } }, { error: text }, or a word"),
    "what was seen, done or answered at each step; a step that is not named is left out",
);

/// An earlier run, in a test.
pub const BEFORE: &[KeySpec] = &[
    key("ago", Form::Duration, "how long before the case; a day more than the one above it if not given"),
    KeySpec { required: true, ..GIVEN },
];

pub const CASE: &[KeySpec] = &[
    must("name", Form::Text, "what is shown, as a sentence"),
    key("vars", Form::Vars, "variables of this case, before those of the file, the site and the pack"),
    GIVEN,
    key("before", Form::List(BEFORE), "earlier runs, for conditions on the history of a fact"),
    must(
        "expect",
        Form::BySteps("outcome; also { outcome: outcome, criteria: { TEXT: met | unmet | not proven } }"),
        "what it must come to: of steps, of the whole as `outcome`, of criteria by the beginning of their text",
    ),
];

/// Of a file of recorded observations.
pub const TEST: &[KeySpec] = &[
    key("vars", Form::Vars, "variables of all cases, before those of the site and the pack"),
    key("databases", Form::Words, "databases that the procedures name and the site file may lack; none is asked"),
    must("cases", Form::List(CASE), "each is judged by itself, as a run would be"),
];

pub const PACK: &[KeySpec] = &[
    key("title", Form::Text, "what the pack is about"),
    key("vars", Form::Vars, "variables, and their values where the site file gives none"),
    key("escalation", Form::Policies(TRACK), "whom to tell, where the site file has no policy of this name"),
];

pub const DATABASE: &[KeySpec] = &[must(
    "url",
    Form::MaybeSecret,
    "mysql://user@host/name, postgres://user@host/name, sqlite:///path, redis://host, rediss://host or unix:///socket (of Redis); with a password only as a reference to a secret",
)];

pub const SERVICE: &[KeySpec] = &[
    must("status", Form::Arguments, "exit status 0: it runs; 1, 2 or 3: it does not (LSB)"),
    key("start", Form::Arguments, "starts it, and returns when it runs"),
    key("stop", Form::Arguments, "stops it, and returns when it has ended"),
    key("restart", Form::Arguments, "ends and starts it; `stop` and then `start` if not given"),
    key("reload", Form::Arguments, "makes it read its configuration again without ending"),
];

pub const ROLE: &[KeySpec] = &[
    key("mail", Form::Text, "mail address"),
    key("phone", Form::Text, "phone number"),
    key("responds_within", Form::Duration, "the promised reaction time, once they were told"),
    key("channel", Form::Text, "how they are told; `phone` if not given, or `mail` without a phone number"),
    key("available", Form::Text, "`always`, or the name of a calendar of `availability`; always if not given"),
    key("otherwise", Form::Text, "the role that is told outside of these hours; the next rung if not given"),
];

pub const CHANNEL: &[KeySpec] = &[
    key("file", Form::Text, "appends one line of JSON for each message"),
    key(
        "command",
        Form::Arguments,
        "runs without a shell: the message is JSON on standard input, and in OPSCTL_TEXT, OPSCTL_TO, ...",
    ),
    key("by_hand", Form::Choice(&["phone", "sms", "mail", "chat"]), "a person tells them, and is asked to"),
    key("address", Form::Choice(&["mail", "phone"]), "which address of the role it takes"),
    key("timeout", Form::Duration, "how long the command may take; 30s if not given"),
];

pub const AVAILABILITY: &[KeySpec] = &[
    key("days", Form::Words, "mon, tue, wed, thu, fri, sat, sun: the days on which the hours begin; all if not given"),
    must("from", Form::Text, "the time of day, in the site's time zone: \"08:00\""),
    must(
        "to",
        Form::Text,
        "the first minute that does not belong to it: \"16:00\"; before `from` it is on the day after",
    ),
];

const TO: KeySpec = must("to", Form::Text, "a role");
const RUNG_CHANNEL: KeySpec = key("channel", Form::Text, "instead of that of the role");
const WITHIN: KeySpec = key("within", Form::Duration, "by when they have to be told, once it is their turn");
const ANSWER: KeySpec = key(
    "answer",
    Form::Duration,
    "how long an acknowledgement may take before the next rung; `responds_within` of the role if not given",
);

/// Of a rung above the first one.
pub const RUNG: &[KeySpec] = &[TO, RUNG_CHANNEL, WITHIN, ANSWER];

pub const TRACK: &[KeySpec] = &[
    TO,
    RUNG_CHANNEL,
    WITHIN,
    ANSWER,
    key("then", Form::List(RUNG), "who is told when nobody has acknowledged, one after another"),
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
    key("services", Form::Named(SERVICE), "services that systemd does not know, by the commands that manage them"),
    key("roles", Form::Named(ROLE), "who is behind a role"),
    key(
        "channels",
        Form::Named(CHANNEL),
        "ways to tell people; `phone` and `mail` by hand are there without being named",
    ),
    key("availability", Form::Named(AVAILABILITY), "calendars: the hours in which people are there"),
    key(
        "escalation",
        Form::Policies(TRACK),
        "whom to tell, by policy and severity: tracks side by side, each a ladder. The row `default` is for any other severity. A policy of the packs with the same name gives way",
    ),
    key("templates", Form::Choices, "texts of messages, before those of the packs"),
    key("waivers", Form::List(WAIVER), "failures that somebody answers for until a day"),
    key("journal", Form::Text, "where runs are recorded: sqlite:///var/lib/opsctl/journal.db"),
];

/// The names of the keys.
#[must_use]
pub fn names(keys: &[KeySpec]) -> Vec<&'static str> {
    keys.iter().map(|key| key.name).collect()
}
