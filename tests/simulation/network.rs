//! The network between daemon and control plane: how long messages take, and how links end. A link is what a
//! source holds open; the control plane's view of it is kept here as well.

use std::time::Duration;

use kuma_prometheus_sd::mads::connection::Event;
use kuma_prometheus_sd::mads::endpoint::Endpoint;
use kuma_prometheus_sd::mads::negotiation::{End, EndKind, Protocol};

use crate::control_plane::Sent;
use crate::rng::{milliseconds, seconds};
use crate::world::{Happening, World};

/// By when a keepalive notices that the peer is gone: a ping every 30 s, answered within 20 s.
const KEEPALIVE: Duration = seconds(50);

/// The longest time until a connect over HTTP is given up, and a poll after its hold.
const HTTP_CONNECT_LIMIT: Duration = seconds(10);
const HTTP_ANSWER_LIMIT: Duration = seconds(10);

/// How good the network is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    #[default]
    Good,
    Slow,
}

#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) number: u64,
    pub(crate) protocol: Protocol,
    /// Where it leads, once it is there.
    pub(crate) endpoint: Option<Endpoint>,
    /// Nothing passes any more, in either direction, and nobody has noticed.
    pub(crate) is_cut: bool,
    /// The server is done with this link.
    pub(crate) is_over: bool,
    /// The stream is served, or a poll was: the control plane knows of the link.
    pub(crate) is_served: bool,
    pub(crate) replica: usize,
    /// The version that the control plane takes the client to have.
    pub(crate) known_version: String,
    /// The nonce of the response that the client has not answered yet.
    pub(crate) awaited_nonce: Option<String>,
    /// The poll that the control plane holds.
    pub(crate) held_poll: Option<u64>,
    /// The poll that the client waits for, and how many there were.
    open_poll: Option<u64>,
    polls: u64,
    last_arrival: Duration,
}

impl Link {
    pub(crate) fn new(number: u64, protocol: Protocol) -> Self {
        Self {
            number,
            protocol,
            endpoint: None,
            is_cut: false,
            is_over: false,
            is_served: false,
            replica: 0,
            known_version: String::new(),
            awaited_nonce: None,
            held_poll: None,
            open_poll: None,
            polls: 0,
            last_arrival: Duration::ZERO,
        }
    }

    pub(crate) fn poll_is_answered(&mut self) {
        self.open_poll = None;
    }

    /// The number of the poll that is under way now.
    pub(crate) fn poll(&self) -> u64 {
        self.polls
    }
}

impl World {
    /// How long a message takes.
    pub(crate) fn latency(&mut self) -> Duration {
        let longest = match self.route {
            Route::Good => milliseconds(15),
            Route::Slow => seconds(3),
        };
        self.rng.between(Duration::from_micros(200), longest)
    }

    /// The control plane says something over the present link; messages keep their order.
    pub(crate) fn say(&mut self, event: Event, sent: Option<Sent>) {
        let latency = self.latency();
        let now = self.now;
        let Some(link) = &mut self.link else {
            return;
        };
        if link.is_cut || link.is_over {
            return;
        }
        // A proxy that cuts a poll leaves the client its connection.
        link.is_over = matches!(&event, Event::Ended(end) if end.kind != EndKind::GatewayTimeout);
        link.last_arrival = link.last_arrival.max(now + latency);
        let (time, number) = (link.last_arrival, link.number);
        self.plan_at(time, Happening::ToDaemon(number, event, sent));
    }

    /// The control plane, or something before it, ends the link. Over HTTP nobody notices between
    /// two polls.
    pub(crate) fn end_link(&mut self, kind: EndKind) {
        let is_noticed = |link: &Link| link.protocol != Protocol::Http || link.open_poll.is_some();
        if self.link.as_ref().is_some_and(is_noticed) {
            self.say(ended(kind), None);
        }
    }

    /// The link is dead, and nobody notices. Over gRPC a keepalive finds out.
    pub(crate) fn cut_link(&mut self) {
        let Some(link) = &mut self.link else {
            return;
        };
        if link.is_cut || link.is_over {
            return;
        }
        link.is_cut = true;
        let number = link.number;
        if link.is_served && link.protocol != Protocol::Http {
            let pause = self.rng.between(Duration::ZERO, KEEPALIVE);
            self.plan(pause, Happening::ToDaemon(number, ended(EndKind::Outage), None));
        }
    }

    /// The client starts a poll, and will give it up in time.
    pub(crate) fn poll_begins(&mut self, is_first: bool, hold: Duration) {
        let is_unreachable = is_first && self.control_plane.is_unreachable();
        let limit = if is_unreachable { HTTP_CONNECT_LIMIT } else { hold + HTTP_ANSWER_LIMIT };
        let Some(link) = &mut self.link else {
            return;
        };
        link.polls += 1;
        link.open_poll = Some(link.polls);
        let (number, poll) = (link.number, link.polls);
        self.plan(limit, Happening::PollGivenUp(number, poll));
    }

    pub(crate) fn poll_given_up(&mut self, number: u64, poll: u64) {
        let is_open = self
            .link
            .as_ref()
            .is_some_and(|link| link.number == number && link.open_poll == Some(poll));
        if is_open {
            self.reaches_daemon(number, ended(EndKind::Outage), None);
        }
    }
}

pub(crate) fn ended(kind: EndKind) -> Event {
    let reason = format!("{kind:?}");
    Event::Ended(End { kind, reason })
}
