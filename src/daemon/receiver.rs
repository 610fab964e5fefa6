//! The receiver thread: runs the connection's state machine over the network.
//!
//! Whatever can happen (a command, a deadline, the network) wakes it, and has its turn.

use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{Receiver, Select, Sender, TryRecvError, TrySendError, bounded};

use crate::common::heartbeat::Heartbeat;
use crate::common::logging;
use crate::common::machine::{self, Effects, Machine};
use crate::daemon::observed::Observation;
use crate::mads::assignment::Resource;
use crate::mads::connection::{Action, Connection, Event};
use crate::mads::report::Report;
use crate::mads::transport::background::BackgroundDied;
use crate::mads::transport::network::Network;
use crate::snapshot::Snapshot;

/// What the main thread asks of the receiver: to connect anew. It ends when the channel is closed.
#[derive(Debug)]
pub(super) struct Reconnect;

/// Hands snapshots to the writer without ever waiting for it: only the newest one is kept.
#[derive(Debug)]
pub struct SnapshotSender {
    sender: Sender<Arc<Snapshot>>,
    /// The writer's own end, to take back a snapshot that it has not taken.
    receiver: Receiver<Arc<Snapshot>>,
}

/// The channel from the receiver to the writer. The writer sees it closed when the sender is
/// dropped.
pub fn snapshot_channel() -> (SnapshotSender, Receiver<Arc<Snapshot>>) {
    let (sender, receiver) = bounded(1);
    (SnapshotSender { sender, receiver: receiver.clone() }, receiver)
}

impl SnapshotSender {
    /// Gives the writer the newest list, in the place of one that it has not taken yet.
    pub fn hand_over(&self, mut snapshot: Arc<Snapshot>) {
        while let Err(TrySendError::Full(unsent)) = self.sender.try_send(snapshot) {
            // The writer may take the old one in between; then there is room as well.
            let _ = self.receiver.try_recv();
            snapshot = unsent;
        }
    }
}

/// What the connection's actions are done with.
pub(super) struct ReceiverEffects {
    /// Everything but the list and the reports.
    pub(super) network: Network,
    /// The channel to the writer.
    pub(super) snapshots: SnapshotSender,
    /// What the main thread is to know.
    pub(super) observations: Sender<Observation>,
    /// By when the thread will be back.
    pub(super) heartbeat: Heartbeat,
}

/// The receiver thread. It runs until `commands` is disconnected, or a thread that it depends on is no more.
pub(super) fn run(
    mut connection: Connection,
    mut effects: ReceiverEffects,
    commands: &Receiver<Reconnect>,
) -> Result<(), BackgroundDied> {
    loop {
        let command = match commands.try_recv() {
            Ok(Reconnect) => Some(Event::Reconnect),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => return Ok(()),
        };
        let is_busy = machine::turn(&mut connection, &mut effects, command)?;
        if !is_busy {
            effects.wait(connection.deadline(), commands);
        }
    }
}

impl ReceiverEffects {
    /// Waits until there is something to do, or to give a sign of life.
    fn wait(&self, deadline: Option<Instant>, commands: &Receiver<Reconnect>) {
        let wake_at = self.heartbeat.waiting(Instant::now(), deadline);
        let mut ready = Select::new();
        ready.recv(self.network.woken());
        ready.recv(commands);
        let _ = ready.ready_deadline(wake_at);
        let _ = self.network.woken().try_recv();
    }

    fn log(&self, report: Report) {
        logging::log(report.level(), &report.fields(), format_args!("{report}"));
        self.observe(Observation::Connection(report));
    }

    fn observe(&self, observation: Observation) {
        // Where the main thread is no more, the process is ending anyway.
        let _ = self.observations.send(observation);
    }
}

impl Effects<Connection> for ReceiverEffects {
    type Error = BackgroundDied;

    fn poll(&mut self) -> Result<Option<Event>, BackgroundDied> {
        self.network.poll()
    }

    fn begin(&mut self, event: &Event) {
        match event {
            Event::Response(response) => {
                let bytes = response.resources.iter().map(Resource::length).sum();
                self.heartbeat.decoding(Instant::now(), bytes);
            }
            _ => self.heartbeat.working(Instant::now()),
        }
    }

    fn perform(&mut self, action: Action) -> Vec<Event> {
        match action {
            Action::Network(action) => return self.network.perform(action).into_iter().collect(),
            Action::HandOver(snapshot) => {
                self.observe(Observation::List(Arc::clone(&snapshot)));
                self.snapshots.hand_over(snapshot);
            }
            Action::Report(report) => self.log(report),
        }
        Vec::new()
    }
}
