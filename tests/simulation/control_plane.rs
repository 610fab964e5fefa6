//! The model of a control plane: what it serves in each of its API versions, what it says, and how
//! it misbehaves. One or two replicas stand behind its address.

use std::sync::Arc;

use kuma_prometheus_sd::mads::api_version::ApiVersion;
use kuma_prometheus_sd::mads::endpoint::{AnswerError, Endpoint, LocationUnknown, Origin};
use kuma_prometheus_sd::mads::negotiation::{EndKind, Protocol};
use kuma_prometheus_sd::mads::session::Response;
use kuma_prometheus_sd::mads::transport::address::{Address, Scheme};
use kuma_prometheus_sd::mads::transport::resolver::ResolveError;

use crate::list::{Defect, List, bad_resource};
use crate::rng::Rng;

const MADS_PORT: u16 = 5676;
const API_PORT: u16 = 5681;

/// A Kuma that stands for its API version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kuma {
    /// gRPC v1alpha1 only.
    V0_7,
    /// Everything.
    V1_2,
    /// gRPC v1 and HTTP.
    V2_6,
    /// HTTP only.
    V2_12,
}

impl Kuma {
    pub(crate) const ALL: [Self; 4] = [Self::V0_7, Self::V1_2, Self::V2_6, Self::V2_12];

    /// What a client sees that asks for a protocol which is not served; `None` where it is.
    pub(crate) fn refusal(self, protocol: Protocol) -> Option<EndKind> {
        use ApiVersion::{V1, V1alpha1};
        use EndKind::{UnknownService, UnknownTransport, Unready};
        match (self, protocol) {
            (Self::V1_2, _)
            | (Self::V0_7, Protocol::Grpc(V1alpha1))
            | (Self::V2_6, Protocol::Grpc(V1) | Protocol::Http)
            | (Self::V2_12, Protocol::Http) => None,
            (Self::V0_7, Protocol::Grpc(V1)) | (Self::V2_6, Protocol::Grpc(V1alpha1)) => {
                Some(UnknownService)
            }
            (Self::V0_7, Protocol::Http) => Some(Unready),
            (Self::V2_12, Protocol::Grpc(_)) => Some(UnknownTransport),
        }
    }
}

/// How MADS behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// As it should.
    Proper,
    /// Nobody listens.
    Refusing,
    /// No packet comes back.
    Unreachable,
    /// Connections are accepted, and nothing is ever said.
    NeverReady,
    /// Connections are accepted and closed at once.
    HangingUp,
    /// Streams are opened, and then nothing is said.
    Silent,
    /// The stream ends after each answer.
    ClosingAfterAnswers,
    /// The envelope of every answer is garbage.
    Garbage,
    /// Every request is answered with an error.
    Erring,
    /// Polls are answered at once, with 304 or the same list under another version.
    AtOnce,
    /// A proxy ends polls that are held for long.
    CutByProxy,
    /// A thousand answers a second, whatever was acknowledged.
    Flooding,
}

impl Manner {
    pub(crate) const BAD: [Self; 11] = [
        Self::Refusing,
        Self::Unreachable,
        Self::NeverReady,
        Self::HangingUp,
        Self::Silent,
        Self::ClosingAfterAnswers,
        Self::Garbage,
        Self::Erring,
        Self::AtOnce,
        Self::CutByProxy,
        Self::Flooding,
    ];
}

/// How the API server behaves, where the daemon asks one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ApiManner {
    Proper,
    /// Cannot be reached, its name cannot be resolved, or it answers 500.
    Failing,
    /// Does not answer.
    Hanging,
    /// Answers `/config` with 401, sometimes.
    Discreet,
    /// Answers everything with 404, as an ingress without a backend does.
    Lost,
}

impl ApiManner {
    pub(crate) const BAD: [Self; 4] = [Self::Failing, Self::Hanging, Self::Discreet, Self::Lost];
}

/// A response on its way, and what is true of it.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) api_version: ApiVersion,
    pub(crate) version: String,
    pub(crate) nonce: String,
    /// The file that must come of it; `None` where it must be rejected.
    pub(crate) file: Option<Arc<[u8]>>,
}

/// All replicas, which know the same list under versions of their own.
#[derive(Debug)]
pub(crate) struct ControlPlane {
    pub(crate) kuma: Kuma,
    pub(crate) manner: Manner,
    pub(crate) api_manner: ApiManner,
    pub(crate) list: List,
    pub(crate) defect: Option<Defect>,
    versions: Vec<String>,
    has_api_server: bool,
}

/// An API server that says nothing about where MADS is.
pub(crate) fn no_answer(status: u16) -> ResolveError {
    ResolveError::Answer {
        url: "http://cp:5681/catalog".to_owned(),
        source: AnswerError::Status(status),
    }
}

impl ControlPlane {
    pub(crate) fn new(rng: &mut Rng) -> Self {
        let mut control_plane = Self {
            kuma: rng.pick(&Kuma::ALL),
            manner: Manner::Proper,
            api_manner: ApiManner::Proper,
            list: List::empty(),
            defect: None,
            versions: Vec::new(),
            has_api_server: rng.chance(0.5),
        };
        control_plane.restart(rng);
        control_plane
    }

    /// New processes: the same list under new versions.
    pub(crate) fn restart(&mut self, rng: &mut Rng) {
        let replicas = 1 + rng.below(2);
        self.versions = (0..replicas).map(|_| rng.uuid()).collect();
    }

    pub(crate) fn change(&mut self, list: List, defect: Option<Defect>, rng: &mut Rng) {
        self.list = list;
        self.defect = defect;
        for version in &mut self.versions {
            *version = rng.uuid();
        }
    }

    /// Behaves, and says what it can stand for.
    pub(crate) fn heal(&mut self, rng: &mut Rng) {
        self.manner = Manner::Proper;
        self.api_manner = ApiManner::Proper;
        if self.defect.is_some() {
            self.change(self.list.clone(), None, rng);
        }
    }

    /// The one that a balancer picks.
    pub(crate) fn any_replica(&self, rng: &mut Rng) -> usize {
        rng.below(self.versions.len())
    }

    pub(crate) fn version(&self, replica: usize) -> &str {
        &self.versions[replica % self.versions.len()]
    }

    /// Whether each poll may be answered by another replica than the one before.
    pub(crate) fn has_replicas(&self) -> bool {
        self.versions.len() > 1
    }

    /// Under another version at every request, as if each went to another replica.
    pub(crate) fn shift(&mut self, rng: &mut Rng) {
        for version in &mut self.versions {
            *version = rng.uuid();
        }
    }

    /// Where MADS is, by the address or by the API server; `Err` where neither shows it.
    pub(crate) fn endpoint(&self, rng: &mut Rng) -> Result<Endpoint, ResolveError> {
        let (port, origin) = match (self.has_api_server, self.api_manner) {
            (false, _) => (MADS_PORT, Origin::Address),
            (true, ApiManner::Proper) if self.kuma == Kuma::V0_7 => (MADS_PORT, Origin::Catalog),
            (true, ApiManner::Proper) => (MADS_PORT, Origin::Config),
            (true, ApiManner::Discreet) if rng.chance(0.5) => (MADS_PORT, Origin::Config),
            (true, ApiManner::Discreet) => {
                (MADS_PORT, Origin::Guess(LocationUnknown::Refused(401)))
            }
            (true, ApiManner::Lost) => (API_PORT, Origin::Address),
            (true, ApiManner::Failing | ApiManner::Hanging) => {
                return Err(no_answer(503));
            }
        };
        Ok(Endpoint {
            address: Address {
                scheme: Scheme::Grpc,
                host: "cp".to_owned(),
                port,
                path: String::new(),
            },
            origin,
            without_mads: None,
        })
    }

    /// Whether the API server, where there is one, takes its time until the client gives up.
    pub(crate) fn api_hangs(&self) -> bool {
        self.has_api_server && self.api_manner == ApiManner::Hanging
    }

    pub(crate) fn has_api_server(&self) -> bool {
        self.has_api_server
    }

    /// Whether connects over HTTP get no answer at all.
    pub(crate) fn is_unreachable(&self) -> bool {
        self.manner == Manner::Unreachable
    }

    /// What is answered at `endpoint` to a client that asks for `protocol`.
    pub(crate) fn refusal(&self, endpoint: &Endpoint, protocol: Protocol) -> Option<EndKind> {
        if endpoint.address.port == API_PORT {
            return Some(match protocol {
                Protocol::Grpc(_) => EndKind::UnknownTransport,
                Protocol::Http => EndKind::UnknownService,
            });
        }
        self.kuma.refusal(protocol)
    }

    /// The whole list in a response, or what is to be rejected in its place.
    pub(crate) fn response(
        &self,
        protocol: Protocol,
        replica: usize,
        rng: &mut Rng,
    ) -> (Response, Sent) {
        let api_version = protocol.api_version();
        let is_json = protocol == Protocol::Http;
        let mut resources = self.list.resources(api_version, is_json, rng);
        let mut type_url = api_version.type_url();
        match self.defect {
            None => {}
            Some(Defect::WrongTypeUrl) => type_url = "type.googleapis.com/something.Else",
            Some(defect) => {
                let place = rng.below(resources.len() + 1);
                resources.insert(place, bad_resource(api_version, is_json, defect));
            }
        }
        let version = self.version(replica).to_owned();
        let nonce = if is_json { String::new() } else { rng.uuid() };
        let sent = Sent {
            api_version,
            version: version.clone(),
            nonce: nonce.clone(),
            file: self.defect.is_none().then(|| Arc::clone(&self.list.file)),
        };
        let response = Response { version, nonce, type_url: type_url.to_owned(), resources };
        (response, sent)
    }
}
