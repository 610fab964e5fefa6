//! The gRPC source: one bidirectional MADS stream, of either API version, on C-core.
//!
//! The stream is polled from the receiver thread, which a waker wakes: a blocked read could know
//! neither a deadline nor another event.

mod opening;

use std::collections::VecDeque;
use std::ffi::{CStr, CString};
use std::future::Future;
use std::io::Read;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::{Sink, Stream as _};
use grpcio::{
    CallOption, Channel, ChannelBuilder, Client, ClientDuplexReceiver, ClientDuplexSender,
    ConnectivityState, EnvBuilder, Environment, GrpcSlice, Marshaller, MessageReader, Method,
    MethodType, ResourceQuota, RpcStatus, RpcStatusCode, WriteFlags,
};

use super::{RESPONSE_LIMIT, RESPONSE_LIMIT_TEXT};
use crate::common::sanitize::sanitize;
use crate::mads::api_version::ApiVersion;
use crate::mads::connection::{CONNECT_LIMIT, Event};
use crate::mads::envelope;
use crate::mads::negotiation::{End, EndKind};
use crate::mads::session::Request;
use crate::mads::transport::proxy::Proxy;
pub use opening::{GrpcSource, Opening};

/// A peer that does not answer a ping is dead. Kuma's servers refuse pings more often than every
/// 15 s; with these two a dead peer is found within 50 s.
const KEEPALIVE_TIME: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// The longest time for each address of a name, in milliseconds. They are tried one after the
/// other, by default for 20 s each, but an attempt ends after 10.
const ADDRESS_LIMIT_MS: i32 = 3_000;

/// C-core's name for it; what it says of a pause, it means of an attempt to connect.
const ADDRESS_LIMIT_KEY: &CStr = c"grpc.min_reconnect_backoff_ms";

/// C-core looks at the length of a message when all of it has come, so what it may hold in the
/// meantime is limited as well: the largest response, and as much again for parts and copies.
const BUFFER_LIMIT: usize = 2 * RESPONSE_LIMIT;

/// Messages pass C-core as bytes, so that a response that cannot be decoded is distinguished from a
/// broken stream.
type RawMessage = Vec<u8>;

fn serialize(message: &RawMessage, slice: &mut GrpcSlice) -> grpcio::Result<()> {
    *slice = GrpcSlice::from(message.as_slice());
    Ok(())
}

fn deserialize(mut reader: MessageReader) -> grpcio::Result<RawMessage> {
    let mut message = Vec::new();
    reader.read_to_end(&mut message).map_err(|error| grpcio::Error::Codec(error.into()))?;
    Ok(message)
}

const BYTES: Marshaller<RawMessage> = Marshaller { ser: serialize, de: deserialize };

const fn method(name: &'static str) -> Method<RawMessage, RawMessage> {
    Method { ty: MethodType::Duplex, name, req_mar: BYTES, resp_mar: BYTES }
}

static STREAM_V1: Method<RawMessage, RawMessage> = method(
    "/kuma.observability.v1.MonitoringAssignmentDiscoveryService/StreamMonitoringAssignments",
);
static STREAM_V1ALPHA1: Method<RawMessage, RawMessage> = method(
    "/kuma.observability.v1alpha1.MonitoringAssignmentDiscoveryService/StreamMonitoringAssignments",
);

/// The completion queue thread that all streams of the process share, once there is one.
#[derive(Clone, Default)]
pub struct Runtime(Arc<OnceLock<Arc<Environment>>>);

impl Runtime {
    /// Whether C-core runs.
    fn is_started(&self) -> bool {
        self.0.get().is_some()
    }

    /// Starts the thread where that has not been done, and sends C-core's own log to `log`, whose level
    /// must be set by now.
    fn environment(&self) -> Arc<Environment> {
        let start = || {
            grpcio::redirect_log();
            let environment = EnvBuilder::new().cq_count(1).name_prefix("grpc").build();
            Arc::new(environment)
        };
        Arc::clone(self.0.get_or_init(start))
    }
}

/// An open stream, or one that is being opened.
pub struct Stream {
    /// Whom the stream is with, as errors name it.
    peer: String,
    channel: Channel,
    sender: ClientDuplexSender<RawMessage>,
    receiver: ClientDuplexReceiver<RawMessage>,
    outgoing: VecDeque<RawMessage>,
    connectivity: Connectivity,
    waker: Waker,
}

enum Connectivity {
    /// To be looked at.
    Unknown,
    /// Not ready when last seen; the future ends when that may have changed.
    Unready(Pin<Box<dyn Future<Output = bool> + Send>>),
    /// Ready, and said so.
    Ready,
}

impl Stream {
    /// Opens a stream, with a channel of its own so that no backoff of C-core outlives an
    /// attempt, and queues the first request. Fails where C-core refuses the call itself; what the network
    /// says comes from `poll`.
    fn open(opening: Opening) -> grpcio::Result<Self> {
        let authority = opening.address.authority();
        let channel = ChannelBuilder::new(opening.runtime.environment())
            .use_local_subchannel_pool(true)
            .set_resource_quota(ResourceQuota::new(None).resize_memory(BUFFER_LIMIT))
            .max_receive_message_len(i32::try_from(RESPONSE_LIMIT).unwrap_or(i32::MAX))
            .keepalive_time(KEEPALIVE_TIME)
            .keepalive_timeout(KEEPALIVE_TIMEOUT)
            // On a stream that only receives, C-core would stop pinging after two pings.
            .http2_max_pings_without_data(0)
            .enable_retry(false)
            // Left to itself, C-core would look for a proxy in the environment by rules of its own.
            .enable_http_proxy(false)
            .raw_cfg_int(ADDRESS_LIMIT_KEY.to_owned(), ADDRESS_LIMIT_MS)
            .primary_user_agent(crate::USER_AGENT);
        let (peer, channel) = match &opening.proxy {
            Some(proxy) => {
                (format!("{authority} through {proxy}"), through(proxy, &authority, channel))
            }
            None => (authority.clone(), channel.connect(&authority)),
        };
        let method = match opening.request.api_version {
            ApiVersion::V1 => &STREAM_V1,
            ApiVersion::V1alpha1 => &STREAM_V1ALPHA1,
        };
        let (sender, receiver) =
            Client::new(channel.clone()).duplex_streaming(method, CallOption::default())?;
        let mut stream = Self {
            peer,
            channel,
            sender,
            receiver,
            outgoing: VecDeque::new(),
            connectivity: Connectivity::Unknown,
            waker: opening.waker,
        };
        stream.send(&opening.request);
        Ok(stream)
    }

    /// Queues a request; `poll` sends it.
    pub fn send(&mut self, request: &Request) {
        self.outgoing.push_back(envelope::encode(request));
        self.waker.wake_by_ref();
    }

    /// What has happened, if anything; to be called again whenever the waker was woken.
    pub fn poll(&mut self) -> Option<Event> {
        let waker = self.waker.clone();
        let mut context = Context::from_waker(&waker);
        if self.has_become_ready(&mut context) {
            return Some(Event::Ready);
        }
        // A failed send says less than the status of the call, which the receiver brings.
        let _ = self.poll_send(&mut context);
        match Pin::new(&mut self.receiver).poll_next(&mut context) {
            Poll::Pending => None,
            Poll::Ready(Some(Ok(message))) => Some(self.decode(message)),
            Poll::Ready(Some(Err(error))) => Some(Event::Ended(self.end(&error))),
            Poll::Ready(None) => {
                let reason = format!("{} closed the stream", self.peer);
                Some(Event::Ended(End::outage(reason)))
            }
        }
    }

    fn has_become_ready(&mut self, context: &mut Context<'_>) -> bool {
        loop {
            match &mut self.connectivity {
                Connectivity::Ready => return false,
                Connectivity::Unready(change) => match change.as_mut().poll(context) {
                    Poll::Pending => return false,
                    Poll::Ready(_) => self.connectivity = Connectivity::Unknown,
                },
                Connectivity::Unknown => {
                    let state = self.channel.check_connectivity_state(false);
                    if state == ConnectivityState::GRPC_CHANNEL_READY {
                        self.connectivity = Connectivity::Ready;
                        return true;
                    }
                    let change = self.channel.wait_for_state_change(state, CONNECT_LIMIT);
                    self.connectivity = Connectivity::Unready(Box::pin(change));
                }
            }
        }
    }

    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<grpcio::Result<()>> {
        let mut sender = Pin::new(&mut self.sender);
        while !self.outgoing.is_empty() {
            std::task::ready!(sender.as_mut().poll_ready(context))?;
            if let Some(message) = self.outgoing.pop_front() {
                sender.as_mut().start_send((message, WriteFlags::default()))?;
            }
        }
        sender.as_mut().poll_flush(context)
    }

    fn decode(&self, message: RawMessage) -> Event {
        match envelope::decode(message) {
            Ok(response) => Event::Response(response),
            // There is no nonce to reject it by.
            Err(error) => Event::Ended(End::outage(format!(
                "{} sent a response that cannot be decoded: {error}",
                self.peer
            ))),
        }
    }

    fn end(&self, error: &grpcio::Error) -> End {
        let (grpcio::Error::RpcFailure(status) | grpcio::Error::RpcFinished(Some(status))) = error
        else {
            let error = sanitize(&error.to_string());
            return End::outage(format!("{}: {error}", self.peer));
        };
        let was_ready = matches!(self.connectivity, Connectivity::Ready);
        let kind = end_kind(status, was_ready);
        let reason = if is_over_limit(status) {
            format!("{}: {RESPONSE_LIMIT_TEXT}", self.peer)
        } else {
            format!("{}: {} {}", self.peer, code_name(status), sanitize(status.message()))
        };
        End { kind, reason }
    }
}

/// A channel through a proxy, put together as C-core itself does where it has found one: it would
/// ask the environment again for exceptions, and take the password as it is written.
fn through(proxy: &Proxy, authority: &str, channel: ChannelBuilder) -> Channel {
    let mut channel = channel.default_authority(authority);
    let authorization = proxy.authorization();
    let header = authorization.map(|value| format!("Proxy-Authorization:{value}"));
    let arguments = [
        (c"grpc.http_connect_server", Some(authority.to_owned())),
        (c"grpc.http_connect_headers", header),
    ];
    for (key, value) in arguments {
        // A name with a NUL in it is no address, and Base64 has none.
        if let Some(value) = value.and_then(|value| CString::new(value).ok()) {
            channel = channel.raw_cfg_string(key.to_owned(), value);
        }
    }
    channel.connect(&proxy.authority())
}

/// What a status says about the server, by what real control planes answer.
fn end_kind(status: &RpcStatus, was_ready: bool) -> EndKind {
    let says = |text| status.message().contains(text);
    if status.code() == RpcStatusCode::UNIMPLEMENTED {
        return EndKind::UnknownService;
    }
    if status.code() != RpcStatusCode::UNAVAILABLE {
        return EndKind::Outage;
    }
    // The words of C-core up to and from 1.57 for an HTTP/1 answer to an HTTP/2 preface.
    if says("http1.x server") || says("Failed parsing HTTP/2") {
        return EndKind::UnknownTransport;
    }
    if !was_ready && !says("Failed to connect to remote host") && !says("DNS resolution failed") {
        return EndKind::Unready;
    }
    EndKind::Outage
}

fn is_over_limit(status: &RpcStatus) -> bool {
    status.code() == RpcStatusCode::RESOURCE_EXHAUSTED
        && (status.message().contains("message larger than max")
            || status.message().contains("Buffers full"))
}

fn code_name(status: &RpcStatus) -> String {
    // grpcio writes a code as its number and its name, such as `14-UNAVAILABLE`.
    let text = status.code().to_string();
    text.split_once('-').map_or(text.clone(), |(_, name)| name.to_owned())
}
