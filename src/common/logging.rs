//! The log: one event a line on stderr, in the form that whoever reads it expects.

use std::env;
use std::fmt;
use std::io::{self, Write as _};
use std::panic;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use anstream::AutoStream;
use env_logger::{Builder, Logger, Target};
use jiff::Timestamp;
use log::{Level, LevelFilter, Log as _, Record};
use serde::ser::{SerializeMap as _, Serializer as _};

use crate::common::fields::Field;
use crate::common::log_queue::LogQueue;

/// How long the end of the process waits for whoever reads the log.
const FLUSH_LIMIT: Duration = Duration::from_millis(150);

/// Where lines go once logging has started.
static QUEUE: OnceLock<LogQueue> = OnceLock::new();

/// How they look; text until that is known.
static FORMAT: OnceLock<Format> = OnceLock::new();

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people: the time, the level and the message.
    Text,
    /// For log collectors: a JSON object of these, and of the message's fields.
    Json,
}

/// Starts logging everything up to `level`. To be called once.
///
/// `timestamps` says whether a line of text begins with the time; `None` leaves it to who reads the log.
///
/// # Errors
/// Where the system refuses a thread.
pub fn start(level: LevelFilter, timestamps: Option<bool>, format: Format) -> io::Result<()> {
    let _ = FORMAT.set(format);
    let builder = || builder(level, timestamps, format);
    let direct = builder().target(Target::Stderr).build();
    let queue = LogQueue::start(move |dropped| log_dropped(&direct, dropped))?;
    builder()
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

/// Logs a message with the fields that it is made of, which text does not show.
pub fn log(level: Level, fields: &[Field], message: fmt::Arguments<'_>) {
    match (FORMAT.get(), QUEUE.get()) {
        (Some(Format::Json), Some(queue)) if log::log_enabled!(level) => {
            let mut line = Vec::new();
            // Memory can be written to.
            let _ = write_json(&mut line, level, &message.to_string(), fields);
            queue.append(&line);
        }
        _ => log::log!(level, "{message}"),
    }
}

/// Logs how many lines were dropped; not through the queue, which may be full again. It is a warning, or
/// an error where only errors are logged: those dropped were errors, too.
fn log_dropped(direct: &Logger, dropped: u64) {
    let lines = if dropped == 1 { "line was" } else { "lines were" };
    let finest = direct.filter().to_level();
    let level = finest.map_or(Level::Error, |finest| finest.min(Level::Warn));
    direct.log(
        &Record::builder()
            .level(level)
            .target(env!("CARGO_CRATE_NAME"))
            .args(format_args!("{dropped} log {lines} dropped, as the log was not read"))
            .build(),
    );
}

/// Waits, for a moment, until everything logged so far is written. To be called at the end.
pub fn flush() {
    if let Some(queue) = QUEUE.get() {
        queue.flush(FLUSH_LIMIT);
    }
}

fn builder(level: LevelFilter, timestamps: Option<bool>, format: Format) -> Builder {
    // Libraries have their own idea of what is worth a line: to C-core a peer that is away is
    // worth a screen. What an operator needs of it stands in our own lines. And never more than
    // debug: at trace the HTTP library dumps what goes over the wire, tokens too.
    let libraries = if level == LevelFilter::Trace { LevelFilter::Debug } else { LevelFilter::Off };
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
    if format == Format::Json {
        builder.format(|line, record| {
            let message = record.args().to_string();
            write_json(line, record.level(), &message, &[])
        });
    } else if is_journal && timestamps != Some(true) {
        builder.format(|line, record| {
            let message = record.args().to_string().replace('\n', " ");
            writeln!(line, "<{}>{message}", priority(record.level()))
        });
    }
    builder
}

/// A line that is a JSON object. To the journal it has the prefix by which that knows the level, and
/// which that removes.
fn write_json(
    mut line: impl io::Write,
    level: Level,
    message: &str,
    fields: &[Field],
) -> io::Result<()> {
    if journal_reads_stderr() {
        write!(line, "<{}>", priority(level))?;
    }
    let mut serializer = serde_json::Serializer::new(&mut line);
    let mut object = serializer.serialize_map(None)?;
    object.serialize_entry("time", &format!("{:.3}", Timestamp::now()))?;
    object.serialize_entry("level", &level.as_str().to_ascii_lowercase())?;
    object.serialize_entry("message", message)?;
    for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
        object.serialize_entry(name, value)?;
    }
    object.end()?;
    writeln!(line)
}

/// The last words of a process or a thread that fails, at any level, whether or not logging has
/// started.
pub fn last_words(message: &str) {
    let mut line = Vec::new();
    // To the journal every line already has the name of its process.
    let _ = if FORMAT.get() == Some(&Format::Json) {
        write_json(&mut line, Level::Error, message, &[])
    } else if journal_reads_stderr() {
        writeln!(line, "<{}>{message}", priority(Level::Error))
    } else {
        writeln!(line, "kuma-prometheus-sd: {message}")
    };
    match QUEUE.get() {
        Some(queue) => queue.append(&line),
        // Where even stderr is closed, the exit code still tells.
        None => drop(io::stderr().write_all(&line)),
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

    use env_logger::{Logger, Target};
    use log::{LevelFilter, Log, Record};

    use super::{Format, builder, log_dropped};

    /// What a logger writes.
    fn written(level: LevelFilter, format: Format, log: impl FnOnce(&Logger)) -> String {
        let (mut reader, target) = pipe().unwrap();
        let target = Target::Pipe(Box::new(target));
        let mut builder = builder(level, Some(false), format);
        log(&builder.target(target).build());
        drop(builder);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn dropped_lines_are_told_at_every_level() {
        for (level, expected) in [
            (LevelFilter::Error, "[ERROR] 2 log lines were dropped"),
            (LevelFilter::Warn, "[WARN ] 2 log lines were dropped"),
            (LevelFilter::Trace, "[WARN ] 2 log lines were dropped"),
        ] {
            let line = written(level, Format::Text, |logger| log_dropped(logger, 2));
            assert!(line.starts_with(expected), "{level}: {line:?}");
        }
    }

    #[test]
    fn a_message_of_any_text_is_one_line_of_json() {
        let message = "one\ntwo\r\"three\"\\\u{1b}\0";
        let line = written(LevelFilter::Info, Format::Json, |logger| {
            let args = format_args!("{message}");
            logger.log(&Record::builder().target(module_path!()).args(args).build());
        });
        assert_eq!(line.lines().count(), 1, "{line:?}");
        assert!(!line.trim_end().chars().any(char::is_control), "{line:?}");
        let object: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&object["level"], &object["message"]), (&"info".into(), &message.into()));
    }
}
