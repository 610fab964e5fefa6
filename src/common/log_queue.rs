//! The queue of log lines, and the thread that writes them to stderr.
//!
//! A reader that stalls, such as `svlogd` on a full disk or a terminal after Ctrl-S, blocks whoever
//! writes to it. Here that is a thread with nothing else to do. The others never wait: a line that
//! finds the queue full is dropped and counted, and the count is logged in its place.

use std::convert::Infallible;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

/// How many lines may wait: more than any burst, and less memory than anybody would notice.
const CAPACITY: usize = 1024;

enum Entry {
    Line {
        text: Vec<u8>,
        /// How many lines were dropped since the one before.
        dropped: u64,
    },
    /// Dropped when all that came before is written.
    Flush { _reached: Sender<Infallible> },
}

/// The side of those who log.
#[derive(Clone)]
pub(crate) struct LogQueue {
    entries: Sender<Entry>,
    dropped: Arc<AtomicU64>,
}

impl LogQueue {
    /// Starts the thread, which logs a count of dropped lines by `report`.
    pub(crate) fn start(report: impl Fn(u64) + Send + 'static) -> io::Result<Self> {
        let (entries, receiver) = bounded(CAPACITY);
        let dropped = Arc::new(AtomicU64::new(0));
        let queue = Self { entries, dropped: Arc::clone(&dropped) };
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write_lines(&receiver, &dropped, report))?;
        Ok(queue)
    }

    /// Appends a line, unless the queue is full.
    pub(crate) fn append(&self, text: &[u8]) {
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        let line = Entry::Line { text: text.to_owned(), dropped };
        if self.entries.try_send(line).is_err() {
            self.dropped.fetch_add(dropped + 1, Ordering::Relaxed);
        }
    }

    /// Waits until everything before it is written, but no longer than `limit`.
    pub(crate) fn flush(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        let (sender, reached) = bounded(0);
        let flush = Entry::Flush { _reached: sender };
        if self.entries.send_deadline(flush, deadline).is_ok() {
            // Ends with an error either way: the sender is gone, or the time is over.
            let _ = reached.recv_deadline(deadline);
        }
    }
}

/// For the logger, which writes each line in one piece.
impl Write for LogQueue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.append(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_lines(entries: &Receiver<Entry>, dropped: &AtomicU64, report: impl Fn(u64)) {
    let report = |dropped| {
        if dropped > 0 {
            report(dropped);
        }
    };
    while let Ok(entry) = entries.recv() {
        if let Entry::Line { text, dropped } = &entry {
            report(*dropped);
            // Where nobody can read any more, nobody can be told either.
            let _ = io::stderr().write_all(text);
        }
        // It may be long until another line comes that could bring the count.
        if entries.is_empty() {
            report(dropped.swap(0, Ordering::Relaxed));
        }
    }
}
