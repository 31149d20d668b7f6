//! A secret that a run uses is in nothing that the run leaves.

use std::fs;

use crate::support::case::Case;
use crate::support::server::free_port;

const SECRET: &str = "s3cr3t-Pa55word";

#[test]
fn a_secret_is_in_no_output_no_report_and_no_byte_of_the_journal() {
    let port = free_port();
    let yaml = format!(
        "\
title: Secrets
steps:
  - id: told
    title: A command that tells its secret
    probe: {{ command: {{ shell: 'echo told $TOKEN; echo $TOKEN >&2', env: {{ TOKEN: {{ env: THE_SECRET }} }} }} }}
    expect: {{ stdout: ends with nothing }}
  - id: database
    title: A database that does not answer
    probe: {{ sql: {{ database: main, query: SELECT 1 }} }}
    expect: {{ value: 1 }}
  - id: bearer
    title: A server that does not answer
    probe: {{ http: {{ url: 'http://127.0.0.1:{port}/', bearer: {{ env: THE_SECRET }} }} }}
    expect: {{ status: 200 }}
"
    );
    let case = Case::new("secrets")
        .site("databases:\n  main: { url: { env: THE_URL } }\n")
        .procedure("daily/secrets.yaml", &yaml)
        .env("THE_SECRET", SECRET)
        .env("THE_URL", &format!("postgres://opsctl:{SECRET}@127.0.0.1:{port}/main"));
    let ran = case.run(["daily", "check", "--report", "json=report.json", "--set", &format!("password={SECRET}")]);
    ran.exits(2).says("told ***").says("daily check --set password=...  test").never_says(SECRET);
    for format in ["human", "plain", "json"] {
        case.run(["show", "last", "--format", format]).exits(0).says("***").never_says(SECRET);
    }
    case.run(["history"]).exits(0).says("--set password=...").never_says(SECRET);
    let mut looked_at = 0;
    for file in fs::read_dir(case.path(".")).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
        let bytes = fs::read(&file).unwrap();
        let found = memchr::memmem::find(&bytes, SECRET.as_bytes());
        assert_eq!(found, None, "{}", file.display());
        looked_at += usize::from(file.to_string_lossy().contains("journal.db") || file.ends_with("report.json"));
    }
    assert!(looked_at >= 2, "the journal and the report are there");
}
