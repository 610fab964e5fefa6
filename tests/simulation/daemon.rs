//! The daemon: its two machines with the channel between them, its start and its ends.

use std::time::Duration;

use kuma_prometheus_sd::mads::connection::Connection;
use kuma_prometheus_sd::mads::negotiation::Pins;
use kuma_prometheus_sd::mads::session::Session;
use kuma_prometheus_sd::mads::transport::address::Security;
use kuma_prometheus_sd::output::state_machine::{Action, Event as OutputEvent, Output};
use kuma_prometheus_sd::snapshot::Snapshot;

use crate::dice::{Dice, milliseconds, seconds};
use crate::disk::DiskManner;
use crate::fault::Fault;
use crate::watch::LATENESS;
use crate::world::{Happening, World};

/// How long the process waits for its threads after SIGTERM.
const GRACE: Duration = milliseconds(1500);

/// A running process.
#[derive(Debug)]
pub(crate) struct Daemon {
    number: u64,
    /// `None` once the receiver thread has ended.
    pub(crate) connection: Option<Connection>,
    pub(crate) receiver_alarm: Alarm,
    /// The number of the question or the link that is under way.
    pub(crate) under_way: Option<u64>,
    /// When the last attempt failed.
    pub(crate) failed: Duration,
    /// The channel of size one between the threads.
    pub(crate) slot: Option<Snapshot>,
    pub(crate) output: Output,
    pub(crate) writer_alarm: Alarm,
    pub(crate) operation: Option<Operation>,
    pub(crate) ending: Option<Ending>,
    /// For faults: the version and the nonce that were sent last.
    pub(crate) sent_before: (String, String),
}

/// An act on the disk that is under way.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) number: u64,
    pub(crate) action: Action,
    /// How it went, once it has shown.
    pub(crate) outcome: Option<OutputEvent>,
}

/// How far the writer has come after SIGTERM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Asked,
    LastListTaken,
    Finishing,
}

/// A thread's timer, which is a little late.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    deadline: Option<Duration>,
    rings: Duration,
}

impl Alarm {
    /// When it rings, if it is set for `deadline`.
    pub(crate) fn set(&mut self, deadline: Option<Duration>, dice: &mut Dice) -> Option<Duration> {
        if self.deadline != deadline {
            self.deadline = deadline;
            let lateness = match dice.below(16) {
                0 => dice.between(Duration::ZERO, LATENESS),
                1..8 => dice.between(Duration::ZERO, milliseconds(2)),
                _ => Duration::ZERO,
            };
            self.rings = deadline.map_or(Duration::MAX, |deadline| deadline + lateness);
        }
        deadline.map(|_| self.rings)
    }

    /// It has rung; if its deadline stays, it rings at once again.
    pub(crate) fn reset(&mut self) {
        self.deadline = None;
    }
}

impl World {
    pub(crate) fn daemon_starts(&mut self) {
        if self.daemon.is_some() {
            return;
        }
        self.tell(|| "the daemon starts".to_owned());
        let start = self.instant(self.now);
        let session = Session::new("kuma_sd".to_owned());
        let connection = Connection::new(session, Pins::default(), Security::Plaintext, start);
        self.daemon = Some(Daemon {
            number: self.number(),
            connection: Some(connection),
            receiver_alarm: Alarm::default(),
            under_way: None,
            failed: self.now,
            slot: None,
            output: Output::new(start, false),
            writer_alarm: Alarm::default(),
            operation: None,
            ending: None,
            sent_before: (String::new(), String::new()),
        });
        self.watch.daemon_starts();
    }

    /// SIGKILL, or a power cut: whatever is under way is lost.
    pub(crate) fn daemon_is_killed(&mut self) {
        if self.daemon.take().is_none() {
            return;
        }
        self.tell(|| "the daemon is gone".to_owned());
        self.link = None;
        // Of what it has not flushed, nobody knows any more.
        self.disk.is_flushed = true;
        self.watch.file.daemon_ends();
        self.watch.daemon_starts();
        let pause = self.dice.about(seconds(2));
        self.plan(pause, Happening::DaemonStarts);
    }

    /// SIGTERM: the receiver ends at once, the writer when it has written what it was given.
    pub(crate) fn daemon_is_asked_to_end(&mut self) {
        let has_fault = self.has(Fault::NothingWrittenAtTheEnd);
        let Some(daemon) = &mut self.daemon else {
            return;
        };
        if daemon.ending.is_some() {
            return;
        }
        daemon.connection = None;
        daemon.under_way = None;
        daemon.ending = Some(Ending::Asked);
        if has_fault {
            daemon.ending = Some(Ending::Finishing);
        }
        let number = daemon.number;
        self.link = None;
        self.tell(|| "SIGTERM".to_owned());
        self.watch.receiver_ends();
        self.watch.file.daemon_ends();
        // Of an act that hangs or fails nobody can say how it ends.
        self.weather.is_end_clean = self.disk.manner == DiskManner::Healthy
            && !self.disk.is_touched
            && !self.watch.file.is_disk_in_doubt(self.now);
        self.plan(GRACE, Happening::GraceEnds(number));
        self.writer_goes_on();
    }

    /// The writer has nothing left to do.
    pub(crate) fn daemon_ends(&mut self) {
        self.tell(|| "the daemon ends".to_owned());
        let could_write = self.weather.is_end_clean
            && self.disk.manner == DiskManner::Healthy
            && !self.disk.is_touched;
        let file = self.disk.file.as_deref();
        let verdict = &mut self.watch.verdict;
        self.watch.file.ended(file, could_write, verdict);
        self.daemon_is_killed();
    }

    pub(crate) fn grace_ends(&mut self, number: u64) {
        if self
            .daemon
            .as_ref()
            .is_some_and(|daemon| daemon.number == number)
        {
            self.daemon_is_killed();
        }
    }
}
