//! The helpdesk does not answer.

use super::data_loss::copied_and_restored;
use super::site::Helpdesk;
use super::{NOW, PASSED, Turns, agrees, asks, asks_while, talk};
use crate::support::case::Ran;

/// The outage as a whole: nobody can work, then `repair`, then people have tried whether everything works.
pub fn outage(helpdesk: &Helpdesk, repair: &Turns) -> Ran {
    let turns = talk(&[&NOW, &asks("How bad is it?", "critical"), repair, &ends()]);
    helpdesk.talk("emergency outage", &turns)
}

/// People have tried whether everything works.
pub fn ends() -> Turns<'static> {
    let asked = [
        asks("Does the helpdesk work again?", "yes"),
        asks("Log in as a customer", "done"),
        asks("Open a ticket", "done"),
        asks("Search, attachments", "done"),
        asks("Write what the cause was", "done: found by the test"),
    ];
    talk(&[&asked.concat(), &PASSED])
}

/// What the machine and the record say after an outage that ended well: one change was made.
pub fn ended(helpdesk: &Helpdesk, change: &str) {
    helpdesk.works();
    helpdesk.recorded(&[change]);
    let marks = ["detected", "identified", "escalated", "restored", "resolved"];
    let criteria = [
        "The problem is identified and the right people know",
        "The helpdesk works again",
        "The problem is identified within 15 minutes",
        "The escalation was made according to the procedure",
        "The users were told about the problem",
        "The system is restored within 2 hours",
        "All functions work",
        "The users were told about the restoration",
        "The cause is identified",
    ];
    helpdesk
        .report(&marks, &criteria)
        .says("Problem           does not hold: The site answers (http://127.0.0.1/: ")
        .says("Detected          [time]\n")
        .says("Priority          critical\n")
        .says("Cause             found by the test\n")
        .says(&format!("[time]  {}", change.trim_end_matches(", agreed by root")));
}

pub fn restart_web() -> Turns<'static> {
    agrees("systemctl restart apache2.service", "apache2").into()
}

fn restart_database() -> Turns<'static> {
    agrees("systemctl restart mariadb.service", "mariadb").into()
}

#[test]
fn a_web_server_that_was_killed_is_restarted() {
    let helpdesk = Helpdesk::up();
    helpdesk.shell(
        "systemctl kill --signal=KILL apache2; until systemctl is-failed apache2; do sleep 0.1; done
         journalctl --sync",
    );
    assert_eq!(helpdesk.page(), "000 ");
    let ran = outage(&helpdesk, &restart_web());
    ran.says("svc-apache2  apache2: active false: failed (signal, SIGKILL)")
        .says("apache2.service: Main process exited,\n          | code=killed, status=9/KILL\n")
        .says("refused by 127.0.0.1:[port]; tried again\n");
    ended(&helpdesk, "restart-apache2, apache2: done, agreed by root");
}

#[test]
fn a_web_server_with_a_broken_configuration_is_not_restarted_until_it_is_mended() {
    let helpdesk = Helpdesk::up();
    helpdesk.lab.write("/etc/apache2/conf-enabled/broken.conf", "ServerNam helpdesk\n");
    helpdesk.shell("systemctl stop apache2");
    let down = || assert!(!helpdesk.is_active("apache2"));
    let mend = || helpdesk.shell("rm /etc/apache2/conf-enabled/broken.conf");
    let refused = "not done, because apache-configtest does not hold";
    let repair = talk(&[&asks_while(refused, &down, "retry"), &asks_while(refused, &mend, "retry"), &restart_web()]);
    outage(&helpdesk, &repair)
        .says("AH00526: Syntax error on line 1 of\n          | /etc/apache2/conf-enabled/broken.conf:\n")
        .says("note       correct the file and the line that it names, then answer `retry`\n");
    ended(&helpdesk, "restart-apache2, apache2: done, agreed by root");
}

#[test]
fn a_database_that_was_stopped_is_restarted() {
    let helpdesk = Helpdesk::up();
    helpdesk.shell("systemctl stop mariadb");
    let repair = talk(&[&asks("Is the database damaged?", "intact"), &restart_database()]);
    outage(&helpdesk, &repair).says("found      database-answers: helpdesk: does not answer: 127.0.0.1:[port]");
    ended(&helpdesk, "restart-mysql, mariadb: done, agreed by root");
}

#[test]
fn a_cache_that_was_stopped_is_restarted() {
    let helpdesk = Helpdesk::up();
    helpdesk.shell("systemctl stop redis-server");
    outage(&helpdesk, &asks("systemctl restart redis-server.service", "yes").into())
        .says("RuntimeError: Could not connect to Redis at 127.0.0.1:[port]:");
    ended(&helpdesk, "restart-redis, redis-server: done, agreed by root");
}

#[test]
fn a_database_whose_disk_is_full_is_not_restarted_until_there_is_room() {
    let helpdesk = Helpdesk::up();
    helpdesk.shell(
        "systemctl stop mariadb
         mv /var/lib/mysql /var/lib/mysql-before; mkdir /var/lib/mysql
         mount -t tmpfs -o size=400m tmpfs /var/lib/mysql; chown mysql: /var/lib/mysql
         cp -a /var/lib/mysql-before/. /var/lib/mysql
         head -c 1G /dev/zero >/var/lib/mysql/core || true",
    );
    let down = || assert!(!helpdesk.is_active("mariadb"));
    let make_room = || helpdesk.shell("rm /var/lib/mysql/core");
    let refused = "not done, because disk does not hold";
    let repair = talk(&[
        &asks("Is the database damaged?", "intact"),
        &asks_while(refused, &down, "retry"),
        &asks_while(refused, &make_room, "retry"),
        &restart_database(),
    ]);
    outage(&helpdesk, &repair).says("disk: /var/lib/mysql: free 0 % (0 B), expected above 5 %").says("make room first");
    ended(&helpdesk, "restart-mysql, mariadb: done, agreed by root");
}

#[test]
fn a_database_that_is_found_damaged_is_restored_within_the_outage() {
    let helpdesk = Helpdesk::up();
    helpdesk.shell("systemctl stop mariadb");
    let choice = format!("done: {}", helpdesk.backup("yesterday"));
    let turns = talk(&[
        &NOW,
        &asks("How bad is it?", "critical"),
        &asks("Is the database damaged?", "damaged"),
        &asks("Choose the newest backup", &choice),
        &agrees("systemctl stop apache2.service", "apache2"),
        &copied_and_restored(&[]),
        &ends()[2..],
    ]);
    helpdesk.talk("emergency outage", &turns).says("PASS  stop-mysql  nothing to do: mariadb.service does not run");
    helpdesk.works();
    assert_eq!(helpdesk.sql("SELECT COUNT(*) FROM crm_ticket"), "50");
    let criteria = ["The helpdesk works again", "All functions work", "All data of the backup are intact"];
    let _ = helpdesk.report(&["identified", "restored", "resolved"], &criteria);
}
