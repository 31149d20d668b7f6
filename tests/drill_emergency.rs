//! Emergencies, practised at a terminal: what is broken is really down, and really comes back.

use std::path::PathBuf;

use crate::support::case::{Case, Ran};
use crate::support::terminal::as_seen;

fn talk(line: &str, turns: &[(&str, &str)]) -> Ran {
    let mut ran = Case::new("emergency").talk(&format!("drill {line}"), turns);
    ran.stdout = as_seen(&ran.stdout);
    ran
}

/// Drills are named by their folders; the folder of this one, as its site file shows it.
fn folders() -> Vec<PathBuf> {
    let places = [std::env::temp_dir(), PathBuf::from("/dev/shm")];
    let all = places.iter().flat_map(|place| std::fs::read_dir(place).into_iter().flatten().flatten());
    all.map(|entry| entry.path()).filter(|path| path.to_string_lossy().contains("/opsctl-drill-")).collect()
}

#[test]
fn the_practice_site_has_everybody_whom_the_procedures_tell() {
    Case::new("lint").run(["drill", "lint", "--strict"]).exits(0).says("nothing wrong (");
}

#[test]
fn a_site_that_is_down_is_identified_restarted_and_tested() {
    let ran = talk(
        "emergency outage --fault site-down",
        &[
            ("when was it noticed?", " "),
            ("connection refused", ""),
            ("number or name", "critical"),
            // What would be run is shown, and typing the service's name agrees to it.
            ("web restart", ""),
            ("type helpdesk-web", "y"),
            ("this is destructive", ""),
            ("type helpdesk-web", "helpdesk-web"),
            ("Does the helpdesk work again?", ""),
            ("number or name", "yes"),
            ("Log in as a customer", "done"),
            ("Open a ticket", "done"),
            ("Search, attachments", "done"),
            ("Write what the cause was", "done: it did not listen"),
            ("Your drill", ""),
            ("identified   after", ""),
            (", of 15 min", ""),
            ("restored     after", ""),
            (", of 2 h", ""),
            ("changes      1 made", ""),
            ("evidence     kept before the first change", ""),
        ],
    );
    ran.says("met         The system is restored within 2 hours")
        .says("met         The problem is identified and the right people know")
        .says("it-team through practice: sent")
        .says("management through practice: sent")
        .says("users through practice: sent")
        .says("met         All functions work")
        .says("met         The cause is identified")
        .says("met         The helpdesk works again")
        .never_says("not needed");
}

#[test]
fn a_database_that_somebody_has_locked_is_restarted_and_the_web_server_is_left_alone() {
    talk(
        "emergency outage-restore --fault database-locked",
        &[
            ("when was it noticed?", " "),
            ("Is the database damaged?", ""),
            ("number or name", "intact"),
            ("type helpdesk-database", "helpdesk-database"),
            ("Does the helpdesk work again?", ""),
            ("number or name", "yes"),
            ("Log in as a customer", "stop"),
            ("changes      1 made", ""),
            ("its practice system is gone", ""),
        ],
    )
    .exits(1)
    .never_says("not needed");
}

#[test]
fn deleted_tickets_come_back_from_the_backup_that_was_chosen_with_another_persons_word() {
    let yesterday = chrono::Utc::now().date_naive() - chrono::Days::new(1);
    let backup = format!("done: backup_{}.sql.gz", yesterday.format("%Y%m%d"));
    talk(
        "emergency data-restore --fault data-deleted",
        &[
            ("when was it noticed?", " "),
            ("Choose the newest backup", &backup),
            ("type helpdesk-web", "helpdesk-web"),
            ("type helpdesk-database", "helpdesk-database"),
            ("damaged_", ""),
            ("yes / no", "yes"),
            ("database start", ""),
            ("yes / no", "yes"),
            // The age of the backup is the loss, and the operator alone cannot agree to it.
            ("what was written to helpdesk in the last", ""),
            ("yes / no", "yes"),
            ("name of the person", "anna"),
            ("before-restore_helpdesk_", ""),
            ("destructive", ""),
            ("type helpdesk", "helpdesk"),
            ("web start", ""),
            ("yes / no", "yes"),
            ("Log in, open and answer", "done"),
            ("Compare five users", "done"),
            ("Compare the newest tickets", "done"),
            ("restored     after", ""),
            (", of 4 h", ""),
        ],
    )
    .says("met         The data are restored within 4 hours")
    .says("met         All data of the backup are intact")
    .says("met         The system works");
}

#[test]
fn latest_is_no_backup_that_can_be_chosen() {
    talk(
        "emergency data-restore --fault data-deleted",
        &[("when was it noticed?", " "), ("Choose the newest backup", "done: latest.sql.gz")],
    )
    .says("changes      0 made")
    .never_says("type helpdesk-web");
}

#[test]
fn an_intruders_accounts_are_shown_then_locked_and_evidence_is_kept_before() {
    talk(
        "security incident-neutralise --fault intruder",
        &[
            ("when was it noticed?", " "),
            ("logs_", ""),
            ("yes / no", "yes"),
            ("evidence_", ""),
            ("yes / no", "yes"),
            ("Write the addresses", "done: 203.0.113.66"),
            ("Is the helpdesk taken off the net?", ""),
            ("number or name", "no"),
            ("Are these accounts locked?", ""),
            ("anna.taylor23, jan.kowalski17", ""),
            ("number or name", "yes"),
            ("UPDATE crm_userprofile SET is_locked = 1", ""),
            ("yes / no", "yes"),
            ("DELETE FROM django_session", ""),
            ("type helpdesk", "helpdesk"),
            ("Are passwords known", ""),
            ("number or name", "no"),
            ("Each package with the hole", "done: none was used"),
            ("The signs of the attack have ended", "done"),
            ("threat gone  after", ""),
            ("evidence     kept before the first change", ""),
        ],
    )
    .says("met         The threat is neutralised within 2 hours")
    .says("met         Suspicious accounts are locked and their sessions ended");
}

#[test]
fn without_a_terminal_a_drill_waits_for_nobody_and_leaves_nothing_behind() {
    let before = folders();
    let ran = Case::new("nobody").run(["drill", "emergency", "outage", "--fault", "site-down"]).exits(1);
    let ran = ran.says_on_stderr("its practice system is gone");
    let own = folders().into_iter().filter(|folder| !before.contains(folder));
    let own: Vec<PathBuf> = own.filter(|folder| ran.stdout.contains(&*folder.to_string_lossy())).collect();
    assert!(own.is_empty(), "{own:?}");
}
