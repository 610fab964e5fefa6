//! A control plane that answers by script alone, over one source: the same words for gRPC of both
//! API versions, HTTP and HTTPS.

use std::cell::Cell;
use std::fs;
use std::time::Duration;

use kuma_stand_in::{
    Answers, ApiVersion, Authority, ControlPlane, Dataplane, Event, HttpAnswer, KumaVersion, Plan,
    Resource, SeenRequest, Tls, Transport, Validity,
};
use serde_json::{Value, json};

use crate::support::harness::{Daemon, Launch, SOON};
use crate::support::mesh;
use crate::support::observe::OLD;

/// No rejection is answered sooner.
const SHORTEST_PAUSE: Duration = Duration::from_millis(200);

/// google.rpc.Code.INVALID_ARGUMENT.
const INVALID_ARGUMENT: i32 = 3;

/// A way that lists come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    GrpcV1,
    GrpcV1alpha1,
    Http,
    Https,
}

impl Source {
    pub(crate) fn transport(self) -> Transport {
        match self {
            Source::GrpcV1 | Source::GrpcV1alpha1 => Transport::Grpc,
            Source::Http | Source::Https => Transport::Http,
        }
    }

    fn api_version(self) -> ApiVersion {
        match self {
            Source::GrpcV1alpha1 => ApiVersion::V1Alpha1,
            Source::GrpcV1 | Source::Http | Source::Https => ApiVersion::V1,
        }
    }

    fn kuma(self) -> KumaVersion {
        match self {
            Source::GrpcV1alpha1 => KumaVersion::V0_7,
            Source::GrpcV1 => KumaVersion::V2_6,
            Source::Http | Source::Https => KumaVersion::V2_12,
        }
    }
}

/// The control plane, and how a daemon of it is to be started.
pub(crate) struct Peer {
    pub(crate) source: Source,
    pub(crate) plane: ControlPlane,
    pub(crate) launch: Launch,
    nonce: Cell<u32>,
}

impl Peer {
    pub(crate) fn start(source: Source) -> Peer {
        let mut plan = Plan::new(source.kuma());
        let authority = Authority::new("contract");
        if source == Source::Https {
            plan.tls = Some(Tls::new(&authority.server(&["127.0.0.1"], Validity::Valid)));
        }
        let plane = plan.start().expect("a free port to listen on");
        plane.set_answers(Answers::Scripted);
        let address = match source.transport() {
            Transport::Grpc => plane.grpc_url(),
            Transport::Http => plane.http_url(),
        };
        let mut launch = Launch::follow(&address);
        if source == Source::Https {
            let issuer = launch.folder().join("issuer.pem");
            fs::write(&issuer, authority.pem()).expect("a file can be written");
            launch = launch.argument("--ca-cert-file").argument(issuer);
        }
        Peer { source, plane, launch, nonce: Cell::new(0) }
    }

    pub(crate) fn api_version(&self) -> ApiVersion {
        self.source.api_version()
    }

    pub(crate) fn is_http(&self) -> bool {
        self.source.transport() == Transport::Http
    }

    /// The file of a mesh from this source.
    pub(crate) fn file(&self, mesh: &[Dataplane]) -> String {
        mesh::file(self.api_version(), mesh)
    }

    /// Starts a daemon onto an old file, and takes its first request.
    pub(crate) fn start_with_old_file(&self) -> Daemon {
        fs::write(self.launch.output_path(), OLD).expect("a file can be written");
        let daemon = self.launch.start();
        let first = self.expect_resumed("");
        assert_eq!(first.transport, self.source.transport());
        daemon
    }

    /// Answers the last request with a list.
    pub(crate) fn answer(&self, version: &str, mesh: &[Dataplane]) {
        let resources = mesh.iter().cloned().map(Resource::Dataplane);
        self.answer_with(version, resources.collect());
    }

    /// Answers the last request with resources of any kind.
    pub(crate) fn answer_with(&self, version: &str, resources: Vec<Resource>) {
        self.answer_typed(version, self.api_version().type_url(), resources);
    }

    /// Answers the last request with resources of any kind under any type URL.
    pub(crate) fn answer_typed(&self, version: &str, type_url: &str, resources: Vec<Resource>) {
        if !self.is_http() {
            self.plane.respond(version, &self.next_nonce(), type_url, resources);
            return;
        }
        let json = |resource| match resource {
            Resource::Dataplane(dataplane) => dataplane.to_json(),
            Resource::Raw { json, .. } => json,
        };
        let resources: Vec<Value> = resources.into_iter().map(json).collect();
        let mut body = json!({"version_info": version, "type_url": type_url});
        if !resources.is_empty() {
            body["resources"] = resources.into();
        }
        self.plane.answer_http(HttpAnswer::json(200, &body));
    }

    fn next_nonce(&self) -> String {
        self.nonce.set(self.nonce.get() + 1);
        self.last_nonce()
    }

    fn last_nonce(&self) -> String {
        match self.source.transport() {
            Transport::Grpc => format!("nonce-{}", self.nonce.get()),
            Transport::Http => String::new(),
        }
    }

    /// Sees that the last answer was accepted: by an ACK, or by the next poll.
    #[track_caller]
    pub(crate) fn expect_accepted(&self, version: &str) -> SeenRequest {
        let request = self.plane.events().expect_request(SOON);
        assert_eq!(request.version_info, version);
        assert_eq!(request.nonce, self.last_nonce());
        assert_eq!(request.error_detail, None);
        request
    }

    /// Sees that a new stream, or a poll, goes on from a version.
    #[track_caller]
    pub(crate) fn expect_resumed(&self, version: &str) -> SeenRequest {
        let request = self.plane.events().expect_request(SOON);
        assert_eq!((&*request.version_info, &*request.nonce), (version, ""));
        request
    }

    /// Sees that the last answer was rejected, after a pause: by a NACK, whose reason it returns, or by
    /// a poll that has not advanced.
    #[track_caller]
    pub(crate) fn expect_rejected(&self, last_accepted: &str) -> Option<String> {
        let answered = self.plane.events().seen().iter().rev().find_map(|event| match event {
            Event::Answered { at, .. } => Some(*at),
            _ => None,
        });
        let request = self.plane.events().expect_request(SOON);
        assert_eq!(request.version_info, last_accepted);
        assert_eq!(request.nonce, self.last_nonce());
        let error = request.error_detail;
        assert_eq!(error.is_some(), !self.is_http());
        let error = error?;
        assert_eq!(error.code, INVALID_ARGUMENT);
        let pause = request.at - answered.expect("it was answered");
        assert!(pause >= SHORTEST_PAUSE, "rejected after {pause:?}");
        Some(error.message)
    }
}
