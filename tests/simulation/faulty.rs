//! The two machines with a fault planted around them: what runs them is not always given what the machine
//! wants. Without a fault, nothing is changed.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use kuma_prometheus_sd::common::machine::Machine;
use kuma_prometheus_sd::mads::connection::{Action, Connection, Event, NetworkAction};
use kuma_prometheus_sd::mads::negotiation::Protocol;
use kuma_prometheus_sd::mads::report::Report;
use kuma_prometheus_sd::output;
use kuma_prometheus_sd::output::state_machine::Output;

use crate::fault::Fault;
use crate::rng::{milliseconds, seconds};

/// What is further off than the longest pause is no retry and no poll, but the end of an attempt.
const SOON: Duration = seconds(31);

#[derive(Debug)]
pub(crate) struct FaultyConnection {
    machine: Connection,
    /// The machine's own deadline, after its last step, for the watchers.
    pub(crate) own_deadline: Rc<Cell<Option<Instant>>>,
    fault: Option<Fault>,
    /// Whether responses come as fast as they can.
    pub(crate) is_flooded: bool,
    /// The time of its last step.
    last: Instant,
    /// Whether it is being found out where MADS is, or why a server hung up.
    is_asking: bool,
    /// When the attempt failed, while nothing is tried.
    failed: Option<Instant>,
    protocol: Option<Protocol>,
    /// The version and the nonce that were sent last.
    sent_before: (String, String),
}

impl FaultyConnection {
    pub(crate) fn new(machine: Connection, fault: Option<Fault>, start: Instant) -> Self {
        Self {
            own_deadline: Rc::new(Cell::new(machine.deadline())),
            machine,
            fault,
            is_flooded: false,
            last: start,
            is_asking: false,
            failed: None,
            protocol: None,
            sent_before: (String::new(), String::new()),
        }
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    fn note(&mut self, now: Instant, action: &Action) {
        match action {
            Action::Network(NetworkAction::Resolve | NetworkAction::Diagnose(_)) => {
                self.is_asking = true;
                self.failed = None;
            }
            Action::Network(NetworkAction::Open(_, protocol, _)) => {
                self.is_asking = false;
                self.protocol = Some(*protocol);
            }
            Action::Network(NetworkAction::Close) => {
                self.is_asking = false;
                self.protocol = None;
            }
            Action::Report(Report::Disconnected { .. }) => self.failed = Some(now),
            _ => {}
        }
    }

    /// What a faulty machine would have asked for instead.
    fn plant(&mut self, action: &mut Action) {
        match (self.fault, action) {
            (
                Some(Fault::VersionOfAnotherApiVersion),
                Action::Network(NetworkAction::Open(_, _, request)),
            ) => request.version.clone_from(&self.sent_before.0),
            (
                Some(Fault::EveryFailureLogged),
                Action::Report(Report::Disconnected { failure, .. }),
            ) => {
                failure.suppressed = Some(0);
            }
            (
                Some(Fault::NackWithRejectedVersion),
                Action::Network(NetworkAction::Send(request)),
            ) if request.rejection.is_some() => {
                "the rejected one".clone_into(&mut request.version);
            }
            (fault, Action::Network(NetworkAction::Send(request)))
                if request.rejection.is_none() =>
            {
                let (version, nonce) = &mut self.sent_before;
                version.clone_from(&request.version);
                let before = std::mem::replace(nonce, request.nonce.clone());
                if fault == Some(Fault::NonceOfResponseBefore) {
                    request.nonce = before;
                }
            }
            _ => {}
        }
    }
}

impl Machine for FaultyConnection {
    type Event = Event;
    type Action = Action;

    const TIME: Event = Event::Time;

    fn deadline(&self) -> Option<Instant> {
        let deadline = self.machine.deadline()?;
        let is_soon = deadline < self.last + SOON;
        match (self.fault, self.failed) {
            (Some(Fault::StarvingLoop), _) if self.is_flooded => None,
            (Some(Fault::StateWithoutDeadline), _) if self.is_asking => None,
            (Some(Fault::ForgottenRetry), Some(_)) => None,
            (Some(Fault::BackoffAlwaysReset), Some(failed)) => {
                Some(deadline.min(failed + seconds(1)))
            }
            (Some(Fault::HastyPolls), _) if is_soon && self.protocol == Some(Protocol::Http) => {
                Some(deadline.min(self.last + milliseconds(1)))
            }
            _ => Some(deadline),
        }
    }

    fn step(&mut self, now: Instant, random: f64, event: Event) -> Vec<Action> {
        let is_reload = matches!(event, Event::Reconnect);
        let random = match self.fault {
            Some(Fault::FleetReturnsAtOnce) => 0.5,
            Some(Fault::ReloadedFleetReturnsAtOnce) if is_reload => 0.5,
            _ => random,
        };
        let is_hasty = self.has(Fault::BackoffAlwaysReset) || self.has(Fault::HastyPolls);
        let believed = match event {
            Event::Time if is_hasty => in_haste(now, self.machine.deadline()),
            _ => now,
        };
        let mut actions = self.machine.step(believed, random, event);
        self.last = now;
        self.own_deadline.set(self.machine.deadline());
        for action in &mut actions {
            self.note(now, action);
            self.plant(action);
        }
        if self.has(Fault::AckBeforeHandOver) {
            let is_send =
                |action: &Action| matches!(action, Action::Network(NetworkAction::Send(_)));
            actions.sort_by_key(|action| !is_send(action));
        }
        if self.has(Fault::ForgottenClose) {
            actions.retain(|action| !matches!(action, Action::Network(NetworkAction::Close)));
        }
        actions
    }
}

#[derive(Debug)]
pub(crate) struct FaultyOutput {
    machine: Output,
    fault: Option<Fault>,
    last: Instant,
    /// Whether a write has failed, and nothing has worked since.
    is_failing: bool,
}

impl FaultyOutput {
    pub(crate) fn new(machine: Output, fault: Option<Fault>, start: Instant) -> Self {
        Self { machine, fault, last: start, is_failing: false }
    }
}

impl Machine for FaultyOutput {
    type Event = output::state_machine::Event;
    type Action = output::state_machine::Action;

    const TIME: Self::Event = output::state_machine::Event::Time;

    fn deadline(&self) -> Option<Instant> {
        let deadline = self.machine.deadline()?;
        let is_soon = deadline <= self.last + milliseconds(100);
        Some(match self.fault {
            Some(Fault::HastyReplacements) if is_soon && !self.is_failing => {
                deadline.min(self.last)
            }
            Some(Fault::HastyRetries) if self.is_failing => {
                deadline.min(self.last + milliseconds(200))
            }
            _ => deadline,
        })
    }

    fn step(&mut self, now: Instant, random: f64, event: Self::Event) -> Vec<Self::Action> {
        use output::report::Report;
        use output::state_machine::{Action, Event};
        let is_hasty = matches!(self.fault, Some(Fault::HastyReplacements | Fault::HastyRetries));
        let believed = match event {
            Event::Time if is_hasty => in_haste(now, self.machine.deadline()),
            _ => now,
        };
        let actions = self.machine.step(believed, random, event);
        self.last = now;
        for action in &actions {
            match action {
                Action::Report(Report::WriteFailed { .. }) => self.is_failing = true,
                Action::Report(Report::Written { .. } | Report::Unchanged { .. }) => {
                    self.is_failing = false;
                }
                _ => {}
            }
        }
        actions
    }
}

/// The time that a hasty machine takes it to be: that of its deadline, unless that is far off.
fn in_haste(now: Instant, deadline: Option<Instant>) -> Instant {
    let deadline = deadline.filter(|deadline| *deadline < now + SOON);
    deadline.map_or(now, |deadline| deadline.max(now))
}
