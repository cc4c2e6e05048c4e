//! `scanner convert`, `merge`, `diff` and `explain`: files in, files or text out.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::{NotNmapXml, Observed, Question, Record, difference, explain, merge, read_xml};
use crate::cli::{self, Arguments, Request};
use crate::config::{Config, Output};
use crate::counted::counted;
use crate::escape::Escaped;
use crate::exit::Exit;
use crate::outputs::{self, Role};
use crate::report::ScanEvent;
use crate::target::Address;

/// The words after the name of the program.
pub type Words = [OsString];

/// Why a command ends early: the exit code and the line to say.
#[derive(Debug)]
#[non_exhaustive]
pub struct Failed {
    /// The code.
    pub exit: Exit,
    /// One line, or nothing.
    pub line: String,
}

const USAGE: &str = "\
Usage: scanner convert RUN.ndjson [-oN|-oX|-oG|-oJ|-oH|-oA FILE] [report options]
       scanner merge A.ndjson B.ndjson ... [-oN|-oX|-oG|-oJ|-oH|-oA FILE]
       scanner diff A B [--json]
       scanner explain RUN.ndjson HOST:PORT[/udp]
A and B of diff are journals (-oJ) or XML (-oX), of this program or of Nmap.
diff exits with 0 if they are the same, 1 if they differ, 2 if it cannot tell.
-v, --open and --reason shape a report as they do in a scan; - is stdin.
";

/// Whether a first word is one of the commands.
#[must_use]
pub fn is_command(word: &OsStr) -> bool {
    ["convert", "merge", "diff", "explain"].iter().any(|command| word == *command)
}

/// Runs the command that the first word names.
///
/// # Errors
/// The code and the line to end with.
pub fn run(words: &Words) -> Result<Exit, Failed> {
    let (command, words) = words.split_first().ok_or_else(|| usage("no command"))?;
    let command = command.to_str().unwrap_or_default();
    if words.iter().any(|word| word == "--help" || word == "-h") {
        return print(USAGE);
    }
    match command {
        "convert" => convert(words),
        "merge" => merge_files(words),
        // The codes of diff are those of diff(1).
        "diff" => diff(words).map_err(|failed| Failed { exit: Exit::Usage, ..failed }),
        "explain" => explain_port(words),
        _ => Err(usage("no such command")),
    }
}

fn usage(why: &str) -> Failed {
    Failed { exit: Exit::Usage, line: format!("{why}; see scanner convert --help") }
}

fn failed(line: String) -> Failed {
    Failed { exit: Exit::Failed, line }
}

/// Prints a text; a reader that went away is no failure.
fn print(text: &str) -> Result<Exit, Failed> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(failed(format!("cannot write standard output: {error}")))
        }
        _ => Ok(Exit::Done),
    }
}

fn shown(path: &Path) -> String {
    Escaped::new(path.as_os_str().as_encoded_bytes()).to_string()
}

fn load(path: &Path) -> Result<Vec<u8>, Failed> {
    let mut bytes = Vec::new();
    let read = match path == Path::new("-") {
        true => io::stdin().lock().read_to_end(&mut bytes),
        false => File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)),
    };
    read.map_err(|error| failed(format!("cannot read {}: {error}", shown(path))))?;
    Ok(bytes)
}

/// Reads a journal; what is wrong with single lines is told on stderr.
fn record<'a>(path: &Path, bytes: &'a [u8]) -> Result<Record<'a>, Failed> {
    let record = Record::read(bytes).map_err(|why| failed(format!("{}: {why}", shown(path))))?;
    if let Some(first) = record.unreadable.first() {
        let name = shown(path);
        let count = counted(record.unreadable.len(), "line is", "lines are");
        let _ = writeln!(
            io::stderr(),
            "scanner: {name}: {count} passed over, which cannot be read; the first is line {first}"
        );
    }
    Ok(record)
}

/// The files of a command, and how its reports are to look.
struct Job {
    files: Vec<PathBuf>,
    config: Config,
}

/// Understands the words with the options of a scan, of which only those of reports make sense.
fn job(words: &Words) -> Result<Job, Failed> {
    let arguments = match cli::parse(words.to_vec()) {
        Ok(Request::Scan(arguments)) => *arguments,
        Ok(_) => return Err(usage("no file was named")),
        Err(error) => return Err(usage(&error.to_string())),
    };
    let files: Vec<PathBuf> = arguments.targets.iter().map(PathBuf::from).collect();
    if files.is_empty() {
        return Err(usage("no file was named"));
    }
    let mut report = arguments.report_only();
    if arguments != report {
        return Err(usage(
            "only options of reports make sense here: -oN, -oX, -oG, -oJ, -oH, -oA, -v, --open, --reason",
        ));
    }
    report.expand_file_names(jiff::Zoned::now().datetime());
    // Nothing is scanned: any target will do.
    report.targets = vec!["127.0.0.1".into()];
    let none = &mut |_: crate::config::Input<'_>| Ok(Vec::new());
    let mut config = Config::build(&report, none)
        .map_err(|error| Failed { exit: error.exit(), line: error.to_string() })?;
    // What goes to files need not be shown as well.
    let to_files = config.outputs().next().is_some();
    config.silent |= to_files;
    Ok(Job { files, config })
}

/// Tells a run to whoever listens.
type Run<'a> = dyn Fn(&mut dyn FnMut(ScanEvent<'_>)) + 'a;

impl Job {
    /// Tells a run to every output.
    fn tell(&self, run: &Run<'_>) -> Result<Exit, Failed> {
        let for_screen = |role| role == Role::Screen;
        for output in self.config.outputs() {
            if let Output::File(path) = output
                && self.files.iter().any(|file| is_same(file, path))
            {
                return Err(usage(&format!(
                    "{} is read and cannot be written at the same time",
                    shown(path)
                )));
            }
        }
        let mut sinks = outputs::open(&self.config, None).map_err(|error| failed(error.to_string()))?;
        let mut trouble = None;
        run(&mut |event| {
            sinks.retain_mut(|(role, sink)| {
                // On the screen they are not known yet, as they are while a scan runs.
                if let (true, ScanEvent::Warning(text)) = (for_screen(*role), event) {
                    let _ = writeln!(io::stderr(), "scanner: {text}");
                }
                sink.event(event).map_err(|error| trouble = Some(error)).is_ok()
            });
        });
        match trouble {
            // It was said when it happened.
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Failed { exit: Exit::Failed, line: String::new() })
            }
            _ => Ok(Exit::Done),
        }
    }
}

fn is_same(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    real(one).is_some_and(|one| Some(one) == real(other))
}

fn convert(words: &Words) -> Result<Exit, Failed> {
    let job = job(words)?;
    let [file] = job.files.as_slice() else { return Err(usage("convert takes one journal")) };
    let bytes = load(file)?;
    let record = record(file, &bytes)?;
    job.tell(&|tell| record.replay(tell))
}

fn merge_files(words: &Words) -> Result<Exit, Failed> {
    let job = job(words)?;
    let mut texts = Vec::new();
    for file in &job.files {
        texts.push(load(file)?);
    }
    let mut records = Vec::new();
    for (file, text) in job.files.iter().zip(&texts) {
        records.push(record(file, text)?);
    }
    let merged = merge(&records);
    job.tell(&|tell| merged.replay(tell))
}

/// What a file tells of each host, be it a journal or XML.
fn observed(path: &Path) -> Result<BTreeMap<Address, Observed>, Failed> {
    let bytes = load(path)?;
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    if first == Some(&b'{') {
        let record = record(path, &bytes)?;
        let hosts = record.finished().chain(record.unfinished());
        return Ok(hosts.map(|host| (host.address, Observed::from(&host))).collect());
    }
    read_xml(&bytes).map_err(|why: NotNmapXml| failed(format!("{}: {why}", shown(path))))
}

fn diff(words: &Words) -> Result<Exit, Failed> {
    let json = words.iter().any(|word| word == "--json");
    let files: Vec<&OsString> = words.iter().filter(|word| *word != "--json").collect();
    if let Some(option) =
        files.iter().find(|word| word.len() > 1 && word.as_encoded_bytes().starts_with(b"-"))
    {
        return Err(usage(&format!("diff knows no option {}", shown(Path::new(option)))));
    }
    let [before, after] = files.as_slice() else { return Err(usage("diff takes two files")) };
    let difference = difference(&observed(Path::new(before))?, &observed(Path::new(after))?);
    print(&if json { format!("{}\n", difference.json()) } else { difference.text() })?;
    Ok(if difference.is_empty() { Exit::Done } else { Exit::Failed })
}

fn explain_port(words: &Words) -> Result<Exit, Failed> {
    let [file, question] = words else { return Err(usage("explain takes a journal and HOST:PORT")) };
    let question: Question = question.to_str().and_then(|text| text.parse().ok()).ok_or_else(|| {
        usage("explain asks for HOST:PORT, such as 198.18.0.1:22, [fd00::1]:80 or 198.18.0.1:53/udp")
    })?;
    let bytes = load(Path::new(file))?;
    let record = record(Path::new(file), &bytes)?;
    print(&explain(&record, &question).map_err(failed)?)
}

impl Arguments {
    /// The same, without anything that is not about reports.
    fn report_only(&self) -> Self {
        // What clap fills in stays: it is equal where it was not given.
        let Ok(Request::Scan(plain)) = cli::parse(vec!["x".into()]) else { return self.clone() };
        Self {
            targets: self.targets.clone(),
            open: self.open,
            reason: self.reason,
            verbose: self.verbose.clone(),
            debug: self.debug.clone(),
            output_normal: self.output_normal.clone(),
            output_xml: self.output_xml.clone(),
            output_grepable: self.output_grepable.clone(),
            output_json: self.output_json.clone(),
            output_html: self.output_html.clone(),
            append: self.append,
            ..*plain
        }
    }
}
