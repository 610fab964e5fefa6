//! A control plane as a test holds it: its servers together, and what can be done to them.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use crate::api_server::ApiServer;
use crate::dataplane::Dataplane;
use crate::event::{Event, Server};
use crate::events::Events;
use crate::fault_proxy::{self, FaultProxy, Opening, Route};
use crate::grpc::{Frame, GrpcServer};
use crate::http_answer::HttpAnswer;
use crate::http_server::HttpServer;
use crate::http1;
use crate::kuma_version::{ApiVersion, KumaVersion, Role};
use crate::mads_http;
use crate::snapshot::{Resource, Snapshot};
use crate::state::{Answers, State};
use crate::stream::Outgoing;
use crate::tls::Tls;

/// How a control plane is to start.
#[derive(Clone)]
pub struct Plan {
    /// The version that it plays.
    pub kuma: KumaVersion,
    /// The part that it has.
    pub role: Role,
    /// The port of MADS; `None` takes a free one.
    pub port: Option<u16>,
    /// The port of the API server; `None` takes a free one.
    pub api_port: Option<u16>,
    /// TLS on the port of MADS.
    pub tls: Option<Tls>,
    /// TLS on the port of the API server.
    pub api_tls: Option<Tls>,
}

impl Plan {
    /// A control plane on free ports, without TLS.
    #[must_use]
    pub fn new(kuma: KumaVersion) -> Plan {
        Plan { kuma, role: Role::Zone, port: None, api_port: None, tls: None, api_tls: None }
    }

    /// Starts it, with an empty mesh.
    ///
    /// # Errors
    ///
    /// If a port is taken.
    pub fn start(self) -> io::Result<ControlPlane> {
        ControlPlane::from_plan(self)
    }
}

/// A running control plane. Dropping it ends its streams and connections and frees its ports.
pub struct ControlPlane {
    state: Arc<State>,
    api: ApiServer,
    fault_proxy: FaultProxy,
    role: Role,
    mads_tls: bool,
    // Dropped after the fault proxy, by which alone they are reached.
    _http: HttpServer,
    _grpc: GrpcServer,
}

impl ControlPlane {
    /// A control plane on free ports of 127.0.0.1, without TLS and with an empty mesh.
    ///
    /// # Panics
    ///
    /// If it cannot start: a test can do nothing without it.
    #[must_use]
    pub fn start(kuma: KumaVersion) -> ControlPlane {
        Plan::new(kuma).start().expect("a free port to listen on")
    }

    /// The same with a mesh of these dataplanes.
    ///
    /// # Panics
    ///
    /// As [`ControlPlane::start`].
    #[must_use]
    pub fn serving(kuma: KumaVersion, dataplanes: &[Dataplane]) -> ControlPlane {
        let plane = ControlPlane::start(kuma);
        plane.publish(dataplanes);
        plane
    }

    fn from_plan(plan: Plan) -> io::Result<ControlPlane> {
        let state = Arc::new(State::new(plan.kuma));
        let grpc = GrpcServer::start(&state).map_err(io::Error::other)?;
        let grpc_address = ([127, 0, 0, 1], grpc.port()).into();
        let mads_tls = plan.tls.is_some();
        let http = {
            let state = state.clone();
            HttpServer::start("stand-in-http", None, plan.tls, move || mads_http::handler(&state))?
        };
        let http_address = http.address();
        let fault_proxy = {
            let events = state.events.clone();
            let state = state.clone();
            let connected = move || {
                events.record(Event::Connected { server: Server::Mads, at: Instant::now() });
            };
            FaultProxy::start(plan.port, connected, move |opening| {
                let serves = state.serves();
                match opening {
                    // gRPC and HTTP behind TLS: a client that speaks none gets no answer.
                    Opening::Http1 | Opening::Http2 if mads_tls && serves.grpc() => {
                        Route::Answer(b"")
                    }
                    _ if mads_tls => Route::Relay(http_address),
                    Opening::Http2 if serves.grpc() => Route::Relay(grpc_address),
                    Opening::Http2 => Route::Answer(http1::BAD_REQUEST),
                    Opening::Http1 if serves.http_v1 => Route::Relay(http_address),
                    // Old ones look for the methods of HTTP, newer ones leave the rest to HTTP, too.
                    Opening::Other if serves.http_v1 && state.kuma() >= KumaVersion::V2_6 => {
                        Route::Relay(http_address)
                    }
                    Opening::Other if serves.http_v1 => Route::Reset,
                    Opening::Http1 | Opening::Other => Route::Answer(fault_proxy::HTTP_2_SETTINGS),
                }
            })?
        };
        if !plan.role.serves_mads() {
            fault_proxy.refuse();
        }
        let api = ApiServer::start(plan.kuma, plan.api_port, plan.api_tls, &state.events)?;
        api.become_kuma(plan.kuma, plan.role, fault_proxy.address().port(), mads_tls);
        Ok(ControlPlane {
            state,
            api,
            fault_proxy,
            role: plan.role,
            mads_tls,
            _http: http,
            _grpc: grpc,
        })
    }

    /// The port of MADS.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.fault_proxy.address().port()
    }

    /// MADS as an address to give to the daemon: `grpc://127.0.0.1:…`.
    #[must_use]
    pub fn grpc_url(&self) -> String {
        format!("grpc://{}", self.fault_proxy.address())
    }

    /// MADS as an address for HTTP: `http://127.0.0.1:…`, or `https` with TLS.
    #[must_use]
    pub fn http_url(&self) -> String {
        let scheme = if self.mads_tls { "https" } else { "http" };
        format!("{scheme}://{}", self.fault_proxy.address())
    }

    /// The API server: its address, its documents, the token that it demands.
    #[must_use]
    pub fn api(&self) -> &ApiServer {
        &self.api
    }

    /// The API server as an address to give to the daemon: `http://127.0.0.1:…`.
    #[must_use]
    pub fn api_url(&self) -> String {
        format!("http://{}", self.api.address())
    }

    /// The way to MADS, and the faults that it can be given.
    #[must_use]
    pub fn fault_proxy(&self) -> &FaultProxy {
        &self.fault_proxy
    }

    /// The record of everything that this control plane saw and did.
    #[must_use]
    pub fn events(&self) -> &Events {
        &self.state.events
    }

    /// The mesh consists of these dataplanes from now on. Always a new version, even of an equal
    /// mesh.
    pub fn publish(&self, dataplanes: &[Dataplane]) {
        let resources = dataplanes.iter().cloned().map(Resource::Dataplane);
        self.state.publish(&resources.collect());
    }

    /// As [`ControlPlane::publish`], with resources of any kind.
    pub fn publish_resources(&self, resources: Vec<Resource>) {
        self.state.publish(&resources.into());
    }

    /// As [`ControlPlane::publish_resources`], for one API version and under any type URL.
    pub fn publish_raw(&self, api_version: ApiVersion, type_url: &str, resources: Vec<Resource>) {
        self.state.publish_raw(api_version, type_url, resources.into());
    }

    /// There is no snapshot from now on, until the next is published: gRPC stays silent, and HTTP
    /// answers 500.
    pub fn withdraw(&self) {
        self.state.withdraw();
    }

    /// The version of an API version's snapshot; `None` after [`ControlPlane::withdraw`].
    #[must_use]
    pub fn version(&self, api_version: ApiVersion) -> Option<String> {
        self.state.version(api_version)
    }

    /// Another version of Kuma takes this one's place, on the same ports and with the same mesh:
    /// every connection is cut, every snapshot has a new version and another order, the API
    /// server's documents are the new version's.
    pub fn upgrade_to(&self, kuma: KumaVersion) {
        self.fault_proxy.while_held(|| {
            self.state.become_kuma(kuma);
            self.api.become_kuma(kuma, self.role, self.port(), self.mads_tls);
        });
    }

    /// The process restarts at once: every connection is cut, every version forgotten.
    pub fn restart(&self) {
        let serves = self.state.serves();
        self.fault_proxy.while_held(|| self.state.replaced_by(serves));
    }

    /// The process ends: every connection is cut, new ones are refused, the API server's too.
    pub fn go_away(&self) {
        self.fault_proxy.refuse();
        self.api.go_away();
        self.restart();
    }

    /// The process starts again, on the same ports and with the mesh last published.
    ///
    /// # Errors
    ///
    /// If somebody else has taken a port.
    pub fn come_back(&self) -> io::Result<()> {
        self.api.come_back()?;
        if self.role.serves_mads() {
            self.fault_proxy.listen()?;
        }
        Ok(())
    }

    /// The path below which MADS is served over HTTP, such as `/a/b`; empty at first.
    pub fn set_base_path(&self, path: &str) {
        self.state.set_base_path(path);
    }

    /// Who answers discovery requests from now on.
    pub fn set_answers(&self, answers: Answers) {
        self.state.set_answers(answers);
    }

    /// Sends a response of the test's making on each open stream, whatever they wait for. Returns
    /// how many there are.
    pub fn respond(
        &self,
        version: &str,
        nonce: &str,
        type_url: &str,
        resources: Vec<Resource>,
    ) -> usize {
        let resources: Arc<[Resource]> = resources.into();
        self.state.tell_streams(|api_version| {
            let snapshot = Snapshot::with_version(
                version.to_owned(),
                api_version,
                type_url,
                resources.clone(),
            );
            Outgoing::Snapshot(Arc::new(snapshot), nonce.to_owned())
        })
    }

    /// Sends bytes in place of a serialized response on each open stream. Returns how many there
    /// are.
    pub fn send_bytes(&self, bytes: &[u8]) -> usize {
        self.send_frame(&Frame::from(bytes))
    }

    /// As [`ControlPlane::send_bytes`], of bytes that were made ready before.
    pub fn send_frame(&self, frame: &Frame) -> usize {
        self.state.tell_streams(|_| Outgoing::Frame(frame.clone()))
    }

    /// Ends each open stream with a gRPC status, once everything before it is sent. Returns how
    /// many there are.
    pub fn close_streams(&self, code: i32, message: &str) -> usize {
        self.state.tell_streams(|_| Outgoing::Close(code, message.to_owned()))
    }

    /// The next discovery request over HTTP, or the one that waits now, is answered so; then the
    /// one after it by what is given next, and so on.
    pub fn answer_http(&self, answer: HttpAnswer) {
        self.state.answer_http(answer);
    }

    /// Every discovery request over HTTP is answered so at once, in place of the snapshot; with
    /// `None`, by the snapshot again. What [`ControlPlane::answer_http`] is given goes first.
    pub fn answer_every_http(&self, answer: Option<HttpAnswer>) {
        self.state.answer_every_http(answer);
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        // Each stream's thread ends its call when its outbox goes; the gRPC server waits for that.
        self.state.stop();
    }
}
