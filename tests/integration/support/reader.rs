//! A reader of the output file in a tight loop, as no Prometheus could be: it judges each version
//! of the file that it sees.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::support::lists;

/// A running reader. It stops when it is dropped.
pub(crate) struct Reader {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<Seen>>,
}

/// What a reader has seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// The numbers of the lists, in the order of sight, and each once in a row.
    pub(crate) lists: Vec<usize>,
    /// What was no complete list.
    pub(crate) wrong: BTreeSet<String>,
}

impl Reader {
    /// Starts to read a file of numbered lists, as often as it can.
    pub(crate) fn start(path: &Path) -> Reader {
        Reader::start_with_pauses(path, Duration::ZERO)
    }

    /// Starts to read a file of numbered lists, with pauses that leave others room.
    pub(crate) fn start_with_pauses(path: &Path, pause: Duration) -> Reader {
        let is_over = Arc::new(AtomicBool::new(false));
        let (path, over): (PathBuf, _) = (path.to_owned(), Arc::clone(&is_over));
        let thread = thread::spawn(move || {
            let mut seen = Seen::default();
            let mut last = Vec::new();
            loop {
                // What is there at the end is always seen.
                let is_last = over.load(Ordering::Relaxed);
                match fs::read(&path) {
                    Ok(bytes) if bytes == last => {}
                    Ok(bytes) => {
                        seen.judge(&bytes);
                        last = bytes;
                    }
                    Err(error) if error.kind() == ErrorKind::NotFound => {
                        seen.wrong.insert("no file".to_owned());
                    }
                    Err(error) => {
                        seen.wrong.insert(error.to_string());
                    }
                }
                if is_last {
                    return seen;
                }
                thread::sleep(pause);
            }
        });
        Reader { is_over, thread: Some(thread) }
    }

    /// Stops, and returns what was seen, right or wrong.
    pub(crate) fn stop(mut self) -> Seen {
        self.is_over.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("it is taken here only");
        thread.join().expect("a reader only reads")
    }

    /// Sees that nothing but complete lists was there to be read, and returns what was.
    #[track_caller]
    pub(crate) fn finish(self) -> Seen {
        let seen = self.stop();
        assert!(seen.wrong.is_empty(), "a reader saw {:#?}", seen.wrong);
        seen
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

impl Seen {
    fn judge(&mut self, bytes: &[u8]) {
        let number = std::str::from_utf8(bytes).ok().and_then(lists::number_of);
        match number {
            Some(number) => {
                if self.lists.last() != Some(&number) {
                    self.lists.push(number);
                }
            }
            None => {
                let shown = bytes.len().min(200);
                let start = String::from_utf8_lossy(&bytes[..shown]);
                self.wrong.insert(format!("{} bytes that are no list: {start}", bytes.len()));
            }
        }
    }
}
