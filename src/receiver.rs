//! The receiver thread: does what the connection machine says, and tells it what happens.
//!
//! One loop, one `select!`: whatever can happen (the network, a deadline, a command) wakes it.

use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, TrySendError, at, bounded, never, select};

use crate::connection::{Action, Connection, Event, Snapshot};
use crate::endpoint::resolve::resolve;
use crate::endpoint::{Address, Endpoint};
use crate::http_client;
use crate::negotiation::{End, EndKind, Protocol};
use crate::session::Request;
use crate::source::background::{Background, BackgroundDied};
use crate::source::{Source, http};

/// What the main thread asks of the receiver. It ends when the channel of these is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Connect anew at once.
    HangUp,
}

/// Hands snapshots to the writer without ever waiting for it: only the newest one is kept.
#[derive(Clone)]
pub struct SnapshotSender {
    sender: Sender<Snapshot>,
    /// The writer's own end, to take back a snapshot that it has not taken.
    receiver: Receiver<Snapshot>,
}

/// The channel from the receiver to the writer. The writer sees it closed when the sender is
/// dropped.
#[must_use]
pub fn snapshot_channel() -> (SnapshotSender, Receiver<Snapshot>) {
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
    fn hand_over(&self, mut snapshot: Snapshot) {
        while let Err(TrySendError::Full(unsent)) = self.sender.try_send(snapshot) {
            // The writer may take the old one in between; then there is room as well.
            let _ = self.receiver.try_recv();
            snapshot = unsent;
        }
    }
}

/// What the connection has under way.
enum Work {
    Nothing,
    Resolving(Background),
    Source(Source),
}

/// The thread's own part: the effects.
pub struct ReceiverThread {
    connection: Connection,
    address: Address,
    snapshots: SnapshotSender,
    work: Work,
    #[cfg(feature = "grpc")]
    grpc: Option<crate::source::grpc::Runtime>,
    waker: Waker,
    woken: Receiver<()>,
}

/// Wakes the loop: a full channel means that it is awake already.
struct ChannelWaker(Sender<()>);

impl Wake for ChannelWaker {
    fn wake(self: Arc<Self>) {
        let _ = self.0.try_send(());
    }
}

impl ReceiverThread {
    /// A receiver that follows the control plane at `address`.
    #[must_use]
    pub fn new(connection: Connection, address: Address, snapshots: SnapshotSender) -> Self {
        let (sender, woken) = bounded(1);
        Self {
            connection,
            address,
            snapshots,
            work: Work::Nothing,
            #[cfg(feature = "grpc")]
            grpc: None,
            waker: Waker::from(Arc::new(ChannelWaker(sender))),
            woken,
        }
    }

    /// Runs until `commands` is disconnected.
    ///
    /// # Errors
    /// Where a thread that this one depends on is no more.
    pub fn run(mut self, commands: &Receiver<Command>) -> Result<(), BackgroundDied> {
        loop {
            while let Some(event) = self.poll()? {
                self.step(event);
            }
            select! {
                recv(self.woken) -> _ => {}
                recv(commands) -> command => match command {
                    Ok(Command::HangUp) => self.step(Event::HangUp),
                    Err(_) => return Ok(()),
                },
                recv(self.connection.deadline().map_or_else(never, at)) -> _ => {
                    self.step(Event::Time);
                }
            }
        }
    }

    fn poll(&mut self) -> Result<Option<Event>, BackgroundDied> {
        match &mut self.work {
            Work::Nothing => Ok(None),
            Work::Resolving(background) => background.poll(),
            Work::Source(source) => source.poll(),
        }
    }

    /// One event, and all that follows from it.
    fn step(&mut self, event: Event) {
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
            Action::Resolve => return self.resolve(),
            Action::Open(endpoint, protocol, request) => {
                return self
                    .open(&endpoint, protocol, request)
                    .err()
                    .map(Event::Ended);
            }
            Action::Send(request) => {
                if let Work::Source(source) = &mut self.work {
                    source.send(request);
                }
            }
            Action::HandOver(snapshot) => self.snapshots.hand_over(snapshot),
            Action::Close => self.work = Work::Nothing,
            Action::Report(report) => log::log!(report.level(), "{report}"),
        }
        None
    }

    fn resolve(&mut self) -> Option<Event> {
        let address = self.address.clone();
        let spawned = Background::spawn("resolver", self.waker.clone(), move |events| {
            let resolved = resolve(&address, &http_client::agent());
            events.send(Event::Resolved(resolved.map_err(|error| error.to_string())));
        });
        match spawned {
            Ok(background) => {
                self.work = Work::Resolving(background);
                None
            }
            Err(error) => Some(Event::Resolved(Err(format!(
                "cannot start a thread: {error}"
            )))),
        }
    }

    fn open(
        &mut self,
        endpoint: &Endpoint,
        protocol: Protocol,
        request: Request,
    ) -> Result<(), End> {
        let waker = self.waker.clone();
        let source = match protocol {
            #[cfg(feature = "grpc")]
            Protocol::Grpc(generation) => {
                use crate::source::grpc;
                let runtime = self.grpc.get_or_insert_with(grpc::Runtime::start);
                let stream = grpc::Stream::open(runtime, endpoint, generation, &request, waker)?;
                Source::Grpc(Box::new(stream))
            }
            #[cfg(not(feature = "grpc"))]
            Protocol::Grpc(_) => unreachable!("gRPC is not negotiated where it is not built in"),
            Protocol::Http => {
                let agent = http_client::agent();
                let poller =
                    http::Poller::open(endpoint, agent, request, waker).map_err(|error| {
                        let reason = format!("cannot start a thread: {error}");
                        End {
                            kind: EndKind::Outage,
                            reason,
                        }
                    })?;
                Source::Http(poller)
            }
        };
        self.work = Work::Source(source);
        Ok(())
    }
}
