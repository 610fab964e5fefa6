//! The control plane's side of a link: answers as xDS over gRPC and long polling over HTTP have
//! it, and as the manner of the moment has it.

use std::time::Duration;

use kuma_prometheus_sd::mads::connection::Event;
use kuma_prometheus_sd::mads::endpoint::Endpoint;
use kuma_prometheus_sd::mads::negotiation::{EndKind, Protocol};
use kuma_prometheus_sd::mads::session::Request;

use crate::control_plane::Manner;
use crate::network::{Link, ended};
use crate::rng::{milliseconds, seconds};
use crate::world::{Happening, World};

/// How long a proxy lets a poll be held, where it cuts them.
const PROXY_LIMIT: Duration = seconds(5);

/// A thousand answers a second.
const PUSH_INTERVAL: Duration = milliseconds(1);

impl World {
    /// The link, unless it is another one by now or nothing passes over it.
    fn live_link(&mut self, number: u64) -> Option<&mut Link> {
        self.link.as_mut().filter(|link| link.number == number && !link.is_cut && !link.is_over)
    }

    /// A connection arrives, with its first request.
    pub(crate) fn opened(
        &mut self,
        number: u64,
        endpoint: &Endpoint,
        protocol: Protocol,
        request: &Request,
    ) {
        if self.live_link(number).is_none() {
            return;
        }
        if let Some(link) = self.live_link(number) {
            link.endpoint = Some(endpoint.clone());
        }
        if !self.is_let_in(protocol, endpoint) {
            return;
        }
        let replica = self.control_plane.any_replica(&mut self.rng);
        if let Some(link) = self.live_link(number) {
            link.is_served = true;
            link.replica = replica;
        }
        self.judge(number, request);
        if self.control_plane.manner == Manner::Flooding {
            self.push(number);
        }
    }

    /// Whether anything but a refusal is said to a connection, or to a further poll.
    fn is_let_in(&mut self, protocol: Protocol, endpoint: &Endpoint) -> bool {
        match self.control_plane.manner {
            Manner::Refusing => self.end_link(EndKind::Outage),
            Manner::HangingUp => self.end_link(EndKind::Unready),
            // Whoever does not answer does not answer later either.
            Manner::Unreachable | Manner::NeverReady => self.cut_link(),
            _ => {
                let refusal = self.control_plane.refusal(endpoint, protocol);
                let is_ready =
                    !matches!(refusal, Some(EndKind::UnknownTransport | EndKind::Unready));
                if is_ready && protocol != Protocol::Http {
                    self.say(Event::Ready, None);
                }
                let Some(kind) = refusal else {
                    return true;
                };
                self.end_link(kind);
            }
        }
        false
    }

    /// A further request arrives; to HTTP, each is like the first.
    pub(crate) fn requested(&mut self, number: u64, request: &Request) {
        let Some(link) = self.live_link(number) else {
            return;
        };
        let endpoint = link.endpoint.clone().filter(|_| link.protocol == Protocol::Http);
        if endpoint.is_none_or(|endpoint| self.is_let_in(Protocol::Http, &endpoint)) {
            self.judge(number, request);
        }
    }

    /// Takes a request in, and answers it if there is an answer.
    fn judge(&mut self, number: u64, request: &Request) {
        let replica = self.control_plane.any_replica(&mut self.rng);
        let manner = self.control_plane.manner;
        let Some(link) = self.live_link(number) else {
            return;
        };
        if link.protocol == Protocol::Http {
            link.known_version.clone_from(&request.version);
            link.replica = replica;
            let poll = link.poll();
            link.held_poll = Some(poll);
            let hold = match manner {
                Manner::CutByProxy => request.hold.min(PROXY_LIMIT),
                _ => request.hold,
            };
            self.plan(hold, Happening::PollHeld(number, poll));
        } else {
            // A stale nonce is ignored.
            let is_first = request.nonce.is_empty();
            if !is_first && link.awaited_nonce.as_ref() != Some(&request.nonce) {
                return;
            }
            link.awaited_nonce = None;
            link.known_version.clone_from(&request.version);
        }
        if manner == Manner::Erring {
            return self.end_link(EndKind::Outage);
        }
        self.answer_if_due();
    }

    /// Answers over the present link, where there is something to answer and nothing to wait for.
    pub(crate) fn answer_if_due(&mut self) {
        let Some(link) = &self.link else {
            return;
        };
        let is_poll = link.protocol == Protocol::Http;
        let may_answer = if is_poll {
            link.held_poll.is_some()
        } else {
            link.is_served && link.awaited_nonce.is_none()
        };
        if !may_answer {
            return;
        }
        let mut is_news = link.known_version != self.control_plane.version(link.replica);
        match self.control_plane.manner {
            Manner::Silent => return,
            Manner::AtOnce if is_poll && !is_news => {
                if self.rng.chance(0.5) {
                    return self.unchanged();
                }
                self.control_plane.shift(&mut self.rng);
                is_news = true;
            }
            _ => {}
        }
        if is_news {
            self.answer();
        }
    }

    fn answer(&mut self) {
        let manner = self.control_plane.manner;
        if manner == Manner::Garbage {
            return self.end_link(EndKind::Outage);
        }
        let Some(link) = &mut self.link else {
            return;
        };
        let sent_over = link.protocol;
        let (response, sent) =
            self.control_plane.response(link.protocol, link.replica, &mut self.rng);
        link.held_poll = None;
        link.awaited_nonce = Some(response.nonce.clone());
        if sent_over == Protocol::Http {
            self.say(Event::Ready, None);
        }
        self.say(Event::Response(response), Some(sent));
        let is_stream = sent_over != Protocol::Http;
        if manner == Manner::ClosingAfterAnswers && is_stream {
            self.end_link(EndKind::Outage);
        }
    }

    fn unchanged(&mut self) {
        if let Some(link) = &mut self.link {
            link.held_poll = None;
        }
        self.say(Event::Unchanged, None);
    }

    pub(crate) fn poll_held(&mut self, number: u64, poll: u64) {
        let is_silent = self.control_plane.manner == Manner::Silent;
        let is_held = self.live_link(number).is_some_and(|link| link.held_poll == Some(poll));
        if !is_held || is_silent {
            return;
        }
        if self.control_plane.manner == Manner::CutByProxy && self.rng.chance(0.5) {
            if let Some(link) = &mut self.link {
                link.held_poll = None;
            }
            return self.say(ended(EndKind::GatewayTimeout), None);
        }
        self.unchanged();
    }

    /// One push of a flood: the next list or the same, without waiting for an ACK.
    pub(crate) fn push(&mut self, number: u64) {
        let is_stream = self
            .live_link(number)
            .is_some_and(|link| link.is_served && link.protocol != Protocol::Http);
        if !is_stream || self.control_plane.manner != Manner::Flooding {
            return;
        }
        if self.rng.chance(0.5) {
            let list = self.control_plane.list.next(&mut self.rng);
            let defect = self.control_plane.defect;
            self.control_plane.change(list, defect, &mut self.rng);
        }
        self.answer();
        self.plan(PUSH_INTERVAL, Happening::Push(number));
    }
}
