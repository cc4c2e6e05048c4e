//! The standard input, whatever it is: each test runs itself again with its standard input changed.

use std::fs::File;
use std::io::{Seek, Write};
use std::process::{Command, Stdio};
use std::{env, io};

use nsock::{Event, Failure, Io, Pool, Received};
use rustix::fs::fcntl_getfl;
use rustix::stdio::stdin;

use crate::descriptors::terminal;
use crate::support::LIMIT;

/// Set in the process that runs a test again.
const INNER: &str = "IT_STDIN_INNER";

/// What is read, line by line, until the end.
#[derive(Default)]
struct Lines {
    text: Vec<u8>,
    end: Option<Failure>,
}

impl Lines {
    fn line(&mut self, io: &mut Io<Self>, ev: Event<Received>) {
        match ev.outcome {
            Ok(got) => {
                self.text.extend(got.bytes);
                io.readlines(ev.iod, 1, LIMIT, Self::line);
            }
            Err(failure) => self.end = Some(failure),
        }
    }
}

/// In the inner process: reads the standard input through a pool and prints what came.
#[expect(clippy::print_stdout, reason = "the outer process reads it")]
fn read_all() {
    let (mut pool, mut lines) = (Pool::new().unwrap(), Lines::default());
    let before = fcntl_getfl(stdin()).unwrap();
    let iod = pool.iod_stdin().unwrap();
    pool.readlines(iod, 1, LIMIT, Lines::line);
    pool.run(&mut lines, LIMIT).unwrap();
    assert!(pool.iod_delete(iod));
    drop(pool);
    assert_eq!(fcntl_getfl(stdin()).unwrap(), before, "open as before");
    let text = String::from_utf8(lines.text).unwrap();
    println!("<<{} {:?}>>", text.escape_debug(), lines.end);
}

/// Runs the test of this name again on this standard input, feeding it; what it printed.
fn run_on(name: &str, stdin: Stdio, feed: impl FnOnce(Option<&mut dyn Write>) -> io::Result<()>) -> String {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", &format!("stdin::{name}"), "--nocapture"])
        .env(INNER, "1")
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take();
    feed(pipe.as_mut().map(|pipe| pipe as &mut dyn Write)).unwrap();
    drop(pipe);
    let done = child.wait_with_output().unwrap();
    let out = String::from_utf8(done.stdout).unwrap();
    assert!(done.status.success(), "{out}{}", String::from_utf8_lossy(&done.stderr));
    let (_, rest) = out.split_once("<<").unwrap();
    rest.split_once(">>").unwrap().0.to_owned()
}

fn is_inner() -> bool {
    let inner = env::var_os(INNER).is_some();
    if inner {
        read_all();
    }
    inner
}

#[test]
fn a_pipe() {
    if is_inner() {
        return;
    }
    let said = run_on("a_pipe", Stdio::piped(), |pipe| pipe.unwrap().write_all(b"one\ntwo\nend"));
    assert_eq!(said, r"one\ntwo\nend Some(Eof)");
}

#[test]
fn a_file() {
    if is_inner() {
        return;
    }
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"from\na file").unwrap();
    file.rewind().unwrap();
    let said = run_on("a_file", file.into(), |_| Ok(()));
    assert_eq!(said, r"from\na file Some(Eof)");
}

#[test]
fn the_null_device() {
    if is_inner() {
        return;
    }
    let null = File::open("/dev/null").unwrap();
    assert_eq!(run_on("the_null_device", null.into(), |_| Ok(())), " Some(Eof)");
}

#[test]
fn a_terminal() {
    if is_inner() {
        return;
    }
    let (mut typist, program) = terminal();
    let said = run_on("a_terminal", program.into(), |_| typist.write_all(b"typed\n\x04"));
    assert_eq!(said, r"typed\n Some(Eof)");
}

#[test]
fn more_than_one_buffer_through_a_pipe_blocks_nobody() {
    if is_inner() {
        return;
    }
    let text = "eight by\n".repeat(8192 / 8 * 9);
    let name = "more_than_one_buffer_through_a_pipe_blocks_nobody";
    let said = run_on(name, Stdio::piped(), |pipe| pipe.unwrap().write_all(text.as_bytes()));
    assert!(said == format!("{} Some(Eof)", text.escape_debug()), "{} bytes", said.len());
}
