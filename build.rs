//! Puts the shipped packs into the binary: every procedure and every template under `procedures/`, by its path there. And
//! links it so that it starts quickly.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=procedures");
    let out = PathBuf::from(env::var("OUT_DIR").map_err(io::Error::other)?);
    if env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|libc| libc == "gnu") {
        // At a fixed address none of the 57,000 addresses in its tables has to be corrected at each start.
        println!("cargo::rustc-link-arg-bins=-no-pie");
        if env::var("HOST") == env::var("TARGET") {
            unwind_without_library(&out)?;
        }
    }
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?).join("procedures");
    let mut files = Vec::new();
    collect(&root, &mut files)?;
    // `outage` before `outage-identify`.
    files.sort_by_cached_key(|file| file.with_extension(""));
    let mut table = String::from("&[\n");
    for file in files {
        let name = file.strip_prefix(&root).map_err(io::Error::other)?.display().to_string();
        let file = file.display().to_string();
        writeln!(table, "    ({name:?}, include_str!({file:?})),").map_err(io::Error::other)?;
    }
    table.push(']');
    fs::write(out.join("procedures.rs"), table)
}

/// Puts the compiler's library for unwinding into the binary, where there is an archive of it: finding, mapping and
/// preparing it takes longer at the start than all that it is used for. The linker takes a text in place of a library as
/// its instruction.
fn unwind_without_library(out: &Path) -> io::Result<()> {
    let found = Command::new("cc").arg("-print-file-name=libgcc_eh.a").output();
    let found = found.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    if Path::new(&found).is_absolute() {
        fs::write(out.join("libgcc_s.so"), format!("INPUT({found})\n"))?;
        println!("cargo::rustc-link-search=native={}", out.display());
    }
    Ok(())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    println!("cargo::rerun-if-changed={}", folder.display());
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.to_string_lossy().ends_with(".test.yaml") {
            // Tests of the packs are for those who write them.
        } else if path.extension().is_some_and(|extension| extension == "yaml" || extension == "txt") {
            files.push(path);
        }
    }
    Ok(())
}
