//! Data are gone: they come back from a backup, with another person's word.

use super::site::Helpdesk;
use super::{NOW, PASSED, SEEN, Turns, agrees, asks, talk};
use crate::support::case::Turn::Type;

/// It is known what is lost, and decided to restore.
fn identified() -> Turns<'static> {
    let asked = [
        asks("End what goes on deleting", "done: the import is ended"),
        asks("Are all tables read now?", "now"),
        asks("List the tables", "done: none"),
        asks("List what is lost", "done: every third ticket"),
        asks("Write when it happened", "done: an hour ago"),
        asks("Is the database restored from a backup?", "restore"),
    ];
    talk(&[&NOW, &asked.concat()])
}

/// From the choice of the backup to the end.
fn restored(choice: &str) -> Turns<'_> {
    talk(&[
        &asks("Choose the newest backup", choice),
        &agrees("systemctl stop apache2.service", "apache2"),
        &agrees("systemctl stop mariadb.service", "mariadb"),
        &asks("The data folder is copied as it is", "yes"),
        &asks("systemctl start mariadb.service", "yes"),
        &asks("Another person agrees", "yes"),
        &[("(management)> ", Type("root")), ("root runs this procedure; another person has to agree", SEEN)],
        &asks("Another person agrees", "yes"),
        &[("(management)> ", Type("anna"))],
        &agrees("The chosen backup is restored", "helpdesk"),
        &agrees("What the cache remembers", "cache helpdesk:"),
        &asks("systemctl start apache2.service", "yes"),
        &asks("Log in, open and answer", "done"),
        &asks("Compare five users", "done"),
        &asks("Compare the newest tickets", "done"),
        &PASSED,
    ])
}

#[test]
fn deleted_tickets_come_back_from_the_chosen_backup_when_another_person_agrees() {
    let helpdesk = Helpdesk::up();
    helpdesk.sql("DELETE FROM crm_ticket WHERE id % 3 = 0");
    let newest = helpdesk.backup("yesterday");
    let choice = format!("done: {newest}");
    let ran = helpdesk.talk("emergency data-loss", &talk(&[&identified(), &restored(&choice)]));
    ran.says("orphans: helpdesk: value 20, expected 0").says(&format!("newest of all is {newest}"));
}
