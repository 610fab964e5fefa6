//! The log: one event a line on stderr, in the form that whoever reads it expects.

use std::env;
use std::io::{self, Write as _};
use std::panic;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use anstream::AutoStream;
use env_logger::{Builder, Logger, Target};
use log::{Level, LevelFilter, Log as _, Record};

use crate::common::log_queue::LogQueue;

/// How long the end of the process waits for whoever reads the log.
const FLUSH_LIMIT: Duration = Duration::from_millis(150);

/// Where lines go once logging has started.
static QUEUE: OnceLock<LogQueue> = OnceLock::new();

/// Starts logging everything up to `level`. To be called once.
///
/// `timestamps` says whether a line begins with the time; `None` leaves it to who reads the log.
///
/// # Errors
/// Where the system refuses a thread.
pub fn start(level: LevelFilter, timestamps: Option<bool>) -> io::Result<()> {
    let direct = builder(level, timestamps).target(Target::Stderr).build();
    let queue = LogQueue::start(move |dropped| log_dropped(&direct, dropped))?;
    builder(level, timestamps)
        .target(Target::Pipe(Box::new(queue.clone())))
        .write_style(AutoStream::choice(&io::stderr()).into())
        .init();
    let _ = QUEUE.set(queue);
    // The standard library's own hook would write to stderr itself, and hang with its reader.
    panic::set_hook(Box::new(|panic| {
        let thread = thread::current();
        let name = thread.name().unwrap_or("unnamed");
        last_words(&format!("thread {name:?} {panic}").replace('\n', " "));
    }));
    Ok(())
}

/// Logs how many lines were dropped; not through the queue, which may be full again. It is a warning, or
/// an error where only errors are logged: those dropped were errors, too.
fn log_dropped(direct: &Logger, dropped: u64) {
    let lines = if dropped == 1 {
        "line was"
    } else {
        "lines were"
    };
    let finest = direct.filter().to_level();
    let level = finest.map_or(Level::Error, |finest| finest.min(Level::Warn));
    direct.log(
        &Record::builder()
            .level(level)
            .target(env!("CARGO_CRATE_NAME"))
            .args(format_args!(
                "{dropped} log {lines} dropped, as the log was not read"
            ))
            .build(),
    );
}

/// Waits, for a moment, until everything logged so far is written. To be called at the end.
pub fn flush() {
    if let Some(queue) = QUEUE.get() {
        queue.flush(FLUSH_LIMIT);
    }
}

fn builder(level: LevelFilter, timestamps: Option<bool>) -> Builder {
    // Libraries have their own idea of what is worth a line: to C-core a peer that is away is
    // worth a screen. What an operator needs of it stands in our own lines. And never more than
    // debug: at trace the HTTP library dumps what goes over the wire, tokens too.
    let libraries = if level == LevelFilter::Trace {
        LevelFilter::Debug
    } else {
        LevelFilter::Off
    };
    let is_journal = journal_reads_stderr();
    let mut builder = Builder::new();
    builder
        .filter_level(libraries)
        .filter_module(env!("CARGO_CRATE_NAME"), level)
        .format_target(false);
    match timestamps.unwrap_or(!is_journal) {
        true => builder.format_timestamp_millis(),
        false => builder.format_timestamp(None),
    };
    // The journal takes the level from a prefix, and has the time itself.
    if is_journal && timestamps != Some(true) {
        builder.format(|line, record| {
            let message = record.args().to_string().replace('\n', " ");
            writeln!(line, "<{}>{message}", priority(record.level()))
        });
    }
    builder
}

/// The last words of a process or a thread that fails, at any level, whether or not logging has
/// started.
pub fn last_words(message: &str) {
    // To the journal every line already has the name of its process.
    let prefix = if journal_reads_stderr() {
        format!("<{}>", priority(Level::Error))
    } else {
        "kuma-prometheus-sd: ".to_owned()
    };
    let line = format!("{prefix}{message}\n");
    match QUEUE.get() {
        Some(queue) => queue.append(line.as_bytes()),
        // Where even stderr is closed, the exit code still tells.
        None => drop(io::stderr().write_all(line.as_bytes())),
    }
    flush();
}

/// The priorities of `syslog(3)`, by which `journalctl -p` filters.
fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

/// Whether stderr is a stream to systemd's journal, which is told by `JOURNAL_STREAM` in the form
/// `DEVICE:INODE`. A process that redirects the stream may still inherit the variable.
fn journal_reads_stderr() -> bool {
    let Ok(stream) = env::var("JOURNAL_STREAM") else {
        return false;
    };
    rustix::fs::fstat(io::stderr())
        .is_ok_and(|stderr| stream == format!("{}:{}", stderr.st_dev, stderr.st_ino))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, pipe};

    use env_logger::Target;
    use log::LevelFilter;

    use super::{builder, log_dropped};

    #[test]
    fn dropped_lines_are_told_at_every_level() {
        for (level, expected) in [
            (LevelFilter::Error, "[ERROR] 2 log lines were dropped"),
            (LevelFilter::Warn, "[WARN ] 2 log lines were dropped"),
            (LevelFilter::Trace, "[WARN ] 2 log lines were dropped"),
        ] {
            let (mut log, target) = pipe().unwrap();
            let target = Target::Pipe(Box::new(target));
            log_dropped(&builder(level, Some(false)).target(target).build(), 2);
            let mut line = String::new();
            log.read_to_string(&mut line).unwrap();
            assert!(line.starts_with(expected), "{level}: {line:?}");
        }
    }
}
