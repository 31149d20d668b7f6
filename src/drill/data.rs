//! The database of the practice system: a month in the life of a helpdesk, told with a fixed seed.
//!
//! Nothing in it is wrong: whoever is open is recent, whoever is critical is assigned, nobody is locked out.

use std::fmt::Write as _;

use chrono::{DateTime, TimeDelta, Utc};

use super::dice::Dice;

pub(super) const SCHEMA: &str = "\
CREATE TABLE auth_user (id INTEGER PRIMARY KEY, username TEXT NOT NULL UNIQUE, first_name TEXT NOT NULL, last_name \
TEXT NOT NULL, email TEXT NOT NULL, password TEXT NOT NULL, is_staff BOOLEAN NOT NULL, is_superuser BOOLEAN NOT NULL, \
is_active BOOLEAN NOT NULL, last_login DATETIME, date_joined DATETIME NOT NULL);
CREATE TABLE crm_userprofile (id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL UNIQUE REFERENCES auth_user(id), \
organisation TEXT NOT NULL, is_locked BOOLEAN NOT NULL, lock_reason TEXT NOT NULL, last_login_ip TEXT);
CREATE TABLE crm_ticket (id INTEGER PRIMARY KEY, title TEXT NOT NULL, status TEXT NOT NULL, priority TEXT NOT NULL, \
created_by_id INTEGER NOT NULL REFERENCES auth_user(id), assigned_to_id INTEGER REFERENCES auth_user(id), \
created_at DATETIME NOT NULL, updated_at DATETIME NOT NULL, resolved_at DATETIME);
CREATE TABLE crm_ticketcomment (id INTEGER PRIMARY KEY, ticket_id INTEGER NOT NULL REFERENCES crm_ticket(id), \
author_id INTEGER NOT NULL REFERENCES auth_user(id), content TEXT NOT NULL, created_at DATETIME NOT NULL);
CREATE TABLE activity_log (id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL REFERENCES auth_user(id), \
action_type TEXT NOT NULL, description TEXT NOT NULL, ip_address TEXT NOT NULL, created_at DATETIME NOT NULL);
CREATE TABLE django_session (session_key TEXT PRIMARY KEY, session_data TEXT NOT NULL, expire_date DATETIME NOT NULL);
CREATE INDEX crm_ticket_status ON crm_ticket (status, priority);
CREATE INDEX activity_log_created_at ON activity_log (created_at);
";

const AGENTS: u64 = 12;
const USERS: u64 = 40;
const HISTORY_HOURS: i64 = 30 * 24;
/// Below the 24 hours within which a ticket must be resolved.
const OPEN_HOURS: i64 = 18;

const FIRST_NAMES: &[&str] = &["Anna", "Piotr", "Katarzyna", "Tomasz", "Marie", "Luc", "Emma", "James", "Olga", "Jan"];
const LAST_NAMES: &[&str] = &["Nowak", "Kowalski", "Lewandowska", "Martin", "Bernard", "Smith", "Taylor", "Zielinska"];
const ORGANISATIONS: &[&str] = &["Northwind", "Contoso", "Fabrikam", "Tailspin", "Adventure Works"];
const TITLES: &[&str] = &[
    "Printer on the second floor does not print",
    "Cannot log in after the password change",
    "Invoice shows the wrong address",
    "Mail arrives an hour late",
    "VPN drops every ten minutes",
    "New laptop for a colleague who starts on Monday",
    "Report export stops at page 3",
    "Phone rings twice and hangs up",
];
const COMMENTS: &[&str] = &[
    "Could you send a screenshot?",
    "It works again, thank you.",
    "Restarted the service; please try once more.",
    "The customer called again, raising the priority.",
    "Waiting for the supplier's answer.",
];

/// A moment as Django stores it in SQLite: UTC, without a zone.
pub(super) fn stored(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S%.6f").to_string()
}

/// A row that came into being at a moment.
#[derive(Debug)]
struct Row {
    at: DateTime<Utc>,
    /// The SQL values after the id.
    values: String,
}

/// All rows by table, oldest first; ids count from 1.
#[derive(Debug)]
pub(super) struct Story {
    tables: [(&'static str, Vec<Row>); 6],
}

impl Story {
    pub fn until(now: DateTime<Utc>) -> Self {
        let mut dice = Dice::new(1);
        let (users, profiles) = users(now, &mut dice);
        let mut comments = Vec::new();
        let mut activity = Vec::new();
        let tickets = tickets(now, &mut dice, &mut comments, &mut activity);
        for hour in 1..HISTORY_HOURS {
            let at = now - TimeDelta::hours(hour) + TimeDelta::seconds(minutes(&mut dice, 50) * 60);
            activity.push(activity_row(at, 1 + dice.below(USERS), "login", "logged in", &mut dice));
        }
        comments.sort_by_key(|row| row.at);
        activity.sort_by_key(|row| row.at);
        Self {
            tables: [
                ("auth_user", users),
                ("crm_userprofile", profiles),
                ("crm_ticket", tickets),
                ("crm_ticketcomment", comments),
                ("activity_log", activity),
                ("django_session", sessions(now)),
            ],
        }
    }

    /// The statements that add what came into being after `from`, up to and with `to`.
    pub fn inserts(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> String {
        let mut sql = String::new();
        for (table, rows) in &self.tables {
            let mut separator = format!("INSERT INTO {table} VALUES");
            let before = sql.len();
            for (position, row) in rows.iter().enumerate().filter(|(_, row)| row.at > from && row.at <= to) {
                write!(sql, "{separator}({},{})", position + 1, row.values).ok();
                ",\n".clone_into(&mut separator);
            }
            if sql.len() > before {
                sql.push_str(";\n");
            }
        }
        sql
    }
}

fn minutes(dice: &mut Dice, limit: u64) -> i64 {
    dice.below(limit).cast_signed()
}

fn users(now: DateTime<Utc>, dice: &mut Dice) -> (Vec<Row>, Vec<Row>) {
    let mut users = Vec::new();
    let mut profiles = Vec::new();
    for id in 1..=USERS {
        let at = now - TimeDelta::days(400 - id.cast_signed());
        let (first, last) = (dice.pick(FIRST_NAMES), dice.pick(LAST_NAMES));
        let name = format!("{}.{}{id}", first.to_lowercase(), last.to_lowercase());
        let (staff, superuser) = (u8::from(id <= AGENTS), u8::from(id <= 2));
        let login = stored(now - TimeDelta::minutes(60 + minutes(dice, 20 * 24 * 60)));
        let joined = stored(at);
        users.push(Row {
            at,
            values: format!(
                "'{name}','{first}','{last}','{name}@example.com','!',{staff},{superuser},1,'{login}','{joined}'"
            ),
        });
        let organisation = dice.pick(ORGANISATIONS);
        profiles.push(Row { at, values: format!("{id},'{organisation}',0,'','10.20.0.{}'", 2 + dice.below(250)) });
    }
    (users, profiles)
}

/// One every three hours; each brings comments and entries of the activity log with it.
fn tickets(now: DateTime<Utc>, dice: &mut Dice, comments: &mut Vec<Row>, activity: &mut Vec<Row>) -> Vec<Row> {
    let mut tickets = Vec::new();
    for hours_ago in (1..HISTORY_HOURS).rev().step_by(3) {
        let at = now - TimeDelta::hours(hours_ago) + TimeDelta::minutes(minutes(dice, 50));
        let id = tickets.len() + 1;
        let (author, agent) = (1 + AGENTS + dice.below(USERS - AGENTS), 1 + dice.below(AGENTS));
        let resolved = at + TimeDelta::minutes(30 + minutes(dice, 15 * 60));
        let open = hours_ago <= OPEN_HOURS;
        let status = if open { dice.pick(&["new", "in_progress"]) } else { dice.pick(&["resolved", "closed"]) };
        let priority = dice.pick(&["low", "medium", "medium", "high", "critical"]);
        let (created, updated) = (stored(at), stored(if open { at } else { resolved }));
        let resolution = if open { "NULL".to_owned() } else { format!("'{updated}'") };
        let title = dice.pick(TITLES);
        let values = format!("'{title}','{status}','{priority}',{author},{agent},'{created}','{updated}',{resolution}");
        tickets.push(Row { at, values });
        activity.push(activity_row(at, author, "ticket_created", &format!("ticket #{id}"), dice));
        if !open {
            activity.push(activity_row(resolved, agent, "ticket_resolved", &format!("ticket #{id}"), dice));
        }
        for (writer, after) in [(agent, 2), (author, 6)] {
            let at = at + TimeDelta::minutes(after);
            let content = dice.pick(COMMENTS).replace('\'', "''");
            let values = format!("{id},{writer},'{content}','{}'", stored(at));
            comments.push(Row { at, values });
        }
    }
    tickets
}

/// Those of the agents, who work.
fn sessions(now: DateTime<Utc>) -> Vec<Row> {
    let ends = stored(now + TimeDelta::days(14));
    (1..=AGENTS).map(|_| Row { at: now - TimeDelta::hours(3), values: format!("'e30:drill','{ends}'") }).collect()
}

fn activity_row(at: DateTime<Utc>, user: u64, action: &str, description: &str, dice: &mut Dice) -> Row {
    let address = 2 + dice.below(250);
    Row { at, values: format!("{user},'{action}','{description}','10.20.0.{address}','{}'", stored(at)) }
}

/// Where the attack of [`super::fault::Fault::Intruder`] comes from: an address that is kept for examples.
pub(super) const INTRUDER: &str = "203.0.113.66";

/// What was deleted behind the application's back: the comments of these tickets are still there.
pub(super) const DELETED: &str = "DELETE FROM crm_ticket WHERE id % 3 = 0;";

/// Two accounts whose passwords were guessed.
pub(super) fn taken_over() -> String {
    format!("UPDATE crm_userprofile SET last_login_ip = '{INTRUDER}' WHERE user_id IN (17, 23);")
}
