//! The streams of a daemon, collected by a thread each, and the waiting for a line.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// What a stream has brought so far, line by line.
pub(crate) struct Collected {
    shared: Arc<(Mutex<Lines>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Lines {
    lines: Vec<String>,
    ended: bool,
}

impl Collected {
    /// Collects a stream until it ends.
    pub(crate) fn from(stream: impl Read + Send + 'static) -> Collected {
        let shared = Arc::new((Mutex::new(Lines::default()), Condvar::new()));
        let collector = Arc::clone(&shared);
        let thread = thread::spawn(move || collect(stream, &collector));
        Collected { shared, thread: Some(thread) }
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of it.
    pub(crate) fn text(&self) -> String {
        self.lines().lines.concat()
    }

    /// Waits for the `count`-th line that is wanted; `None` where it does not come.
    pub(crate) fn wait_for(
        &self,
        timeout: Duration,
        is_wanted: impl Fn(&str) -> bool,
        count: usize,
    ) -> Option<String> {
        let deadline = Instant::now() + timeout;
        let mut lines = self.lines();
        loop {
            let wanted = |line: &&String| is_wanted(line);
            if let Some(line) = lines.lines.iter().filter(wanted).nth(count - 1) {
                return Some(line.trim_end().to_owned());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if lines.ended || left.is_zero() {
                return None;
            }
            let waited = self.shared.1.wait_timeout(lines, left);
            lines = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until everything has come.
    pub(crate) fn wait_for_end(&mut self) {
        if let Some(thread) = self.thread.take() {
            thread.join().expect("a stream can be read to its end");
        }
    }
}

fn collect(stream: impl Read, (lines, changed): &(Mutex<Lines>, Condvar)) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = Vec::new();
        let length = reader.read_until(b'\n', &mut line).unwrap_or(0);
        let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
        if length == 0 {
            lines.ended = true;
        } else {
            lines.lines.push(String::from_utf8_lossy(&line).into_owned());
        }
        changed.notify_all();
        if length == 0 {
            return;
        }
    }
}

/// The beginning and the end of a long text.
pub(crate) fn excerpt(text: &str) -> String {
    const SHOWN: usize = 10_000;
    if text.len() <= 2 * SHOWN {
        return text.to_owned();
    }
    let start = &text[..text.floor_char_boundary(SHOWN)];
    let end = &text[text.floor_char_boundary(text.len() - SHOWN)..];
    format!("{start}\n… {} bytes …\n{end}", text.len() - start.len() - end.len())
}
