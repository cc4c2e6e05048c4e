//! The rules about which file may do what, checked on the sources.

use std::fs;
use std::path::{Path, PathBuf};

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found
}

/// The files below `folder` that have `text` in their code, unit tests and comments apart.
fn files_with(folder: &str, text: &str) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let has = |path: &PathBuf| {
        let source = fs::read_to_string(path).unwrap();
        let code = source.split("#[cfg(test)]\nmod").next().unwrap_or_default();
        code.lines().any(|line| !line.trim_start().starts_with("//") && line.contains(text))
    };
    let mut files: Vec<_> = sources(&root)
        .iter()
        .filter(|path| has(path))
        .map(|path| path.strip_prefix(&root).unwrap().display().to_string())
        .collect();
    files.sort();
    files
}

#[test]
fn only_the_backend_knows_mio() {
    assert_eq!(files_with("nsock/src", "mio::"), ["backend.rs"]);
}

#[test]
fn only_the_tls_files_know_rustls() {
    let files = files_with("nsock/src", "rustls::");
    assert!(files.iter().all(|file| file == "tls.rs" || file.starts_with("tls/")), "{files:?}");
    assert!(!files.is_empty());
}

#[test]
fn only_the_trace_names_log() {
    assert_eq!(files_with("nsock/src", "log::"), ["trace.rs"]);
}

#[test]
fn only_sys_files_have_unsafe() {
    assert_eq!(files_with("nsock/src", "unsafe {"), ["sys.rs", "sys/batch.rs", "sys/packet.rs"]);
    assert!(files_with("scanner/src", "unsafe {").is_empty());
}

#[test]
fn only_the_engine_reads_the_clock() {
    assert_eq!(files_with("nsock/src", "Instant::now"), ["engine.rs"]);
}

#[test]
fn no_library_prints_or_exits() {
    for text in ["println!", "eprintln!", "process::exit", "process::abort", "todo!(", "unimplemented!("] {
        assert!(files_with("nsock/src", text).is_empty(), "{text}");
    }
}
