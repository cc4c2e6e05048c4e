//! Life with few descriptors.
//!
//! The limit belongs to the *process*: while one test lowers it, every thread of every other test in the same binary
//! meets `EMFILE`. Two fences, then. [`exclusive`] keeps tests that change process-wide state apart from each other.
//! [`in_own_process`] runs one test in a process of its own, apart from tests that know nothing of it; a test binary
//! whose other tests open sockets needs this one.

use std::collections::HashSet;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::{env, fs, io};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Set, to the test's name, in the process that [`in_own_process`] starts.
const OWN_PROCESS: &str = "TESTKIT_OWN_PROCESS";

static EXCLUSIVE: Mutex<()> = Mutex::new(());

/// The right to change what the whole process shares, until dropped.
#[derive(Debug)]
#[must_use = "the right ends when this is dropped"]
pub struct Exclusive {
    _guard: MutexGuard<'static, ()>,
}

/// Waits for the right to change process-wide state: limits, environment, working directory.
pub fn exclusive() -> Exclusive {
    // A test that failed with the right in hand has restored what it changed.
    Exclusive { _guard: EXCLUSIVE.lock().unwrap_or_else(PoisonError::into_inner) }
}

/// Runs `closure` while this process may open no descriptor numbered `limit` or above (which may also be more than it
/// may now, up to the hard limit).
///
/// The soft `RLIMIT_NOFILE` is restored afterwards, also when the closure panics. Descriptors above the limit that are
/// open already stay usable. To leave room for exactly so many more, ask for [`descriptor_limit_leaving`].
///
/// ```
/// let right = testkit::exclusive();
/// let limit = testkit::descriptor_limit_leaving(2)?;
/// testkit::with_descriptor_limit(&right, limit, || {
///     let open = || std::fs::File::open("/dev/null");
///     let _held = (open()?, open()?);
///     assert_eq!(open().unwrap_err().raw_os_error(), Some(24), "EMFILE");
///     std::io::Result::Ok(())
/// })??;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// When `limit` is above the hard limit.
pub fn with_descriptor_limit<T>(
    _right: &Exclusive,
    limit: usize,
    closure: impl FnOnce() -> T,
) -> io::Result<T> {
    let before = getrlimit(Resource::Nofile);
    let limit = u64::try_from(limit).map_err(io::Error::other)?;
    setrlimit(Resource::Nofile, Rlimit { current: Some(limit), maximum: before.maximum })?;
    let _restore = Restore(before);
    Ok(closure())
}

/// Sets the limit back when the closure is left, by whichever way.
struct Restore(Rlimit);

impl Drop for Restore {
    fn drop(&mut self) {
        // The value was in force a moment ago and is within the hard limit: the kernel has no reason to refuse.
        let _restored = setrlimit(Resource::Nofile, self.0);
    }
}

/// The limit below which exactly `free` descriptor numbers are unused now: what to give [`with_descriptor_limit`].
///
/// # Errors
/// When `/proc` cannot be read.
pub fn descriptor_limit_leaving(free: usize) -> io::Result<usize> {
    let used = descriptor_numbers()?;
    let mut limit = 0;
    let mut left = free;
    while left > 0 {
        left -= usize::from(!used.contains(&limit));
        limit += 1;
    }
    Ok(limit)
}

/// Counts this process's open descriptors: to prove that nothing leaks.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn open_descriptors() -> io::Result<usize> {
    Ok(descriptor_numbers()?.len())
}

/// The numbers of the open descriptors.
fn descriptor_numbers() -> io::Result<HashSet<usize>> {
    let listed: Vec<PathBuf> = fs::read_dir("/proc/self/fd")?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<_>>()?;
    // The descriptor that read the folder listed itself, and is closed by now.
    let open = listed.into_iter().filter(|path| path.symlink_metadata().is_ok());
    Ok(open.filter_map(|path| path.file_name()?.to_str()?.parse().ok()).collect())
}

/// Runs `body`, the whole body of the test named `test`, in a process that runs no other test.
///
/// The process is this test binary again, told to run that one test; in it, this function calls `body`.
///
/// # Panics
/// When the test fails there, with its output; or when `test` is not the test's full name as `--list` shows it.
pub fn in_own_process(test: &str, body: impl FnOnce()) {
    if env::var_os(OWN_PROCESS).is_some_and(|name| name == test) {
        return body();
    }
    let run = env::current_exe().and_then(|binary| {
        Command::new(binary).args(["--exact", test, "--nocapture"]).env(OWN_PROCESS, test).output()
    });
    match run {
        Err(why) => panic!("{test} could not be started in a process of its own: {why}"),
        Ok(run) => {
            let out = String::from_utf8_lossy(&run.stdout);
            let passed = run.status.success() && out.contains("test result: ok. 1 passed");
            assert!(
                passed,
                "{test} failed in a process of its own, or there is no test of this name\n{out}{}",
                String::from_utf8_lossy(&run.stderr)
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    const EMFILE: i32 = 24;

    /// Opens until it is refused; what the refusal was, and how many were opened.
    fn exhaust() -> (Option<i32>, usize) {
        let mut held = Vec::new();
        loop {
            match File::open("/dev/null") {
                Ok(file) => held.push(file),
                Err(why) => return (why.raw_os_error(), held.len()),
            }
        }
    }

    #[test]
    fn descriptors_run_out_below_the_limit_and_come_back_after() {
        in_own_process("limits::tests::descriptors_run_out_below_the_limit_and_come_back_after", || {
            let right = exclusive();
            let before = getrlimit(Resource::Nofile);
            let open = open_descriptors().unwrap();
            let limit = descriptor_limit_leaving(7).unwrap();
            let (refusal, opened) = with_descriptor_limit(&right, limit, exhaust).unwrap();
            assert_eq!((refusal, opened), (Some(EMFILE), 7));
            assert_eq!(open_descriptors().unwrap(), open);
            assert_eq!(getrlimit(Resource::Nofile), before);
            assert!(File::open("/dev/null").is_ok());
        });
    }

    #[test]
    fn a_panic_restores_the_limit() {
        in_own_process("limits::tests::a_panic_restores_the_limit", || {
            let right = exclusive();
            let before = getrlimit(Resource::Nofile);
            let limit = descriptor_limit_leaving(20).unwrap();
            let panic = catch_unwind(AssertUnwindSafe(|| {
                with_descriptor_limit(&right, limit, || {
                    assert_ne!(getrlimit(Resource::Nofile), before);
                    panic!("on purpose");
                })
            }));
            assert!(panic.is_err());
            assert_eq!(getrlimit(Resource::Nofile), before);
        });
    }

    #[test]
    #[should_panic(expected = "there is no test of this name")]
    fn a_misspelled_test_name_is_no_pass() {
        in_own_process("limits::tests::no_such_test", || ());
    }

    #[test]
    #[should_panic(expected = "failed in a process of its own")]
    fn a_failure_in_the_other_process_is_a_failure_here() {
        in_own_process("limits::tests::a_failure_in_the_other_process_is_a_failure_here", || {
            std::process::exit(1);
        });
    }
}
