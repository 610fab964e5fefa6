//! The gRPC server: both API versions' streams, as bytes in and bytes out.
//!
//! Messages are not typed here, so that a test can send any bytes. Each stream has a thread that
//! sends, fed through its outbox; requests are read on grpcio's own thread.

use std::io::Read;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, unbounded};
use futures_executor::block_on;
use futures_util::{SinkExt, StreamExt};
use grpcio::{
    ChannelBuilder, DuplexSink, EnvBuilder, GrpcSlice, Marshaller, MessageReader, Method,
    MethodType, RequestStream, RpcContext, RpcStatus, RpcStatusCode, Server, ServerBuilder,
    ServerCredentials, Service, ServiceBuilder, WriteFlags,
};

use crate::kuma_version::ApiVersion;
use crate::state::State;
use crate::stream::Outgoing;

/// Kuma's server ends a connection whose client pings more often than this.
const MIN_PING_INTERVAL: Duration = Duration::from_secs(15);

/// One message, as it is on the wire. It is sent without a copy, any number of times: what a copy of many
/// MiB takes would be measured as the receiver's time.
#[derive(Clone)]
pub struct Frame(GrpcSlice);

impl Frame {
    /// How many bytes there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl From<Vec<u8>> for Frame {
    fn from(mut bytes: Vec<u8>) -> Frame {
        // What has no room to spare is taken over as it is.
        bytes.shrink_to_fit();
        Frame(bytes.into())
    }
}

impl From<&[u8]> for Frame {
    fn from(bytes: &[u8]) -> Frame {
        Frame(bytes.into())
    }
}

/// The running server. Dropping it ends its streams.
pub(crate) struct GrpcServer {
    _server: Server,
    port: u16,
}

impl GrpcServer {
    /// Starts on a free port of 127.0.0.1: it is reached through the fault proxy alone.
    pub(crate) fn start(state: &Arc<State>) -> grpcio::Result<GrpcServer> {
        let environment =
            Arc::new(EnvBuilder::new().cq_count(1).name_prefix("stand-in-grpc").build());
        let arguments = ChannelBuilder::new(environment.clone())
            .http2_min_recv_ping_interval_without_data(MIN_PING_INTERVAL)
            .reuse_port(false)
            .build_args();
        let mut server = ApiVersion::ALL
            .into_iter()
            .fold(ServerBuilder::new(environment), |builder, api_version| {
                builder.register_service(service(api_version, state.clone()))
            })
            .channel_args(arguments)
            .build()?;
        let port = server.add_listening_port("127.0.0.1:0", ServerCredentials::insecure())?;
        server.start();
        Ok(GrpcServer { _server: server, port })
    }

    /// The port that it listens on.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

fn service(api_version: ApiVersion, state: Arc<State>) -> Service {
    let name = match api_version {
        ApiVersion::V1Alpha1 => {
            "/kuma.observability.v1alpha1.MonitoringAssignmentDiscoveryService/StreamMonitoringAssignments"
        }
        ApiVersion::V1 => {
            "/kuma.observability.v1.MonitoringAssignmentDiscoveryService/StreamMonitoringAssignments"
        }
    };
    let marshaller = || Marshaller { ser: write_frame, de: read_frame };
    let method =
        Method { ty: MethodType::Duplex, name, req_mar: marshaller(), resp_mar: marshaller() };
    ServiceBuilder::new()
        .add_duplex_streaming_handler(&method, move |context, requests, sink| {
            serve(api_version, &state, &context, requests, sink);
        })
        .build()
}

fn write_frame(frame: &Frame, slice: &mut GrpcSlice) -> grpcio::Result<()> {
    *slice = frame.0.clone();
    Ok(())
}

fn read_frame(mut reader: MessageReader) -> grpcio::Result<Frame> {
    let mut bytes = Vec::with_capacity(reader.len());
    reader.read_to_end(&mut bytes).map_err(|error| grpcio::Error::Codec(Box::new(error)))?;
    Ok(Frame(bytes.into()))
}

fn serve(
    api_version: ApiVersion,
    state: &Arc<State>,
    context: &RpcContext<'_>,
    mut requests: RequestStream<Frame>,
    sink: DuplexSink<Frame>,
) {
    let (outbox, outgoing) = unbounded();
    let Some(stream) = state.open_stream(api_version, outbox) else {
        let message = format!("unknown service {}", api_version.service());
        let status = RpcStatus::with_message(RpcStatusCode::UNIMPLEMENTED, message);
        context.spawn(async move {
            // The end of the call is all that its client sees; whether it arrived is up to it.
            let _ = sink.fail(status).await;
            // Dropped any earlier, it would cancel the call before the status is out.
            drop(requests);
        });
        return;
    };
    thread::Builder::new()
        .name(format!("stand-in-stream-{stream}"))
        .spawn(move || send(&outgoing, sink))
        .expect("a thread can be started");
    let state = state.clone();
    context.spawn(async move {
        while let Some(Ok(request)) = requests.next().await {
            state.stream_request(stream, request.0.as_slice());
        }
        state.stream_ended(stream);
    });
}

/// Sends what is put into the outbox, until the stream is forgotten or is to end.
fn send(outgoing: &Receiver<Outgoing>, mut sink: DuplexSink<Frame>) {
    let mut status = RpcStatus::ok();
    for outgoing in outgoing {
        let frame = match outgoing {
            Outgoing::Snapshot(snapshot, nonce) => snapshot.to_protobuf(&nonce).into(),
            Outgoing::Frame(frame) => frame,
            Outgoing::Close(code, message) => {
                status = RpcStatus::with_message(code, message);
                break;
            }
        };
        if block_on(sink.send((frame, WriteFlags::default()))).is_err() {
            return;
        }
    }
    // The client may have gone.
    let _ = block_on(sink.fail(status));
}
