//! Running a program and looking at what it left.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use testkit::Page;

/// The program under test.
pub(crate) const SCANNER: &str = env!("CARGO_BIN_EXE_scanner");

/// Longer than any run here takes, so that a hang becomes a failure.
const RUN_MAX: &str = "60";

/// What a program left behind.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// Fails unless the program ended with this code; returns itself.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// The lines of the port table: port and protocol, state, service, and the words of the reason if it was asked for.
    pub(crate) fn ports(&self) -> Vec<Vec<&str>> {
        let rows = self.stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        rows.filter(|row| row.first().is_some_and(|cell| cell.ends_with("/tcp"))).collect()
    }

    /// State and reason of one port; without `--reason` the reason is empty.
    #[track_caller]
    pub(crate) fn port(&self, port: u16) -> (&str, String) {
        let name = format!("{port}/tcp");
        let row = self.ports().into_iter().find(|row| row[0] == name);
        let row = row.unwrap_or_else(|| panic!("no port {port} in {self:#?}"));
        (row[1], row[3..].join(" "))
    }
}

/// Runs a command to its end, with nothing on standard input.
pub(crate) fn run(command: &Command) -> Run {
    run_with_input(command, b"")
}

/// Runs a command to its end, with this on standard input.
pub(crate) fn run_with_input(command: &Command, input: &[u8]) -> Run {
    let mut limited = Command::new("timeout");
    limited.arg(RUN_MAX).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    let mut child = start(&mut limited, Stdio::piped());
    let stdin = child.stdin.take();
    std::thread::scope(|scope| {
        // A program that does not read all of it closes the pipe, which is its right.
        scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(input)));
        finish(child)
    })
}

/// Types the commands of a page, in a shell that `before` starts, and fails unless they print what the page shows. Returns
/// the folder that they were typed in, which has the program on its PATH.
#[track_caller]
pub(crate) fn run_page(page: &Page, before: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let bin = folder.path().join("bin");
    fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink(SCANNER, bin.join("scanner")).unwrap();
    let paths = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths([bin].into_iter().chain(env::split_paths(&paths))).unwrap();
    let script = format!("cd {}\n{}", folder.path().display(), page.script());
    let mut command = Command::new("env");
    let printed = run(command.args(before).args(["sh", "-c", &script]).env("PATH", path)).stdout;
    page.check(&printed).unwrap_or_else(|why| panic!("{why}"));
    folder
}

/// Starts a command whose outputs are read later.
pub(crate) fn start(command: &mut Command, stdin: Stdio) -> Child {
    command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits for the end of a command and takes what it still says.
pub(crate) fn finish(child: Child) -> Run {
    let done = child.wait_with_output().unwrap();
    Run {
        code: done.status.code(),
        stdout: String::from_utf8(done.stdout).unwrap(),
        stderr: String::from_utf8(done.stderr).unwrap(),
    }
}

/// Reads standard output until `wanted` is in it, and returns all that was read.
pub(crate) fn read_until(child: &mut Child, wanted: &str) -> String {
    let stdout = child.stdout.as_mut().unwrap();
    let mut text = String::new();
    let mut byte = [0];
    while !text.contains(wanted) {
        assert_eq!(stdout.read(&mut byte).unwrap(), 1, "{wanted:?} never came after {text:?}");
        text.push(char::from(byte[0]));
    }
    text
}

/// Waits for the end of a program, but not for ever.
#[track_caller]
pub(crate) fn wait_at_most(child: &mut Child, limit: Duration) -> Option<i32> {
    #[expect(clippy::disallowed_methods, reason = "a program is waited for in real time")]
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        assert!(started.elapsed() < limit, "still running after {limit:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Runs the scanner on this machine, where it may only scan loopback. Most of what is tried here is about connects, so
/// they are asked for where no kind of scan is named: as root packets would be sent instead.
pub(crate) fn scanner<I: AsRef<OsStr>>(arguments: impl IntoIterator<Item = I>) -> Run {
    run(Command::new(SCANNER).args(by_connects(arguments)))
}

/// The same arguments with `-sT` before them, unless they name a kind of scan.
pub(crate) fn by_connects<I: AsRef<OsStr>>(arguments: impl IntoIterator<Item = I>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> =
        arguments.into_iter().map(|argument| argument.as_ref().to_owned()).collect();
    let names_a_kind = |argument: &OsString| argument.as_encoded_bytes().starts_with(b"-s");
    if !arguments.is_empty() && !arguments.iter().any(names_a_kind) {
        arguments.insert(0, "-sT".into());
    }
    arguments
}

/// Splits a command line at its blanks.
pub(crate) fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}
