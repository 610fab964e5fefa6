//! A control plane that is upgraded, and rolled back, under one running daemon: it follows by
//! itself, and a reader of the file never sees anything but lists that a control plane has sent.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use kuma_stand_in::{
    ApiVersion, ControlPlane, Dataplane, Event, KumaVersion, SeenRequest, Transport,
};

use crate::support::harness::{Daemon, Launch, SOON, on_its_port, read_if_there};
use crate::support::mesh::{backends, file};

/// From 0.7 by each step to 2.12 and one back; then every other pair in each direction.
const WALK: [KumaVersion; 13] = [
    KumaVersion::V0_7,
    KumaVersion::V1_2,
    KumaVersion::V2_6,
    KumaVersion::V2_12,
    KumaVersion::V2_6,
    KumaVersion::V0_7,
    KumaVersion::V2_6,
    KumaVersion::V1_2,
    KumaVersion::V0_7,
    KumaVersion::V2_12,
    KumaVersion::V1_2,
    KumaVersion::V2_12,
    KumaVersion::V0_7,
];

/// The backoff's first two pauses, and time for a busy machine.
const FOLLOWED_WITHIN: Duration = Duration::from_secs(10);

/// How often the file is read: as often as leaves other tests room.
const READ_AGAIN: Duration = Duration::from_micros(100);

/// Reads a file again and again, and keeps each content that it sees.
struct Reader {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<Vec<Option<String>>>>,
}

impl Reader {
    fn start(path: &Path) -> Reader {
        let is_over = Arc::new(AtomicBool::new(false));
        let (path, over): (PathBuf, _) = (path.to_owned(), Arc::clone(&is_over));
        let read = move || {
            let mut seen: Vec<Option<String>> = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let content = read_if_there(&path);
                if seen.last() != Some(&content) {
                    seen.push(content);
                }
                thread::sleep(READ_AGAIN);
            }
            seen
        };
        Reader {
            is_over,
            thread: Some(thread::spawn(read)),
        }
    }

    /// Each content that was seen, in order; `None` where there was no file.
    fn finish(mut self) -> Vec<Option<String>> {
        self.is_over.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("it is taken here only");
        thread.join().expect("a file can be read")
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

/// The API version that the daemon speaks with a version of Kuma.
fn api_version(kuma: KumaVersion) -> ApiVersion {
    match kuma {
        KumaVersion::V0_7 | KumaVersion::V1_1 => ApiVersion::V1Alpha1,
        _ => ApiVersion::V1,
    }
}

/// The transport that the daemon uses with a version of Kuma.
fn transport(kuma: KumaVersion) -> Transport {
    if kuma.serves().grpc() {
        Transport::Grpc
    } else {
        Transport::Http
    }
}

/// Lets a daemon follow a control plane through `WALK`, where `change` brings about each step.
fn follow(address: impl Fn(&ControlPlane) -> String, change: impl Fn(&ControlPlane, KumaVersion)) {
    let mut mesh = backends(100);
    let plane = ControlPlane::start(WALK[0]);
    plane.publish(&mesh);
    let daemon = Launch::follow(&address(&plane)).start();
    let mut lists = vec![file(api_version(WALK[0]), &mesh)];
    daemon.wait_for_file(&lists[0]);
    let reader = Reader::start(daemon.output_path());

    for kuma in &WALK[1..] {
        plane.events().discard();
        let changed = Instant::now();
        change(&plane, *kuma);
        // Not the last ACK to the control plane before. A poll never goes on over a connection of
        // its own making, so that a rollback from HTTP to gRPC is noticed as well.
        let is_first = |request: &SeenRequest| {
            request.nonce.is_empty()
                && request.api_version == api_version(*kuma)
                && request.transport == transport(*kuma)
        };
        let first = |event: &Event| match event {
            Event::Request(request) if is_first(request) => Some(()),
            _ => None,
        };
        plane.events().expect("a first request", SOON, first);
        let elapsed = changed.elapsed();
        assert!(elapsed < FOLLOWED_WITHIN, "{kuma}: after {elapsed:?}");
        // The same mesh; then one that has changed, which shows that the new way works.
        expect(&daemon, &mut lists, *kuma, &mesh);
        mesh.pop();
        plane.publish(&mesh);
        expect(&daemon, &mut lists, *kuma, &mesh);
    }
    // The reader may miss a list that the next one follows at once, but sees nothing else.
    let mut lists = lists.into_iter();
    for content in reader.finish() {
        let content = content.expect("the file was there all the time");
        assert!(
            lists.any(|list| list == content),
            "not the next of the lists: {content}"
        );
    }
}

/// The file becomes that of `mesh`, which a new API version may tell in another way.
fn expect(daemon: &Daemon, lists: &mut Vec<String>, kuma: KumaVersion, mesh: &[Dataplane]) {
    let list = file(api_version(kuma), mesh);
    daemon.wait_for_file(&list);
    if lists.last() != Some(&list) {
        lists.push(list);
    }
}

#[test]
fn a_daemon_at_mads_itself_follows_every_upgrade_and_rollback() {
    follow(ControlPlane::grpc_url, ControlPlane::upgrade_to);
}

#[test]
fn a_daemon_at_the_api_server_follows_every_upgrade_and_rollback() {
    follow(ControlPlane::api_url, ControlPlane::upgrade_to);
}

#[test]
fn a_daemon_at_mads_by_an_http_address_follows_every_upgrade_and_rollback() {
    follow(ControlPlane::http_url, ControlPlane::upgrade_to);
}

#[test]
fn a_control_plane_that_is_away_during_its_upgrade_is_followed() {
    follow(ControlPlane::api_url, |plane, kuma| {
        plane.go_away();
        plane.upgrade_to(kuma);
        on_its_port(|| plane.come_back());
    });
}
