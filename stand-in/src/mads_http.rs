//! MADS over HTTP: long polling for the snapshot of API version v1.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::event::{ErrorDetail, Event, HttpRequest, SeenRequest, Server, StreamId, Transport};
use crate::http_answer::{Body, HttpAnswer};
use crate::http_server::{Handler, is_accepted};
use crate::kuma_version::{ApiVersion, KumaVersion};
use crate::listener::Connection;
use crate::state::{Polled, State};

/// The path of the discovery service, below the base path.
const DISCOVERY: &str = "/v3/discovery:monitoringassignments";

/// `defaultFetchTimeout` of Kuma's configuration.
const DEFAULT_FETCH_TIMEOUT: Duration = Duration::from_secs(30);

/// The title of the errors that a request's body brings about.
const BAD_BODY: &str = "Could not parse request body";

/// A discovery request in JSON. Kuma reads it strictly, so what is unknown here is an error.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DiscoveryRequest {
    #[serde(default, alias = "versionInfo")]
    version_info: String,
    node: Option<Node>,
    #[serde(default, alias = "resourceNames")]
    #[expect(dead_code, reason = "allowed, and without effect on this service")]
    resource_names: Vec<String>,
    #[serde(default, alias = "typeUrl")]
    type_url: String,
    #[serde(default, alias = "responseNonce")]
    response_nonce: String,
    #[serde(alias = "errorDetail")]
    error_detail: Option<Status>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Node {
    #[serde(default)]
    id: String,
    #[serde(default)]
    #[expect(dead_code, reason = "allowed, and without effect on this service")]
    cluster: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Status {
    #[serde(default)]
    code: i32,
    #[serde(default)]
    message: String,
}

/// What answers one connection's requests.
pub(crate) fn handler(state: &Arc<State>) -> Box<Handler> {
    let state = state.clone();
    let stream = state.new_stream_id();
    Box::new(move |request, connection| answer(&state, stream, request, connection))
}

fn answer(
    state: &State,
    stream: StreamId,
    request: &HttpRequest,
    connection: &Connection,
) -> HttpAnswer {
    let at = Instant::now();
    let served = state.serves().http_v1
        && request.path().strip_prefix(state.base_path().as_str()) == Some(DISCOVERY);
    let kuma = state.kuma();
    let refusal = match (served, request.method.as_str()) {
        (true, "POST") if !is_accepted(request, true) => HttpAnswer::not_acceptable(),
        (true, "POST") if request.header("content-type") != Some("application/json") => {
            HttpAnswer::unsupported_media_type()
        }
        (true, "POST") => match parse(kuma, request) {
            Ok((body, fetch_timeout)) => {
                let seen = seen(stream, request, &body, at);
                state.events.record(Event::Request(seen));
                // Go reads a duration of zero or less as "do not wait".
                return poll(
                    kuma,
                    state,
                    stream,
                    &body.version_info,
                    at + fetch_timeout,
                    connection,
                );
            }
            Err(refusal) => refusal,
        },
        (true, _) => HttpAnswer::method_not_allowed(),
        (false, _) => HttpAnswer::not_found(),
    };
    state.events.record(Event::Http {
        server: Server::Mads,
        request: request.clone(),
        status: refusal.status(),
        at,
    });
    refusal
}

fn error(kuma: KumaVersion, status: u16, title: &str, details: &str) -> HttpAnswer {
    if kuma < KumaVersion::V2_6 {
        HttpAnswer::old_error(status, title, details)
    } else {
        HttpAnswer::error(status, title, details)
    }
}

fn parse(
    kuma: KumaVersion,
    request: &HttpRequest,
) -> Result<(DiscoveryRequest, Duration), HttpAnswer> {
    let body: DiscoveryRequest = serde_json::from_slice(&request.body)
        .map_err(|reason| error(kuma, 400, BAD_BODY, &reason.to_string()))?;
    // Where lists are made for each node's id, a request without a node is a panic, and the end of
    // the connection.
    if kuma == KumaVersion::V2_6 && body.node.is_none() {
        return Err(HttpAnswer::Raw(Vec::new()));
    }
    let fetch_timeout = match request.parameter("fetch-timeout") {
        None | Some("") => DEFAULT_FETCH_TIMEOUT,
        Some(text) => go_duration(text).ok_or_else(|| {
            let details = format!("time: invalid duration {text:?}");
            error(kuma, 400, "Could not parse fetch-timeout", &details)
        })?,
    };
    Ok((body, fetch_timeout))
}

/// A duration as Go writes it: `30s`, `1m30s`, `1.5h`, `500ms`. Nothing longer than hours. One of less
/// than nothing is none.
fn go_duration(text: &str) -> Option<Duration> {
    let units = [("ns", 1e-9), ("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    if text == "0" {
        return Some(Duration::ZERO);
    }
    if let Some(text) = text.strip_prefix('-') {
        return go_duration(text).map(|_| Duration::ZERO);
    }
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(end);
        let end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let unit = units.iter().find(|known| known.0 == unit)?.1;
        seconds += number.parse::<f64>().ok()? * unit;
        rest = after;
    }
    (!text.is_empty()).then(|| Duration::try_from_secs_f64(seconds).ok())?
}

fn poll(
    kuma: KumaVersion,
    state: &State,
    stream: StreamId,
    version: &str,
    deadline: Instant,
    connection: &Connection,
) -> HttpAnswer {
    let (answer, what) = match state.poll(version, deadline, || connection.client_is_there()) {
        Polled::Snapshot(snapshot) => (
            // Kuma names no content type, and Go takes this one for JSON's.
            HttpAnswer::new(200, "text/plain; charset=utf-8", snapshot.to_json()),
            format!("200, version {} with {} resources", snapshot.version(), snapshot.len()),
        ),
        Polled::TimedOut => (HttpAnswer::with_body(304, Body::Full(Vec::new())), "304".to_owned()),
        Polled::NoSnapshot => (
            error(kuma, 500, "Could not fetch MonitoringAssignments", "Internal Server Error"),
            "500, no snapshot".to_owned(),
        ),
        Polled::Scripted(answer) => {
            let what = format!("by script: {}", answer.status());
            (answer, what)
        }
        Polled::Abandoned => (HttpAnswer::Raw(Vec::new()), "nobody: it was left".to_owned()),
    };
    state.record_answer(stream, what);
    answer
}

fn seen(
    stream: StreamId,
    http: &HttpRequest,
    request: &DiscoveryRequest,
    at: Instant,
) -> SeenRequest {
    SeenRequest {
        stream,
        transport: Transport::Http,
        api_version: ApiVersion::V1,
        version_info: request.version_info.clone(),
        nonce: request.response_nonce.clone(),
        node_id: request.node.as_ref().map(|node| node.id.clone()).unwrap_or_default(),
        type_url: request.type_url.clone(),
        error_detail: request
            .error_detail
            .as_ref()
            .map(|error| ErrorDetail { code: error.code, message: error.message.clone() }),
        http: Some(http.clone()),
        at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        let cases = [
            ("30s", Some(30.0)),
            ("1m30s", Some(90.0)),
            ("1.5h", Some(5400.0)),
            ("500ms", Some(0.5)),
            ("0", Some(0.0)),
            ("-1s", Some(0.0)),
            ("-", None),
            ("", None),
            ("30", None),
            ("1d", None),
            ("s", None),
        ];
        for (text, seconds) in cases {
            let read = go_duration(text).map(|duration| duration.as_secs_f64());
            assert_eq!(read, seconds, "{text}");
        }
    }
}
