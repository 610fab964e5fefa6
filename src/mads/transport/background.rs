//! Work that blocks, on a thread of its own, so that the receiver thread never does: a signal
//! finds it ready in any state.
//!
//! A thread that is no longer wanted is not joined. It notices when it next has a result.
//! Where it never has, as behind a file on a hanging disk, it stays; so there is a limit to them.

use std::fmt;
use std::io;
use std::sync::{Arc, LazyLock};
use std::task::Waker;
use std::thread;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded, unbounded};

use crate::mads::connection::Event;

/// So many threads there may be. One is wanted at a time; the others have been abandoned, and hang.
const LIMIT: usize = 16;

/// Those of this process.
static THREADS: LazyLock<Arc<()>> = LazyLock::new(Arc::default);

/// The clone of a counter for one more thread; each thread has one.
///
/// # Errors
/// Where there are too many.
fn another(threads: &Arc<()>) -> io::Result<Arc<()>> {
    if Arc::strong_count(threads) > LIMIT {
        return Err(io::Error::other(format!(
            "{LIMIT} of earlier attempts hang; does the disk of a file for the token or TLS hang?"
        )));
    }
    Ok(Arc::clone(threads))
}

/// A thread that produces events; dropping this abandons it.
pub struct Background {
    name: &'static str,
    events: Receiver<Event>,
}

/// Where such a thread puts its events.
pub struct Events {
    events: Sender<Event>,
    /// The last field, so that whoever is woken by the end finds the channel closed.
    waker: WakingAtTheEnd,
}

struct WakingAtTheEnd(Waker);

/// A thread ended without having said so, which only a panic does.
#[derive(Debug, Clone, Copy)]
pub struct BackgroundDied {
    name: &'static str,
}

impl fmt::Display for BackgroundDied {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the thread {:?} died", self.name)
    }
}

impl std::error::Error for BackgroundDied {}

impl Background {
    /// Starts `work`; `waker` is woken after each event and at the end.
    ///
    /// # Errors
    /// Where the system refuses a thread, or too many hang.
    pub fn spawn(
        name: &'static str,
        waker: Waker,
        work: impl FnOnce(&Events) + Send + 'static,
    ) -> io::Result<Self> {
        let (sender, receiver) = unbounded();
        let events = Events { events: sender, waker: WakingAtTheEnd(waker) };
        let counted = another(&THREADS)?;
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            work(&events);
            drop(counted);
        })?;
        Ok(Self { name, events: receiver })
    }

    /// What has happened, if anything.
    ///
    /// # Errors
    /// Where the thread is no more.
    pub fn poll(&self) -> Result<Option<Event>, BackgroundDied> {
        match self.events.try_recv() {
            Ok(event) => Ok(Some(event)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(BackgroundDied { name: self.name }),
        }
    }
}

/// The result of what knows no limit of its own, such as reading a file, and is left behind where it
/// takes too long.
///
/// # Errors
/// Where the system refuses a thread, or there is no result by then.
pub fn done_by<T: Send + 'static>(
    name: &'static str,
    deadline: Instant,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let (sender, receiver) = bounded(1);
    let work = move || {
        // Nobody may be waiting any more.
        let _ = sender.send(work());
    };
    thread::Builder::new().name(name.to_owned()).spawn(work)?;
    receiver.recv_deadline(deadline).map_err(|_| io::ErrorKind::TimedOut.into())
}

impl Events {
    /// Hands over an event; returns whether anyone still wants it.
    pub fn send(&self, event: Event) -> bool {
        let is_wanted = self.events.send(event).is_ok();
        self.waker.0.wake_by_ref();
        is_wanted
    }
}

impl Drop for WakingAtTheEnd {
    fn drop(&mut self) {
        self.0.wake_by_ref();
    }
}

#[cfg(test)]
mod tests {
    use super::{Background, LIMIT, another};
    use crossbeam_channel::{Sender, bounded, unbounded};
    use std::sync::{Arc, OnceLock};
    use std::task::Wake;

    /// Tells, as soon as it is woken, whether the thread is known to be dead.
    struct Witness {
        background: OnceLock<Background>,
        seen: Sender<bool>,
    }

    impl Wake for Witness {
        fn wake(self: Arc<Self>) {
            let background = self.background.get().expect("it was put there before");
            self.seen.send(background.poll().is_err()).unwrap();
        }
    }

    #[test]
    fn whoever_is_woken_by_the_end_of_a_thread_sees_it() {
        for panics in [false, true] {
            let (seen, is_seen) = unbounded();
            let witness = Arc::new(Witness { background: OnceLock::new(), seen });
            let (go, may_end) = bounded::<()>(1);
            let waker = Arc::clone(&witness).into();
            let background = Background::spawn("a thread", waker, move |_| {
                may_end.recv().unwrap();
                assert!(!panics, "as this test wants it");
            });
            assert!(witness.background.set(background.unwrap()).is_ok());
            go.send(()).unwrap();
            assert!(is_seen.recv().unwrap(), "panics: {panics}");
        }
    }

    #[test]
    fn there_is_a_limit_to_threads_that_hang() {
        let threads = Arc::default();
        let mut hanging: Vec<_> = (0..LIMIT).map(|_| another(&threads).unwrap()).collect();
        assert!(another(&threads).is_err());
        hanging.pop();
        assert!(another(&threads).is_ok());
    }
}
