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

use crate::event::{Event, StreamId};
use crate::events::Events;
use crate::http_answer::HttpAnswer;
use crate::kuma_version::{ApiVersion, KumaVersion, Serves};
use crate::proto::discovery::DiscoveryRequest;
use crate::snapshot::{Resource, Snapshot};
use crate::stream::{self, Outgoing, Stream};

/// Who answers discovery requests, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// The control plane, as Kuma does.
    Faithful,
    /// The control plane, but every gRPC stream ends after each answer, with this status.
    ThenClose(i32),
    /// The test alone: nothing is answered by itself.
    Scripted,
}

/// gRPC's INVALID_ARGUMENT.
const INVALID_ARGUMENT: i32 = 3;

/// How often a waiting poll looks whether its client is still there, which nothing announces.
const LOOK_FOR_CLIENT: Duration = Duration::from_millis(100);

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

/// The state of one control plane, shared by all its threads.
pub(crate) struct State {
    inner: Mutex<Inner>,
    /// Notified of everything that an HTTP poll may wait for.
    changed: Condvar,
    /// The record of everything seen.
    pub(crate) events: Events,
}

struct Inner {
    kuma: KumaVersion,
    serves: Serves,
    answers: Answers,
    base_path: String,
    snapshots: BTreeMap<ApiVersion, Arc<Snapshot>>,
    streams: BTreeMap<StreamId, Stream>,
    last_stream: StreamId,
    /// What the next HTTP polls are answered.
    next_http: VecDeque<HttpAnswer>,
    /// What the others are answered, in place of the snapshot.
    every_http: Option<HttpAnswer>,
    stopping: bool,
}

impl Inner {
    fn new_stream_id(&mut self) -> StreamId {
        self.last_stream += 1;
        self.last_stream
    }
}

impl State {
    pub(crate) fn new(kuma: KumaVersion) -> State {
        let state = State {
            inner: Mutex::new(Inner {
                kuma,
                serves: kuma.serves(),
                answers: Answers::Faithful,
                base_path: String::new(),
                snapshots: BTreeMap::new(),
                streams: BTreeMap::new(),
                last_stream: 0,
                next_http: VecDeque::new(),
                every_http: None,
                stopping: false,
            }),
            changed: Condvar::new(),
            events: Events::new(),
        };
        state.publish(&Arc::from([]));
        state
    }

    /// The version of Kuma, as far as it is not a matter of what is served.
    pub(crate) fn kuma(&self) -> KumaVersion {
        self.inner.lock().kuma
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

    pub(crate) fn version(&self, api_version: ApiVersion) -> Option<String> {
        let inner = self.inner.lock();
        let snapshot = inner.snapshots.get(&api_version)?;
        Some(snapshot.version().to_owned())
    }

    /// Makes resources the current snapshot of both API versions.
    pub(crate) fn publish(&self, resources: &Arc<[Resource]>) {
        let mut inner = self.inner.lock();
        for api_version in ApiVersion::ALL {
            let snapshot = Snapshot::new(api_version, api_version.type_url(), resources.clone());
            self.replace(&mut inner, api_version, snapshot);
        }
    }

    /// Makes resources the current snapshot of one API version, under any type URL.
    pub(crate) fn publish_raw(
        &self,
        api_version: ApiVersion,
        type_url: &str,
        resources: Arc<[Resource]>,
    ) {
        let snapshot = Snapshot::new(api_version, type_url, resources);
        self.replace(&mut self.inner.lock(), api_version, snapshot);
    }

    fn replace(&self, inner: &mut Inner, api_version: ApiVersion, snapshot: Snapshot) {
        let snapshot = Arc::new(snapshot);
        inner.snapshots.insert(api_version, snapshot.clone());
        self.changed.notify_all();
        if inner.answers == Answers::Scripted {
            return;
        }
        for (id, stream) in &mut inner.streams {
            if stream.api_version() == api_version
                && let Some(answer) = stream.published(&snapshot)
            {
                self.answer(inner.answers, *id, stream, answer);
            }
        }
    }

    /// There is no snapshot any more, as in a control plane that has not made one yet.
    pub(crate) fn withdraw(&self) {
        self.inner.lock().snapshots.clear();
    }

    /// Another version of Kuma takes this one's place.
    pub(crate) fn become_kuma(&self, kuma: KumaVersion) {
        self.inner.lock().kuma = kuma;
        self.replaced_by(kuma.serves());
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

    fn answer(&self, answers: Answers, id: StreamId, stream: &Stream, answer: Outgoing) {
        self.record_answer(id, answer.describe());
        stream.send(answer);
        if let Answers::ThenClose(code) = answers {
            stream.send(Outgoing::Close(code, "closed after the answer".to_owned()));
        }
    }

    /// Records what a stream or an HTTP connection was given.
    pub(crate) fn record_answer(&self, stream: StreamId, answer: String) {
        let at = Instant::now();
        self.events.record(Event::Answered { stream, answer, at });
    }

    /// A number for a new HTTP connection.
    pub(crate) fn new_stream_id(&self) -> StreamId {
        self.inner.lock().new_stream_id()
    }

    /// A gRPC stream began. `None` where its API version is not served.
    pub(crate) fn open_stream(
        &self,
        api_version: ApiVersion,
        outbox: Sender<Outgoing>,
    ) -> Option<StreamId> {
        let mut inner = self.inner.lock();
        if inner.stopping || !inner.serves.grpc_version(api_version) {
            return None;
        }
        let stream = inner.new_stream_id();
        inner.streams.insert(stream, Stream::new(api_version, outbox));
        self.events.record(Event::StreamOpened { stream, api_version, at: Instant::now() });
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
        let Inner { answers, snapshots, streams, .. } = &mut *inner;
        let Some(stream) = streams.get_mut(&id) else {
            return;
        };
        let api_version = stream.api_version();
        let Ok(request) = DiscoveryRequest::parse_from_bytes(bytes) else {
            let message = "the request is no DiscoveryRequest".to_owned();
            return stream.send(Outgoing::Close(INVALID_ARGUMENT, message));
        };
        self.events.record(Event::Request(stream::seen(id, api_version, &request)));
        if *answers == Answers::Scripted {
            return;
        }
        match stream.request(&request, snapshots.get(&api_version)) {
            Ok(None) => {}
            Ok(Some(answer)) => self.answer(*answers, id, stream, answer),
            Err(message) => stream.send(Outgoing::Close(INVALID_ARGUMENT, message)),
        }
    }

    /// Tells each open stream something. Returns how many there were.
    pub(crate) fn tell_streams(&self, mut what: impl FnMut(ApiVersion) -> Outgoing) -> usize {
        let inner = self.inner.lock();
        for (id, stream) in &inner.streams {
            let outgoing = what(stream.api_version());
            self.record_answer(*id, format!("by script: {}", outgoing.describe()));
            stream.send(outgoing);
        }
        inner.streams.len()
    }

    /// One HTTP poll more is answered so, before anything else.
    pub(crate) fn answer_http(&self, answer: HttpAnswer) {
        self.inner.lock().next_http.push_back(answer);
        self.changed.notify_all();
    }

    /// Every HTTP poll is answered so at once, in place of the snapshot; or by it again.
    pub(crate) fn answer_every_http(&self, answer: Option<HttpAnswer>) {
        self.inner.lock().every_http = answer;
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
            let scripted = inner.next_http.pop_front();
            if let Some(answer) = scripted.or_else(|| inner.every_http.clone()) {
                return Polled::Scripted(answer);
            }
            let now = Instant::now();
            let mut wake = now + LOOK_FOR_CLIENT;
            if inner.answers != Answers::Scripted {
                match inner.snapshots.get(&ApiVersion::V1) {
                    None => return Polled::NoSnapshot,
                    Some(snapshot) if snapshot.version() != version => {
                        return Polled::Snapshot(snapshot.clone());
                    }
                    Some(_) if now >= deadline => return Polled::TimedOut,
                    Some(_) => wake = wake.min(deadline),
                }
            }
            self.changed.wait_until(&mut inner, wake);
        }
    }
}
