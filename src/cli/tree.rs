//! The clap tree: commands of the program, and groups and procedures as they are in the library.

use clap::{Arg, ArgAction, Command, builder::PossibleValuesParser, value_parser};

use super::outbox;
use super::settings::Globals;
use crate::model::id::ProcedureId;
use crate::model::unit::Quantity;
use crate::procedure::document::{Procedure, Work};
use crate::procedure::library::Library;
use crate::procedure::site::Site;
use crate::report::Format;
use crate::report::emergency::Form;

/// The commands that no group may be named after.
const BUILTIN: &[&str] = &[
    "lint",
    "test",
    "docs",
    "explain",
    "schema",
    "history",
    "show",
    "tasks",
    "tick",
    "ack",
    "outbox",
    "note",
    "report",
    "journal",
    "init",
    "drill",
    "completions",
    "man",
    "help",
];

pub fn is_builtin(name: &str) -> bool {
    BUILTIN.contains(&name) && name != "help"
}

/// Whether `opsctl NAME` is there whatever procedures there are.
pub fn is_command(name: &str) -> bool {
    BUILTIN.contains(&name)
}

/// The commands that need no procedures: quick, and there even when the site file is broken.
pub fn builtin_only(globals: &Globals) -> Command {
    root(globals).subcommands(builtins()).subcommands(outbox::commands())
}

/// Only the procedure, or the check, that the command line names: to make all commands takes longer than to read one.
pub fn named(library: &Library, globals: &Globals) -> Option<Command> {
    let (group, name) = (globals.command.as_deref()?, globals.subcommand.as_deref()?);
    let groups = library.groups();
    let ids = groups.get(group).filter(|_| !is_command(group))?;
    let command = match name {
        "check" => check_command(),
        _ => procedure_command(ids.iter().find(|id| id.name() == name)?.name()),
    };
    Some(root(globals).subcommand(Command::new(group.to_owned()).subcommand(command)))
}

/// All commands.
pub fn whole(library: &Library, globals: &Globals, site: &Site) -> Command {
    let mut command = root(globals);
    for (group, ids) in library.groups() {
        if BUILTIN.contains(&group) {
            continue;
        }
        command = command.subcommand(group_command(group, &ids, library, globals, site));
    }
    command.subcommands(builtins()).subcommands(outbox::commands())
}

fn root(globals: &Globals) -> Command {
    Command::new("opsctl")
        .color(globals.colour_choice())
        .version(env!("CARGO_PKG_VERSION"))
        .about("Operations procedures as checklists that run: look, judge, act, record")
        .long_about(
            "Operations procedures as checklists that run: look, judge, act, record.\n\n\
             `opsctl daily check` looks at everything that the daily procedures name and changes nothing.\n\
             `opsctl emergency` lists what leads through an outage, a loss of data, an attack.\n\
             Without a site file it checks this machine; `opsctl init` writes one.\n\
             `opsctl drill daily check` tries it on a practice system.",
        )
        .after_help(
            "Exit status: 0 everything holds, 1 warned, 2 failed, 3 could not tell,\n\
             130 or 143 interrupted.",
        )
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(false)
        .max_term_width(100)
        .args(everywhere())
}

/// The options of every command, behind those of its own.
fn everywhere() -> [Arg; 3] {
    let option = |name: &'static str, value: &'static str| {
        Arg::new(name).long(name).value_name(value).global(true).help_heading("Options of every command")
    };
    [
        option("site", "FILE").help("The site file [default: $OPSCTL_SITE, ./opsctl.yaml, ~/.config/opsctl/opsctl.yaml, /etc/opsctl/opsctl.yaml]"),
        option("set", "NAME=VALUE").action(ArgAction::Append).help("Set a variable of the procedures"),
        option("color", "WHEN").value_parser(["auto", "always", "never"]).help("Use colour [default: auto]"),
    ]
}

fn format_arg() -> Arg {
    let names: Vec<&str> = Format::names().collect();
    let about = format!("{} [default: human on a terminal, plain elsewhere]", names.join(", "));
    Arg::new("format").long("format").value_name("FORMAT").value_parser(value_parser!(Format)).help(about)
}

fn report_arg() -> Arg {
    Arg::new("report")
        .long("report")
        .value_name("FORMAT=FILE")
        .action(ArgAction::Append)
        .help("Also write a report to a file; repeatable")
}

fn builtins() -> Vec<Command> {
    vec![
        Command::new("lint").about("Check the site file and all procedures, and show everything that is wrong").args([
            Arg::new("path")
                .value_name("PATH")
                .num_args(0..)
                .help("Folders of procedures, or single files, instead of the site's packs"),
            Arg::new("strict")
                .long("strict")
                .action(ArgAction::SetTrue)
                .help("Exit with 1 when there are remarks: what can be run, but hardly means what it says"),
        ]),
        test_command(),
        Command::new("explain")
            .about("Explain a kind of probe or action, a key, a fact, an outcome, or a procedure")
            .arg(Arg::new("kind").value_name("KIND").help(
                "A kind (`http`), a fact (`disk.free`), a key (`retry`), `procedure`, `site`, `conditions`, ..., or a \
                 procedure (`daily/host-health`); the list of kinds when not given",
            )),
        Command::new("docs").about("Write the procedures as a handbook to read and to print").args([
            Arg::new("what")
                .value_name("GROUP[/PROCEDURE]")
                .num_args(0..)
                .help("Only these [default: all of the site]"),
            Arg::new("format")
                .long("format")
                .value_name("FORMAT")
                .value_parser(["markdown", "html"])
                .help("How it is written [default: as the file's name says, else markdown]"),
            Arg::new("output").long("output").short('o').value_name("FILE").help("Where to [default: standard output]"),
            Arg::new("force").long("force").action(ArgAction::SetTrue).help("Replace a file that exists"),
        ]),
        Command::new("schema")
            .about("Print the JSON Schema of procedures, of the site file or of tests, for editors")
            .arg(Arg::new("document").value_parser(["procedure", "site", "test"]).default_value("procedure")),
        Command::new("history").about("List the recorded runs, newest first").args([
            Arg::new("what").value_name("GROUP[/PROCEDURE]").help("Only runs of this group, or of this procedure"),
            Arg::new("limit")
                .long("limit")
                .short('n')
                .value_name("COUNT")
                .value_parser(value_parser!(u32).range(1..))
                .default_value("20")
                .help("List at most this many"),
            Arg::new("outcome")
                .long("outcome")
                .value_parser(PossibleValuesParser::new(
                    crate::model::outcome::Outcome::ALL.map(crate::model::outcome::Outcome::word),
                ))
                .help("Only runs that ended like this"),
            Arg::new("format")
                .long("format")
                .value_parser(["human", "json"])
                .default_value("human")
                .help("How to list them"),
        ]),
        Command::new("show").about("Show a recorded run again, in any format").args([
            Arg::new("run").value_name("RUN").required(true).help("The beginning of a run's id, or `last`"),
            format_arg(),
            report_arg(),
        ]),
        tasks_command(),
        note_command(),
        report_command(),
        Command::new("journal")
            .about("Verify the record of all runs, or make its lists anew")
            .subcommand_required(true)
            .arg_required_else_help(true)
            .subcommand(Command::new("verify").about("Verify the hash chain: nothing changed, nothing removed"))
            .subcommand(Command::new("rebuild").about("Make the lists for `history` anew from the recorded events")),
        Command::new("init").about("Write a site file for this machine from what is found on it").args([
            Arg::new("output")
                .long("output")
                .short('o')
                .value_name("FILE")
                .default_value("opsctl.yaml")
                .help("Where to write it; `-` prints it"),
            Arg::new("force").long("force").action(ArgAction::SetTrue).help("Replace a file that exists"),
        ]),
        Command::new("drill").about("Practise any command on a self-contained helpdesk, with faults switched on").args(
            [
                Arg::new("fault")
                    .long("fault")
                    .value_name("NAME")
                    .action(ArgAction::Append)
                    .help("Break this before the run; repeatable, also behind the command"),
                Arg::new("list-faults").long("list-faults").action(ArgAction::SetTrue).help("Show what can be broken"),
                Arg::new("command")
                    .value_name("COMMAND")
                    .num_args(0..)
                    .trailing_var_arg(true)
                    .allow_hyphen_values(true)
                    .help("The command to practise, such as `daily check`"),
            ],
        ),
        Command::new("completions")
            .about("Print the completions for a shell")
            .arg(Arg::new("shell").required(true).value_parser(value_parser!(clap_complete::Shell))),
        Command::new("man").about("Print the manual page"),
    ]
}

fn test_command() -> Command {
    Command::new("test")
        .about("Judge recorded observations, to test the limits of procedures; nothing is looked at")
        .arg(
            Arg::new("path")
                .value_name("PATH")
                .num_args(0..)
                .help("Packs, groups, procedures or their tests (NAME.test.yaml), instead of the site's packs"),
        )
}

fn tasks_command() -> Command {
    Command::new("tasks").about("Show what waits for a person, and answer it").subcommand(
        Command::new("done")
            .about("Answer what waits: it is done, or agreed to, unless an option says otherwise")
            .args([
                Arg::new("id").value_name("ID").required(true).help("As `opsctl tasks` shows it"),
                Arg::new("not-done")
                    .long("not-done")
                    .action(ArgAction::SetTrue)
                    .help("Of a manual step: it was not done, or does not hold"),
                Arg::new("not-applicable")
                    .long("not-applicable")
                    .action(ArgAction::SetTrue)
                    .help("Of a manual step: it does not apply"),
                Arg::new("choose").long("choose").value_name("NAME").help("Of a decision: the choice"),
                Arg::new("target")
                    .long("target")
                    .value_name("TARGET")
                    .help("Of a destructive action: its target, typed to agree"),
                Arg::new("no")
                    .long("no")
                    .action(ArgAction::SetTrue)
                    .help("Refuse an action or an approval; it had not been done"),
                Arg::new("note").long("note").value_name("TEXT").help("A note with the answer"),
                Arg::new("file")
                    .long("file")
                    .value_name("FILE")
                    .action(ArgAction::Append)
                    .help("Attach a file; repeatable"),
            ]),
    )
}

fn note_command() -> Command {
    let text = |name: &'static str, value: &'static str| Arg::new(name).long(name).value_name(value);
    Command::new("note").about("Add a note to a run, also to one that is over; or a point of its timeline").args([
        Arg::new("run").value_name("RUN").required(true).help("The beginning of a run's id, or `last`"),
        Arg::new("text")
            .value_name("TEXT")
            .required_unless_present_any(["mark", "attach"])
            .help("What happened; `cause: ...` fills that field of the report"),
        text("at", "TIME").help("When it was so: `02:50`, `2026-11-21T02:50` [default: now]"),
        text("mark", "POINT").help("Something was reached: occurred, detected, identified, mitigated, resolved, ..."),
        text("attach", "FILE").action(ArgAction::Append).help("Keep a copy of this file; repeatable"),
    ])
}

fn report_command() -> Command {
    Command::new("report")
        .about("Write a report from the record of a run")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("emergency").about("The report of an incident, to be completed by hand").args([
                Arg::new("run")
                    .long("run")
                    .value_name("RUN")
                    .help("The beginning of a run's id; `last`, or none, is the newest incident"),
                Arg::new("format")
                    .long("format")
                    .value_name("FORMAT")
                    .value_parser(PossibleValuesParser::new(Form::ALL.map(|(name, _)| name)))
                    .help("How it is written [default: as the file's name says, else markdown]"),
                Arg::new("output")
                    .long("output")
                    .short('o')
                    .value_name("FILE")
                    .help("Where to [default: standard output]"),
                Arg::new("force").long("force").action(ArgAction::SetTrue).help("Replace a file that exists"),
            ]),
        )
}

fn group_command(group: &str, ids: &[&ProcedureId], library: &Library, globals: &Globals, site: &Site) -> Command {
    let asked = globals.command.as_deref() == Some(group)
        || (globals.command.as_deref() == Some("help") && globals.subcommand.as_deref() == Some(group));
    let names: Vec<&str> = ids.iter().map(|id| id.name()).collect();
    let command = Command::new(group.to_owned()).about(names.join(", "));
    // What is in the other groups matters only to those who describe the whole tree.
    if !asked && !matches!(globals.command.as_deref(), Some("completions" | "man")) {
        return command;
    }
    let help = globals.wants_help && asked;
    let mut command = command.subcommand(check_command());
    for id in ids {
        let mut sub = procedure_command(id.name());
        if help {
            sub = sub.about(library.title(id).unwrap_or_else(|| "(cannot be read; see `opsctl lint`)".to_owned()));
            // What it does comes before the options, which are the same everywhere.
            sub = sub.help_template("{about-with-newline}\n{before-help}{usage-heading} {usage}\n\n{all-args}");
            sub = sub.before_help(match library.load([*id], site).as_deref() {
                Ok([procedure]) => details(procedure),
                Ok(_) => String::new(),
                Err(problems) => problems.render(false) + "It does not run like this.",
            });
        }
        command = command.subcommand(sub);
    }
    command
}

fn check_command() -> Command {
    run_args(Command::new("check"))
        .about("Look at everything that the procedures of the group name; one verdict for each criterion")
}

fn procedure_command(name: &str) -> Command {
    run_args(Command::new(name.to_owned())).args(act_args())
}

/// Of a procedure, which may do more than look.
fn act_args() -> Vec<Arg> {
    let flag =
        |name: &'static str, about: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue).help(about);
    vec![
        flag("check", "Look only: no action, no question"),
        flag("dry-run", "Look, and show exactly what would be done").conflicts_with("check"),
        flag("step", "Stop before each step"),
        Arg::new("from")
            .long("from")
            .value_name("STEP")
            .help("Leave out the steps before this one, but for what is needed"),
        flag("yes", "Act without asking; destructive actions only where the procedure allows it"),
        Arg::new("resume")
            .long("resume")
            .value_name("RUN")
            .num_args(0..=1)
            .default_missing_value("")
            .help("Go on with the run that waits, or with this one"),
        flag("accept-change", "With --resume, although the procedure's file has changed since"),
        flag("new", "Begin anew although a run waits, and end that one").conflicts_with("resume"),
        Arg::new("since")
            .long("since")
            .value_name("TIME")
            .help("When it was detected: the budget counts from there; 02:40, or 2026-11-21 02:40"),
        Arg::new("occurred").long("occurred").value_name("TIME").help("When it occurred, if that is known"),
    ]
}

fn run_args(command: Command) -> Command {
    command.args([
        format_arg(),
        report_arg(),
        Arg::new("quiet")
            .long("quiet")
            .short('q')
            .action(ArgAction::SetTrue)
            .help("Print nothing when everything holds"),
        Arg::new("only")
            .long("only")
            .value_name("STEP")
            .value_delimiter(',')
            .action(ArgAction::Append)
            .help("Only these steps and what they need: `a,b`, or repeated; `procedure.a` where several have it"),
        Arg::new("skip")
            .long("skip")
            .value_name("STEP")
            .value_delimiter(',')
            .action(ArgAction::Append)
            .help("All but these steps"),
        Arg::new("tag")
            .long("tag")
            .value_name("TAG")
            .value_delimiter(',')
            .action(ArgAction::Append)
            .help("Only steps with one of these tags, and what they need"),
        Arg::new("parallel")
            .long("parallel")
            .value_name("COUNT")
            .value_parser(value_parser!(u16).range(1..=256))
            .default_value("8")
            .help("How many looks run at the same time"),
    ])
}

/// Purpose, budget, criteria and steps, for the help of a procedure.
///
/// clap trims it.
pub fn details(procedure: &Procedure) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    let mut line = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            writeln!(text, "{name:<9} {value}").ok();
        }
    };
    line("Purpose", procedure.purpose.clone());
    line("When", Some(procedure.symptoms.join(", ")).filter(|symptoms| !symptoms.is_empty()));
    line("Owner", procedure.owner.clone());
    line("Schedule", procedure.schedule.clone());
    line("Budget", procedure.budget.map(|budget| Quantity::duration(budget).rounded()));
    line("Escalates", procedure.escalate.as_ref().map(|to| format!("to {to}")));
    if !procedure.criteria.is_empty() {
        text.push_str("\nCriteria:\n");
        for criterion in &procedure.criteria {
            writeln!(text, "  - {}", criterion.says).ok();
        }
    }
    text.push_str("\nSteps:\n");
    for step in &procedure.steps {
        let called = match &step.work {
            Work::Procedure(call) => format!(": opsctl {} {}", call.run.group(), call.run.name()),
            _ => String::new(),
        };
        writeln!(text, "  {:<24} {:<9} {}{called}", step.id, step.kind.word(), step.title).ok();
    }
    text
}
