//! The log: one event a line on stderr, in the form that whoever reads it expects.

use std::env;
use std::io::{self, Write as _};

use env_logger::{Builder, Target};
use log::{Level, LevelFilter};

/// Starts logging everything up to `level`. To be called once.
///
/// `timestamps` says whether a line begins with the time; `None` leaves it to who reads the log.
pub fn start(level: LevelFilter, timestamps: Option<bool>) {
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
        .format_target(false)
        .target(Target::Stderr);
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
    builder.init();
}

/// The last words of a process that fails, whether or not logging has started.
pub fn last_words(message: &str) {
    // To the journal every line already has the name of its process.
    let prefix = if journal_reads_stderr() {
        format!("<{}>", priority(Level::Error))
    } else {
        "kuma-prometheus-sd: ".to_owned()
    };
    // Where even stderr is closed, the exit code still tells.
    let _ = writeln!(io::stderr(), "{prefix}{message}");
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
