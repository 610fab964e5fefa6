//! The HTTP source: long polling of MADS v1, one poll at a time, on a thread of its own.

use crossbeam_channel::{Receiver, Sender, unbounded};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::io;
use std::task::Waker;
use ureq::Agent;

use super::background::{Background, BackgroundDied, Events};
use super::{RESPONSE_LIMIT, RESPONSE_LIMIT_TEXT};
use crate::address::{Security, TLS_IS_SPOKEN};
use crate::assignment::Resource;
use crate::connection::Event;
use crate::endpoint::{Endpoint, is_tls_expected};
use crate::excerpt::excerpt;
use crate::http_client::{describe, is_not_http};
use crate::json::Object;
use crate::negotiation::{End, EndKind};
use crate::session::{Request, Response};

/// How long the control plane holds a poll for which it has nothing new, as a Go duration.
const FETCH_TIMEOUT: &str = "30s";

/// Polls of one endpoint. Dropping it ends the poll that is under way.
pub struct Poller {
    requests: Sender<Request>,
    background: Background,
    agent: Agent,
}

impl Poller {
    /// Starts the thread, and the first poll.
    ///
    /// # Errors
    /// Where the system refuses a thread.
    pub fn open(
        endpoint: &Endpoint,
        agent: Agent,
        request: Request,
        waker: Waker,
    ) -> io::Result<Self> {
        let scheme = match endpoint.security {
            Security::Plaintext => "http",
            Security::Tls => "https",
        };
        let url = format!(
            "{scheme}://{}{}/v3/discovery:monitoringassignments?fetch-timeout={FETCH_TIMEOUT}",
            endpoint.authority(),
            endpoint.base_path
        );
        let (sender, receiver) = unbounded();
        let poll_agent = agent.clone();
        let background = Background::spawn("http poll", waker, move |events| {
            poll_for_all(&receiver, &url, &poll_agent, events);
        })?;
        let poller = Self {
            requests: sender,
            background,
            agent,
        };
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
        self.agent.clone().shutdown();
    }
}

fn poll_for_all(requests: &Receiver<Request>, url: &str, agent: &Agent, events: &Events) {
    for request in requests {
        let event = poll_once(url, agent, &request).unwrap_or_else(Event::Ended);
        if !events.send(event) {
            return;
        }
    }
}

/// The body of a poll. Kuma parses it strictly: an unknown field is an error.
#[derive(Serialize)]
struct DiscoveryRequest<'a> {
    version_info: &'a str,
    node: Node<'a>,
    type_url: &'static str,
}

#[derive(Serialize)]
struct Node<'a> {
    id: &'a str,
}

/// The body of an answer. `null` and absent both stand for a field's default.
#[derive(Deserialize)]
struct DiscoveryResponse {
    #[serde(alias = "versionInfo")]
    version_info: Option<String>,
    resources: Option<Vec<Box<RawValue>>>,
    #[serde(alias = "typeUrl")]
    type_url: Option<String>,
}

/// The body of an error.
#[derive(Deserialize)]
struct ErrorBody {
    title: Option<String>,
    #[serde(alias = "detail")]
    details: Option<String>,
}

fn poll_once(url: &str, agent: &Agent, request: &Request) -> Result<Event, End> {
    let outage = |reason: String| End {
        kind: EndKind::Outage,
        reason: format!("POST {url}: {reason}"),
    };
    let body = DiscoveryRequest {
        version_info: &request.version,
        node: Node {
            id: &request.node_id,
        },
        type_url: request.generation.type_url(),
    };
    let body = serde_json::to_vec(&body).expect("strings are JSON, and memory takes every write");
    let mut response = agent
        .post(url)
        .header("content-type", "application/json")
        .header("accept", "application/json")
        .send(&body)
        .map_err(|error| End {
            // A server that hangs up without a word may expect TLS, or the reverse.
            kind: if is_not_http(&error) {
                EndKind::Unready
            } else {
                EndKind::Outage
            },
            reason: format!("POST {url}: {}", describe(&error)),
        })?;
    let status = response.status().as_u16();
    if status == 304 {
        return Ok(Event::Unchanged);
    }
    if (300..400).contains(&status) {
        let location = response.headers().get("location");
        let location = location.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        return Err(outage(format!(
            "redirected to {:?}, which is not followed; give that address as --cp-address",
            excerpt(&location.unwrap_or_default())
        )));
    }
    let limit = u64::try_from(RESPONSE_LIMIT).unwrap_or(u64::MAX);
    let body = response
        .body_mut()
        .with_config()
        .limit(limit)
        .read_to_vec()
        .map_err(|error| match error {
            ureq::Error::BodyExceedsLimit(_) => outage(RESPONSE_LIMIT_TEXT.to_owned()),
            error => outage(describe(&error)),
        })?;
    match status {
        200 => decode(&body).map(Event::Response).map_err(|error| {
            outage(format!(
                "the answer cannot be decoded: {}",
                excerpt(&error.to_string())
            ))
        }),
        404 | 405 | 501 => Err(End {
            kind: EndKind::UnknownService,
            reason: format!("POST {url}: status {status}{}", error_text(&body)),
        }),
        _ if is_tls_expected(status, &body) => Err(outage(TLS_IS_SPOKEN.to_owned())),
        _ => Err(outage(format!("status {status}{}", error_text(&body)))),
    }
}

/// Decodes the envelope of an answer; unknown fields are ignored.
///
/// # Errors
/// Where the body is not the JSON of a `DiscoveryResponse`.
pub fn decode(body: &[u8]) -> serde_json::Result<Response> {
    let Object(response): Object<DiscoveryResponse> = serde_json::from_slice(body)?;
    Ok(Response {
        version: response.version_info.unwrap_or_default(),
        nonce: String::new(),
        type_url: response.type_url.unwrap_or_default(),
        resources: response
            .resources
            .unwrap_or_default()
            .into_iter()
            .map(Resource::Json)
            .collect(),
    })
}

/// What the server says about an error, after `: `; its JSON where there is one.
fn error_text(body: &[u8]) -> String {
    let text = match serde_json::from_slice(body) {
        Ok(ErrorBody {
            title: Some(title),
            details: Some(details),
        }) => format!("{title}: {details}"),
        Ok(ErrorBody {
            title: Some(title),
            details: None,
        }) => title,
        _ => String::from_utf8_lossy(&body[..body.len().min(4096)]).into_owned(),
    };
    if text.trim().is_empty() {
        String::new()
    } else {
        format!(": {}", excerpt(&text))
    }
}
