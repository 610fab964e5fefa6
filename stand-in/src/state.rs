//! What a control plane knows: its snapshots, its open streams, and how it is to answer.
//!
//! Everything that happens, a publication, a request, an upgrade, happens under one lock, so each
//! sees the others whole. Nothing waits under it: a response is put into its stream's outbox, and
//! encoded and sent by the stream's own thread.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use parking_lot::{Condvar, Mutex};
use protobuf::Message;

use crate::events::{ErrorDetail, Event, Events, SeenRequest, StreamId, Transport};
use crate::http_answer::HttpAnswer;
use crate::kuma::{Generation, Serves};
use crate::proto::discovery::DiscoveryRequest;
use crate::snapshot::{Resource, Snapshot};
use crate::subscription::Subscription;

/// Who answers discovery requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// The control plane, as Kuma does.
    Faithful,
    /// The test alone: nothing is answered by itself.
    Scripted,
}

/// What a stream's thread is told to do.
pub(crate) enum Outgoing {
    /// Send a snapshot under a nonce.
    Snapshot(Arc<Snapshot>, String),
    /// Send bytes in place of a serialized response.
    Bytes(Arc<[u8]>),
    /// End the stream with a gRPC status.
    Close(i32, String),
}

/// gRPC's INVALID_ARGUMENT.
const INVALID_ARGUMENT: i32 = 3;

/// How an HTTP poll ends.
pub(crate) enum Polled {
    /// With an answer of the test's making.
    Scripted(HttpAnswer),
    /// With the snapshot.
    Snapshot(Arc<Snapshot>),
    /// There is no snapshot.
    NoSnapshot,
    /// There is nothing new.
    TimedOut,
    /// The client has gone, or the control plane is stopping.
    Abandoned,
}

/// How often a waiting poll looks whether its client is still there, which nothing announces.
const LOOK_FOR_CLIENT: Duration = Duration::from_millis(100);

/// The state of one control plane, shared by all its threads.
pub(crate) struct State {
    inner: Mutex<Inner>,
    /// Notified of everything that an HTTP poll may wait for.
    changed: Condvar,
    /// The record of everything seen.
    pub(crate) events: Events,
}

struct Inner {
    serves: Serves,
    answers: Answers,
    base_path: String,
    snapshots: BTreeMap<Generation, Arc<Snapshot>>,
    streams: BTreeMap<StreamId, Stream>,
    last_stream: StreamId,
    http_answers: VecDeque<HttpAnswer>,
    stopping: bool,
}

struct Stream {
    generation: Generation,
    subscription: Subscription,
    /// Whether its first request has come, with the node that later ones may leave out.
    introduced: bool,
    outbox: Sender<Outgoing>,
}

impl State {
    pub(crate) fn new(serves: Serves) -> State {
        let state = State {
            inner: Mutex::new(Inner {
                serves,
                answers: Answers::Faithful,
                base_path: String::new(),
                snapshots: BTreeMap::new(),
                streams: BTreeMap::new(),
                last_stream: 0,
                http_answers: VecDeque::new(),
                stopping: false,
            }),
            changed: Condvar::new(),
            events: Events::new(),
        };
        state.publish(Vec::new().into());
        state
    }

    pub(crate) fn serves(&self) -> Serves {
        self.inner.lock().serves
    }

    pub(crate) fn set_answers(&self, answers: Answers) {
        self.inner.lock().answers = answers;
    }

    pub(crate) fn base_path(&self) -> String {
        self.inner.lock().base_path.clone()
    }

    pub(crate) fn set_base_path(&self, path: &str) {
        path.clone_into(&mut self.inner.lock().base_path);
    }

    pub(crate) fn version(&self, generation: Generation) -> Option<String> {
        let inner = self.inner.lock();
        let snapshot = inner.snapshots.get(&generation)?;
        Some(snapshot.version().to_owned())
    }

    /// Makes resources the current snapshot of both generations.
    pub(crate) fn publish(&self, resources: Arc<[Resource]>) {
        let mut inner = self.inner.lock();
        for generation in Generation::ALL {
            let snapshot = Snapshot::new(generation, generation.type_url(), resources.clone());
            self.replace(&mut inner, generation, snapshot);
        }
    }

    /// Makes resources the current snapshot of one generation, under any type URL.
    pub(crate) fn publish_raw(
        &self,
        generation: Generation,
        type_url: &str,
        resources: Arc<[Resource]>,
    ) {
        let snapshot = Snapshot::new(generation, type_url, resources);
        self.replace(&mut self.inner.lock(), generation, snapshot);
    }

    fn replace(&self, inner: &mut Inner, generation: Generation, snapshot: Snapshot) {
        let snapshot = Arc::new(snapshot);
        inner.snapshots.insert(generation, snapshot.clone());
        self.changed.notify_all();
        if inner.answers == Answers::Scripted {
            return;
        }
        for (stream, state) in &mut inner.streams {
            if state.generation == generation
                && let Some(nonce) = state.subscription.published()
            {
                self.answer(*stream, state, snapshot.clone(), nonce);
            }
        }
    }

    /// There is no snapshot any more, as in a control plane that has not made one yet.
    pub(crate) fn withdraw(&self) {
        self.inner.lock().snapshots.clear();
    }

    /// A control plane of another kind takes this one's place: other versions, another order, no
    /// streams.
    pub(crate) fn replaced_by(&self, serves: Serves) {
        let mut inner = self.inner.lock();
        inner.serves = serves;
        for snapshot in inner.snapshots.values_mut() {
            *snapshot = Arc::new(snapshot.reborn());
        }
        self.forget_streams(&mut inner);
    }

    /// Ends everything that waits.
    pub(crate) fn stop(&self) {
        let mut inner = self.inner.lock();
        inner.stopping = true;
        self.forget_streams(&mut inner);
    }

    fn forget_streams(&self, inner: &mut Inner) {
        for stream in std::mem::take(&mut inner.streams).into_keys() {
            self.record_closed(stream);
        }
        self.changed.notify_all();
    }

    fn record_closed(&self, stream: StreamId) {
        let at = Instant::now();
        self.events.record(Event::StreamClosed { stream, at });
    }

    fn answer(
        &self,
        stream: StreamId,
        state: &Stream,
        snapshot: Arc<Snapshot>,
        nonce: String,
    ) {
        self.record_answer(
            stream,
            format!(
                "version {} with {} resources, nonce {nonce}",
                snapshot.version(),
                snapshot.len()
            ),
        );
        // A stream that has just ended has no thread any more; its end is recorded by itself.
        let _ = state.outbox.send(Outgoing::Snapshot(snapshot, nonce));
    }

    /// Records what a stream or an HTTP connection was given.
    pub(crate) fn record_answer(&self, stream: StreamId, answer: String) {
        let at = Instant::now();
        self.events.record(Event::Answered { stream, answer, at });
    }

    /// A number for a new stream or HTTP connection.
    pub(crate) fn new_stream_id(&self) -> StreamId {
        let mut inner = self.inner.lock();
        inner.last_stream += 1;
        inner.last_stream
    }

    /// A gRPC stream began. `None` where its generation is not served.
    pub(crate) fn open_stream(
        &self,
        generation: Generation,
        outbox: Sender<Outgoing>,
    ) -> Option<StreamId> {
        let mut inner = self.inner.lock();
        if !inner.serves.grpc_generation(generation) {
            return None;
        }
        inner.last_stream += 1;
        let stream = inner.last_stream;
        inner.streams.insert(
            stream,
            Stream {
                generation,
                subscription: Subscription::default(),
                introduced: false,
                outbox,
            },
        );
        self.events.record(Event::StreamOpened {
            stream,
            generation,
            at: Instant::now(),
        });
        Some(stream)
    }

    /// A gRPC stream ended.
    pub(crate) fn stream_ended(&self, stream: StreamId) {
        if self.inner.lock().streams.remove(&stream).is_some() {
            self.record_closed(stream);
        }
    }

    /// A request came on a gRPC stream.
    pub(crate) fn stream_request(&self, id: StreamId, bytes: &[u8]) {
        let mut inner = self.inner.lock();
        let Inner {
            answers,
            snapshots,
            streams,
            ..
        } = &mut *inner;
        let Some(stream) = streams.get_mut(&id) else {
            return;
        };
        let Ok(request) = DiscoveryRequest::parse_from_bytes(bytes) else {
            let message = "the request is no DiscoveryRequest".to_owned();
            let _ = stream.outbox.send(Outgoing::Close(INVALID_ARGUMENT, message));
            return;
        };
        self.events
            .record(Event::Request(seen(id, stream.generation, &request)));
        if *answers == Answers::Scripted {
            return;
        }
        if let Err(message) = acceptable(stream, &request) {
            let _ = stream.outbox.send(Outgoing::Close(INVALID_ARGUMENT, message));
            return;
        }
        stream.introduced = true;
        let snapshot = snapshots.get(&stream.generation);
        let current = snapshot.map(|snapshot| snapshot.version());
        let nonce = stream.subscription.request(
            &request.response_nonce,
            &request.version_info,
            current,
        );
        if let (Some(nonce), Some(snapshot)) = (nonce, snapshot) {
            self.answer(id, stream, snapshot.clone(), nonce);
        }
    }

    /// Tells each open stream something. Returns how many there were.
    pub(crate) fn tell_streams(&self, mut what: impl FnMut(Generation) -> Outgoing) -> usize {
        let inner = self.inner.lock();
        for (stream, state) in &inner.streams {
            let outgoing = what(state.generation);
            self.record_answer(
                *stream,
                match &outgoing {
                    Outgoing::Snapshot(snapshot, nonce) => format!(
                        "by script: version {} with {} resources, nonce {nonce}",
                        snapshot.version(),
                        snapshot.len()
                    ),
                    Outgoing::Bytes(bytes) => format!("by script: {} bytes", bytes.len()),
                    Outgoing::Close(code, message) => {
                        format!("by script: the end, {code} {message}")
                    }
                },
            );
            let _ = state.outbox.send(outgoing);
        }
        inner.streams.len()
    }

    /// The next HTTP poll is answered so, before anything else.
    pub(crate) fn answer_http(&self, answer: HttpAnswer) {
        self.inner.lock().http_answers.push_back(answer);
        self.changed.notify_all();
    }

    /// Waits for the answer to an HTTP poll of a client that has `version`, until `deadline`.
    pub(crate) fn poll(
        &self,
        version: &str,
        deadline: Instant,
        client_is_there: impl Fn() -> bool,
    ) -> Polled {
        let mut inner = self.inner.lock();
        loop {
            if inner.stopping || !client_is_there() {
                return Polled::Abandoned;
            }
            if let Some(answer) = inner.http_answers.pop_front() {
                return Polled::Scripted(answer);
            }
            let now = Instant::now();
            if inner.answers == Answers::Faithful {
                match inner.snapshots.get(&Generation::V1) {
                    None => return Polled::NoSnapshot,
                    Some(snapshot) if snapshot.version() != version => {
                        return Polled::Snapshot(snapshot.clone());
                    }
                    Some(_) if now >= deadline => return Polled::TimedOut,
                    Some(_) => {}
                }
            }
            let look_again = now + LOOK_FOR_CLIENT;
            let wake = if now < deadline { deadline.min(look_again) } else { look_again };
            self.changed.wait_until(&mut inner, wake);
        }
    }
}

/// Why a faithful control plane cannot go on with a request, if it can't.
fn acceptable(stream: &Stream, request: &DiscoveryRequest) -> Result<(), String> {
    if !stream.introduced && request.node.id.is_empty() {
        return Err("the first request has no node.id".to_owned());
    }
    let type_url = stream.generation.type_url();
    if request.type_url != type_url {
        return Err(format!("the type URL is {:?}, not {type_url}", request.type_url));
    }
    Ok(())
}

fn seen(stream: StreamId, generation: Generation, request: &DiscoveryRequest) -> SeenRequest {
    SeenRequest {
        stream,
        transport: Transport::Grpc,
        generation,
        version_info: request.version_info.clone(),
        nonce: request.response_nonce.clone(),
        node_id: request.node.id.clone(),
        type_url: request.type_url.clone(),
        error_detail: request.error_detail.as_ref().map(|error| ErrorDetail {
            code: error.code,
            message: error.message.clone(),
        }),
        http: None,
        at: Instant::now(),
    }
}
