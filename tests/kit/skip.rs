//! What a test needs and this machine may not have.
//!
//! A skip is a line on standard error that the test runner cannot swallow. Where the environment variable `CI` is set
//! (and not empty) there is nobody to read it, and the machine was prepared for these tests: the skip is a panic.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::{env, fs};

use rustix::process::{Resource, getrlimit};

/// Whether this process is root; if not, says that the test is skipped.
///
/// ```
/// if !testkit::need_root() {
///     return;
/// }
/// // Here goes what only root can do.
/// ```
///
/// # Panics
/// In continuous integration, when it is not root.
#[must_use]
pub fn need_root() -> bool {
    need(rustix::process::geteuid().is_root(), "root: run the tests with sudo")
}

/// Whether `tool` is an executable file on the `PATH`; if not, says that the test is skipped.
///
/// # Panics
/// In continuous integration, when there is no such tool.
#[must_use]
pub fn need_tool(tool: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    need(is_on_path(tool, &path), &format!("the tool `{tool}`: install it, or add its folder to PATH"))
}

/// Whether this process may have `count` descriptors open, at its hard limit; if not, says that the test is skipped.
///
/// # Panics
/// In continuous integration, when it may not.
#[must_use]
pub fn need_descriptors(count: usize) -> bool {
    let hard = getrlimit(Resource::Nofile).maximum;
    let enough = hard.is_none_or(|hard| usize::try_from(hard).is_ok_and(|hard| hard >= count));
    need(enough, &format!("{count} descriptors: raise the hard limit (`ulimit -Hn {count}`)"))
}

fn need(present: bool, what: &str) -> bool {
    if !present {
        let ci = env::var_os("CI").unwrap_or_default();
        assert!(
            !forbids_skips(&ci),
            "this test needs {what}, and in continuous integration (CI={ci:?}) may not be skipped"
        );
        let thread = std::thread::current();
        let test = thread.name().unwrap_or("a test");
        // Not `eprintln!`: the test runner hides what a passing test prints that way.
        let _best_effort = writeln!(io::stderr().lock(), "\nSKIPPED: {test} needs {what}\n");
    }
    present
}

fn forbids_skips(ci: &OsStr) -> bool {
    !ci.is_empty()
}

fn is_on_path(tool: &str, path: &OsStr) -> bool {
    env::split_paths(path).any(|folder| {
        fs::metadata(folder.join(tool))
            .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::in_own_process;
    use std::process::Command;

    #[test]
    fn a_tool_is_an_executable_file_in_one_of_the_folders() {
        let folder = tempfile::tempdir().unwrap();
        let path = env::join_paths([OsStr::new("/nonexistent"), folder.path().as_os_str()]).unwrap();
        let tool = folder.path().join("tool");
        assert!(!is_on_path("tool", &path));
        fs::write(&tool, "").unwrap();
        fs::set_permissions(&tool, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(!is_on_path("tool", &path));
        fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(is_on_path("tool", &path));
        assert!(!is_on_path("tool", OsStr::new("/nonexistent")));
        assert!(!is_on_path(".", &path), "a folder is no tool");
    }

    #[test]
    fn only_an_empty_ci_variable_allows_a_skip() {
        assert!(!forbids_skips(OsStr::new("")));
        for set in ["1", "true", "false", " "] {
            assert!(forbids_skips(OsStr::new(set)));
        }
    }

    /// Skips when started without `CI`; run by the test below with and without it.
    #[test]
    fn a_missing_tool_is_loud_without_ci_and_fatal_with_it() {
        const NAME: &str = "skip::tests::a_missing_tool_is_loud_without_ci_and_fatal_with_it";
        const INNER: &str = "TESTKIT_SKIP_INNER";
        if env::var_os(INNER).is_some() {
            assert!(!need_tool("no-such-tool-anywhere"));
            return;
        }
        let run = |ci: &str| {
            Command::new(env::current_exe().unwrap())
                .args(["--exact", NAME])
                .env(INNER, "1")
                .env("CI", ci)
                .output()
                .unwrap()
        };
        let skipped = run("");
        assert!(skipped.status.success());
        let said = String::from_utf8(skipped.stderr).unwrap();
        assert!(said.contains(&format!("SKIPPED: {NAME} needs the tool `no-such-tool-anywhere`")), "{said}");
        assert!(!run("true").status.success());
    }

    #[test]
    fn what_every_machine_has_is_found() {
        in_own_process("skip::tests::what_every_machine_has_is_found", || {
            assert!(need_tool("sh"));
            assert!(need_descriptors(3));
        });
    }
}
