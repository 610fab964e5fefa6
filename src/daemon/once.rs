//! `run --once`: one attempt to get a list, which is then written by the file's state machine, or printed.
//!
//! Nothing is tried again: whoever runs this sees the reason, and decides. The work is on a thread of its
//! own, so that the main thread obeys the timeout and signals whatever hangs. That does for a watchdog,
//! and the exit code for what a service manager would be told.

use std::convert::Infallible;
use std::env;
use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{bounded, select};
use log::Level;
use signal_hook::low_level::signal_name;

use crate::cli::config::{Config, Once};
use crate::common::fields::field;
use crate::common::logging;
use crate::common::machine::{self, Effects};
use crate::common::wording::{Rounded, Targets};
use crate::daemon::supervise::{RunError, forward_signals, panicked};
use crate::daemon::writer::log_report;
use crate::mads;
use crate::output::file::{self, OutputFile, Warning, WriteError};
use crate::output::report::Report;
use crate::output::state_machine::{Action, Event, Output};
use crate::single_attempt::{NoList, receive_list};
use crate::snapshot::Snapshot;

/// How long to wait over gRPC for a newer list than the first. Kuma up to 2.6 first sends a client the list
/// that it has sent to it last, whenever that was, and makes a new one within its refresh interval, which
/// is 1 s by default.
const NEWER_WITHIN: Duration = Duration::from_secs(3);

/// How long a list that has come in time may take to be written.
const WRITE_GRACE: Duration = Duration::from_secs(1);

/// How long a write that is under way may take after a signal, so that it leaves no temporary file.
const SIGNAL_GRACE: Duration = Duration::from_millis(200);

/// The name of the thread that does it.
const THREAD: &str = "once";

/// Why no list is written.
#[derive(Debug)]
pub enum OnceError {
    /// There is none.
    NoList(NoList),
    /// It cannot be written.
    Write(WriteError),
    /// Writing to this takes longer than the timeout, which is this.
    Hangs(String, Duration),
    /// A signal of this name came first.
    Signal(&'static str),
}

impl fmt::Display for OnceError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoList(error) => error.fmt(formatter),
            Self::Write(error) => error.fmt(formatter),
            Self::Hangs(output, timeout) => write!(
                formatter,
                "writing to {output} takes longer than {}: its file system hangs, or nobody reads it",
                Rounded(*timeout)
            ),
            Self::Signal(name) => {
                write!(formatter, "ended by {name} before the list was written")
            }
        }
    }
}

impl std::error::Error for OnceError {}

/// Writes, or prints, the first list.
///
/// # Errors
/// Why there is none, or why it cannot be written.
pub fn run(config: Config, once: Once) -> Result<(), RunError> {
    let start = Instant::now();
    let signals = forward_signals().map_err(RunError::Start)?;
    let output = match once.to_stdout {
        true => "stdout".to_owned(),
        false => config.output_file.display().to_string(),
    };
    let (sender, done) = bounded(1);
    let work = move || {
        // Where the main thread is no more, the process is ending anyway.
        let _ = sender.send(work(config, once, start));
    };
    let builder = thread::Builder::new().name(THREAD.to_owned());
    builder.spawn(work).map_err(RunError::Start)?;
    let why = select! {
        recv(done) -> result => return result.unwrap_or_else(|_| Err(panicked(THREAD))),
        recv(signals) -> signal => {
            let signal = signal.map_err(|_| panicked("signals"))?;
            OnceError::Signal(signal_name(signal).unwrap_or("a signal"))
        }
        default(once.timeout.saturating_add(WRITE_GRACE)) => OnceError::Hangs(output, once.timeout),
    };
    let result = done.recv_timeout(SIGNAL_GRACE);
    result.unwrap_or(Err(RunError::Once(why)))
}

fn work(config: Config, once: Once, start: Instant) -> Result<(), RunError> {
    let file = match once.to_stdout {
        true => None,
        false => Some(claim(&config)?),
    };
    let message = format_args!(
        "kuma-prometheus-sd {} asks {} as {:?} for one list",
        crate::VERSION,
        config.resolver.address,
        config.name
    );
    logging::log(Level::Info, &config.fields(), message);
    for warning in config.warnings(env::vars_os().map(|(name, _)| name)) {
        log::warn!("{warning}");
    }
    let observe = |report: mads::report::Report| {
        logging::log(report.level(), &report.fields(), format_args!("{report}"));
    };
    let list = receive_list(config, start, once.timeout, NEWER_WITHIN, observe)
        .map_err(|error| RunError::Once(OnceError::NoList(error)))?;
    match file {
        Some(file) => write(file, list),
        None => print(&list),
    }
    .map_err(|error| RunError::Once(OnceError::Write(error)))
}

fn claim(config: &Config) -> Result<OutputFile, RunError> {
    let (file, warnings) =
        OutputFile::claim(&config.output_file, config.file_mode).map_err(RunError::Claim)?;
    // A full disk does not matter where the file is right already; else the write says so.
    let is_logged = |warning: &&Warning| !matches!(warning, Warning::Full(_));
    for warning in warnings.iter().filter(is_logged) {
        log::log!(warning.level(), "{warning}");
    }
    Ok(file)
}

fn print(list: &Snapshot) -> Result<(), WriteError> {
    file::print(list)?;
    let fields = [field("targets", list.groups())];
    let targets = Targets(list.groups());
    let message = format_args!("stdout: wrote {targets}");
    logging::log(Level::Info, &fields, message);
    Ok(())
}

/// Has the file's machine write its first list. It waits for nothing then: that is done, or has failed,
/// when this returns.
fn write(file: OutputFile, list: Arc<Snapshot>) -> Result<(), WriteError> {
    let mut output = Output::new(Instant::now(), log::log_enabled!(Level::Debug));
    let mut effects = SingleWrite { file, failure: None };
    machine::step(&mut output, &mut effects, Event::Wanted(list));
    effects.failure.map_or(Ok(()), Err)
}

/// What the file's actions are done with.
struct SingleWrite {
    file: OutputFile,
    failure: Option<WriteError>,
}

impl Effects<Output> for SingleWrite {
    type Error = Infallible;

    fn perform(&mut self, action: Action) -> Vec<Event> {
        match action {
            Action::Inspect(expected) => vec![Event::Inspected(self.file.inspect(&expected))],
            Action::Replace(content) => vec![Event::Replaced(self.file.replace(&content))],
            Action::Flush => vec![Event::Replaced(self.file.flush())],
            Action::Report(Report::WriteFailed { error, .. }) => {
                self.failure = Some(error);
                Vec::new()
            }
            Action::Report(report) => {
                log_report(&report, self.file.path());
                Vec::new()
            }
        }
    }
}
