//! What each kind of channel does with a message.

use std::fs;

use super::{begun, case, messages, told};
use crate::support::case::Case;
use crate::support::server::wait_until;

#[test]
fn a_file_gets_a_line_with_all_that_is_known() {
    let case = case("channel-file");
    begun(&case);
    let lines = messages(&case);
    let [line] = lines.as_slice() else { panic!("one line, not {lines:?}") };
    for (key, value) in [
        ("id", "emergency/outage.tell.0.0"),
        ("to", "it-team"),
        ("channel", "log"),
        ("address", "it@example.com"),
        ("severity", "critical"),
        ("text", "Outage of test"),
    ] {
        assert_eq!(line[key], value, "{key}");
    }
    assert!(line["deadline"].is_string() && line["run"].is_string(), "{line}");
}

/// A site whose channel is this command.
fn command(name: &str, command: &str) -> Case {
    let site = format!(
        "channels:\n  pager: {command}\nroles:\n  it-team: {{ phone: '+48 1', mail: it@example.com, channel: pager }}\n"
    );
    let outage = "title: Outage\nsteps:\n  - id: tell\n    notify: { to: it-team, message: \"It's \\\"down\\\"; $(rm -rf x)\" }\n";
    Case::new(name).site(&site).procedure("emergency/outage.yaml", outage)
}

#[test]
fn a_command_gets_the_message_on_standard_input_and_in_its_environment() {
    let line = r#"{ command: [sh, -c, 'cat > input; printf "%s|%s|%s" "$OPSCTL_TO" "$OPSCTL_ADDRESS" "$OPSCTL_TEXT" > seen'], address: phone }"#;
    let case = command("channel-command", line);
    case.run(["emergency", "outage"]).exits(0);
    let seen = fs::read_to_string(case.path("seen")).expect("what it saw");
    assert_eq!(seen, r#"it-team|+48 1|It's "down"; $(rm -rf x)"#);
    let input: serde_json::Value =
        serde_json::from_slice(&fs::read(case.path("input")).expect("its input")).expect("JSON");
    assert_eq!((&input["address"], &input["text"]), (&"+48 1".into(), &r#"It's "down"; $(rm -rf x)"#.into()));
}

#[test]
fn a_command_that_fails_fails_the_step_with_its_last_words() {
    let case = command("channel-fails", "{ command: [sh, -c, 'echo no signal >&2; exit 7'] }");
    case.run(["emergency", "outage"]).exits(2).says("no signal");
    case.run(["outbox"]).exits(0).says("FAIL").says("`sh` ended with exit status: 7: no signal");
    case.run(["tick"]).exits(0).prints("");
    case.run(["tick", "--retry"]).exits(2).says("FAIL  it-team by pager (it@example.com) was not told");
}

#[test]
fn what_failed_is_sent_again_only_when_it_is_asked_for() {
    let case = command("channel-again", "{ command: [./send] }");
    case.run(["emergency", "outage"]).exits(2).says("cannot start `./send`");
    let script = case.path("send");
    fs::write(&script, "#!/bin/sh\necho sent >> sent\n").expect("a script");
    fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("a mode");
    case.run(["tick"]).exits(0).prints("");
    case.run(["tick", "--retry"]).exits(0).says("TOLD  it-team by pager");
    case.run(["tick", "--retry"]).exits(0).prints("");
    assert_eq!(fs::read_to_string(case.path("sent")).expect("a file"), "sent\n");
}

#[test]
fn a_command_that_does_not_end_is_killed_with_its_children() {
    let line = "{ command: [sh, -c, 'sleep 600 & echo $! > child; wait'], timeout: 500ms }";
    let case = command("channel-hangs", line);
    case.run(["emergency", "outage"]).exits(2).says("did not end within 500 ms and was killed");
    let child = fs::read_to_string(case.path("child")).expect("a process");
    let stat = format!("/proc/{}/stat", child.trim());
    // A killed process may wait for its parent's attention for a moment.
    wait_until("the end of the child", || fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z ")));
}

#[test]
fn a_file_that_cannot_be_written_is_said() {
    let site = "channels: { log: { file: ./no/messages } }\nroles: { it-team: { channel: log } }\n";
    let outage = "title: Outage\nsteps:\n  - id: tell\n    notify: { to: it-team, message: down }\n";
    let case = Case::new("channel-folder").site(site).procedure("emergency/outage.yaml", outage);
    case.run(["emergency", "outage"]).exits(2).says("cannot write [folder]/no/messages");
    assert!(told(&case).is_empty());
}
