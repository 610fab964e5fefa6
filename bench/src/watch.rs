//! Waits for a file that is put in place by renaming, and says when it was.

use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{CreateFlags, Reader, WatchFlags, add_watch, init};

/// The name of one file in one folder.
pub(crate) struct Watch {
    inotify: OwnedFd,
    name: CString,
}

impl Watch {
    /// Everything from now on is seen.
    pub(crate) fn new(folder: &Path, name: &str) -> Self {
        let inotify = init(CreateFlags::CLOEXEC).expect("inotify is there");
        add_watch(&inotify, folder, WatchFlags::MOVED_TO).expect("a folder can be watched");
        Self { inotify, name: CString::new(name).expect("a name has no zero byte") }
    }

    /// The time at which the file was seen in place; `None` where that takes too long.
    pub(crate) fn wait(&self, limit: Duration) -> Option<Instant> {
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let left = Timespec::try_from(left).expect("a limit of seconds");
            let mut wanted = [PollFd::new(&self.inotify, PollFlags::IN)];
            if poll(&mut wanted, Some(&left)).expect("a descriptor can be waited for") == 0 {
                return None;
            }
            let seen = Instant::now();
            if self.read().any(|name| name == self.name) {
                return Some(seen);
            }
        }
    }

    /// The names that were there at one read.
    fn read(&self) -> impl Iterator<Item = CString> {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = Reader::new(&self.inotify, &mut buffer);
        let mut names = Vec::new();
        loop {
            let event = reader.next().expect("events can be read");
            names.extend(event.file_name().map(CStr::to_owned));
            if reader.is_buffer_empty() {
                return names.into_iter();
            }
        }
    }
}
