//! Every reader of text and bytes that others wrote, as a function that takes any input and must neither break down nor
//! contradict itself. Built for the fuzz targets in `fuzz/` and for the test below, never into the program.

pub mod answers;
pub mod documents;
pub mod machine;

/// A reader, by the name of its target in `fuzz/fuzz_targets/` and of its inputs in `fuzz/corpus/`.
pub type Target = (&'static str, fn(&[u8]));

pub const TARGETS: [Target; 21] = [
    ("address", answers::address),
    ("archive", answers::archive),
    ("certificate", answers::certificate),
    ("clock", machine::clock),
    ("condition", documents::condition),
    ("container_log", answers::container_log),
    ("cron", machine::cron),
    ("event", documents::event),
    ("json", answers::json),
    ("kernel", machine::kernel),
    ("log", machine::log),
    ("metric", answers::metric),
    ("mounts", machine::mounts),
    ("plugin", answers::plugin),
    ("procedure", documents::procedure),
    ("redis_info", answers::redis_info),
    ("report", answers::report),
    ("site", documents::site),
    ("sql", answers::sql),
    ("template", documents::template),
    ("yaml", documents::yaml),
];

/// The whole input as a text, with what is no UTF-8 replaced.
fn text(input: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(input)
}

/// The first byte as a choice among `choices`, and the rest.
fn choice<'i, T: Copy>(choices: &[T], input: &'i [u8]) -> Option<(T, &'i [u8])> {
    let (first, rest) = input.split_first()?;
    Some((choices[usize::from(*first) % choices.len()], rest))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    use crate::fuzzing::TARGETS;

    fn folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
    }

    fn files(folder: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        entries.map(|entry| entry.expect("an entry").path()).collect()
    }

    #[test]
    fn nothing_that_was_ever_fed_to_a_reader_breaks_it_again() {
        for (name, target) in TARGETS {
            let inputs = files(&folder().join("corpus").join(name));
            assert!(inputs.len() > 3, "fuzz/corpus/{name} has too few inputs");
            for file in inputs {
                let input = fs::read(&file).expect("an input");
                let done = std::panic::catch_unwind(|| target(&input));
                assert!(done.is_ok(), "{} breaks it", file.display());
            }
        }
    }

    #[test]
    fn every_reader_has_a_target_that_cargo_builds() {
        let names: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
        let stem = |file: PathBuf| file.file_stem().expect("a name").to_string_lossy().into_owned();
        let targets: BTreeSet<String> = files(&folder().join("fuzz_targets")).into_iter().map(stem).collect();
        assert_eq!(targets, names, "fuzz/fuzz_targets and TARGETS");
        let manifest = fs::read_to_string(folder().join("Cargo.toml")).expect("fuzz/Cargo.toml");
        let built =
            manifest.lines().filter_map(|line| line.strip_prefix("path = \"fuzz_targets/")?.strip_suffix(".rs\""));
        assert_eq!(built.map(str::to_owned).collect::<BTreeSet<_>>(), names, "fuzz/Cargo.toml and TARGETS");
        for name in names {
            let source = folder().join("fuzz_targets").join(format!("{name}.rs"));
            let source = fs::read_to_string(source).expect("a target");
            assert!(source.contains(&format!("::{name}(input)")), "{name} feeds another reader: {source}");
        }
    }
}
