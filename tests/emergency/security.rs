//! Somebody is inside who does not belong there.

use super::site::Helpdesk;
use super::{NOW, PASSED, agrees, asks, talk};

#[test]
fn an_intruders_accounts_are_locked_and_all_sessions_end() {
    let helpdesk = Helpdesk::up();
    helpdesk.sql("UPDATE crm_userprofile SET last_login_ip = '203.0.113.66' WHERE user_id IN (1, 17, 23)");
    helpdesk.shell(
        "for user in 12 14 17; do
             date '+WARNING %Y-%m-%d %H:%M:%S,000 auth 1 1 Failed login for user $user from 203.0.113.66' -d '-20 min'
         done >>/var/log/django.log",
    );
    let turns = talk(&[
        &NOW,
        &asks("What kind of attack is it?", "taken-over"),
        &asks("Write which accounts", "done: 17 and 23"),
        &asks("How urgent is it?", "critical"),
        &asks("logs_", "yes"),
        &asks("evidence_", "yes"),
        &asks("Write the addresses", "done: 203.0.113.66"),
        &asks("Is the helpdesk taken off the net?", "yes"),
        &agrees("systemctl stop apache2.service", "apache2"),
        // The administrator has logged in from there, and is protected.
        &asks("All of them: user17, user23\r\n", "yes"),
        &asks("UPDATE crm_userprofile SET is_locked = 1", "yes"),
        &agrees("DELETE FROM django_session", "helpdesk"),
        &asks("Are passwords known", "no"),
        &asks("Each package with the hole", "done: none was used"),
        &asks("systemctl start apache2.service", "yes"),
        &asks("The signs of the attack have ended", "done"),
        &PASSED,
    ]);
    helpdesk.talk("security incident", &turns).exits(0);
    helpdesk.works();
    let locked =
        helpdesk.sql("SELECT GROUP_CONCAT(user_id), COUNT(DISTINCT lock_reason) FROM crm_userprofile WHERE is_locked");
    assert_eq!(locked, "17,23\t1");
    assert_eq!(helpdesk.sql("SELECT COUNT(*) FROM django_session"), "0");
    helpdesk.shell("tar --list --file /backups/evidence/logs_*.tar.gz | grep log/django.log >/dev/null");
    let kept =
        helpdesk.output("gzip --decompress --stdout /backups/evidence/evidence_*.sql.gz | grep --count e30:test");
    assert_eq!(kept, "12\n", "the sessions as they were");
    helpdesk.recorded(&[
        "preserve-evidence, backup of /var/log: done, agreed by root",
        "preserve-accounts, backup of helpdesk: done, agreed by root",
        "stop-apache2, apache2: done, agreed by root",
        "lock-suspicious, helpdesk: done, agreed by root",
        "end-sessions, helpdesk: done, agreed by root",
        "start-apache2, apache2: done, agreed by root",
    ]);
    let marks = ["detected", "identified", "neutralised"];
    let criteria = [
        "The incident is identified within 30 minutes",
        "The threat is assessed",
        "The escalation was made at once",
        "The threat is neutralised within 2 hours",
        "Suspicious accounts are locked and their sessions ended",
        "The signs of the attack have ended",
    ];
    let _ = helpdesk.report(&marks, &criteria);
}
