//! The daemon: its two machines with the channel between them, its start and its ends.

use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use kuma_prometheus_sd::daemon::receiver::{SnapshotSender, snapshot_channel};
use kuma_prometheus_sd::mads::connection::{Connection, Event};
use kuma_prometheus_sd::mads::labels::LabelStyle;
use kuma_prometheus_sd::mads::negotiation::Pins;
use kuma_prometheus_sd::mads::session::Session;
use kuma_prometheus_sd::mads::transport::address::Security;
use kuma_prometheus_sd::output::state_machine::{Action, Event as OutputEvent, Output};
use kuma_prometheus_sd::snapshot::Snapshot;

use crate::control_plane::Sent;
use crate::disk::DiskManner;
use crate::fault::Fault;
use crate::faulty::{FaultyConnection, FaultyOutput};
use crate::rng::{Rng, milliseconds, seconds};
use crate::watch::LATENESS;
use crate::world::{Happening, World};

/// How long the process waits for its threads after SIGTERM.
const GRACE: Duration = milliseconds(1500);

/// A running process.
#[derive(Debug)]
pub(crate) struct Daemon {
    number: u64,
    /// `None` once the receiver thread has ended.
    pub(crate) connection: Option<FaultyConnection>,
    /// What has come over the network, and is not taken in yet.
    pub(crate) arrived: VecDeque<Arrived>,
    /// The connection's own deadline, for the watchers.
    pub(crate) own_deadline: Rc<Cell<Option<Instant>>>,
    pub(crate) receiver_alarm: Alarm,
    /// The number of the question or the link that is under way.
    pub(crate) under_way: Option<u64>,
    /// The channel between the threads.
    pub(crate) snapshots: (SnapshotSender, Receiver<Arc<Snapshot>>),
    pub(crate) output: Option<FaultyOutput>,
    pub(crate) writer_alarm: Alarm,
    pub(crate) operation: Option<Operation>,
    /// Whether it has been asked to end.
    pub(crate) is_stopping: bool,
    /// Whether the writer has nothing left to do but what is under way.
    pub(crate) has_finished: bool,
}

/// What has come over the network, and what is known of it where it is a response.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) event: Event,
    pub(crate) sent: Option<Sent>,
}

/// An act on the disk that is under way.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) number: u64,
    pub(crate) action: Action,
    /// How it went, once it has shown.
    pub(crate) outcome: Option<OutputEvent>,
}

/// A thread's timer, which is a little late.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    deadline: Option<Duration>,
    rings: Duration,
}

impl Alarm {
    /// When it rings, if it is set for `deadline`.
    pub(crate) fn set(&mut self, deadline: Option<Duration>, rng: &mut Rng) -> Option<Duration> {
        if self.deadline != deadline {
            self.deadline = deadline;
            let lateness = match rng.below(16) {
                0 => rng.between(Duration::ZERO, LATENESS),
                1..8 => rng.between(Duration::ZERO, milliseconds(2)),
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
        self.log(|| "the daemon starts".to_owned());
        let start = self.instant(self.now);
        let session = Session::new("kuma_sd".to_owned(), LabelStyle::Original);
        let connection = Connection::new(session, Pins::default(), Security::Plaintext, start);
        let connection = FaultyConnection::new(connection, self.fault, start);
        self.daemon = Some(Daemon {
            number: self.number(),
            own_deadline: Rc::clone(&connection.own_deadline),
            connection: Some(connection),
            arrived: VecDeque::new(),
            receiver_alarm: Alarm::default(),
            under_way: None,
            snapshots: snapshot_channel(),
            output: Some(FaultyOutput::new(Output::new(start, false), self.fault, start)),
            writer_alarm: Alarm::default(),
            operation: None,
            is_stopping: false,
            has_finished: false,
        });
        self.watch.daemon_starts();
    }

    /// SIGKILL, or a power cut: whatever is under way is lost.
    pub(crate) fn daemon_is_killed(&mut self) {
        if self.daemon.take().is_none() {
            return;
        }
        self.log(|| "the daemon is gone".to_owned());
        self.link = None;
        // Of what it has not flushed, nobody knows any more.
        self.disk.is_flushed = true;
        self.watch.file.daemon_ends();
        self.watch.daemon_starts();
        let pause = self.rng.about(seconds(2));
        self.plan(pause, Happening::DaemonStarts);
    }

    /// SIGTERM: the receiver ends at once, the writer when it has written what it was given.
    pub(crate) fn daemon_is_asked_to_end(&mut self) {
        let has_fault = self.has(Fault::NothingWrittenAtTheEnd);
        let Some(daemon) = &mut self.daemon else {
            return;
        };
        if daemon.is_stopping {
            return;
        }
        daemon.is_stopping = true;
        daemon.has_finished = has_fault;
        daemon.connection = None;
        daemon.under_way = None;
        let number = daemon.number;
        self.log(|| "SIGTERM".to_owned());
        self.link = None;
        self.watch.receiver_ends();
        self.watch.file.daemon_ends();
        // Of an act that hangs or fails nobody can say how it ends.
        self.schedule.is_end_clean = self.disk.manner == DiskManner::Healthy
            && !self.disk.is_touched
            && !self.watch.file.is_disk_in_doubt(self.now);
        self.plan(GRACE, Happening::GraceEnds(number));
        self.writer_goes_on();
    }

    /// The writer has nothing left to do.
    pub(crate) fn daemon_ends(&mut self) {
        self.log(|| "the daemon ends".to_owned());
        let could_write = self.schedule.is_end_clean
            && self.disk.manner == DiskManner::Healthy
            && !self.disk.is_touched;
        let file = self.disk.file.as_deref();
        let verdict = &mut self.watch.verdict;
        self.watch.file.ended(file, could_write, verdict);
        self.daemon_is_killed();
    }

    pub(crate) fn grace_ends(&mut self, number: u64) {
        if self.daemon.as_ref().is_some_and(|daemon| daemon.number == number) {
            self.daemon_is_killed();
        }
    }
}
