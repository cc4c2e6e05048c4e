//! Where the results of a run go: the consumers that the configuration asks for, each with its file.
//!
//! A file that cannot be written any more, because its file system is full, ends after its last whole part; the others
//! go on.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, IsTerminal, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec};

use crate::cli::{Color, NameLookup, PacketTrace, Work};
use crate::config::{Config, Output};
use crate::escape::Escaped;
use crate::report::{
    Consumer, Destination, Document, Forward, Grepable, Harmless, Html, Ndjson, Normal, Palette, ScanEvent,
    Seekable, StatusLine, Style, Xml,
};
use crate::verdict::Errno;

/// A file that cannot be opened or written.
#[derive(Debug)]
pub struct OutputError {
    option: &'static str,
    name: String,
    cause: io::Error,
}

impl fmt::Display for OutputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: cannot write {}: {}", self.option, self.name, self.cause)
    }
}

impl std::error::Error for OutputError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

/// What an output is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// The report on the screen.
    Screen,
    /// A file that is to hold everything of the scan.
    Whole,
    /// A journal that an earlier run began.
    Continued,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Screen, Self::Whole, Self::Continued];
}

/// An output of a run.
pub type Sink = (Role, Box<dyn Consumer>);

/// Opens a file or standard output.
///
/// # Errors
/// The system's, with the name of the option and of the file.
pub fn create(option: &'static str, output: &Output, append: bool) -> Result<File, OutputError> {
    let failed = |name: &str, cause| OutputError { option, name: name.to_owned(), cause };
    match output {
        Output::File(path) => {
            let file =
                if append { at_end(OpenOptions::new().create(true), path) } else { File::create(path) };
            file.map_err(|cause| failed(&shown(path), cause))
        }
        Output::Stdout => {
            let stdout = io::stdout().as_fd().try_clone_to_owned();
            stdout.map(File::from).map_err(|cause| failed(STDOUT, cause))
        }
    }
}

/// Opens a file to be added to.
fn at_end(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let mut file = options.append(true).open(path)?;
    file.seek(SeekFrom::End(0))?;
    Ok(file)
}

const STDOUT: &str = "standard output";

fn shown(path: &Path) -> String {
    Escaped::new(path.as_os_str().as_encoded_bytes()).to_string()
}

/// How reports are to look.
#[must_use]
pub fn style(config: &Config) -> Style {
    Style {
        verbosity: config.verbosity,
        debug: config.debug,
        reasons: config.reason,
        open_only: config.open_only,
        show_rate: config.debug > 0 || config.pace.min_rate.is_some() || config.pace.max_rate.is_some(),
        answer_limits: config.pace.answer_limits,
        palette: Palette::Plain,
        list_only: config.work == Work::List,
        show_down: config.name_lookup == NameLookup::Always,
    }
}

/// Makes every consumer that the configuration asks for, and that of the journal that is continued, if one is.
///
/// # Errors
/// A file that cannot be opened.
pub fn open(config: &Config, continued: Option<&Path>) -> Result<Vec<Sink>, OutputError> {
    let (style, append) = (style(config), config.append);
    let mut sinks: Vec<Sink> = Vec::new();
    let outputs = [
        &config.output_normal,
        &config.output_xml,
        &config.output_grepable,
        &config.output_json,
        &config.output_html,
        &config.trace_out,
    ];
    let palette = palette(config.color);
    let on_stdout = outputs.contains(&&Some(Output::Stdout));
    if !config.silent && !on_stdout {
        let screen = Normal::new(io::stdout(), Destination::Screen, Style { palette, ..style });
        let sink = match has_status_line(config) {
            true => Named::boxed("", &Output::Stdout, StatusLine::new(screen, io::stderr())),
            false => Named::boxed("", &Output::Stdout, screen),
        };
        sinks.push((Role::Screen, sink));
    }
    // First among the files: the others can be made again from it.
    if let Some(path) = continued {
        let file = at_end(&mut OpenOptions::new(), path);
        let file = file.map_err(|cause| OutputError { option: "--resume", name: shown(path), cause })?;
        let output = Output::File(path.to_owned());
        let journal = Ndjson::continued(Parts::new(file));
        sinks.push((Role::Continued, Named::boxed("--resume", &output, journal)));
    }
    if let Some(output) = &config.output_json
        && !is_same(output, continued)
    {
        let journal = Ndjson::new(Parts::new(create("-oJ", output, append)?));
        sinks.push((Role::Whole, Named::boxed("-oJ", output, journal)));
    }
    if let Some(output) = &config.output_normal {
        // Trace lines are many, and written in pieces that need not be whole.
        let file = BufWriter::new(Parts::new(create("-oN", output, append)?));
        let report = Normal::new(file, Destination::File, style);
        sinks.push((Role::Whole, Named::boxed("-oN", output, report)));
    }
    if let Some(output) = &config.output_xml {
        let xml = Xml::new(document("-oX", output, append)?, style);
        sinks.push((Role::Whole, Named::boxed("-oX", output, xml)));
    }
    if let Some(output) = &config.output_html {
        let page = Html::new(document("-oH", output, append)?, style);
        sinks.push((Role::Whole, Named::boxed("-oH", output, page)));
    }
    if let Some(output) = &config.output_grepable {
        let lines = Grepable::new(Parts::new(create("-oG", output, append)?), style);
        sinks.push((Role::Whole, Named::boxed("-oG", output, lines)));
    }
    Ok(sinks)
}

/// Opens what has an end, which is kept there if the file can be written over.
fn document(option: &'static str, output: &Output, append: bool) -> Result<Box<dyn Document>, OutputError> {
    let file = create(option, output, append)?;
    let seekable = match output {
        Output::File(_) => file.try_clone().and_then(Seekable::new).ok().filter(|_| !append),
        Output::Stdout => None,
    };
    Ok(match seekable {
        Some(document) => Box::new(document),
        // A pipe has no end to be overwritten, and what is appended to is not ours.
        None => Box::new(Forward(Parts::new(file))),
    })
}

/// Whether a line at the bottom of the terminal tells how far the scan has come: where nothing else does so all the time,
/// and somebody sits there.
#[must_use]
pub fn has_status_line(config: &Config) -> bool {
    let traced = config.packet_trace != PacketTrace::Off || config.debug > 0;
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    !config.noninteractive && !traced && !dumb && io::stdout().is_terminal() && io::stderr().is_terminal()
}

/// The colors of the report on the screen.
fn palette(color: Color) -> Palette {
    let environment = || {
        io::stdout().is_terminal() && anstyle_query::term_supports_ansi_color() && !anstyle_query::no_color()
    };
    match color {
        Color::Never => Palette::Plain,
        Color::Auto if !environment() => Palette::Plain,
        Color::Always | Color::Auto => Palette::Colored,
    }
}

/// Tells outputs of these roles something; one that fails is left out from then on.
///
/// # Errors
/// The last failure, but that nobody listens any more.
pub fn tell(sinks: &mut Vec<Sink>, roles: &[Role], event: ScanEvent<'_>) -> io::Result<()> {
    let mut outcome = Ok(());
    sinks.retain_mut(|(role, sink)| {
        if !roles.contains(role) {
            return true;
        }
        let told = sink.event(event);
        let goes_on = told.is_ok();
        if told.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::BrokenPipe) {
            outcome = told;
        }
        goes_on
    });
    outcome
}

/// Whether an output is the file that is continued anyway.
fn is_same(output: &Output, continued: Option<&Path>) -> bool {
    let (Output::File(one), Some(other)) = (output, continued) else { return false };
    let id = |path: &Path| std::fs::metadata(path).map(|data| (data.dev(), data.ino())).ok();
    id(one).is_some_and(|one| Some(one) == id(other))
}

/// A consumer that says whose file it was when it fails.
struct Named<C> {
    option: &'static str,
    output: Output,
    consumer: Harmless<C>,
}

impl<C: Consumer + 'static> Named<C> {
    fn boxed(option: &'static str, output: &Output, consumer: C) -> Box<dyn Consumer> {
        Box::new(Self { option, output: output.clone(), consumer: Harmless(consumer) })
    }
}

impl<C: Consumer> Consumer for Named<C> {
    fn event(&mut self, event: ScanEvent<'_>) -> io::Result<()> {
        // A scan may have nothing to write for hours, and nobody to write it for.
        if matches!(event, ScanEvent::Tick) && self.output == Output::Stdout && nobody_reads_stdout() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.consumer.event(event).map_err(|error| {
            let errno = error.raw_os_error();
            let gone = errno == Some(Errno::EPIPE.raw()) || errno == Some(Errno::EIO.raw());
            if self.output == Output::Stdout && gone {
                // Whoever read it has gone away, or the terminal has.
                return io::ErrorKind::BrokenPipe.into();
            }
            let name = match &self.output {
                Output::File(path) => shown(path),
                Output::Stdout => STDOUT.to_owned(),
            };
            let option = if self.option.is_empty() { String::new() } else { format!("{}: ", self.option) };
            let line = format!("{option}cannot write {name}: {error}; it ends here, everything else goes on");
            // Told at once: a scan may take days. Where stderr is gone too, nobody can be told.
            let _ = writeln!(io::stderr(), "scanner: {line}");
            io::Error::new(error.kind(), line)
        })
    }
}

/// Whether standard output is a pipe or a socket without a reader, or a terminal that is gone.
fn nobody_reads_stdout() -> bool {
    let stdout = rustix::stdio::stdout();
    let mut ready = [PollFd::new(&stdout, PollFlags::empty())];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let polled = rustix::event::poll(&mut ready, Some(&now)).is_ok();
    polled && ready[0].revents().intersects(PollFlags::ERR | PollFlags::HUP)
}

/// A file of parts, each of them written whole or not at all.
#[derive(Debug)]
pub struct Parts {
    file: File,
    /// Where the next part begins, if it is a file that can be cut.
    at: Option<u64>,
    /// A part failed: nothing may come after it.
    ended: bool,
}

impl Parts {
    /// Goes on where a file stands.
    #[must_use]
    pub fn new(mut file: File) -> Self {
        let is_regular = file.metadata().is_ok_and(|data| data.is_file());
        let at = if is_regular { file.stream_position().ok() } else { None };
        Self { file, at, ended: false }
    }
}

impl Write for Parts {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        if self.ended {
            return Err(io::ErrorKind::StorageFull.into());
        }
        match self.file.write_all(part) {
            Ok(()) => self.at = self.at.map(|at| at + part.len() as u64),
            Err(error) => {
                self.ended = true;
                // Best effort: where even that fails, a reader passes over the torn part.
                let _ = self.at.map(|at| self.file.set_len(at));
                return Err(error);
            }
        }
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
