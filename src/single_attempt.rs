//! One attempt to get a list: runs the daemon's own state machine for the connection until it hands over
//! a list, or fails for the first time. For `check` and `run --once`.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::cli::config::Config;
use crate::common::machine::{self, Effects, Machine};
use crate::common::sanitize::sanitize;
use crate::common::wording::Rounded;
use crate::mads::connection::{Action, Connection, ConnectionError, Event};
use crate::mads::negotiation::Protocol;
use crate::mads::report::Report;
use crate::mads::session::{Rejection, Session};
use crate::mads::transport::background::BackgroundDied;
use crate::mads::transport::network::Network;
use crate::snapshot::Snapshot;

/// Why there is no list.
#[derive(Debug)]
pub enum NoList {
    /// The attempt failed, or the connection was lost.
    NoConnection(Box<ConnectionError>),
    /// The list cannot be used.
    Rejected(Rejection),
    /// This one has not answered within this time.
    NoAnswer(String, Duration),
    /// The control plane has answered, and has sent none within this time.
    NotSent(Duration),
    /// A thread ended that this one depends on.
    Died(BackgroundDied),
}

impl fmt::Display for NoList {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoConnection(error) => write!(formatter, "no connection: {error}"),
            Self::Rejected(reason) => {
                let reason = sanitize(&reason.to_string());
                write!(formatter, "the list cannot be used: {reason}")
            }
            Self::NoAnswer(who, limit) => {
                write!(formatter, "{who}: no answer within {}", Rounded(*limit))
            }
            Self::NotSent(limit) => write!(
                formatter,
                "no list has come within {}; with named MeshMetric backends that are all for other \
                 clients this is normal, see --name",
                Rounded(*limit)
            ),
            Self::Died(error) => write!(formatter, "{error}; please report this"),
        }
    }
}

impl std::error::Error for NoList {}

/// What the connection's actions are done with.
struct SingleAttempt<F> {
    network: Network,
    observe: F,
    timeout: Duration,
    newer_within: Duration,
    is_grpc: bool,
    /// What has come of it by now.
    result: Result<Arc<Snapshot>, NoList>,
    /// When that is the result; `None` where the timeout is longer than the clock.
    end: Option<Instant>,
}

/// A list that comes within `timeout` of `start`: the first one, or over gRPC one that comes within
/// `newer_within` of it. All reports but that of the failure go to `observe`. Nothing is tried again.
pub(crate) fn receive_list(
    config: Config,
    start: Instant,
    timeout: Duration,
    newer_within: Duration,
    observe: impl FnMut(Report),
) -> Result<Arc<Snapshot>, NoList> {
    let address = config.resolver.address.clone();
    let session = Session::new(config.name, config.label_style);
    let connection = Connection::new(session, config.pins, address.security(), Instant::now());
    let mut connection = connection.single_attempt();
    let mut attempt = SingleAttempt {
        network: Network::new(config.resolver),
        observe,
        timeout,
        newer_within,
        is_grpc: false,
        result: Err(NoList::NoAnswer(format!("the API server at {address}"), timeout)),
        end: start.checked_add(timeout),
    };
    loop {
        let is_busy = machine::turn(&mut connection, &mut attempt, None).map_err(NoList::Died)?;
        if attempt.end.is_some_and(|end| end <= Instant::now()) {
            return attempt.result;
        }
        if !is_busy {
            attempt.wait(connection.deadline());
        }
    }
}

impl<F: FnMut(Report)> SingleAttempt<F> {
    /// Waits for the network, for the machine's deadline or for the end.
    fn wait(&self, deadline: Option<Instant>) {
        let woken = self.network.woken();
        let _ = match [deadline, self.end].into_iter().flatten().min() {
            Some(wake_at) => woken.recv_deadline(wake_at).ok(),
            None => woken.recv().ok(),
        };
    }

    fn end_within(&mut self, pause: Duration) {
        let end = Instant::now() + pause;
        self.end = Some(self.end.map_or(end, |earlier| earlier.min(end)));
    }

    fn received(&mut self, list: Arc<Snapshot>) {
        let is_newest = !self.is_grpc || self.result.is_ok();
        self.result = Ok(list);
        self.end_within(match is_newest {
            true => Duration::ZERO,
            false => self.newer_within,
        });
    }

    fn failed(&mut self, error: NoList) {
        self.result = Err(error);
        self.end_within(Duration::ZERO);
    }

    fn report(&mut self, report: Report) {
        match report {
            Report::Disconnected { error, .. } => {
                return self.failed(NoList::NoConnection(error.into()));
            }
            Report::Rejected { reason, .. } => return self.failed(NoList::Rejected(reason)),
            Report::Opening { ref endpoint, .. } => {
                let mads = format!("MADS at {}", endpoint.authority());
                self.result = Err(NoList::NoAnswer(mads, self.timeout));
            }
            Report::Connected { protocol, .. } => {
                self.is_grpc = matches!(protocol, Protocol::Grpc(_));
                self.result = Err(NoList::NotSent(self.timeout));
            }
            _ => {}
        }
        (self.observe)(report);
    }
}

impl<F: FnMut(Report)> Effects<Connection> for SingleAttempt<F> {
    type Error = BackgroundDied;

    fn poll(&mut self) -> Result<Option<Event>, BackgroundDied> {
        self.network.poll()
    }

    fn perform(&mut self, action: Action) -> Vec<Event> {
        match action {
            Action::Network(action) => return self.network.perform(action).into_iter().collect(),
            Action::HandOver(list) => self.received(list),
            Action::Report(report) => self.report(report),
        }
        Vec::new()
    }
}
