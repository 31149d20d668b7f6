//! The program ends in the middle of an emergency, and somebody goes on.

use super::outage::{ended, ends, restart_web};
use super::site::Helpdesk;
use super::{NOW, SEEN, agrees, asks, talk};
use crate::support::case::Turn::{Do, Press, Type};
use crate::support::server::wait_until;

const CTRL_C: &str = "\x03";

/// The web server is down, as the beginning of all of these.
fn down() -> Helpdesk {
    let helpdesk = Helpdesk::up();
    helpdesk.shell("systemctl kill --signal=KILL apache2; until systemctl is-failed apache2; do sleep 0.1; done");
    helpdesk
}

#[test]
fn a_run_that_was_interrupted_at_a_question_goes_on_there_and_restarts_nothing_again() {
    let helpdesk = down();
    let begins = talk(&[
        &NOW,
        &asks("How bad is it?", "critical"),
        &restart_web(),
        &asks("Does the helpdesk work again?", "yes"),
        &[("Log in as a customer", SEEN), ("stop> ", Press(CTRL_C))],
        &[("The web server is restarted (cannot be taken back)", SEEN), ("leave> ", Type("later"))],
    ]);
    helpdesk.talk("emergency outage", &begins).exits(130).says("opsctl emergency outage --resume");
    helpdesk.talk("emergency outage --resume", &ends()[2..]).exits(0).never_says("RUN");
    ended(&helpdesk, "restart-apache2, apache2: done, agreed by root");
}

/// The program was killed while it restarted the web server, which waits for `/run/start` before it comes up.
fn killed() -> Helpdesk {
    let helpdesk = down();
    helpdesk.lab.write(
        "/etc/systemd/system/apache2.service.d/slow.conf",
        "[Service]\nExecStartPre=/bin/sh -c 'until [ -e /run/start ]; do sleep 0.1; done'\n",
    );
    helpdesk.shell("systemctl daemon-reload");
    let kill = || helpdesk.shell("until systemctl list-jobs | grep apache2; do sleep 0.1; done; pkill -KILL -x opsctl");
    let begins = talk(&[
        &NOW,
        &asks("How bad is it?", "critical"),
        &restart_web(),
        &[("RUN   systemctl restart apache2.service", Do(&kill, ""))],
    ]);
    let _ = helpdesk.talk("emergency outage", &begins);
    helpdesk.case.run(["show", "last"]).exits(0).says("restart-apache2, apache2: outcome unknown");
    helpdesk.case.run(["tasks"]).exits(0).says("it was cut off").says("go on with `opsctl emergency outage --resume`");
    helpdesk
}

#[test]
fn a_restart_during_which_the_program_was_killed_is_settled_by_looking() {
    let helpdesk = killed();
    helpdesk.shell("touch /run/start");
    wait_until("the web server", || helpdesk.is_active("apache2"));
    helpdesk
        .talk("emergency outage --resume", &ends())
        .exits(0)
        .says("restart-apache2 had been done")
        .never_says("RUN");
    ended(
        &helpdesk,
        "restart-apache2, apache2: was cut off; it was found done: the program ended while this ran; what came of it was \
         found out afterwards, agreed by root",
    );
}

#[test]
fn a_restart_that_came_to_nothing_is_asked_about_and_done_again() {
    let helpdesk = killed();
    helpdesk.shell("systemctl stop apache2; touch /run/start");
    let turns = talk(&[
        &[("was begun  systemctl restart apache2.service", SEEN), ("yes, it had been done / no> ", Type("no"))],
        &restart_web(),
        &ends(),
    ]);
    helpdesk.talk("emergency outage --resume", &turns).exits(0).says("restart-apache2 had not been done");
    helpdesk.works();
    helpdesk.recorded(&[
        "restart-apache2, apache2: was cut off; it was found not done: the program ended while this ran; what came of it \
         was found out afterwards, agreed by root",
        "restart-apache2, apache2: done, agreed by root",
    ]);
}

#[test]
fn what_an_interrupted_restore_had_stopped_is_taken_back() {
    let helpdesk = Helpdesk::up();
    helpdesk.sql("DELETE FROM crm_ticket WHERE id = 1");
    let choice = format!("done: {}", helpdesk.backup("yesterday"));
    let turns = talk(&[
        &NOW,
        &asks("Choose the newest backup", &choice),
        &agrees("systemctl stop apache2.service", "apache2"),
        &agrees("systemctl stop mariadb.service", "mariadb"),
        &[("The data folder is copied as it is", SEEN), ("stop> ", Press(CTRL_C))],
        &[("changed    The database server is stopped", SEEN), ("leave> ", Type("roll back"))],
    ]);
    helpdesk
        .talk("emergency data-restore", &turns)
        .exits(130)
        .says("stop-mysql taken back\n")
        .says("stop-apache2 taken back\n")
        .says("INTERRUPTED  emergency data-restore");
    helpdesk.case.run(["history"]).exits(0).says("  interrupted  emergency data-restore");
    helpdesk.works();
    assert_eq!(helpdesk.sql("SELECT COUNT(*) FROM crm_ticket"), "59", "the restore has not begun");
    helpdesk.recorded(&[
        "stop-apache2, apache2: done, agreed by root",
        "stop-apache2, taken back, apache2: done, agreed by root",
        "stop-mysql, mariadb: done, agreed by root",
        "stop-mysql, taken back, mariadb: done, agreed by root",
    ]);
}
