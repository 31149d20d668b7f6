//! The mistakes that programs of this kind are known for, and the tests that keep this one from making them.

use std::collections::HashSet;
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

/// A mistake, in a sentence that says what must not happen, and the functions that test it.
type Trap = (&'static str, &'static [&'static str]);

const JUDGING: &[Trap] = &[
    (
        "A path in JSON that is not there counts as zero, or a negated condition holds for what is missing.",
        &[
            "a_json_path_that_is_not_there_is_not_at_most_10",
            "a_missing_fact_satisfies_no_condition_and_no_negation",
            "a_missing_member_is_neither_zero_nor_empty_nor_unequal",
            "a_json_path_that_is_missing_does_not_count_as_zero",
        ],
    ),
    (
        "Numbers are cut to integers, so that a load of 1.9 is at most 1.2.",
        &[
            "a_load_of_1_9_is_not_at_most_1_2",
            "a_number_of_json_is_not_cut_to_an_integer",
            "numbers_are_not_cut_to_integers",
        ],
    ),
    (
        "An expectation or a list that is empty passes, and of a key that comes twice the last one is taken.",
        &[
            "an_empty_expectation_is_refused",
            "schema_and_loader_agree_on_steps",
            "schema_and_loader_agree_on_procedures",
            "a_procedure_without_steps_is_refused",
            "a_duplicate_key_is_refused_with_the_line_of_the_first",
        ],
    ),
    (
        "The first rule that matches decides, and not the worst.",
        &[
            "the_worst_of_all_and_the_best_of_any_count_whatever_the_order",
            "the_worst_step_decides_a_criterion_whatever_the_order",
            "procedures_of_one_run_look_side_by_side_and_the_worst_counts",
        ],
    ),
    (
        "Failing, not being able to look and not applying are one word.",
        &[
            "a_probe_that_cannot_look_is_no_failure_and_no_pass",
            "failing_not_being_able_to_look_and_leaving_out_are_three_things",
            "one_table_says_what_a_run_exits_with",
            "a_failure_is_worse_than_not_knowing_and_that_is_worse_than_a_warning",
        ],
    ),
    (
        "A mistake in the arguments looks like a critical state.",
        &["a_mistake_in_the_arguments_is_3_and_names_the_nearest_right_word"],
    ),
    (
        "Each output format decides for itself what the outcome is.",
        &["the_exit_status_is_the_same_in_every_format", "the_exit_status_and_the_outcome_are_those_of_the_run"],
    ),
    (
        "What was skipped, passed at the second attempt or never ended looks like a plain pass.",
        &[
            "what_is_left_out_is_skipped_with_the_reason_and_counts_for_nothing",
            "a_second_attempt_that_passes_tells_of_the_first",
            "a_warning_and_a_second_attempt_pass_and_say_so",
            "a_run_that_was_killed_is_unfinished_and_proves_nothing",
            "what_did_not_come_to_its_end_is_an_error",
            "selecting_nothing_is_not_a_pass",
        ],
    ),
    (
        "A run that only looks leaves commands out and then judges what depends on them.",
        &["a_check_neither_acts_nor_asks", "a_dry_run_does_nothing_and_proves_nothing_that_depends_on_it"],
    ),
    (
        "That a command failed is not noticed.",
        &[
            "exit_status_output_and_time_are_facts",
            "an_exit_status_that_nobody_expected_is_a_failure_with_the_last_words",
            "a_command_that_a_signal_ended_has_failed_whatever_is_expected",
        ],
    ),
    (
        "A failure is told without what was seen, where it was written, and what to do.",
        &["a_run_that_fails_shows_what_was_seen_what_was_expected_and_what_to_do"],
    ),
];

const DISKS: &[Trap] = &[
    (
        "Space is counted with the blocks that are reserved for root.",
        &["the_numbers_are_those_of_df_with_blocks_reserved_for_root"],
    ),
    (
        "A dead mount hangs the check for ever, and the next one piles up behind it.",
        &[
            "a_mount_that_hangs_costs_its_own_time_and_nothing_else",
            "a_file_system_that_hangs_costs_each_step_its_own_time_and_the_run_ends",
        ],
    ),
    ("For a path that does not exist its parent answers.", &["an_absent_path_is_never_answered_by_its_parent"]),
    (
        "Pseudo file systems, images and second names of a disk are counted, and inodes where there are none.",
        &[
            "the_root_is_always_seen_and_pseudo_file_systems_are_not",
            "pseudo_file_systems_images_and_copies_are_left_out",
            "bind_mounts_count_once_under_the_shortest_mount_point",
            "a_file_system_without_inodes_or_blocks_has_no_such_facts",
        ],
    ),
    (
        "A small share of a very large disk alarms, and a large share of a very small one does not.",
        &[
            "a_share_is_compared_as_percent_and_as_size",
            "the_worst_of_all_and_the_best_of_any_count_whatever_the_order",
        ],
    ),
];

const LOGS: &[Trap] = &[
    (
        "The last hundred lines are taken for a day, and what was rotated, packed or truncated is not read.",
        &[
            "entries_before_the_window_do_not_count",
            "rotated_files_are_counted_in_as_far_as_the_window_goes",
            "every_packing_is_read_and_a_damaged_file_is_an_error",
            "the_zeros_that_copytruncate_leaves_are_passed_over",
            "a_log_that_was_just_rotated_is_still_one_log",
            "a_file_that_is_cut_off_while_it_is_read_does_no_harm",
        ],
    ),
    (
        "Only the beginning of a line is searched, and a last line without its end not at all.",
        &[
            "a_line_longer_than_the_buffer_is_one_line_and_all_of_it_is_searched",
            "a_line_of_64_mebibytes_is_searched_to_its_end",
            "a_last_line_that_has_no_end_yet_is_searched",
        ],
    ),
    (
        "A first run alarms about the whole past, or says nothing at all; a file that is not there passes.",
        &[
            "entries_before_the_window_do_not_count",
            "a_condition_on_history_cannot_tell_at_first_and_judges_then",
            "a_file_that_is_not_there_is_an_error_and_others_still_answer",
        ],
    ),
    (
        "`0 errors` is an error, and a word is found inside another one.",
        &["zero_errors_are_no_error_and_a_word_is_not_its_part"],
    ),
    (
        "A stack trace is counted line by line.",
        &[
            "a_stack_trace_is_one_entry_and_its_first_line_is_shown",
            "a_stack_trace_is_one_entry",
            "a_line_of_a_stack_trace_begins_no_entry",
        ],
    ),
];

const PROCESSES: &[Trap] = &[
    (
        "A search finds itself, names are cut after 15 letters, and one of three names is enough.",
        &[
            "what_opsctl_started_itself_is_never_found",
            "the_shell_that_runs_opsctl_with_the_searched_words_is_not_found",
            "a_process_is_found_by_its_whole_name_however_long",
            "each_name_is_a_result_of_its_own",
        ],
    ),
    (
        "The table of processes changes while it is read, and that is an error.",
        &["processes_that_come_and_go_by_the_hundred_hide_no_other_and_are_no_error"],
    ),
    (
        "A service that ends and starts again and again counts as running.",
        &[
            "a_service_that_waits_to_be_started_again_is_not_active_though_systemd_does_not_count_it_as_failed",
            "a_service_that_runs_for_the_moment_after_several_restarts_is_in_a_crash_loop",
            "failed_and_crash_looping_units_are_counted_and_listed",
        ],
    ),
    (
        "The count of restarts goes back to zero after a start by hand.",
        &["a_counter_that_a_start_by_hand_has_reset_does_not_count_backwards"],
    ),
    (
        "A timer that never elapses is not noticed.",
        &[
            "a_timer_that_was_never_started_is_not_scheduled",
            "a_timer_that_has_elapsed_for_good_is_active_and_yet_not_scheduled",
            "a_timer_that_did_not_elapse_when_it_should_have_is_overdue",
        ],
    ),
    (
        "A unit that does not exist is an inactive one.",
        &["a_unit_that_does_not_exist_is_an_error_and_not_an_inactive_service"],
    ),
];

const DATABASES: &[Trap] = &[
    (
        "A server counts as well that has no such database, wants a password, or answers for another program.",
        &[
            "a_database_that_does_not_exist_does_not_answer_though_pg_isready_accepts_it",
            "a_server_that_wants_a_password_does_not_answer_without_it",
            "site_wrong_page_answers_200_without_the_helpdesk",
            "a_head_request_has_no_body",
        ],
    ),
    (
        "The lag of a replica grows while the primary has nothing to do, or is zero while replication is stopped.",
        &[
            "a_standby_of_an_idle_primary_has_no_lag_however_old_the_last_change_is",
            "a_paused_replay_is_behind_in_bytes_and_in_time",
            "a_standby_without_its_primary_does_not_know_how_late_it_is",
            "a_stopped_sql_thread_is_not_zero_seconds_behind",
        ],
    ),
    (
        "Statistics that nobody collects read as `no unused index` and `no slow statement`.",
        &[
            "a_server_that_records_nothing_seems_neither_fast_nor_without_unused_indexes",
            "a_server_that_records_no_statements_does_not_seem_fast",
            "keys_are_not_unused_indexes_and_the_age_of_the_statistics_is_told",
        ],
    ),
    (
        "A statement goes on in the server when nobody waits for it any more.",
        &[
            "mariadb_ends_a_slow_statement_itself_and_no_session_is_left",
            "postgres_ends_a_slow_statement_itself_and_no_session_is_left",
            "a_cancelled_look_ends_its_statement_in_the_server",
            "a_statement_out_of_time_is_ended_in_the_server",
        ],
    ),
    (
        "A password is in an argument, a message, an address or the journal.",
        &[
            "a_password_is_masked_as_it_is_and_as_it_is_written",
            "a_url_that_is_wrong_is_an_error_without_the_password",
            "secrets_in_arguments_are_not_shown",
            "a_secret_is_in_no_output_no_report_and_no_byte_of_the_journal",
        ],
    ),
    (
        "A server that accepts and never answers, that drips, or that sends without end is waited for.",
        &[
            "a_database_that_accepts_and_never_answers_ends_with_the_time",
            "a_database_that_drips_ends_with_the_time",
            "a_database_that_sends_without_end_ends_with_the_time",
            "redis_that_sends_without_end_takes_little_memory",
        ],
    ),
];

const BACKUPS: &[Trap] = &[
    (
        "The pointer to the latest backup leads nowhere or to the oldest one, and the order of names is trusted.",
        &[
            "a_pointer_elsewhere_is_told",
            "latest_dangling_points_to_nothing",
            "latest_stale_points_to_the_oldest",
            "latest_is_no_backup_that_can_be_chosen",
            "the_newest_by_name_and_the_one_written_last_may_differ",
        ],
    ),
    (
        "A backup that is still being written, empty or cut off, without its end, or of another database, counts.",
        &[
            "a_backup_that_was_changed_a_moment_ago_may_still_be_growing",
            "an_empty_file_is_no_backup",
            "a_file_that_is_cut_off_is_not_intact_wherever_the_cut_is",
            "a_plain_dump_without_its_last_line_is_not_intact",
            "a_dump_of_mariadb_shows_database_and_tables",
        ],
    ),
    (
        "A dump that names its database is restored into production although another target was meant.",
        &[
            "a_dump_that_reaches_for_production_is_refused_before_anything_is_loaded",
            "a_dump_of_mysql_that_names_a_database_is_found_wherever_it_hides",
            "a_dump_may_name_the_database_that_it_is_restored_into_and_no_other",
        ],
    ),
    (
        "A test of a backup uses what would restore production.",
        &[
            "a_dump_of_each_server_is_restored_asked_and_dropped",
            "into_scratch_makes_a_database_of_the_run_which_the_run_can_drop",
            "only_a_restore_into_production_is_destructive",
        ],
    ),
];

const WEB: &[Trap] = &[
    (
        "Only the first certificate is looked at, the renewed file but not the server, or nothing without TLS.",
        &[
            "the_whole_chain_counts_and_not_only_the_leaf",
            "an_intermediate_certificate_that_expired_is_found_and_named",
            "a_certificate_that_was_renewed_but_not_reloaded_is_found",
            "a_certificate_for_another_name_is_said_and_the_name_can_be_given",
            "servers_that_begin_without_tls_are_asked_for_it",
        ],
    ),
    (
        "There is one time for looking up, connecting, TLS, waiting and reading.",
        &[
            "a_page_is_reported_with_status_phases_size_and_body",
            "the_time_to_look_up_a_name_is_reported_and_facts_come_in_their_declared_order",
            "tls_is_timed_and_the_certificate_read",
        ],
    ),
    (
        "Failures count as fast answers, a page to log in as 200, and IPv4 hides that IPv6 is down.",
        &[
            "failures_are_not_counted_as_fast_answers",
            "a_redirect_to_a_login_page_is_not_a_200_unless_redirects_are_followed",
            "ipv6_down_and_ipv4_up_are_two_results",
            "each_family_of_addresses_is_a_subject_of_its_own",
        ],
    ),
    (
        "A web server that never answers, drips or sends without end is waited for.",
        &[
            "a_server_that_accepts_and_never_answers_ends_within_the_time_limit",
            "a_server_that_drips_its_header_does_not_answer",
            "a_server_that_drips_its_body_does_not_answer_but_its_status_is_known",
            "a_header_without_end_is_given_up",
            "a_body_without_end_is_read_up_to_the_limit_only",
        ],
    ),
];

const PEOPLE: &[Trap] = &[
    (
        "A question without a terminal is waited for, or passed over in silence.",
        &[
            "without_a_terminal_a_question_is_a_task_that_somebody_answers_later",
            "unattended_an_action_needs_a_word_and_a_destructive_one_the_procedures_too",
        ],
    ),
    (
        "Nothing is taken back after an interrupt or an action that fails.",
        &[
            "rolling_back_takes_back_what_was_completed_the_newest_first",
            "an_interrupt_suspends_a_run_with_people",
            "what_is_always_done_is_done_after_a_stop_too",
            "a_rollback_that_is_killed_anywhere_goes_on_to_its_end",
        ],
    ),
    (
        "A time limit ends the shell and leaves what it started.",
        &[
            "the_time_limit_ends_the_command_with_all_its_children",
            "a_time_limit_ends_the_command_with_its_children",
            "a_command_that_does_not_end_is_killed_with_its_children",
        ],
    ),
    (
        "An approval holds for what was edited afterwards.",
        &[
            "an_approval_is_another_persons_and_binds_to_what_is_run",
            "a_script_that_was_edited_after_the_plan_is_not_run",
            "a_run_whose_procedure_changed_goes_on_only_when_that_is_accepted",
        ],
    ),
    (
        "A dry run reports success for what it did not look at.",
        &["a_dry_run_does_nothing_and_proves_nothing_that_depends_on_it", "a_dry_run_of_what_acts_does_not_count"],
    ),
];

const TIME: &[Trap] = &[
    (
        "A day of the month and a day of the week are thought to be needed both, where cron takes either.",
        &[
            "a_day_of_the_month_and_a_day_of_the_week_are_either_or",
            "a_day_that_begins_with_a_star_must_fit_together_with_the_other",
        ],
    ),
    (
        "When the clocks change, an hour is counted twice or not at all.",
        &[
            "a_job_in_the_hour_that_the_clocks_leave_out_runs_once_and_in_the_one_that_comes_twice_too",
            "clock_changes_give_an_instant_for_every_local_time",
            "the_nights_of_the_clock_changes_are_counted_whole",
        ],
    ),
    (
        "A late run takes the backup of another day.",
        &[
            "a_day_without_a_backup_is_an_answer_that_names_the_newest",
            "the_day_is_that_of_the_sites_time_zone",
            "only_one_exact_backup_is_taken",
        ],
    ),
];

const SURROUNDINGS: &[Trap] = &[
    (
        "A full disk, a lost right or a reader that goes away ends the run or is taken for a result.",
        &[
            "a_journal_on_a_full_disk_does_not_stop_the_check",
            "a_journal_in_a_folder_without_permission_does_not_stop_the_check",
            "a_journal_on_a_read_only_disk_can_be_read_and_not_written",
            "a_full_standard_output_is_said_and_the_files_are_written",
            "a_reader_that_goes_away_is_no_trouble",
            "closed_input_and_outputs_change_no_exit_status_and_no_file",
        ],
    ),
    (
        "A folder with very many files takes all memory or all time.",
        &[
            "a_million_files_are_counted_or_refused_in_little_memory",
            "a_search_through_a_million_files_ends_with_the_time",
        ],
    ),
    (
        "A device or a pipe is read as if it were a file.",
        &[
            "a_device_or_a_pipe_in_place_of_a_file_takes_neither_time_nor_memory",
            "a_pipe_is_an_error_and_nobody_waits_for_its_writer",
            "a_secret_without_end_is_no_secret",
        ],
    ),
    (
        "A clock that is set during a run makes time run backwards or uses up the budget.",
        &["a_clock_that_is_set_during_a_run_changes_no_outcome_no_duration_and_no_record"],
    ),
    (
        "The limits of a user turn into failures of what is looked at, or into a crash.",
        &[
            "too_few_open_files_are_said_and_never_a_pass_nor_a_failure",
            "too_few_processes_are_said_and_never_a_pass_nor_a_failure",
        ],
    ),
];

const TRAPS: &[(&str, &[Trap])] = &[
    ("looking and judging", JUDGING),
    ("disks", DISKS),
    ("logs", LOGS),
    ("processes and services", PROCESSES),
    ("databases", DATABASES),
    ("backups", BACKUPS),
    ("HTTP and TLS", WEB),
    ("people and actions", PEOPLE),
    ("time", TIME),
    ("hostile surroundings", SURROUNDINGS),
];

/// The names of all functions in `text` that are tests.
fn tests_in(text: &str) -> Vec<String> {
    static TEST: LazyLock<Regex> = LazyLock::new(|| {
        let attribute = r"#\[[^\]\n]*\]\s*";
        Regex::new(&format!(r"#\[(?:tokio::)?test\]\s*(?:{attribute})*(?:async )?fn (\w+)")).expect("a pattern")
    });
    TEST.captures_iter(text).map(|found| found[1].to_owned()).collect()
}

#[test]
fn every_known_trap_has_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = ["tests", "src"].into_iter().flat_map(|folder| walkdir::WalkDir::new(root.join(folder)));
    let files = files.map(|entry| entry.expect("our own folder").into_path());
    let sources = files.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let tests: HashSet<String> =
        sources.flat_map(|path| tests_in(&std::fs::read_to_string(path).expect("our own file"))).collect();

    let mut sentences = HashSet::new();
    for (group, traps) in TRAPS {
        for (sentence, named) in *traps {
            assert!(sentences.insert(sentence), "{group}: twice: {sentence}");
            assert!(!named.is_empty(), "{group}: no test of: {sentence}");
            let missing: Vec<_> = named.iter().filter(|name| !tests.contains(**name)).collect();
            assert!(missing.is_empty(), "{group}: {sentence}\nno such tests: {missing:?}");
        }
    }
}

#[test]
fn only_functions_that_are_run_count_as_tests() {
    let source =
        "#[test]\nfn one() {}\n#[test]\n#[should_panic(expected = \"x\")]\nfn two() {}\nfn three() {}\n// fn four()";
    assert_eq!(tests_in(source), ["one", "two"]);
}
