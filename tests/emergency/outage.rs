//! The helpdesk does not answer.

use super::site::Helpdesk;
use super::{SEEN, talk};
use crate::support::case::Turn::{self, Do, Type};

/// It was noticed just now, and nobody can work.
const BEGINS: [(&str, Turn); 3] =
    [("when was it noticed?", Type(" ")), ("How bad is it?", SEEN), ("number or name", Type("critical"))];

/// Everything works again, and people have tried.
const ENDS: [(&str, Turn); 8] = [
    ("Does the helpdesk work again?", SEEN),
    ("number or name", Type("yes")),
    ("Log in as a customer", Type("done")),
    ("Open a ticket", Type("done")),
    ("Search, attachments", Type("done")),
    ("Write what the cause was", Type("done: found by the test")),
    ("PASSED", SEEN),
    ("see it again", SEEN),
];

/// The database or the web server is restarted, after `y` was not enough.
fn restarts(name: &'static str, command: &'static str) -> [(&'static str, Turn<'static>); 4] {
    [(command, SEEN), ("what to type", Type("y")), ("this is destructive", SEEN), ("what to type", Type(name))]
}

#[test]
fn a_web_server_that_was_killed_is_restarted() {
    let helpdesk = Helpdesk::up();
    helpdesk.shell("systemctl kill --signal=KILL apache2; until systemctl is-failed apache2; do sleep 0.1; done");
    assert_eq!(helpdesk.page(), "000 ");
    let ran = helpdesk
        .talk("emergency outage", &talk(&[&BEGINS, &restarts("apache2", "systemctl restart apache2.service"), &ENDS]));
    println!("{ran}");
    println!("{}", helpdesk.case.run(["report", "emergency", "--run", "last", "--format", "human"]));
    println!("{}", helpdesk.case.run(["history"]));
    println!("{}", helpdesk.case.run(["journal", "verify"]));
    println!("{}", helpdesk.case.run(["show", "last"]));
}

#[test]
fn a_web_server_with_a_broken_configuration_is_not_restarted_until_it_is_mended() {
    let helpdesk = Helpdesk::up();
    helpdesk.lab.write("/etc/apache2/conf-enabled/broken.conf", "ServerNam helpdesk\n");
    helpdesk.shell("systemctl stop apache2");
    let down = || assert!(!helpdesk.is_active("apache2"));
    let mend = || helpdesk.shell("rm /etc/apache2/conf-enabled/broken.conf");
    let held_back = [
        ("not done, because apache-configtest does not hold", SEEN),
        ("retry / skip", Do(&down, "retry")),
        ("not done, because apache-configtest does not hold", SEEN),
        ("retry / skip", Do(&mend, "retry")),
    ];
    let turns = talk(&[&BEGINS, &held_back, &restarts("apache2", "systemctl restart apache2.service"), &ENDS]);
    let ran = helpdesk.talk("emergency outage", &turns);
    println!("{ran}");
}

#[test]
fn a_database_that_was_stopped_is_restarted() {
    let helpdesk = Helpdesk::up();
    helpdesk.shell("systemctl stop mariadb");
    let intact = [("Is the database damaged?", SEEN), ("number or name", Type("intact"))];
    let restart = restarts("mariadb", "systemctl restart mariadb.service");
    let ran = helpdesk.talk("emergency outage", &talk(&[&BEGINS, &intact, &restart, &ENDS]));
    println!("{ran}");
}

#[test]
fn a_cache_that_was_stopped_is_restarted() {
    let helpdesk = Helpdesk::up();
    helpdesk.shell("systemctl stop redis-server");
    let restart = [("systemctl restart redis-server.service", SEEN), ("yes / no", Type("yes"))];
    let ran = helpdesk.talk("emergency outage", &talk(&[&BEGINS, &restart, &ENDS]));
    println!("{ran}");
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
    let held_back = [
        ("Is the database damaged?", SEEN),
        ("number or name", Type("intact")),
        ("not done, because disk does not hold", SEEN),
        ("retry / skip", Do(&down, "retry")),
        ("not done, because disk does not hold", SEEN),
        ("retry / skip", Do(&make_room, "retry")),
    ];
    let restart = restarts("mariadb", "systemctl restart mariadb.service");
    let ran = helpdesk.talk("emergency outage", &talk(&[&BEGINS, &held_back, &restart, &ENDS]));
    println!("{ran}");
}
