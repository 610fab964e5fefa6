//! The receiver thread: does what the connection machine says, and tells it what happens.
//!
//! One loop: whatever can happen (the network, a deadline, a command) wakes it, and has its turn.

use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{Receiver, Select, Sender, TryRecvError, TrySendError, bounded};

use crate::common::heartbeat::Heartbeat;
use crate::daemon::status::Note;
use crate::mads::assignment::Resource;
use crate::mads::connection::{Action, Connection, Event};
use crate::mads::report::Report;
use crate::mads::session::Response;
use crate::mads::transport::background::BackgroundDied;
use crate::mads::transport::network::Network;
use crate::snapshot::Snapshot;

/// What the main thread asks of the receiver. It ends when the channel of these is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Connect anew at once.
    HangUp,
}

/// Hands snapshots to the writer without ever waiting for it: only the newest one is kept.
pub struct SnapshotSender {
    sender: Sender<Arc<Snapshot>>,
    /// The writer's own end, to take back a snapshot that it has not taken.
    receiver: Receiver<Arc<Snapshot>>,
}

/// The channel from the receiver to the writer. The writer sees it closed when the sender is
/// dropped.
#[must_use]
pub fn snapshot_channel() -> (SnapshotSender, Receiver<Arc<Snapshot>>) {
    let (sender, receiver) = bounded(1);
    (
        SnapshotSender {
            sender,
            receiver: receiver.clone(),
        },
        receiver,
    )
}

impl SnapshotSender {
    fn hand_over(&self, mut snapshot: Arc<Snapshot>) {
        while let Err(TrySendError::Full(unsent)) = self.sender.try_send(snapshot) {
            // The writer may take the old one in between; then there is room as well.
            let _ = self.receiver.try_recv();
            snapshot = unsent;
        }
    }
}

/// The bytes of a response that are still to be decoded.
fn size(response: &Response) -> usize {
    let size = |resource: &Resource| match resource {
        Resource::Protobuf(_, bytes) | Resource::Json(bytes) => bytes.len(),
        Resource::Foreign(_) => 0,
    };
    response.resources.iter().map(size).sum()
}

/// The thread's own part: the effects.
pub struct ReceiverThread {
    /// Decides.
    pub connection: Connection,
    /// What it decides about.
    pub network: Network,
    /// The way to the writer.
    pub snapshots: SnapshotSender,
    /// What the main thread is to know.
    pub notes: Sender<Note>,
    /// By when the thread will be back.
    pub heartbeat: Heartbeat,
}

impl ReceiverThread {
    /// Runs until `commands` is disconnected.
    ///
    /// # Errors
    /// Where a thread that this one depends on is no more.
    pub fn run(mut self, commands: &Receiver<Command>) -> Result<(), BackgroundDied> {
        loop {
            // One event of the network at a time: where they come faster than they are dealt with,
            // commands and deadlines must have their turn as well.
            match commands.try_recv() {
                Ok(Command::HangUp) => self.step(Event::HangUp),
                Err(TryRecvError::Disconnected) => return Ok(()),
                Err(TryRecvError::Empty) => {}
            }
            let deadline = self.connection.deadline();
            if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                self.step(Event::Time);
            }
            match self.network.poll()? {
                Some(event) => self.step(event),
                None => self.wait(commands),
            }
        }
    }

    /// Waits until there is something to do, or to give a sign of life.
    fn wait(&self, commands: &Receiver<Command>) {
        let deadline = self.connection.deadline();
        let wake_at = self.heartbeat.waiting(Instant::now(), deadline);
        let mut ready = Select::new();
        ready.recv(self.network.woken());
        ready.recv(commands);
        let _ = ready.ready_deadline(wake_at);
        let _ = self.network.woken().try_recv();
    }

    /// One event, and all that follows from it.
    fn step(&mut self, event: Event) {
        match &event {
            Event::Response(response) => self.heartbeat.decoding(Instant::now(), size(response)),
            _ => self.heartbeat.working(Instant::now()),
        }
        let mut next = Some(event);
        while let Some(event) = next.take() {
            for action in self.connection.step(Instant::now(), fastrand::f64(), event) {
                next = self.perform(action).or(next);
            }
        }
    }

    /// Does one thing; its failure is an event.
    fn perform(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Resolve => return self.network.resolve(),
            Action::Diagnose(endpoint) => return self.network.diagnose(endpoint),
            Action::Open(endpoint, protocol, request) => {
                return self.network.open(&endpoint, protocol, request);
            }
            Action::Send(request) => self.network.send(request),
            Action::HandOver(snapshot) => self.snapshots.hand_over(snapshot),
            Action::Close => self.network.close(),
            Action::Report(report) => self.tell(&report),
        }
        None
    }

    fn tell(&self, report: &Report) {
        log::log!(report.level(), "{report}");
        if let Some(note) = Note::of_connection(report) {
            // Where the main thread is no more, the process is ending anyway.
            let _ = self.notes.send(note);
        }
    }
}
