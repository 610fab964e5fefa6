//! A question to a server, and its answer as far as a client can tell two answers apart. Of the
//! daemon it uses the HTTP client, which adds nothing to a request.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use kuma_prometheus_sd::mads::transport::address::Address;
use kuma_prometheus_sd::mads::transport::http_client::HttpSettings;
use serde_json::Value;
use ureq::http::{Request, Response};
use ureq::{Agent, AsSendBody};

/// Silence for this long is an answer, too. Polls are held for a second at most.
const SILENCE: Duration = Duration::from_secs(3);

/// What a client reads of the documents of API server and MADS.
const READ: [&str; 22] = [
    "/mode",
    "/environment",
    "/apis/monitoringAssignment/url",
    "/monitoringAssignmentServer/port",
    "/monitoringAssignmentServer/grpcPort",
    "/monitoringAssignmentServer/tlsEnabled",
    "/monitoringAssignmentServer/enabled",
    "/monitoringAssignmentServer/apiVersions",
    "/version_info",
    "/type_url",
    "/resources/0/@type",
    "/resources/0/mesh",
    "/resources/0/service",
    "/resources/0/labels",
    "/resources/0/targets/0/name",
    "/resources/0/targets/0/scheme",
    "/resources/0/targets/0/address",
    "/resources/0/targets/0/metrics_path",
    "/resources/0/targets/0/labels",
    "/title",
    "/detail",
    "/details",
];

/// What two servers say in their own words.
const OWN_WORDS: [&str; 3] = ["/version_info", "/detail", "/details"];

/// An HTTP/1.1 request.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) is_tls: bool,
    pub(crate) port: u16,
    pub(crate) method: &'static str,
    pub(crate) target: String,
    /// No header where it is empty.
    pub(crate) accept: &'static str,
    pub(crate) content_type: &'static str,
    pub(crate) body: Option<String>,
}

impl Question {
    /// The answer: status, type, and what a client reads of it.
    pub(crate) fn ask(&self) -> String {
        match self.response() {
            Ok(answer) => describe(answer),
            Err(ureq::Error::Timeout(_)) => "silence".to_owned(),
            Err(_) => "the end of the connection".to_owned(),
        }
    }

    /// The version of the list that is the answer.
    pub(crate) fn version(&self) -> Option<String> {
        let mut answer = self.response().ok()?;
        let body = answer.body_mut().read_to_string().ok()?;
        let body: Value = serde_json::from_str(&body).ok()?;
        Some(body["version_info"].as_str()?.to_owned())
    }

    fn response(&self) -> Result<Response<ureq::Body>, ureq::Error> {
        let mut settings = HttpSettings::default();
        // Whose certificate it is, is not the question.
        settings.tls.skip_verify = true;
        let scheme = if self.is_tls { "https" } else { "http" };
        let server = format!("{scheme}://127.0.0.1:{}", self.port);
        let address: Address = server.parse().expect("an address");
        let agent = settings.agent(&address);
        let agent = agent.expect("no file and no proxy is needed");
        let url = address.http_url(&self.target);
        let mut request = Request::builder().method(self.method).uri(url);
        if !self.accept.is_empty() {
            request = request.header("accept", self.accept);
        }
        match &self.body {
            Some(body) => {
                let request = request.header("content-type", self.content_type);
                run(&agent, request.body(body.as_str())?)
            }
            None => run(&agent, request.body(())?),
        }
    }
}

fn run(
    agent: &Agent,
    request: Request<impl AsSendBody>,
) -> Result<Response<ureq::Body>, ureq::Error> {
    let request = agent.configure_request(request);
    agent.run(request.timeout_global(Some(SILENCE)).accept("").build())
}

fn describe(mut answer: Response<ureq::Body>) -> String {
    let status = answer.status().as_u16();
    let content_type = answer.headers().get("content-type");
    let content_type = content_type.and_then(|value| value.to_str().ok());
    let content_type = content_type.unwrap_or("of no type").to_owned();
    let body = answer.body_mut().read_to_string().unwrap_or_default();
    let read = match serde_json::from_str::<Value>(&body) {
        Ok(body) => READ
            .into_iter()
            .filter_map(|place| Some((place, body.pointer(place)?)))
            .map(|(place, value)| match OWN_WORDS.contains(&place) {
                true => format!(" {place}"),
                false => format!(" {place}={value}"),
            })
            .collect(),
        Err(_) => String::new(),
    };
    format!("{status}, {content_type}{read}")
}

/// What comes back for bytes that are no HTTP/1.1 request.
pub(crate) fn send(port: u16, bytes: &[u8]) -> String {
    let mut first = [0; 12];
    let mut ask = || {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(SILENCE))?;
        stream.write_all(bytes)?;
        stream.read(&mut first)
    };
    match ask() {
        Ok(length) if first[..length].starts_with(b"HTTP/1") => {
            String::from_utf8_lossy(&first[..length]).into_owned()
        }
        Ok(length) if length > 3 && first[3] == 4 => "settings of HTTP/2".to_owned(),
        Ok(length) if length > 0 => format!("{:02x?}", &first[..length]),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => "silence".to_owned(),
        _ => "the end of the connection".to_owned(),
    }
}
