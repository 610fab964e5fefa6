//! The connection as tables: at a time, an event, and what is to be done then.

mod attempts;
mod logs;
mod protocols;
mod responses;

use bytes::Bytes;

use super::{Action, Connection, Event, NetworkAction};
use crate::common::machine::story::{self, Described};
use crate::mads::api_version::ApiVersion;
use crate::mads::assignment::Resource;
use crate::mads::endpoint::{AnswerError, Endpoint, LocationUnknown, Origin};
use crate::mads::labels::LabelStyle;
use crate::mads::negotiation::{End, EndKind, Pins, Protocol, Transport};
use crate::mads::session::{Request, Response, Session};
use crate::mads::transport::address::{Address, Security};
use crate::mads::transport::resolver::ResolveError;

type Story = story::Story<Connection>;

const HTTP: Pins = Pins { api_version: None, transport: Some(Transport::Http) };

fn new_story(pins: Pins) -> Story {
    found_by_way_of(Security::Plaintext, pins)
}

/// A connection whose `--cp-address` has this security.
fn found_by_way_of(security: Security, pins: Pins) -> Story {
    let session = Session::new("kuma_sd".to_owned(), LabelStyle::Original);
    Story::new(|start| Connection::new(session, pins, security, start), describe)
}

/// At the start, the first source is being opened.
fn opening() -> Story {
    let mut story = new_story(Pins::default());
    story.play(vec![(0.0, Event::Time, &["resolve"]), (0.0, found(), &[OPEN_V1])]);
    story
}

fn opening_http() -> Story {
    let mut story = new_story(HTTP);
    story.play(vec![(0.0, Event::Time, &["resolve"]), (0.0, found(), &[OPEN_HTTP])]);
    story
}

fn describe(action: &Action) -> Described {
    let action = match action {
        Action::Report(report) => return Described::Report(report.level(), report.to_string()),
        Action::Network(NetworkAction::Resolve) => "resolve".to_owned(),
        Action::Network(NetworkAction::Open(endpoint, protocol, request)) => {
            assert!(request.nonce.is_empty(), "a first request has no nonce");
            assert_eq!(request.api_version, protocol.api_version());
            let authority = endpoint.authority();
            format!("open {protocol} at {authority}, version {:?}", request.version)
        }
        Action::Network(NetworkAction::Send(request)) => request_in_words(request),
        Action::HandOver(snapshot) => format!("hand over {}", snapshot.groups()),
        Action::Network(NetworkAction::Diagnose(_)) => "diagnose".to_owned(),
        Action::Network(NetworkAction::Close) => "close".to_owned(),
    };
    Described::Action(action)
}

fn request_in_words(request: &Request) -> String {
    let Request { version, nonce, rejection, hold, .. } = request;
    let name = match rejection {
        None => "ACK",
        Some(_) => "NACK",
    };
    // Over HTTP there is no nonce.
    let hold = match nonce.as_str() {
        "" => format!(", hold {} s", hold.as_secs()),
        _ => String::new(),
    };
    format!("{name} version {version:?}, nonce {nonce:?}{hold}")
}

fn endpoint() -> Endpoint {
    at("grpc://cp:5676")
}

fn at(address: &str) -> Endpoint {
    address.parse::<Address>().unwrap().as_mads()
}

fn unresolved() -> Event {
    Event::Resolved(Err(ResolveError::Answer {
        url: "http://cp/config".to_owned(),
        source: AnswerError::Status(503),
    }))
}

fn found() -> Event {
    Event::Resolved(Ok(endpoint()))
}

fn response(
    api_version: ApiVersion,
    version: &str,
    nonce: &str,
    resources: Vec<Resource>,
) -> Event {
    Event::Response(Response {
        version: version.to_owned(),
        nonce: nonce.to_owned(),
        type_url: api_version.type_url().to_owned(),
        resources,
    })
}

fn good(version: &str, nonce: &str) -> Event {
    response(ApiVersion::V1, version, nonce, Vec::new())
}

fn good_v1alpha1(version: &str, nonce: &str) -> Event {
    response(ApiVersion::V1alpha1, version, nonce, Vec::new())
}

fn bad(version: &str, nonce: &str) -> Event {
    let no_assignment = Bytes::from_static(b"\"no assignment\"");
    response(ApiVersion::V1, version, nonce, vec![Resource::Json(no_assignment)])
}

fn ended(kind: EndKind) -> Event {
    let reason = format!("{kind:?}");
    Event::Ended(End { kind, reason })
}

const OPEN_V1: &str = "open gRPC v1 at cp:5676, version \"\"";

const OPEN_V1ALPHA1: &str = "open gRPC v1alpha1 at cp:5676, version \"\"";

const OPEN_HTTP: &str = "open HTTP v1 at cp:5676, version \"\"";

const POLL_A: &str = "ACK version \"a\", nonce \"\", hold 10 s";

/// A connection that accepted version "a" with nonce "1" at the start.
fn connected() -> Story {
    let mut story = opening();
    story.play(vec![
        (0.0, Event::Ready, &[]),
        (0.0, good("a", "1"), &["hand over 0", "ACK version \"a\", nonce \"1\""]),
    ]);
    story.assert_logged(&["connected to MADS at cp:5676 over gRPC v1"]);
    story
}
