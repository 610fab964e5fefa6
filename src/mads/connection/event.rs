//! The events and actions of the connection.
//!
//! Pure.

use std::sync::Arc;

use crate::mads::endpoint::{Endpoint, Probe};
use crate::mads::negotiation::{End, Protocol};
use crate::mads::report::Report;
use crate::mads::session::{Request, Response};
use crate::mads::transport::resolver::ResolveError;
use crate::snapshot::Snapshot;

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// The time that `deadline` named has come. Harmless at any other time.
    Time,
    /// A probe of the API server was answered, or failed.
    ProbeFinished(Probe),
    /// The answer to `NetworkAction::Resolve`.
    Resolved(Result<Endpoint, ResolveError>),
    /// The gRPC channel is connected, or the answer to a poll has begun.
    Ready,
    /// A response has come.
    Response(Response),
    /// The control plane has nothing newer than what was accepted (HTTP 304).
    Unchanged,
    /// The source is at its end, or could not begin.
    Ended(End),
    /// The answer to `NetworkAction::Diagnose`: what was found out, for an operator.
    Diagnosed(Option<&'static str>),
    /// Connect anew at once.
    Reconnect,
}

/// What to do.
#[derive(Debug)]
pub enum Action {
    /// Do something over the network.
    Network(NetworkAction),
    /// Give the newest list to the writer.
    HandOver(Arc<Snapshot>),
    /// Log what happened.
    Report(Report),
}

/// What to do over the network.
#[derive(Debug)]
pub enum NetworkAction {
    /// Find out where MADS is, and answer with `Event::Resolved`.
    Resolve,
    /// Open a source and send it a first request.
    Open(Endpoint, Protocol, Request),
    /// Find out why a server hung up without a word, and answer with `Event::Diagnosed`.
    Diagnose(Endpoint),
    /// Send a request over the open source.
    Send(Request),
    /// Drop the source; nothing that it still says counts.
    Close,
}

impl From<NetworkAction> for Action {
    fn from(action: NetworkAction) -> Self {
        Self::Network(action)
    }
}
