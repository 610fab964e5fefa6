//! The HTTP source: long polling of MADS v1, one poll at a time, on a thread of its own.

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, unbounded};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use std::io::{self, Read as _};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;
use ureq::http::{self, HeaderMap};
use ureq::{Agent, Body, Timeout};

use super::background::{Background, BackgroundDied, Events};
use super::{RESPONSE_LIMIT, RESPONSE_LIMIT_TEXT};
use crate::common::json::{Bounded, Object};
use crate::common::sanitize::sanitize;
use crate::mads::assignment::Resource;
use crate::mads::connection::Event;
use crate::mads::endpoint::is_tls_expected;
use crate::mads::negotiation::{End, EndKind};
use crate::mads::session::{Request, Response};
use crate::mads::transport::address::{Address, TLS_IS_SPOKEN};
use crate::mads::transport::http_client::{
    ERROR_BODY_LIMIT, HttpSettings, SetupError, describe, is_not_http,
};

/// The longest time from the end of a hold until the answer begins.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// More resources do not fit into the longest answer, as each has to name its type.
const RESOURCES_LIMIT: usize = 4_000_000;

/// What makes the one connection that carries the polls.
#[derive(Default)]
enum PollAgent {
    /// Before the first poll, and where the server has announced that it closes the connection: another one is
    /// made for the next poll. Where it closes it otherwise, the polls are at their end.
    #[default]
    None,
    Made(Agent),
    /// The polls were given up.
    Ended,
}

type SharedAgent = Arc<Mutex<PollAgent>>;

/// Polls of one endpoint. Dropping it ends the poll that is under way.
pub struct Poller {
    requests: Sender<Request>,
    background: Background,
    agent: SharedAgent,
}

impl Poller {
    /// Starts the thread, and the first poll.
    ///
    /// # Errors
    /// Where the system refuses a thread.
    pub fn open(
        settings: HttpSettings,
        address: Address,
        request: Request,
        waker: Waker,
    ) -> io::Result<Self> {
        let url = address.http_url("/v3/discovery:monitoringassignments");
        let agent = SharedAgent::default();
        let (requests, receiver) = unbounded();
        let polling = Polling {
            what: format!("POST {url}{}", settings.way(&address)),
            url,
            settings,
            address,
            agent: Arc::clone(&agent),
        };
        let background = Background::spawn("http poll", waker, move |events| {
            polling.poll_for_all(&receiver, events);
        })?;
        let poller = Self { requests, background, agent };
        poller.send(request);
        Ok(poller)
    }

    /// Starts the next poll. There is no NACK over HTTP: not advancing the version is one.
    pub fn send(&self, request: Request) {
        // Where the thread is no more, `poll` says so.
        let _ = self.requests.send(request);
    }

    /// What has happened, if anything.
    ///
    /// # Errors
    /// Where the thread is no more.
    pub fn poll(&self) -> Result<Option<Event>, BackgroundDied> {
        self.background.poll()
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        if let PollAgent::Made(agent) = mem::replace(&mut *lock(&self.agent), PollAgent::Ended) {
            agent.shutdown();
        }
    }
}

/// The body of an answer. `null` and absent both stand for a field's default.
#[derive(Deserialize)]
struct DiscoveryResponse<'a> {
    #[serde(alias = "versionInfo")]
    version_info: Option<String>,
    #[serde(borrow)]
    resources: Option<Bounded<&'a RawValue, RESOURCES_LIMIT>>,
    #[serde(alias = "typeUrl")]
    type_url: Option<String>,
}

/// The body of an error.
#[derive(Deserialize)]
struct ErrorBody {
    title: Option<String>,
    /// Kuma up to 2.6.
    details: Option<String>,
    /// Later ones, which may send both.
    detail: Option<String>,
}

/// What the thread polls.
struct Polling {
    settings: HttpSettings,
    address: Address,
    agent: SharedAgent,
    url: String,
    /// The act, as errors name it.
    what: String,
}

impl Polling {
    fn poll_for_all(&self, requests: &Receiver<Request>, events: &Events) {
        for request in requests {
            let event = self.poll(&request, events);
            if !events.send(event.unwrap_or_else(Event::Ended)) {
                return;
            }
        }
    }

    /// The agent for the next poll. Where the polls were given up meanwhile it connects to nothing.
    fn agent(&self) -> Result<Agent, SetupError> {
        if let PollAgent::Made(agent) = &*lock(&self.agent) {
            return Ok(agent.clone());
        }
        // Not under the lock: files may be slow.
        let agent = self.settings.agent_of_one_connection(&self.address)?;
        match &mut *lock(&self.agent) {
            PollAgent::Ended => agent.clone().shutdown(),
            shared => *shared = PollAgent::Made(agent.clone()),
        }
        Ok(agent)
    }

    fn poll(&self, request: &Request, events: &Events) -> Result<Event, End> {
        // Kuma parses it strictly: an unknown field is an error.
        let body = json!({
            "version_info": request.version,
            "node": {"id": request.node_id},
            "type_url": request.api_version.type_url(),
        });
        let agent = self.agent().map_err(|error| self.outage(&error.to_string()))?;
        // A Go duration.
        let url = format!("{}?fetch-timeout={}ms", self.url, request.hold.as_millis());
        let limit = request.hold + ANSWER_LIMIT;
        let response = agent
            .post(url)
            .header("content-type", "application/json")
            .header("accept", "application/json")
            .config()
            .timeout_recv_response(Some(limit))
            .build()
            .send(&body.to_string())
            .map_err(|error| match error {
                ureq::Error::Timeout(Timeout::RecvResponse) => {
                    self.outage(&format!("no answer within {} s", limit.as_secs()))
                }
                // A server that hangs up without a word may expect TLS, or the reverse.
                error if is_not_http(&error) => self.end(EndKind::Unready, &describe(&error)),
                error => self.outage(&describe(&error)),
            })?;
        if response.status() == 200 {
            events.send(Event::Ready);
        }
        // What is left unread of an error would be taken for the next answer.
        let closes = is_last_on_its_connection(&response) || response.status().as_u16() >= 400;
        let result = self.judge(response);
        if closes && let shared @ PollAgent::Made(_) = &mut *lock(&self.agent) {
            *shared = PollAgent::None;
        }
        result
    }

    fn judge(&self, mut response: http::Response<Body>) -> Result<Event, End> {
        let status = response.status().as_u16();
        if status == 304 {
            return Ok(Event::Unchanged);
        }
        if (300..400).contains(&status) {
            return Err(self.outage(&redirect(response.headers())));
        }
        if status != 200 {
            return Err(self.refused(status, response.body_mut()));
        }
        let body = self.read(response.body_mut())?;
        decode(body).map(Event::Response).map_err(|error| {
            let error = sanitize(&error.to_string());
            self.outage(&format!("the answer cannot be decoded: {error}"))
        })
    }

    fn refused(&self, status: u16, body: &mut Body) -> End {
        let mut start = Vec::new();
        let mut reader = body.as_reader().take(ERROR_BODY_LIMIT);
        if let Err(error) = reader.read_to_end(&mut start) {
            return self.outage(&describe(&ureq::Error::from(error)));
        }
        if is_tls_expected(status, &start) {
            return self.outage(TLS_IS_SPOKEN);
        }
        let kind = match status {
            404 | 405 | 501 => EndKind::UnknownService,
            408 | 504 => EndKind::GatewayTimeout,
            _ => EndKind::Outage,
        };
        self.end(kind, &format!("status {status}{}", error_text(&start)))
    }

    fn read(&self, body: &mut Body) -> Result<Vec<u8>, End> {
        let limit = u64::try_from(RESPONSE_LIMIT).unwrap_or(u64::MAX);
        if body.content_length().is_some_and(|length| length > limit) {
            return Err(self.outage(RESPONSE_LIMIT_TEXT));
        }
        body.with_config().limit(limit).read_to_vec().map_err(|error| match error {
            ureq::Error::BodyExceedsLimit(_) => self.outage(RESPONSE_LIMIT_TEXT),
            error => self.outage(&describe(&error)),
        })
    }

    fn outage(&self, reason: &str) -> End {
        self.end(EndKind::Outage, reason)
    }

    fn end(&self, kind: EndKind, reason: &str) -> End {
        End { kind, reason: format!("{}: {reason}", self.what) }
    }
}

fn lock(agent: &SharedAgent) -> MutexGuard<'_, PollAgent> {
    // It is whole at any time, so a panic elsewhere does not spoil it.
    agent.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether the server has announced that it closes the connection after this answer.
fn is_last_on_its_connection(response: &http::Response<Body>) -> bool {
    let connection = response.headers().get("connection");
    let connection = connection.map_or(&b""[..], |value| value.as_bytes());
    let mut options = connection.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    let closes = options.any(|option| option.eq_ignore_ascii_case(b"close"));
    closes || response.version() == http::Version::HTTP_10
}

fn redirect(headers: &HeaderMap) -> String {
    let location = headers.get("location").map(|value| String::from_utf8_lossy(value.as_bytes()));
    format!(
        "redirected to {:?}, which is not followed; give that address as --cp-address",
        sanitize(&location.unwrap_or_default())
    )
}

/// Decodes the envelope of an answer; unknown fields are ignored. The resources become slices of this
/// one allocation.
///
/// # Errors
/// Where the body is not the JSON of a `DiscoveryResponse`.
pub fn decode(body: Vec<u8>) -> serde_json::Result<Response> {
    let body = Bytes::from(body);
    let Object::<DiscoveryResponse<'_>>(response) = serde_json::from_slice(&body)?;
    let resources = response.resources.map_or_else(Vec::new, |Bounded(all)| all);
    let slice = |resource: &RawValue| Resource::Json(body.slice_ref(resource.get().as_bytes()));
    Ok(Response {
        version: response.version_info.unwrap_or_default(),
        nonce: String::new(),
        type_url: response.type_url.unwrap_or_default(),
        resources: resources.into_iter().map(slice).collect(),
    })
}

/// What the server says about an error, after `: `; its JSON where there is one.
fn error_text(body: &[u8]) -> String {
    let text = match serde_json::from_slice(body) {
        Ok(ErrorBody { title: Some(title), details, detail }) => match details.or(detail) {
            Some(details) => format!("{title}: {details}"),
            None => title,
        },
        _ => String::from_utf8_lossy(&body[..body.len().min(4096)]).into_owned(),
    };
    if text.trim().is_empty() { String::new() } else { format!(": {}", sanitize(&text)) }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::net::TcpListener;

    use super::{PollAgent, Polling, error_text, lock};
    use crate::mads::transport::http_client::HttpSettings;

    #[test]
    fn polls_that_were_given_up_connect_to_nothing_even_where_their_agent_was_still_to_be_made() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        server.set_nonblocking(true).unwrap();
        let url = format!("http://{}", server.local_addr().unwrap());
        let polling = Polling {
            settings: HttpSettings::default(),
            address: url.parse().unwrap(),
            agent: Default::default(),
            what: String::new(),
            url: url.clone(),
        };
        *lock(&polling.agent) = PollAgent::Ended;
        let agent = polling.agent().unwrap();
        assert!(agent.get(&url).call().is_err());
        assert_eq!(server.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    }

    #[test]
    fn an_error_is_told_by_its_title_and_details() {
        for (body, expected) in [
            // As Kuma has it since 2.1: the field of RFC 9457 beside the one of before.
            (r#"{"title":"A","details":"b","detail":"b"}"#, ": A: b"),
            (r#"{"title":"A","details":"b"}"#, ": A: b"),
            (r#"{"title":"A","detail":"b","status":429}"#, ": A: b"),
            (r#"{"title":"A"}"#, ": A"),
            (r#"{"message":"A"}"#, r#": {"message":"A"}"#),
            ("no \u{1b} JSON", ": no \\u{1b} JSON"),
            (" ", ""),
        ] {
            assert_eq!(error_text(body.as_bytes()), expected, "{body}");
        }
    }
}
