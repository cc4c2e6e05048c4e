//! The `scanner` program: reads the command line, prepares everything that can fail, runs the scan.
#![expect(clippy::print_stderr, reason = "a program talks to its user")]

mod setup;
mod workers;

use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::time::Instant;

use scanner::cli::{self, NameLookup, Request, Timing, Work, help};
use scanner::config::{Config, Input};
use scanner::exit::Exit;
use scanner::interface_list::interface_list;
use scanner::journal;
use scanner::outputs::{self, Role};
use scanner::plan::Settings;
use scanner::raw_side::{self, RawSide};
use scanner::report::{Consumer, Cut, Harmless, Levels, ScanEvent, Start};
use scanner::resume::Resumed;
use scanner::route::kernel::Kernel;
use scanner::scan::{Course, Earlier, GROUP_MAX, Lookup, Options, Presumed, Scan};
use scanner::target::{HostOrder, TargetSet, TooManyToShuffle, Walk};
use scanner::template::Template;
use scanner::terminal::Terminal;
use scanner::tracing::{TraceFile, Tracing};
use scanner::verdict::Errno;
use scanner::{limits, privilege, signals};

use setup::{check_origin, name_service, targets};

/// The largest target list that is read: 64 MiB hold a few million addresses.
const LIST_BYTES_MAX: u64 = 64 << 20;

/// Why the program ends early: the exit code and the line to say.
struct Stop(Exit, String);

fn main() -> ExitCode {
    #[expect(clippy::disallowed_methods, reason = "the program's own clock starts here")]
    let started = Instant::now();
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    if words.first().is_some_and(|word| journal::is_command(word)) {
        return journal::run(&words).unwrap_or_else(|failed| ended(&Stop(failed.exit, failed.line))).into();
    }
    let exit = match cli::parse(words.clone()) {
        Ok(Request::Scan(arguments)) => match prepare_and_run(*arguments, words, started) {
            Ok(exit) => exit,
            Err(stop) => ended(&stop),
        },
        Ok(Request::ShortHelp) => show(help::SHORT),
        Ok(Request::LongHelp) => show(help::LONG),
        Ok(Request::InterfaceList) => interfaces(),
        Ok(Request::Version) => show(&format!("{}\n", cli::version())),
        Ok(_) => {
            eprint!("{}", help::SHORT);
            Exit::Usage
        }
        Err(error) => {
            eprintln!("scanner: {error}");
            Exit::Usage
        }
    };
    exit.into()
}

/// Says why the program ends early.
fn ended(Stop(exit, line): &Stop) -> Exit {
    if !line.is_empty() {
        eprintln!("scanner: {line}");
    }
    *exit
}

/// What this machine could not do, and what may help.
fn failed(doing: &str, error: &(dyn Error + 'static)) -> Stop {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    let system =
        causes.filter_map(|cause| cause.downcast_ref::<io::Error>()).find_map(io::Error::raw_os_error);
    let advice = match system {
        Some(errno) if errno == Errno::EMFILE.raw() => "; raise the limit of descriptors (ulimit -n)",
        _ => "",
    };
    Stop(Exit::Failed, format!("cannot {doing}: {error}{advice}"))
}

/// Prints a text; a reader that went away is no failure.
fn show(text: &str) -> Exit {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Exit::Failed,
        _ => Exit::Done,
    }
}

/// Shows interfaces and routes.
fn interfaces() -> Exit {
    let list = Kernel::new().and_then(|mut kernel| {
        let routes = kernel.table()?;
        Ok(interface_list(kernel.interfaces(), &routes))
    });
    match list {
        Ok(list) => show(&list),
        Err(error) => {
            eprintln!("scanner: --iflist: cannot ask the kernel for interfaces and routes: {error}");
            Exit::Failed
        }
    }
}

fn prepare_and_run(
    mut arguments: cli::Arguments,
    words: Vec<OsString>,
    started: Instant,
) -> Result<Exit, Stop> {
    let cannot = |error: scanner::resume::CannotResume| Stop(Exit::Usage, error.to_string());
    let resumed = arguments.resume.as_deref().map(Resumed::load).transpose().map_err(cannot)?;
    if let Some(resumed) = &resumed
        && arguments.targets.is_empty()
        && arguments.input_list.is_none()
    {
        arguments = resumed.arguments(words).map_err(cannot)?;
    }
    arguments.expand_file_names(jiff::Zoned::now().datetime());
    let config =
        Config::build(&arguments, &mut read).map_err(|error| Stop(error.exit(), error.to_string()))?;
    for warning in &config.warnings {
        eprintln!("scanner: {warning}");
    }
    check_origin(&config)?;
    limits::raise_descriptor_limit();
    let trace_file = match &config.trace_out {
        Some(output) => Some(TraceFile::new(
            outputs::create("--trace-out", output, config.append)
                .map_err(|error| Stop(Exit::Failed, error.to_string()))?,
        )),
        None => None,
    };
    let tracing = Tracing::new(config.packet_trace, config.debug, started, trace_file);
    let (targets, bad_targets) = targets(&config, &tracing)?;
    run(&config, targets, bad_targets, resumed.as_ref(), &tracing, started)
}

/// Reads a list of targets.
fn read(input: Input<'_>) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    match input {
        Input::Stdin => io::stdin().lock().take(LIST_BYTES_MAX + 1).read_to_end(&mut text)?,
        Input::File(path) => File::open(path)?.take(LIST_BYTES_MAX + 1).read_to_end(&mut text)?,
        _ => 0,
    };
    if text.len() as u64 > LIST_BYTES_MAX {
        return Err(io::Error::other(format!("the list is longer than {LIST_BYTES_MAX} bytes")));
    }
    Ok(text)
}

// ---- The scan -------------------------------------------------------------------------------------------------------

fn template(timing: Timing) -> Template {
    match timing {
        Timing::Paranoid => Template::Paranoid,
        Timing::Sneaky => Template::Sneaky,
        Timing::Polite => Template::Polite,
        Timing::Aggressive => Template::Aggressive,
        Timing::Insane => Template::Insane,
        _ => Template::Normal,
    }
}

fn settings(config: &Config, raw: bool, seed: u64) -> Settings {
    let mut settings = Settings::new(template(config.timing), Vec::new());
    settings.methods = config.methods(raw).methods;
    settings.resets = config.resets;
    settings.seed = seed;
    settings.port_order = config.port_order;
    config.pace.apply(&mut settings);
    settings
}

fn options(
    config: &Config,
    tracing: &Tracing,
    side: &RawSide,
    seed: u64,
    started: Instant,
) -> Result<Options, Stop> {
    let names = config.name_lookup != NameLookup::Never;
    let descriptors = limits::descriptors_for_probes(names)
        .map_err(|error| failed("tell how many descriptors are free", &error))?;
    let settings = settings(config, side.permitted, seed);
    let nobody_is_asked = settings.methods.is_empty();
    let mut options = Options::new(settings, descriptors, started);
    options.presumed = match nobody_is_asked {
        true => Presumed::Everybody,
        false if side.permitted => Presumed::Ourselves,
        false => Presumed::Nobody,
    };
    options.techniques = config.techniques(side.permitted);
    options.ports = config.ports.clone();
    options.list_only = config.work == Work::List;
    if config.verbosity > 0 || tracing.is_on() || options.techniques.len() > 1 || options.list_only {
        options.course = Course::Phased;
    }
    options.lookup = match config.name_lookup {
        NameLookup::Never => Lookup::Nobody,
        NameLookup::Always => Lookup::Everybody,
        _ if options.list_only => Lookup::Everybody,
        _ => Lookup::HostsUp,
    };
    options.trace_connects = tracing.shows_connects();
    options.tell_ports = config.output_json.is_some();
    options.group_max = config.pace.hosts_max.map_or(GROUP_MAX, |most| most as usize).min(GROUP_MAX);
    options.runtime_max = config.pace.runtime_max;
    options.trace_format = config.trace_format;
    options.ticks = true;
    options.tell_overcome_trouble = config.verbosity > 0;
    options.is_proxied = !config.proxies.is_empty();
    Ok(options)
}

/// Tells warnings on stderr as they come: a report on the screen leaves them out.
#[derive(Debug)]
struct Complaints;

impl Consumer for Complaints {
    fn event(&mut self, event: ScanEvent<'_>) -> io::Result<()> {
        if let ScanEvent::Warning(text) = event {
            // Whoever has closed stderr does not want to know.
            let _ = writeln!(io::stderr(), "scanner: {text}");
        }
        Ok(())
    }
}

fn run(
    config: &Config,
    targets: TargetSet,
    bad_targets: usize,
    resumed: Option<&Resumed>,
    tracing: &Tracing,
    started: Instant,
) -> Result<Exit, Stop> {
    let mut pool = setup::pool(config)?;
    tracing.install(&mut pool);
    pool.set_proxychain(setup::proxies(config)?);
    let record =
        resumed.map(Resumed::record).transpose().map_err(|error| Stop(Exit::Usage, error.to_string()))?;
    let earlier_seed = record.as_ref().map(|record| record.start.seed);
    let seed = config.seed.or(earlier_seed).unwrap_or_else(|| fastrand::u64(..));
    let is_traced = tracing.is_on() || tracing.file().is_some() || config.debug > 0;
    let (workers, note) = workers::count(config, &targets, is_traced);
    note.iter().for_each(|line| eprintln!("scanner: {line}"));
    let worker = workers::worker(0, workers);
    let side = raw_side::open(config, &targets, &mut pool, tracing.shows_connects(), seed, worker, started)
        .map_err(|refused| Stop(refused.exit, refused.line))?;
    let about_methods = config.methods(side.permitted).warnings;
    for line in side.notes.iter().chain(&about_methods).chain(&config.not_honored(side.permitted)) {
        eprintln!("scanner: {line}");
    }
    let terminal = if config.noninteractive { None } else { Terminal::open() };
    let watch = signals::watch(&mut pool, terminal).map_err(|error| failed("watch for signals", &error))?;
    let names = name_service(config, &mut pool)?;
    let mut options = options(config, tracing, &side, seed, started)?;
    options.tell_ports |= resumed.is_some();
    options.settings = options.settings.shared_by(workers);
    options.descriptors = (options.descriptors / workers as usize).max(1);
    let now = pool.now();
    let order = match config.randomize_hosts {
        true => HostOrder::Shuffled { seed },
        false => HostOrder::Given,
    };
    let walk = Walk::new(&targets, order, config.shard).map_err(|TooManyToShuffle { .. }| {
        let why = "--randomize-hosts: fewer than 2^63 addresses can be shuffled; leave it out";
        Stop(Exit::Usage, why.to_owned())
    })?;
    let identity = config.identity(&options.techniques, &options.settings.methods);
    let banner_time = journal::banner_time(&jiff::Zoned::now());
    let mut start = Start::new(command_line(), banner_time, file_time(), seed);
    start.arguments = std::env::args_os().skip(1).map(|word| without_password(&word)).collect();
    start.options.clone_from(&identity);
    for technique in config.techniques(side.permitted) {
        start.scans.push((technique, config.ports.of(technique.protocol()).clone()));
    }
    let mut earlier = Earlier::default();
    if let (Some(resumed), Some(record)) = (resumed, &record) {
        let cannot = |error: scanner::resume::CannotResume| Stop(Exit::Usage, error.to_string());
        earlier = resumed.earlier(&identity).map_err(cannot)?;
        eprintln!("scanner: {}", resumed.note(&earlier));
        resumed.mend().map_err(cannot)?;
        // Files tell of the scan as a whole.
        start = record.start_event().begun_again(start.banner_time);
    }
    let mut sinks = outputs::open(config, resumed.map(Resumed::path))
        .map_err(|error| Stop(Exit::Failed, error.to_string()))?;
    let anybody = !sinks.is_empty();
    let mut written = outputs::tell(&mut sinks, &Role::ALL, ScanEvent::Started(&start));
    if let Some(resumed) = resumed {
        let replayed = resumed.replay(&mut sinks);
        written = written.and(replayed);
    }
    // Nobody is left to scan for.
    if anybody && sinks.is_empty() {
        return Ok(if written.is_err() { Exit::Failed } else { Exit::Done });
    }
    let mut consumers: Vec<Box<dyn Consumer>> = sinks.into_iter().map(|(_, sink)| sink).collect();
    consumers.push(Box::new(Harmless(Complaints)));
    let scan_options = options.clone();
    let mut scan =
        Scan::new(options, targets, walk, names, consumers, now).with_raw(side.raw).with_earlier(earlier);
    let levels = Levels { verbosity: config.verbosity, debug: config.debug };
    scan = scan.watched(levels, outputs::has_status_line(config), config.stats_every, now);
    let crew = workers::start(config, &scan_options, workers, &pool, seed, started)?;
    scan = scan.with_crew(crew);
    give_up_privileges(config)?;
    scan.run(&mut pool).map_err(|error| failed("go on", &error))?;
    scan.count_drops(&mut pool);
    scan.tell_names();
    let summary = scan.summary(pool.now(), file_time());
    scan.tell(ScanEvent::Finished(&summary));
    scan.release(&mut pool);
    let interrupted = watch.end(&mut pool);
    if config.debug > 0 && !pool.report().is_empty() {
        eprint!("{}", pool.report());
    }
    if let Some(error) = tracing.file().and_then(|file| file.finish().err()) {
        return Err(Stop(Exit::Failed, format!("--trace-out: {error}; the trace is not complete")));
    }
    match scan.unwritable() {
        Some(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            return Ok(interrupted.unwrap_or(Exit::Done));
        }
        // It was told when it happened.
        None if written.is_err() => return Ok(Exit::Failed),
        Some(_) => return Ok(Exit::Failed),
        None => {}
    }
    Ok(match interrupted {
        Some(exit) => exit,
        None if summary.unknown > 0 || bad_targets > 0 || summary.cut == Cut::OutOfTime => Exit::Partial,
        None => Exit::Done,
    })
}

/// Everything that needs a privilege is open; what is left of them is given up for good.
fn give_up_privileges(config: &Config) -> Result<(), Stop> {
    let dropped = privilege::drop_capabilities().map_err(|error| failed("give up capabilities", &error))?;
    if dropped.any && config.verbosity > 0 {
        eprintln!("scanner: every capability is given up, and no_new_privs is set");
    }
    Ok(())
}

fn file_time() -> String {
    journal::file_time(&jiff::Zoned::now())
}

/// A word of the command line, without the user and password of a proxy that it may name: they are in no file.
fn without_password(word: &OsStr) -> OsString {
    let Some(text) = word.to_str().filter(|text| text.contains("://") && text.contains('@')) else {
        return word.to_owned();
    };
    let (option, value) = text.split_once('=').map_or(("", text), |(option, value)| (option, value));
    let proxies = value.split(',').map(|proxy| match (proxy.split_once("://"), proxy.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        _ => proxy.to_owned(),
    });
    let proxies = proxies.collect::<Vec<_>>().join(",");
    if option.is_empty() { proxies.into() } else { format!("{option}={proxies}").into() }
}

/// The command line as one line: what has blanks is quoted, what is unprintable escaped.
fn command_line() -> String {
    let words = std::env::args_os().map(|word| without_password(&word)).map(|word| {
        let word = scanner::escape::Escaped::new(word.as_encoded_bytes()).limit(usize::MAX).to_string();
        if word.contains(' ') { format!("\"{word}\"") } else { word }
    });
    words.collect::<Vec<_>>().join(" ")
}
