//! The life of the process: claims the output, starts the threads, and sees to their end.
//!
//! The main thread receives signals and the end of every thread, by panic too; a daemon that lives
//! on with half its threads would look healthy and be useless. It also notifies the service manager.

use std::convert::Infallible;
use std::env;
use std::fmt;
use std::io;
use std::path;
use std::process;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, select, tick, unbounded};
use jiff::Timestamp;
use log::Level;
use rustix::process::WaitOptions;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;

use crate::cli::config::Config;
use crate::common::fields::text;
use crate::common::logging;
use crate::daemon::listener::{self, BindError, Server};
use crate::daemon::observed::{Observation, SharedObserved};
use crate::daemon::once::OnceError;
use crate::daemon::receiver::{self, ReceiverEffects, Reconnect, snapshot_channel};
use crate::daemon::service_manager::ServiceManager;
use crate::daemon::watchdog::Watchdog;
use crate::daemon::writer::{self, WriterEffects};
use crate::mads::connection::Connection;
use crate::mads::session::Session;
use crate::mads::transport::background::BackgroundDied;
use crate::mads::transport::network::Network;
use crate::output::file::{ClaimError, OutputFile, Warning};
use crate::output::state_machine::Output;

/// How long the receiver may take to end; it waits for nothing, so this is for a starved machine.
const RECEIVER_GRACE: Duration = Duration::from_millis(1000);

/// How long all threads may take to end. A hanging disk cannot be waited for.
const GRACE: Duration = Duration::from_millis(1500);

/// When the process ends although the main thread itself hangs, in the start-up checks of a
/// hanging file system.
const LAST_RESORT: Duration = Duration::from_millis(1800);

/// How often to look whether the threads meet their deadlines.
const WATCH_INTERVAL: Duration = Duration::from_secs(5);

/// Why the daemon ended by itself.
#[derive(Debug)]
pub enum RunError {
    /// The output cannot be written by this process.
    Claim(ClaimError),
    /// Nothing can listen where it is to.
    Bind(BindError),
    /// The system refused a signal handler or a thread.
    Start(io::Error),
    /// A thread ended, which none does unasked.
    ThreadEnded(ThreadEnd),
    /// `--once`, and no list is written.
    Once(OnceError),
}

/// The end of a thread, sent by the thread itself, however it ends.
#[derive(Debug, Clone, Copy)]
pub struct ThreadEnd {
    name: &'static str,
    /// Why; `None` where it panicked, which has been printed, or was asked to.
    source: Option<BackgroundDied>,
}

impl fmt::Display for RunError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Claim(error) => error.fmt(formatter),
            Self::Bind(error) => error.fmt(formatter),
            Self::Start(error) => write!(formatter, "cannot start: {error}"),
            Self::ThreadEnded(ThreadEnd { name, source }) => match source {
                Some(source) => write!(formatter, "the {name} thread ended: {source}"),
                None => write!(formatter, "the {name} thread panicked; please report this"),
            },
            Self::Once(error) => error.fmt(formatter),
        }
    }
}

impl std::error::Error for RunError {}

/// Runs the daemon until SIGTERM or SIGINT.
///
/// # Errors
/// Where it cannot start, or a thread ends by itself.
pub fn run(config: Config) -> Result<(), RunError> {
    let signals = forward_signals().map_err(RunError::Start)?;
    let mut manager = ServiceManager::from_environment();
    let address = config.resolver.address.to_string();
    // Whoever reads it elsewhere does not know the working directory; where even this process does not, it
    // stays as it is.
    let output = path::absolute(&config.output_file);
    let output = output.as_ref().unwrap_or(&config.output_file);
    let output = output.display().to_string();
    let observed = SharedObserved::new(address, output, Timestamp::now());
    let file = claim(&config, &observed)?;
    listen(&config, &observed)?;
    let mut watchdog = Watchdog::new(Instant::now(), &config.output_file);
    warn_of_tls_files(&config)?;
    let threads = Threads::start(config, file, &watchdog)?;
    manager.ready();
    manager.status(observed.status());

    let interval = manager.ping_interval().unwrap_or(WATCH_INTERVAL);
    let ticks = tick(interval.min(WATCH_INTERVAL));
    loop {
        select! {
            recv(signals) -> signal => match signal {
                Ok(SIGHUP) => threads.reconnect(),
                Ok(_) => break,
                Err(_) => return Err(panicked("signals")),
            },
            recv(threads.ended) -> end => return Err(match end {
                Ok(end) => RunError::ThreadEnded(end),
                // Each thread reports its end before it is gone, so one of them has done so.
                Err(_) => panicked("last"),
            }),
            recv(threads.observations) -> observation => {
                // Where there is no sender any more, the end of all threads is on its way.
                let waiting = threads.observations.try_iter();
                observed.take(observation.into_iter().chain(waiting));
                manager.status(observed.status());
            }
            recv(ticks) -> _ => {
                // Again, where the manager could not be notified the last time.
                manager.ready();
                manager.status(observed.status());
                let is_responsive = watchdog.look(Instant::now());
                observed.lock().metrics.is_responsive = is_responsive;
                if is_responsive {
                    manager.ping();
                }
            }
        }
    }
    log::info!("stopping, as asked by a signal");
    manager.stopping();
    threads.stop();
    Ok(())
}

/// Claims the output, and logs what is to be followed.
fn claim(config: &Config, observed: &SharedObserved) -> Result<OutputFile, RunError> {
    let (file, output_warnings) =
        OutputFile::claim(&config.output_file, config.file_mode).map_err(RunError::Claim)?;
    let mut fields = config.fields();
    fields.push(text("path", file.path().display()));
    let message = format_args!(
        "kuma-prometheus-sd {} follows {} as {:?} and writes {}",
        crate::VERSION,
        config.resolver.address,
        config.name,
        file.path().display()
    );
    logging::log(Level::Info, &fields, message);
    for warning in output_warnings {
        log::log!(warning.level(), "{warning}");
        if let Warning::Full(error) = warning {
            let now = Timestamp::now();
            observed.lock().status.cannot_write(now, &error);
        }
    }
    for warning in config.warnings(env::vars_os().map(|(name, _)| name)) {
        log::warn!("{warning}");
    }
    Ok(file)
}

/// Serves what is observed, where that is asked for.
fn listen(config: &Config, observed: &SharedObserved) -> Result<(), RunError> {
    let Some(address) = &config.listen_address else {
        return Ok(());
    };
    let server = Server::bind(address).map_err(RunError::Bind)?;
    let address = server.address();
    let message = format_args!("metrics, the list and a status page are served at {address}");
    logging::log(Level::Info, &[text("listen_address", address)], message);
    if !address.is_local() {
        log::warn!(
            "--listen-address: {address} can be reached from other machines, and the list names every \
             host of the mesh; listen on 127.0.0.1 behind a reverse proxy with a login"
        );
    }
    listener::start(server, observed.clone()).map_err(RunError::Start)
}

/// Looks at the files for TLS, on a thread of its own: the disk that they are on may hang.
fn warn_of_tls_files(config: &Config) -> Result<(), RunError> {
    let config = config.clone();
    let look = move || {
        if let Some(warning) = config.tls_files_warning() {
            log::warn!("{warning}");
        }
    };
    let builder = thread::Builder::new().name("tls-files".to_owned());
    builder.spawn(look).map(drop).map_err(RunError::Start)
}

/// The receiver and the writer, from the main thread's side.
struct Threads {
    commands: Sender<Reconnect>,
    /// Dropped to stop the writer.
    stop_writer: Sender<Infallible>,
    ended: Receiver<ThreadEnd>,
    observations: Receiver<Observation>,
}

impl Threads {
    fn start(config: Config, file: OutputFile, watchdog: &Watchdog) -> Result<Self, RunError> {
        let (ends, ended) = unbounded();
        let (observations_sender, observations) = unbounded();
        let (stop_writer, writer_stopped) = bounded(0);
        let (commands, command_receiver) = unbounded();
        let (snapshot_sender, snapshots) = snapshot_channel();

        let session = Session::new(config.name, config.label_style);
        let security = config.resolver.address.security();
        let connection = Connection::new(session, config.pins, security, Instant::now());
        let receiver_effects = ReceiverEffects {
            network: Network::new(config.resolver),
            snapshots: snapshot_sender,
            observations: observations_sender.clone(),
            heartbeat: watchdog.receiver.clone(),
        };
        let output = Output::new(Instant::now(), log::log_enabled!(Level::Debug));
        let writer_effects = WriterEffects {
            file: file.with_heartbeat(watchdog.writer.clone()),
            observations: observations_sender,
            heartbeat: watchdog.writer.clone(),
            written: 0,
        };
        spawn("writer", ends.clone(), move || {
            writer::run(output, writer_effects, &snapshots, &writer_stopped);
            Ok(())
        })?;
        spawn("receiver", ends, move || {
            receiver::run(connection, receiver_effects, &command_receiver)
        })?;
        Ok(Self { commands, stop_writer, ended, observations })
    }

    fn reconnect(&self) {
        // Where the receiver is no more, its end is on its way.
        let _ = self.commands.send(Reconnect);
    }

    /// First the receiver, so that nothing more is acknowledged, then the writer, which still writes
    /// what was.
    fn stop(self) {
        let start = Instant::now();
        drop(self.commands);
        let first = self.ended.recv_deadline(start + RECEIVER_GRACE);
        drop(self.stop_writer);
        let second = self.ended.recv_deadline(start + GRACE);
        if first.is_err() || second.is_err() {
            log::warn!(
                "a thread hangs and is left behind; the output file is complete, but may not be \
                 the newest"
            );
        }
    }
}

pub(super) fn panicked(name: &'static str) -> RunError {
    RunError::ThreadEnded(ThreadEnd { name, source: None })
}

/// Starts a thread whose end is reported on `ends`.
fn spawn(
    name: &'static str,
    ends: Sender<ThreadEnd>,
    work: impl FnOnce() -> Result<(), BackgroundDied> + Send + 'static,
) -> Result<(), RunError> {
    let builder = thread::Builder::new().name(name.to_owned());
    let thread = move || {
        let source = None;
        let mut guard = ExitGuard(ends, ThreadEnd { name, source });
        guard.1.source = work().err();
    };
    builder.spawn(thread).map(drop).map_err(RunError::Start)
}

/// Reports the end of its thread when it is dropped, be it by a panic.
struct ExitGuard(Sender<ThreadEnd>, ThreadEnd);

impl Drop for ExitGuard {
    fn drop(&mut self) {
        // Where nobody listens any more, the process is ending anyway.
        let _ = self.0.send(self.1);
    }
}

/// SIGTERM, SIGINT and SIGHUP, as values, from now on. The others are dealt with right here.
pub(super) fn forward_signals() -> io::Result<Receiver<i32>> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD])?;
    let (sender, receiver) = unbounded();
    let forward = move || {
        // One that ended before anybody listened.
        reap();
        for signal in signals.forever() {
            match signal {
                SIGCHLD => reap(),
                // Other daemons reopen their logs or turn up their level: no reason to die of it.
                SIGUSR1 | SIGUSR2 => {
                    log::info!("ignored SIGUSR1 or SIGUSR2, which mean nothing here");
                }
                _ => {
                    // Where nobody listens any more, the process is ending anyway.
                    let _ = sender.send(signal);
                    if signal != SIGHUP {
                        thread::sleep(LAST_RESORT);
                        logging::flush();
                        process::exit(0);
                    }
                }
            }
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(forward)?;
    Ok(receiver)
}

/// Sees to the end of children. The daemon starts none, but as process 1 of a container it is given
/// those that nobody else has.
fn reap() {
    while let Ok(Some(_)) = rustix::process::wait(WaitOptions::NOHANG) {}
}

#[cfg(test)]
mod tests {
    use super::{ThreadEnd, spawn};
    use crossbeam_channel::unbounded;

    #[test]
    fn the_end_of_a_thread_is_reported_by_panic_too() {
        let (ends, ended) = unbounded();
        spawn("receiver", ends.clone(), || Ok(())).unwrap();
        let ThreadEnd { name, source } = ended.recv().unwrap();
        assert_eq!((name, source.is_none()), ("receiver", true));

        spawn("writer", ends, || panic!("as this test wants it")).unwrap();
        let ThreadEnd { name, source } = ended.recv().unwrap();
        assert_eq!((name, source.is_none()), ("writer", true));
        assert!(ended.recv().is_err(), "each end is reported once");
    }
}
