//! Watches what is asked of a control plane: which version and nonce, when, and what for.

use std::time::Duration;

use kuma_prometheus_sd::mads::api_version::ApiVersion;
use kuma_prometheus_sd::mads::connection::{Action, NetworkAction};
use kuma_prometheus_sd::mads::negotiation::Protocol;
use kuma_prometheus_sd::mads::session::Request;

use super::{Invariant, Verdict};
use crate::control_plane::Sent;
use crate::rng::milliseconds;

const SHORTEST_PAUSE: Duration = milliseconds(200);

#[derive(Debug, Default)]
pub(crate) struct ProtocolWatch {
    source: Option<Protocol>,
    accepted: Option<(ApiVersion, String)>,
    /// A good response, and whether it has been handed over.
    unacknowledged: Option<(Sent, bool)>,
    rejected: Option<Rejected>,
}

#[derive(Debug)]
struct Rejected {
    /// When the first response came that is rejected by the same NACK.
    since: Duration,
    latest: Sent,
}

impl ProtocolWatch {
    /// A response reaches the machine.
    pub(crate) fn response(&mut self, now: Duration, sent: &Sent) {
        if sent.file.is_some() {
            self.unacknowledged = Some((sent.clone(), false));
            self.rejected = None;
            return;
        }
        let since = self.rejected.as_ref().map_or(now, |known| known.since);
        let latest = sent.clone();
        self.rejected = Some(Rejected { since, latest });
    }

    pub(crate) fn action(&mut self, now: Duration, action: &Action, verdict: &mut Verdict) {
        match action {
            Action::Network(NetworkAction::Open(_, protocol, request)) => {
                verdict.require(self.source.is_none(), Invariant::OneSourceAtATime, || {
                    format!("{protocol} is opened while another is open")
                });
                self.source = Some(*protocol);
                self.first_request(request, verdict);
            }
            Action::Network(NetworkAction::Send(request)) => self.request(now, request, verdict),
            Action::HandOver(snapshot) => {
                let Some((sent, is_handed_over)) = &mut self.unacknowledged else {
                    let invariant = Invariant::GoodListIsHandedOver;
                    verdict.require(false, invariant, || "from nowhere".to_owned());
                    return;
                };
                verdict.require(
                    sent.file.as_deref() == Some(snapshot.bytes()),
                    Invariant::GoodListIsHandedOver,
                    || format!("version {:?} was sent with other targets", sent.version),
                );
                *is_handed_over = true;
                self.accepted = Some((sent.api_version, sent.version.clone()));
            }
            Action::Network(NetworkAction::Close) => {
                self.source = None;
                self.unacknowledged = None;
                self.rejected = None;
            }
            Action::Network(NetworkAction::Resolve | NetworkAction::Diagnose(_))
            | Action::Report(_) => {}
        }
    }

    /// The machine has said all that it has to say about an event.
    pub(crate) fn after_step(&self, verdict: &mut Verdict) {
        let Some((sent, is_handed_over)) = &self.unacknowledged else {
            return;
        };
        verdict.require(*is_handed_over, Invariant::GoodListIsHandedOver, || {
            format!("version {:?} is held back", sent.version)
        });
        verdict.require(
            self.source == Some(Protocol::Http),
            Invariant::AckNamesItsResponse,
            || format!("version {:?} is never acknowledged", sent.version),
        );
    }

    /// What may be said to have been accepted in `API version`.
    fn accepted_in(&self, api_version: ApiVersion) -> &str {
        match &self.accepted {
            Some((accepted_in, version)) if *accepted_in == api_version => version,
            _ => "",
        }
    }

    fn version_stays(&self, request: &Request, verdict: &mut Verdict) {
        let is_of_another = self.accepted.as_ref().is_some_and(|(api_version, version)| {
            *api_version != request.api_version && *version == request.version
        });
        verdict.require(!is_of_another, Invariant::VersionStaysInItsApiVersion, || {
            format!("{:?} is sent in {}", request.version, request.api_version)
        });
    }

    fn first_request(&self, request: &Request, verdict: &mut Verdict) {
        self.version_stays(request, verdict);
        let accepted = self.accepted_in(request.api_version);
        verdict.require(
            request.version == accepted && request.nonce.is_empty() && request.rejection.is_none(),
            Invariant::ResumesWithLastAcceptedVersion,
            || format!("{request:?}, but {accepted:?} was accepted"),
        );
    }

    fn request(&mut self, now: Duration, request: &Request, verdict: &mut Verdict) {
        let Some(protocol) = self.source else {
            verdict.require(false, Invariant::OneSourceAtATime, || {
                "a request is sent over a closed source".to_owned()
            });
            return;
        };
        self.version_stays(request, verdict);
        if request.rejection.is_some() {
            self.nack(now, request, verdict);
            return;
        }
        if protocol == Protocol::Http && self.unacknowledged.is_none() {
            self.first_request(request, verdict);
            return;
        }
        let Some((sent, is_handed_over)) = self.unacknowledged.take() else {
            verdict.require(false, Invariant::AckNamesItsResponse, || {
                format!("there is no response for {request:?}")
            });
            return;
        };
        verdict.require(is_handed_over, Invariant::AckAfterHandOver, || {
            format!("version {:?} is not handed over yet", sent.version)
        });
        verdict.require(
            request.version == sent.version && request.nonce == sent.nonce,
            Invariant::AckNamesItsResponse,
            || format!("{request:?} is sent for {sent:?}"),
        );
    }

    fn nack(&mut self, now: Duration, request: &Request, verdict: &mut Verdict) {
        let accepted = self.accepted_in(request.api_version).to_owned();
        let Some(Rejected { since, latest }) = self.rejected.take() else {
            verdict.require(false, Invariant::NackOnlyForBadResponse, || {
                format!("nothing is rejected by {request:?}")
            });
            return;
        };
        verdict.require(request.nonce == latest.nonce, Invariant::NackOnlyForBadResponse, || {
            format!("{request:?} is sent for {latest:?}")
        });
        verdict.require(
            request.version == accepted,
            Invariant::NackKeepsLastAcceptedVersion,
            || format!("{request:?}, but {accepted:?} was accepted"),
        );
        verdict.require(now >= since + SHORTEST_PAUSE, Invariant::NackWaits, || {
            format!("it waited for {:?} only", now - since)
        });
    }
}
