//! The control plane's API server, which names the endpoint of MADS.
//!
//! Its documents are those of the version of Kuma that is played, as far as they matter to a
//! client of MADS, until a test puts others in their place. Either way they are given to those only
//! who accept them by the rules of that version.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use serde_json::json;

use crate::event::{Event, HttpRequest, Server};
use crate::events::Events;
use crate::http_answer::HttpAnswer;
use crate::http_server::{Handler, HttpServer, is_accepted};
use crate::kuma_version::{KumaVersion, Role};
use crate::tls::Tls;

/// The running API server.
pub struct ApiServer {
    documents: Arc<Mutex<Documents>>,
    server: HttpServer,
}

struct Documents {
    kuma: KumaVersion,
    answers: BTreeMap<String, HttpAnswer>,
    token: Option<String>,
}

impl ApiServer {
    /// Starts on a port, or on a free one.
    pub(crate) fn start(
        kuma: KumaVersion,
        port: Option<u16>,
        tls: Option<Tls>,
        events: &Events,
    ) -> io::Result<ApiServer> {
        let documents =
            Arc::new(Mutex::new(Documents { kuma, answers: BTreeMap::new(), token: None }));
        let connected = {
            let (documents, events) = (documents.clone(), events.clone());
            move || handler(documents.clone(), events.clone())
        };
        let server = HttpServer::start("stand-in-api", port, tls, connected)?;
        Ok(ApiServer { documents, server })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// From now on, a path is answered so.
    pub fn set(&self, path: &str, answer: HttpAnswer) {
        let mut documents = self.documents.lock();
        documents.answers.insert(path.to_owned(), answer);
    }

    /// From now on, everything but `/` needs this bearer token; or, with `None`, nothing does.
    pub fn require_token(&self, token: Option<&str>) {
        self.documents.lock().token = token.map(str::to_owned);
    }

    /// Stops listening and ends every connection.
    pub fn go_away(&self) {
        self.server.listener().refuse();
        self.server.listener().connections().cut();
    }

    /// Listens again, on the same port.
    ///
    /// # Errors
    ///
    /// If somebody else has taken the port.
    pub fn come_back(&self) -> io::Result<()> {
        self.server.listener().listen()
    }

    /// Becomes the API server of another version of Kuma, which knows nothing of the documents
    /// that were set before.
    pub(crate) fn become_kuma(
        &self,
        kuma: KumaVersion,
        role: Role,
        mads_port: u16,
        mads_tls: bool,
    ) {
        let mut documents = self.documents.lock();
        documents.kuma = kuma;
        documents.answers = answers(kuma, role, mads_port, mads_tls);
    }
}

/// What answers the requests of a connection that has just been accepted.
fn handler(documents: Arc<Mutex<Documents>>, events: Events) -> Box<Handler> {
    events.record(Event::Connected { server: Server::Api, at: Instant::now() });
    Box::new(move |request, _| {
        let answer = documents.lock().answer(request);
        events.record(Event::Http {
            server: Server::Api,
            request: request.clone(),
            status: answer.status(),
            at: Instant::now(),
        });
        answer
    })
}

impl Documents {
    fn answer(&self, request: &HttpRequest) -> HttpAnswer {
        if let Some(token) = &self.token
            && request.path() != "/"
            && request.header("authorization") != Some(&format!("Bearer {token}"))
        {
            return match request.header("authorization") {
                None => HttpAnswer::error(403, "Access Denied", "user \"anonymous\" cannot access"),
                Some(_) => HttpAnswer::error(401, "Invalid authentication data", "no such token"),
            };
        }
        let Some(answer) = self.answers.get(request.path()) else {
            return HttpAnswer::not_found();
        };
        if request.method != "GET" {
            return HttpAnswer::method_not_allowed();
        }
        if !is_accepted(request, self.announces_json(request.path())) {
            return HttpAnswer::not_acceptable();
        }
        answer.clone()
    }

    /// Whether a route is announced as one that gives JSON. To 2.0 the documents about the control
    /// plane were not: they go to those only who accept anything.
    fn announces_json(&self, path: &str) -> bool {
        path == "/" || self.kuma >= KumaVersion::V2_6
    }
}

/// The documents of the API server of a version of Kuma.
fn answers(
    kuma: KumaVersion,
    role: Role,
    mads_port: u16,
    mads_tls: bool,
) -> BTreeMap<String, HttpAnswer> {
    let mut mads = json!({"assignmentRefreshInterval": "1s"});
    match kuma {
        KumaVersion::V0_7 | KumaVersion::V1_1 => mads["grpcPort"] = mads_port.into(),
        KumaVersion::V1_2 => {
            mads["grpcPort"] = 0.into();
            mads["apiVersions"] = json!(["v1alpha1", "v1"]);
        }
        KumaVersion::V1_8 => {
            mads["grpcPort"] = 0.into();
            mads["apiVersions"] = json!(["v1"]);
        }
        KumaVersion::V2_6 | KumaVersion::V2_12 | KumaVersion::V2_14 => {
            mads["apiVersions"] = json!(["v1"]);
            mads["tlsEnabled"] = mads_tls.into();
        }
    }
    if kuma >= KumaVersion::V1_2 {
        mads["port"] = mads_port.into();
        mads["defaultFetchTimeout"] = "30s".into();
    }
    if kuma >= KumaVersion::V2_14 {
        mads["enabled"] = true.into();
    }
    let (environment, mode) = match role {
        Role::Zone if kuma < KumaVersion::V2_6 => ("universal", "standalone"),
        Role::Zone => ("universal", "zone"),
        Role::ZoneOnKubernetes => ("kubernetes", "zone"),
        Role::Global => ("universal", "global"),
    };
    let index = json!({"hostname": "stand-in", "tagline": "Kuma", "version": kuma.name()});
    let config = json!({
        "environment": environment,
        "mode": mode,
        "monitoringAssignmentServer": mads,
        "reports": {"enabled": false},
    });
    let mut documents = BTreeMap::from([
        ("/".to_owned(), HttpAnswer::json(200, &index)),
        ("/config".to_owned(), HttpAnswer::json(200, &config)),
    ]);
    if kuma == KumaVersion::V0_7 {
        let url = format!("grpc://localhost:{mads_port}");
        let catalog = json!({"apis": {
            "bootstrap": {"url": "http://localhost:5682"},
            "monitoringAssignment": {"url": url},
        }});
        documents.insert("/catalog".to_owned(), HttpAnswer::json(200, &catalog));
    }
    documents
}
