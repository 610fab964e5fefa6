//! The receiver thread: the program's own turns, in virtual time, over the simulated network.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kuma_prometheus_sd::common::machine::{self, Effects, Machine};
use kuma_prometheus_sd::mads::connection::{Action, Event, NetworkAction};
use kuma_prometheus_sd::mads::endpoint::Probe;
use kuma_prometheus_sd::mads::negotiation::{EndKind, Protocol};
use kuma_prometheus_sd::mads::report::Report;
use kuma_prometheus_sd::snapshot::Snapshot;
use log::Level;

use crate::control_plane::{Manner, Sent, no_answer};
use crate::daemon::Arrived;
use crate::fault::Fault;
use crate::faulty::FaultyConnection;
use crate::network::{Link, ended};
use crate::rng::{milliseconds, seconds};
use crate::world::{Happening, World};

/// The longest time for all questions to the API server together.
const RESOLVE_LIMIT: Duration = seconds(10);

/// The longest time that finding out why a server hung up takes.
const DIAGNOSIS_LIMIT: Duration = seconds(3);

/// How often, in trouble, a thread that was to find something out hangs for good.
const HANGS: f64 = 0.02;

impl World {
    /// When the receiver's deadline has come.
    pub(crate) fn receiver_alarm(&mut self) -> Option<Duration> {
        let connection = self.daemon.as_ref()?.connection.as_ref()?;
        let deadline = connection.deadline().map(|deadline| self.time(deadline));
        let daemon = self.daemon.as_mut()?;
        daemon.receiver_alarm.set(deadline, &mut self.rng)
    }

    pub(crate) fn receiver_wakes(&mut self) {
        if let Some(daemon) = &mut self.daemon {
            daemon.receiver_alarm.reset();
        }
        self.watch.pace.step(self.now, &mut self.watch.verdict);
        self.receiver_turns(None);
    }

    /// Something comes over the network; from an abandoned link nobody listens to it any more.
    pub(crate) fn reaches_daemon(&mut self, number: u64, event: Event, sent: Option<Sent>) {
        let counts_anyway = self.has(Fault::AbandonedSourceCounts);
        let Some(daemon) = &mut self.daemon else {
            return;
        };
        let is_present = daemon.under_way == Some(number);
        if !is_present && !counts_anyway {
            return;
        }
        let sent = sent.filter(|_| is_present);
        daemon.arrived.push_back(Arrived { event, sent });
        if let Some(link) = self.link.as_mut().filter(|link| link.number == number) {
            link.poll_is_answered();
        }
        self.receiver_turns(None);
    }

    /// SIGHUP.
    pub(crate) fn reconnect(&mut self) {
        let daemon = self.daemon.as_ref();
        if daemon.is_some_and(|daemon| daemon.connection.is_some()) {
            self.event_from_outside();
            self.receiver_turns(Some(Event::Reconnect));
        }
    }

    /// The thread takes its turns until it would wait.
    fn receiver_turns(&mut self, mut command: Option<Event>) {
        loop {
            let is_stream = |link: &Link| link.protocol != Protocol::Http;
            let is_flooded = self.control_plane.manner == Manner::Flooding
                && self.link.as_ref().is_some_and(is_stream);
            let daemon = self.daemon.as_mut();
            let Some(mut connection) = daemon.and_then(|daemon| daemon.connection.take()) else {
                return;
            };
            connection.is_flooded = is_flooded;
            let Ok(is_busy) = machine::turn(&mut connection, self, command.take());
            self.watch.protocol.after_step(&mut self.watch.verdict);
            if let Some(daemon) = &mut self.daemon {
                daemon.connection = Some(connection);
            }
            if !is_busy {
                return;
            }
        }
    }

    /// The connection's own deadline, whatever a fault makes of it.
    fn own_deadline(&self) -> Option<Duration> {
        let deadline = self.daemon.as_ref()?.own_deadline.get();
        deadline.map(|deadline| self.time(deadline))
    }

    fn event_from_outside(&mut self) {
        let deadline = self.own_deadline();
        let watch = &mut self.watch;
        watch.pace.event_from_outside();
        watch.pace.event_before(self.now, deadline, &mut watch.verdict);
    }

    /// The connection has been asked to connect anew, and has decided when.
    fn watch_reconnect(&mut self) {
        let Some(until) = self.own_deadline() else {
            return;
        };
        let pause = until.saturating_sub(self.now);
        let watch = &mut self.watch;
        if watch.pace.reconnects(self.now, pause, &mut watch.verdict) {
            watch.reload_spread.first_pause(pause, &mut watch.verdict);
        }
    }

    fn watch_connection(&mut self, action: &Action) {
        if !matches!(action, Action::Report(report) if report.level() > Level::Info) {
            self.log(|| format!("connection -> {}", action_in_words(action)));
        }
        let watch = &mut self.watch;
        watch.protocol.action(self.now, action, &mut watch.verdict);
        if let Action::Report(Report::Disconnected { retry_in, .. }) = action
            && watch.pace.is_first_pause()
        {
            watch.outage_spread.first_pause(*retry_in, &mut watch.verdict);
        }
        watch.pace.action(self.now, action, &mut watch.verdict);
        if let Action::Report(report) = action {
            watch.log.connection(self.now, report, &mut watch.verdict);
        }
    }

    /// What the network does; its failure is an event.
    fn perform_on_network(&mut self, action: NetworkAction) -> Option<Event> {
        match action {
            NetworkAction::Resolve => self.resolve(),
            NetworkAction::Diagnose(_) => {
                let number = self.under_way();
                if self.question_hangs() {
                    return None;
                }
                let pause = self.rng.between(Duration::ZERO, DIAGNOSIS_LIMIT);
                self.plan(pause, Happening::ToDaemon(number, Event::Diagnosed(None), None));
            }
            NetworkAction::Open(endpoint, protocol, request) => {
                if self.schedule.has_faults() && self.rng.chance(0.001) {
                    return Some(ended(EndKind::Outage));
                }
                let number = self.under_way();
                self.link = Some(Link::new(number, protocol));
                if protocol == Protocol::Http {
                    self.poll_begins(true, request.hold);
                }
                let latency = self.latency();
                self.plan(latency, Happening::Opened(number, endpoint, protocol, request));
            }
            NetworkAction::Send(request) => {
                if self.link.as_ref()?.protocol == Protocol::Http {
                    self.poll_begins(false, request.hold);
                }
                let number = self.link.as_ref()?.number;
                let latency = self.latency();
                self.plan(latency, Happening::Requested(number, request));
            }
            NetworkAction::Close => {
                self.link = None;
                let daemon = self.daemon.as_mut()?;
                daemon.under_way = None;
                daemon.arrived.clear();
            }
        }
        None
    }

    /// The number of what is under way from now on.
    fn under_way(&mut self) -> u64 {
        let number = self.number();
        if let Some(daemon) = &mut self.daemon {
            daemon.under_way = Some(number);
        }
        number
    }

    /// The channel holds the newest list only.
    fn hand_over(&mut self, snapshot: Arc<Snapshot>) {
        let keeps_old = self.has(Fault::NewestListDropped);
        let Some(daemon) = &mut self.daemon else {
            return;
        };
        if keeps_old && !daemon.snapshots.1.is_empty() {
            return;
        }
        daemon.snapshots.0.hand_over(snapshot);
        let latency = self.rng.between(Duration::ZERO, milliseconds(2));
        self.plan(latency, Happening::WriterWakes);
    }

    /// Whether a thread is never heard of again, as with a token on a disk that hangs.
    fn question_hangs(&mut self) -> bool {
        self.schedule.has_faults() && self.rng.chance(HANGS)
    }

    fn resolve(&mut self) {
        let number = self.under_way();
        if self.question_hangs() {
            return;
        }
        let asks = self.control_plane.has_api_server();
        let hangs = asks
            && (self.control_plane.api_hangs()
                || matches!(self.control_plane.manner, Manner::Unreachable | Manner::NeverReady));
        let refuses = asks && self.control_plane.manner == Manner::Refusing;
        let (pause, resolved) = if hangs {
            (RESOLVE_LIMIT, Err(no_answer(504)))
        } else if refuses {
            (self.latency(), Err(no_answer(502)))
        } else {
            let pause = self.latency() + self.latency();
            (pause, self.control_plane.endpoint(&mut self.rng))
        };
        if asks {
            let question = Probe {
                url: "http://cp:5681/catalog".to_owned(),
                outcome: format!("{:?}", resolved.is_ok()),
                is_answered: resolved.is_ok(),
            };
            self.plan(pause, Happening::ToDaemon(number, Event::ProbeFinished(question), None));
        }
        self.plan(pause, Happening::ToDaemon(number, Event::Resolved(resolved), None));
    }
}

impl Effects<FaultyConnection> for World {
    type Error = Infallible;

    fn now(&self) -> Instant {
        self.instant(self.now)
    }

    fn random(&mut self) -> f64 {
        self.rng.jitter()
    }

    fn poll(&mut self) -> Result<Option<Event>, Infallible> {
        let daemon = self.daemon.as_mut();
        let Some(Arrived { event, sent }) = daemon.and_then(|daemon| daemon.arrived.pop_front())
        else {
            return Ok(None);
        };
        self.event_from_outside();
        if let Event::Ready | Event::Response(_) | Event::Unchanged = event {
            self.watch.log.heard(self.now);
        }
        self.sent = sent;
        Ok(Some(event))
    }

    fn begin(&mut self, event: &Event) {
        if !matches!(event, Event::Response(_)) {
            self.sent = None;
        }
        let sent = self.sent.clone();
        self.log(|| format!("connection <- {}", in_words(event, sent.as_ref())));
        if let Some(sent) = &sent {
            self.watch.protocol.response(self.now, sent);
        }
        self.watch.pace.event(self.now, event, sent.as_ref());
        self.watch.pace.step(self.now, &mut self.watch.verdict);
    }

    fn perform(&mut self, action: Action) -> Vec<Event> {
        self.watch_connection(&action);
        match action {
            Action::Network(action) => {
                return self.perform_on_network(action).into_iter().collect();
            }
            Action::HandOver(snapshot) => {
                let list = self.sent.as_ref().and_then(|sent| sent.file.clone());
                if let Some(list) = list {
                    self.watch.file.handed_over(self.now, &list);
                }
                self.hand_over(snapshot);
            }
            Action::Report(Report::Disconnected { .. }) if self.has(Fault::EmptyWhileAway) => {
                self.hand_over(Arc::new(Snapshot::empty()));
            }
            Action::Report(Report::Reconnecting) => self.watch_reconnect(),
            Action::Report(_) => {}
        }
        Vec::new()
    }
}

fn action_in_words(action: &Action) -> String {
    match action {
        Action::Network(NetworkAction::Open(endpoint, protocol, request)) => {
            format!("open {protocol} at {}, version {:?}", endpoint.authority(), request.version)
        }
        Action::Network(NetworkAction::Send(request)) => {
            let what = if request.rejection.is_some() { "NACK" } else { "ACK" };
            format!("{what}, version {:?}, nonce {:?}", request.version, request.nonce)
        }
        Action::HandOver(snapshot) => format!("hand over {} targets", snapshot.groups()),
        Action::Report(report) => format!("log: {report}"),
        action => format!("{action:?}"),
    }
}

fn in_words(event: &Event, sent: Option<&Sent>) -> String {
    match (event, sent) {
        (Event::Response(response), Some(sent)) => {
            let what = if sent.file.is_some() { "good" } else { "bad" };
            format!(
                "{what} response, version {:?}, nonce {:?}, {} resources",
                response.version,
                response.nonce,
                response.resources.len()
            )
        }
        (event, _) => format!("{event:?}"),
    }
}
