//! Data are gone: they come back from a backup, with another person's word.

use super::site::Helpdesk;
use super::{NOW, PASSED, SEEN, Turns, agrees, asks, asks_while, talk};
use crate::support::case::Turn::{self, Type};

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

/// From the choice of the backup to the end, with what goes wrong after the first word to restore.
fn restored<'t>(choice: &'t str, trouble: &[(&'t str, Turn<'t>)]) -> Turns<'t> {
    talk(&[
        &asks("Choose the newest backup", choice),
        &agrees("systemctl stop apache2.service", "apache2"),
        &agrees("systemctl stop mariadb.service", "mariadb"),
        &copied_and_restored(trouble),
        &PASSED,
    ])
}

/// The same, once both servers are stopped.
pub fn copied_and_restored<'t>(trouble: &[(&'t str, Turn<'t>)]) -> Turns<'t> {
    talk(&[
        &asks("The data folder is copied as it is", "yes"),
        &asks("systemctl start mariadb.service", "yes"),
        &asks("Another person agrees", "yes"),
        &[("(management)> ", Type("root")), ("root runs this procedure; another person has to agree", SEEN)],
        &asks("Another person agrees", "yes"),
        &[("(management)> ", Type("anna"))],
        &agrees("The chosen backup is restored", "helpdesk"),
        trouble,
        &agrees("What the cache remembers", "cache helpdesk:"),
        &asks("systemctl start apache2.service", "yes"),
        &asks("Log in, open and answer", "done"),
        &asks("Compare five users", "done"),
        &asks("Compare the newest tickets", "done"),
    ])
}

#[test]
fn deleted_tickets_come_back_from_the_chosen_backup_when_another_person_agrees() {
    let helpdesk = Helpdesk::up();
    helpdesk.sql("DELETE FROM crm_ticket WHERE id % 3 = 0");
    let newest = helpdesk.backup("yesterday");
    let choice = format!("done: {newest}");
    let ran = helpdesk.talk("emergency data-loss", &talk(&[&identified(), &restored(&choice, &[])]));
    ran.says("orphans: helpdesk: value 20, expected 0")
        .says("share.tickets 125 %, expected at most 100 %")
        .says(&format!("newest of all is {newest}"));
    helpdesk.works();
    assert_eq!(helpdesk.page(), "200 <h1>Helpdesk</h1><p>25 open tickets, 40 users</p>", "nothing old is in the cache");
    assert_eq!(helpdesk.sql("SELECT COUNT(*), MAX(id) FROM crm_ticket"), "50\t50");
    assert_eq!(helpdesk.sql("SELECT COUNT(*) FROM crm_ticketcomment"), "50");
    // What was written since the backup is lost, but not for ever.
    let kept =
        helpdesk.output("zstd --decompress --stdout /backups/before-restore/*.zst | grep --count \"'Ticket 58'\"");
    assert_eq!(kept, "1\n");
    helpdesk
        .shell("tar --list --file /backups/corrupted/damaged_*.tar.gz | grep helpdesk_db/crm_ticket.ibd >/dev/null");
    helpdesk
        .recorded(&[
            "stop-apache2, apache2: done, agreed by root",
            "stop-mysql, mariadb: done, agreed by root",
            "copy-damaged-db, backup of /var/lib/mysql: done, agreed by root",
            "start-mysql, mariadb: done, agreed by root",
            "restore-latest, helpdesk: done, agreed by root",
            "flush-stale-cache, cache helpdesk:: done, agreed by root",
            "start-apache2, apache2: done, agreed by root",
        ])
        .says("anna agreed");
    let marks = ["detected", "identified", "management-told", "users-told", "restored"];
    let criteria = [
        "The loss is known and the right people know of it",
        "The data are back",
        "The data loss is confirmed within 30 minutes",
        "The extent of the loss is estimated",
        "Management was told within 15 minutes of the finding",
        "The data are restored within 4 hours",
        "The system works",
        "All data of the backup are intact",
    ];
    let _ = helpdesk.report(&marks, &criteria);
}

#[test]
fn a_table_whose_file_is_damaged_comes_back_with_the_backup() {
    let helpdesk = Helpdesk::up();
    helpdesk.shell(
        "systemctl stop mariadb
         file=/var/lib/mysql/helpdesk_db/crm_ticketcomment.ibd
         head --bytes=$(stat --format=%s $file) /dev/urandom >$file.new; cat $file.new >$file; rm $file.new
         systemctl start mariadb",
    );
    let choice = format!("done: {}", helpdesk.backup("yesterday"));
    let drop = || _ = helpdesk.sql("DROP TABLE crm_ticketcomment");
    let trouble = asks_while("could not be backed up first", &drop, "retry");
    let again = asks("The chosen backup is restored", "helpdesk");
    let turns = restored(&choice, &talk(&[&trouble, &again]));
    helpdesk
        .talk("emergency data-loss", &talk(&[&identified(), &turns]))
        .says("found      earlier: orphans, check-table-auth-user, rows-against-backup\n")
        .says("drop that table, then restore");
    helpdesk.works();
    assert_eq!(helpdesk.sql("SELECT COUNT(*) FROM crm_ticketcomment"), "50");
    let _ = helpdesk.report(&["restored"], &["All data of the backup are intact"]);
}
