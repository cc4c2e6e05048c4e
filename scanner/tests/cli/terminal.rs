//! A person at a terminal: keys, Ctrl-Z and back, the terminal closed, standard streams closed.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};

use crate::support::{SCANNER, finish, run, start, wait_at_most, words};

/// Longer than anything here may take.
const LIMIT: Duration = Duration::from_secs(30);

/// Slow enough to be watched.
const SLOW: &str = "-sT -n -Pn --max-rate 200 -p1-30000 127.0.0.1 127.0.0.2";

/// The program on a terminal, at which the test sits.
struct Seat {
    person: File,
    /// The program's end, so that the terminal is there as long as the seat.
    terminal: OwnedFd,
    child: Child,
    /// What was shown since the last that a test wanted to see, and before.
    shown: String,
    seen: String,
}

/// A command whose program ends when its terminal does, even where these tests were told to stay (`nohup cargo test`).
fn hearing_hangups() -> Command {
    let mut command = Command::new("env");
    command.arg("--default-signal=HUP");
    command
}

impl Seat {
    fn new(line: &str) -> Self {
        Self::with(line, ("TERM", "xterm"))
    }

    fn with(line: &str, (variable, value): (&str, &str)) -> Self {
        let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&person).unwrap();
        unlockpt(&person).unwrap();
        let name = ptsname(&person, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let terminal = rustix::fs::open(name.as_c_str(), flags, Mode::empty()).unwrap();
        let stream = || Stdio::from(terminal.try_clone().unwrap());
        // A session of its own, with this terminal.
        let mut command = hearing_hangups();
        command
            .args(["setsid", "--ctty", SCANNER])
            .args(words(line))
            .env("TERM", "xterm")
            .env(variable, value);
        let child = command.stdin(stream()).stdout(stream()).stderr(stream()).spawn().unwrap();
        Self { person: person.into(), terminal, child, shown: String::new(), seen: String::new() }
    }

    fn press(&mut self, keys: &str) {
        self.person.write_all(keys.as_bytes()).unwrap();
    }

    /// Reads what is shown until `wanted` is among what was not seen yet.
    #[track_caller]
    fn see(&mut self, wanted: &str) {
        let limit = Timespec::try_from(LIMIT).unwrap();
        while !self.shown.contains(wanted) {
            let mut ready = [PollFd::new(&self.person, PollFlags::IN)];
            let count = poll(&mut ready, Some(&limit)).unwrap();
            assert!(count > 0, "{wanted:?} was never shown after {:?}", self.shown);
            let mut buffer = [0; 4096];
            let count = self.person.read(&mut buffer).unwrap();
            self.shown.push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
        let end = self.shown.find(wanted).unwrap() + wanted.len();
        self.seen.extend(self.shown.drain(..end));
    }

    fn takes_single_keys(&self) -> bool {
        let modes = tcgetattr(self.terminal.as_fd()).unwrap();
        !modes.local_modes.intersects(LocalModes::ICANON | LocalModes::ECHO)
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Waits until the terminal takes single keys, or does not.
    #[track_caller]
    fn wait_for_single_keys(&self, wanted: bool) {
        for _ in 0..3000 {
            if self.takes_single_keys() == wanted {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the terminal never became {}", if wanted { "raw" } else { "as it was" });
    }

    #[track_caller]
    fn end(&mut self, code: i32) {
        assert_eq!(wait_at_most(&mut self.child, LIMIT), Some(code));
        assert!(!self.takes_single_keys(), "the terminal was not given back");
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        // Its end was looked at where it matters.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn states_have_colors_on_a_terminal_that_knows_them_and_nowhere_else() {
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = server.local_addr().unwrap().port();
    let line = format!("-sT -n -Pn -p{port} 127.0.0.1");
    let row = format!("{port}/tcp ");
    let mut seat = Seat::new(&line);
    seat.see("\x1b[1mScan report for 127.0.0.1\x1b[0m\r\n");
    seat.see(&row);
    seat.see("\x1b[1m\x1b[32mopen\x1b[0m");
    seat.end(0);
    for (environment, option, colored) in [
        (("NO_COLOR", "1"), "auto", false),
        (("TERM", "dumb"), "auto", false),
        (("NO_COLOR", "1"), "always", true),
        (("NO_COLOR", ""), "never", false),
        (("NO_COLOR", ""), "auto", true),
    ] {
        let mut seat = Seat::with(&format!("{line} --color {option}"), environment);
        seat.see(&row);
        seat.see("scanner done");
        let is_colored = seat.seen.contains("\x1b[32m");
        assert_eq!(is_colored, colored, "{environment:?} --color {option}");
        seat.end(0);
    }
    // Not a terminal: plain, unless it is asked for; files never have any.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report");
    let mut command = Command::new(SCANNER);
    assert!(!run(command.args(words(&line))).expect(0).stdout.contains('\x1b'));
    let colored = run(command.arg("--color=always").arg("-oN").arg(&file)).expect(0).stdout;
    assert!(colored.contains("\x1b[32mopen"), "{colored:?}");
    let written = fs::read_to_string(file).unwrap();
    assert!(written.contains(&row) && !written.contains('\x1b'), "{written:?}");
}

#[test]
fn every_key_does_what_it_says() {
    let mut seat = Seat::new(SLOW);
    seat.see("Starting scanner");
    seat.wait_for_single_keys(true);
    let table = [
        ("v", "Verbosity Increased to 1.\r\n"),
        ("v", "Verbosity Increased to 2.\r\n"),
        ("V", "Verbosity Decreased to 1.\r\n"),
        ("d", "Debugging Increased to 1.\r\n"),
        ("D", "Debugging Decreased to 0.\r\n"),
        ("p", "Packet Tracing enabled.\r\n"),
        ("", "CONN ("),
        ("P", "Packet Tracing disabled.\r\n"),
        ("?", "any other: show the status\r\n"),
        (" ", "hosts completed (2 up), 2 undergoing Connect Scan\r\nConnect Scan Timing: About "),
        ("\n", "Stats: 0:00:"),
        // None of several at once is lost.
        (
            "vvVV",
            "Increased to 2.\r\nVerbosity Increased to 3.\r\nVerbosity Decreased to 2.\r\nVerbosity Decreased to 1.\r\n",
        ),
    ];
    for (keys, answer) in table {
        seat.press(keys);
        seat.see(answer);
    }
    seat.press("\x03");
    seat.see("Interrupted: what is above is what was known by then.");
    seat.end(130);
}

#[test]
fn a_status_line_tells_how_far_it_is_and_gives_way_to_the_report() {
    let mut seat = Seat::new(SLOW);
    seat.see("\r\x1b[KConnect Scan ");
    seat.see("%, 0:0");
    seat.see("left; 0 hosts done, 2 up; at 2 hosts");
    kill_process(seat.pid(), Signal::TERM).unwrap();
    seat.see("\r\x1b[K\x1b[1mScan report for 127.0.0.1");
    seat.end(143);
}

#[test]
fn without_interaction_the_terminal_is_left_alone() {
    let mut seat =
        Seat::new("--noninteractive --stats-every 300ms -sT -n -Pn --max-rate 200 -p1-400 127.0.0.1");
    seat.see("Stats: 0:00:0");
    assert!(!seat.takes_single_keys());
    seat.see("scanner done");
    assert!(!seat.shown.contains("\x1b[K"));
    seat.end(0);
}

#[test]
fn ctrl_z_gives_the_terminal_back_and_a_continued_scan_takes_it_again() {
    let mut seat = Seat::new(SLOW);
    seat.see("Starting scanner");
    seat.wait_for_single_keys(true);
    seat.press("\x1a");
    let (_, status) = waitpid(Some(seat.pid()), WaitOptions::UNTRACED).unwrap().unwrap();
    assert!(status.stopped(), "{status:?}");
    assert!(!seat.takes_single_keys());
    kill_process(seat.pid(), Signal::CONT).unwrap();
    seat.wait_for_single_keys(true);
    seat.press("v");
    seat.see("Verbosity Increased to 1.");
    kill_process(seat.pid(), Signal::INT).unwrap();
    seat.end(130);
}

#[test]
fn a_terminal_that_is_closed_loses_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("run");
    let mut seat = Seat::new(&format!("{SLOW} -oA {}", base.display()));
    seat.see("Starting scanner");
    seat.see("hosts done");
    let closed = File::open("/dev/null").unwrap();
    seat.person = closed;
    seat.terminal = File::open("/dev/null").unwrap().into();
    assert_eq!(wait_at_most(&mut seat.child, LIMIT), Some(129));
    expect_whole(&base, 2);
}

/// Every file tells these hosts, and that the scan was cut short.
#[track_caller]
fn expect_whole(base: &Path, hosts: usize) {
    let read = |ending| fs::read_to_string(base.with_extension(ending)).unwrap();
    assert_eq!(read("nmap").matches("Scan report for ").count(), hosts);
    assert!(read("nmap").lines().last().unwrap().starts_with("# scanner done at"));
    assert!(read("xml").ends_with("</nmaprun>\n"));
    assert_eq!(read("xml").matches("</host>").count(), hosts);
    assert_eq!(read("gnmap").matches("Ports: ").count(), hosts);
    assert!(read("ndjson").lines().last().unwrap().contains("\"cut\":\"interrupted\""));
}

#[test]
fn a_closed_standard_input_is_no_trouble() {
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$SCANNER\" -sT -n -Pn -p1 127.0.0.1 <&-"]).env("SCANNER", SCANNER);
    let done = run(&command).expect(0);
    assert!(done.stdout.contains("scanner done: 1 IP address (1 host up)"), "{done:#?}");
    assert_eq!(done.stderr, "");
}

#[test]
fn a_reader_that_goes_away_ends_the_scan_quietly_unless_a_file_is_written() {
    let quiet = |line: &str| {
        let mut command = Command::new(SCANNER);
        let mut child = start(command.args(words(line)), Stdio::null());
        drop(child.stdout.take());
        wait_at_most(&mut child, LIMIT);
        let done = finish(child);
        assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""), "{done:#?}");
    };
    // Hours of work, if nobody noticed.
    quiet("-sT -n -Pn --max-rate 10 -p1-60000 127.0.0.1 127.0.0.2");
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("run");
    quiet(&format!("-sT -n -Pn -p1-200 -oA {} 127.0.0.1 127.0.0.2", base.display()));
    let report = fs::read_to_string(base.with_extension("nmap")).unwrap();
    assert_eq!(report.matches("Scan report for ").count(), 2);
    assert!(fs::read_to_string(base.with_extension("xml")).unwrap().contains("exit=\"success\""));
}

#[test]
fn hanging_up_stops_a_scan_but_not_one_that_was_told_to_stay() {
    let mut command = hearing_hangups();
    let mut child = start(command.arg(SCANNER).args(words(SLOW)), Stdio::null());
    let _banner = crate::support::read_until(&mut child, "Starting");
    std::thread::sleep(Duration::from_millis(300));
    kill_process(Pid::from_child(&child), Signal::HUP).unwrap();
    assert_eq!(wait_at_most(&mut child, LIMIT), Some(129));

    let mut command = Command::new("nohup");
    let line = "-sT -n -Pn --max-rate 200 -p1-200 127.0.0.1";
    let mut child = start(command.arg(SCANNER).args(words(line)), Stdio::null());
    let _banner = crate::support::read_until(&mut child, "Starting");
    std::thread::sleep(Duration::from_millis(300));
    kill_process(Pid::from_child(&child), Signal::HUP).unwrap();
    assert_eq!(wait_at_most(&mut child, LIMIT), Some(0));
}
