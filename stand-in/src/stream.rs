//! One open gRPC stream, as the control plane sees it: what it asked for, and the outbox of the
//! thread that sends to it.

use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::Sender;

use crate::event::{ErrorDetail, SeenRequest, StreamId, Transport};
use crate::grpc::Frame;
use crate::kuma_version::ApiVersion;
use crate::proto::discovery::DiscoveryRequest;
use crate::snapshot::Snapshot;
use crate::subscription::Subscription;

/// A command to a stream's thread.
pub(crate) enum Outgoing {
    /// Send a snapshot under a nonce.
    Snapshot(Arc<Snapshot>, String),
    /// Send bytes in place of a serialized response.
    Frame(Frame),
    /// End the stream with a gRPC status.
    Close(i32, String),
}

impl Outgoing {
    /// What it is, for people.
    pub(crate) fn describe(&self) -> String {
        match self {
            Outgoing::Snapshot(snapshot, nonce) => format!(
                "version {} with {} resources, nonce {nonce}",
                snapshot.version(),
                snapshot.len()
            ),
            Outgoing::Frame(frame) => format!("{} bytes", frame.len()),
            Outgoing::Close(code, message) => format!("the end, {code} {message}"),
        }
    }
}

/// An open stream.
pub(crate) struct Stream {
    api_version: ApiVersion,
    subscription: Subscription,
    /// Whether its first request has come, with the node that later ones may leave out.
    introduced: bool,
    outbox: Sender<Outgoing>,
}

impl Stream {
    pub(crate) fn new(api_version: ApiVersion, outbox: Sender<Outgoing>) -> Stream {
        Stream { api_version, subscription: Subscription::default(), introduced: false, outbox }
    }

    /// The API version that it asks.
    pub(crate) fn api_version(&self) -> ApiVersion {
        self.api_version
    }

    /// Puts something into its outbox.
    pub(crate) fn send(&self, outgoing: Outgoing) {
        // A stream that has just ended has no thread any more; its end is recorded by itself.
        let _ = self.outbox.send(outgoing);
    }

    /// The answer to a request, if it gets one now.
    ///
    /// # Errors
    ///
    /// Why no control plane can go on with such a request.
    pub(crate) fn request(
        &mut self,
        request: &DiscoveryRequest,
        current: Option<&Arc<Snapshot>>,
    ) -> Result<Option<Outgoing>, String> {
        if !self.introduced && request.node.id.is_empty() {
            return Err("the first request has no node.id".to_owned());
        }
        self.introduced = true;
        let type_url = self.api_version.type_url();
        if request.type_url != type_url {
            let asked = &request.type_url;
            return Err(format!("the type URL is {asked:?}, not {type_url}"));
        }
        let nonce = self.subscription.request(
            &request.response_nonce,
            &request.version_info,
            current.map(|snapshot| snapshot.version()),
        );
        Ok(nonce.zip(current).map(|(nonce, snapshot)| Outgoing::Snapshot(snapshot.clone(), nonce)))
    }

    /// The answer that a new snapshot is to it, if it waits for one.
    pub(crate) fn published(&mut self, snapshot: &Arc<Snapshot>) -> Option<Outgoing> {
        let nonce = self.subscription.published()?;
        Some(Outgoing::Snapshot(snapshot.clone(), nonce))
    }
}

/// A request as the record shows it.
pub(crate) fn seen(
    stream: StreamId,
    api_version: ApiVersion,
    request: &DiscoveryRequest,
) -> SeenRequest {
    SeenRequest {
        stream,
        transport: Transport::Grpc,
        api_version,
        version_info: request.version_info.clone(),
        nonce: request.response_nonce.clone(),
        node_id: request.node.id.clone(),
        type_url: request.type_url.clone(),
        error_detail: request
            .error_detail
            .as_ref()
            .map(|error| ErrorDetail { code: error.code, message: error.message.clone() }),
        http: None,
        at: Instant::now(),
    }
}
