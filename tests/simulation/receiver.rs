//! The receiver thread: performs what the connection wants done, as `src/daemon/receiver.rs` and
//! `src/mads/transport/network.rs` do, and tells it what comes of it.

use std::time::Duration;

use kuma_prometheus_sd::mads::connection::{Action, Connection, Event};
use kuma_prometheus_sd::mads::endpoint::Question;
use kuma_prometheus_sd::mads::negotiation::{EndKind, Protocol};
use kuma_prometheus_sd::mads::report::Report;
use kuma_prometheus_sd::snapshot::Snapshot;
use log::Level;

use crate::control_plane::{Manner, Sent};
use crate::dice::{milliseconds, seconds};
use crate::fault::Fault;
use crate::network::{Link, ended};
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
        let polls = self
            .link
            .as_ref()
            .is_some_and(|link| link.protocol == Protocol::Http);
        let daemon = self.daemon.as_mut()?;
        let alarm = daemon.receiver_alarm.set(deadline, &mut self.dice)?;
        let has_failed = daemon.under_way.is_none() && daemon.failed > Duration::ZERO;
        let is_flooded = self.control_plane.manner == Manner::Flooding && self.link.is_some();
        let is_asking = daemon.under_way.is_some() && self.link.is_none();
        match self.fault {
            Some(Fault::StarvingLoop) if is_flooded => None,
            Some(Fault::StateWithoutDeadline) if is_asking => None,
            Some(Fault::ForgottenRetry) if has_failed => None,
            Some(Fault::BackoffAlwaysReset) if has_failed => {
                Some(alarm.min(daemon.failed + seconds(1)))
            }
            Some(Fault::HastyPolls) if polls => Some(alarm.min(self.now + milliseconds(1))),
            _ => Some(alarm),
        }
    }

    pub(crate) fn receiver_wakes(&mut self) {
        if let Some(daemon) = &mut self.daemon {
            daemon.receiver_alarm.reset();
        }
        self.connection_steps(Event::Time, None);
    }

    /// Something comes over the network; from an abandoned link nobody listens to it any more.
    pub(crate) fn reaches_daemon(&mut self, number: u64, event: Event, sent: Option<Sent>) {
        let Some(daemon) = &self.daemon else {
            return;
        };
        let is_present = daemon.under_way == Some(number);
        if !is_present && !self.has(Fault::AbandonedSourceCounts) {
            return;
        }
        if let Some(link) = self.link.as_mut().filter(|link| link.number == number) {
            link.poll_is_answered();
        }
        self.event_from_outside();
        if let Event::Ready | Event::Response(_) | Event::Unchanged = event {
            self.watch.log.heard(self.now);
        }
        self.connection_steps(event, sent.filter(|_| is_present));
    }

    /// SIGHUP.
    pub(crate) fn hang_up(&mut self) {
        self.event_from_outside();
        self.connection_steps(Event::HangUp, None);
    }

    fn event_from_outside(&mut self) {
        let daemon = self.daemon.as_ref();
        let connection = daemon.and_then(|daemon| daemon.connection.as_ref());
        let deadline = connection.and_then(Connection::deadline);
        let deadline = deadline.map(|deadline| self.time(deadline));
        let watch = &mut self.watch;
        watch.pace.event_from_outside();
        watch
            .pace
            .event_before(self.now, deadline, &mut watch.verdict);
    }

    /// One event, and all that follows from it.
    fn connection_steps(&mut self, event: Event, sent: Option<Sent>) {
        let mut next = Some((event, sent));
        while let Some((event, sent)) = next.take() {
            self.tell(|| format!("connection <- {}", in_words(&event, sent.as_ref())));
            if let (Event::Response(_), Some(sent)) = (&event, &sent) {
                self.watch.protocol.response(self.now, sent);
            }
            self.watch.pace.event(self.now, &event, sent.as_ref());
            self.watch.pace.step(self.now, &mut self.watch.verdict);
            let is_hang_up = matches!(event, Event::HangUp);
            let actions = self.connection_step(event);
            if is_hang_up {
                self.watch_hang_up();
            }
            for mut action in actions {
                self.plant(&mut action);
                self.watch_connection(&action);
                next = self
                    .perform(action, sent.as_ref())
                    .map(|event| (event, None))
                    .or(next);
            }
            self.watch.protocol.after_step(&mut self.watch.verdict);
        }
    }

    fn connection_step(&mut self, event: Event) -> Vec<Action> {
        let jitter = match (self.fault, &event) {
            (Some(Fault::FleetReturnsAtOnce), _)
            | (Some(Fault::ReloadedFleetReturnsAtOnce), Event::HangUp) => 0.5,
            _ => self.dice.jitter(),
        };
        let is_hasty = self.has(Fault::BackoffAlwaysReset) || self.has(Fault::HastyPolls);
        let mut instant = self.instant(self.now);
        let daemon = self.daemon.as_mut();
        let Some(connection) = daemon.and_then(|daemon| daemon.connection.as_mut()) else {
            return Vec::new();
        };
        if let (Event::Time, true) = (&event, is_hasty) {
            // Only what is not far off: the next poll or attempt, not the end of one that hangs.
            let soon = instant + seconds(31);
            let deadline = connection.deadline().filter(|deadline| *deadline < soon);
            instant = instant.max(deadline.unwrap_or(instant));
        }
        let mut actions = connection.step(instant, jitter, event);
        if self.has(Fault::AckBeforeHandOver) {
            actions.sort_by_key(|action| !matches!(action, Action::Send(_)));
        }
        actions
    }

    /// The connection has been told to connect anew, and has decided when.
    fn watch_hang_up(&mut self) {
        let daemon = self.daemon.as_ref();
        let connection = daemon.and_then(|daemon| daemon.connection.as_ref());
        let Some(until) = connection.and_then(Connection::deadline) else {
            return;
        };
        let pause = self.time(until).saturating_sub(self.now);
        let watch = &mut self.watch;
        if watch.pace.hung_up(self.now, pause, &mut watch.verdict) {
            watch.reload_spread.first_pause(pause, &mut watch.verdict);
        }
    }

    fn watch_connection(&mut self, action: &Action) {
        if !matches!(action, Action::Report(report) if report.level() > Level::Info) {
            self.tell(|| format!("connection -> {}", action_in_words(action)));
        }
        let watch = &mut self.watch;
        watch.protocol.action(self.now, action, &mut watch.verdict);
        if let Action::Report(Report::Trouble { retry_in, .. }) = action
            && watch.pace.is_first_pause()
        {
            watch
                .outage_spread
                .first_pause(*retry_in, &mut watch.verdict);
        }
        watch.pace.action(self.now, action, &mut watch.verdict);
        if let Action::Report(report) = action {
            watch.log.connection(self.now, report, &mut watch.verdict);
        }
    }

    /// Does one thing; its failure is an event.
    fn perform(&mut self, action: Action, sent: Option<&Sent>) -> Option<Event> {
        match action {
            Action::Resolve => self.resolve(),
            Action::Diagnose(_) => {
                let number = self.under_way();
                if self.question_hangs() {
                    return None;
                }
                let pause = self.dice.between(Duration::ZERO, DIAGNOSIS_LIMIT);
                self.plan(
                    pause,
                    Happening::ToDaemon(number, Event::Diagnosed(None), None),
                );
            }
            Action::Open(endpoint, protocol, request) => {
                if self.weather.is_trouble() && self.dice.chance(0.001) {
                    return Some(ended(EndKind::Outage));
                }
                let number = self.under_way();
                self.link = Some(Link::new(number, protocol));
                if protocol == Protocol::Http {
                    self.poll_begins(true, request.hold);
                }
                let latency = self.latency();
                self.plan(
                    latency,
                    Happening::Opened(number, endpoint, protocol, request),
                );
            }
            Action::Send(request) => {
                if self.link.as_ref()?.protocol == Protocol::Http {
                    self.poll_begins(false, request.hold);
                }
                let number = self.link.as_ref()?.number;
                let latency = self.latency();
                self.plan(latency, Happening::Requested(number, request));
            }
            Action::HandOver(snapshot) => {
                if let Some(list) = sent.and_then(|sent| sent.file.as_ref()) {
                    self.watch.file.handed_over(self.now, list);
                }
                self.hand_over(snapshot);
            }
            Action::Close => {
                self.link = None;
                let daemon = self.daemon.as_mut()?;
                daemon.under_way = None;
                daemon.failed = self.now;
            }
            Action::Report(report) => {
                let is_away = matches!(report, Report::Trouble { .. });
                if is_away && self.has(Fault::EmptyWhileAway) {
                    let targets = Vec::new();
                    self.hand_over(Snapshot { targets });
                }
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
    fn hand_over(&mut self, snapshot: Snapshot) {
        let keeps_old = self.has(Fault::NewestListDropped);
        let Some(daemon) = &mut self.daemon else {
            return;
        };
        if daemon.slot.is_some() && keeps_old {
            return;
        }
        daemon.slot = Some(snapshot);
        let latency = self.dice.between(Duration::ZERO, milliseconds(2));
        self.plan(latency, Happening::WriterWakes);
    }

    /// Whether a thread is never heard of again, as with a token on a disk that hangs.
    fn question_hangs(&mut self) -> bool {
        self.weather.is_trouble() && self.dice.chance(HANGS)
    }

    fn resolve(&mut self) {
        let number = self.under_way();
        if self.question_hangs() {
            return;
        }
        let asks = self.control_plane.has_api_server();
        let hangs = asks
            && (self.control_plane.api_hangs()
                || matches!(
                    self.control_plane.manner,
                    Manner::Unreachable | Manner::NeverReady
                ));
        let refuses = asks && self.control_plane.manner == Manner::Refusing;
        let (pause, resolved) = if hangs {
            (RESOLVE_LIMIT, Err("no answer in time".to_owned()))
        } else if refuses {
            (self.latency(), Err("connection refused".to_owned()))
        } else {
            let pause = self.latency() + self.latency();
            (pause, self.control_plane.endpoint(&mut self.dice))
        };
        if asks {
            let question = Question {
                url: "http://cp:5681/catalog".to_owned(),
                outcome: format!("{:?}", resolved.is_ok()),
                is_answered: resolved.is_ok(),
            };
            self.plan(
                pause,
                Happening::ToDaemon(number, Event::Asked(question), None),
            );
        }
        self.plan(
            pause,
            Happening::ToDaemon(number, Event::Resolved(resolved), None),
        );
    }

    /// What a faulty machine would have asked for instead.
    fn plant(&mut self, action: &mut Action) {
        let Some(fault) = self.fault else {
            return;
        };
        let Some(daemon) = &mut self.daemon else {
            return;
        };
        match (fault, &mut *action) {
            (Fault::VersionOfAnotherGeneration, Action::Open(_, _, request)) => {
                request.version.clone_from(&daemon.sent_before.0);
            }
            (Fault::ForgottenClose, Action::Close) => {
                *action = Action::Report(Report::Unchanged {
                    ends_rejections: false,
                });
            }
            (Fault::EveryFailureLogged, Action::Report(Report::Trouble { failure, .. })) => {
                failure.held_back = Some(0);
            }
            (Fault::NackWithRejectedVersion, Action::Send(request))
                if request.rejection.is_some() =>
            {
                "the rejected one".clone_into(&mut request.version);
            }
            (_, Action::Send(request)) if request.rejection.is_none() => {
                let (version, nonce) = &mut daemon.sent_before;
                version.clone_from(&request.version);
                let before = std::mem::replace(nonce, request.nonce.clone());
                if fault == Fault::NonceOfResponseBefore {
                    request.nonce = before;
                }
            }
            _ => {}
        }
    }
}

fn action_in_words(action: &Action) -> String {
    match action {
        Action::Open(endpoint, protocol, request) => format!(
            "open {protocol} at {}, version {:?}",
            endpoint.authority(),
            request.version
        ),
        Action::Send(request) => {
            let what = if request.rejection.is_some() {
                "NACK"
            } else {
                "ACK"
            };
            format!(
                "{what}, version {:?}, nonce {:?}",
                request.version, request.nonce
            )
        }
        Action::HandOver(snapshot) => format!("hand over {} targets", snapshot.targets.len()),
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
