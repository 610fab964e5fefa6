//! The measurements themselves: what is sent when, and what is read off before and after.
//!
//! Everything that can be made ready is made ready before a clock starts. A push follows the last one's
//! end by longer than the daemon keeps between two writes.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use kuma_bench::list::{List, TYPE_URL};
use kuma_stand_in::{
    Answers, ControlPlane, Event, Frame, HttpAnswer, KumaVersion, Resource, Server,
};

use crate::daemon::{Daemon, LIMIT, Memory};
use crate::floors::{self, Receiver, Replaced};

/// A version that speaks MADS v1 over gRPC, and one that speaks it over HTTP alone.
const GRPC: KumaVersion = KumaVersion::V2_6;
const HTTP: KumaVersion = KumaVersion::V2_12;

/// Longer than the daemon keeps between two writes of a small file.
const PAUSE: Duration = Duration::from_millis(150);

/// The same for a file of so many targets: the daemon waits for 50 µs for each of them, 5 s at most.
fn pause_between_writes(targets: usize) -> Duration {
    let interval = Duration::from_micros(50) * u32::try_from(targets).unwrap_or(u32::MAX);
    PAUSE + interval.min(Duration::from_secs(5))
}

/// The largest list that is tried over HTTP, too.
const LARGEST_OVER_HTTP: usize = 100_000;

/// How many targets there are at the start and while nothing happens.
const FEW: usize = 1_000;

/// How often the daemon is started.
const STARTS: usize = 11;

/// So long after its first file a daemon has all that it starts with behind it.
const SETTLED: Duration = Duration::from_secs(5);

/// What is measured, and where files are written.
pub(crate) struct Bench<'a> {
    pub(crate) program: &'a Path,
    pub(crate) folder: &'a Path,
}

/// What pushes of one size cost. Each figure is a median.
pub(crate) struct Pushes {
    pub(crate) targets: usize,
    /// Bytes of a response.
    pub(crate) message: usize,
    /// Bytes of the file.
    pub(crate) file: usize,
    /// Until a bare client has the response.
    pub(crate) receive: Duration,
    /// Until the file is replaced for good by system calls alone.
    pub(crate) write: Duration,
    /// The processor time of both.
    pub(crate) floor_cpu: [Duration; 2],
    /// From the push to the durable file, where all targets changed.
    pub(crate) latency: Duration,
    /// The daemon's processor time where all targets changed, …
    pub(crate) all: Duration,
    /// … where one did, …
    pub(crate) one: Duration,
    /// … and where none did, under another version and in another order.
    pub(crate) same: Duration,
    /// After all of these.
    pub(crate) memory: Memory,
    /// The same over HTTP, where all targets changed.
    pub(crate) http: Option<OverHttp>,
}

/// What pushes cost over HTTP.
pub(crate) struct OverHttp {
    pub(crate) latency: Duration,
    pub(crate) all: Duration,
    pub(crate) memory: Memory,
}

/// The start of a daemon with an empty folder, until its first file is in place.
pub(crate) struct Start {
    pub(crate) first_file: Duration,
    /// Without the time between the connection and the first request on it.
    pub(crate) beyond_connect: Duration,
}

/// What an idle daemon with an open stream uses.
pub(crate) struct Idle {
    pub(crate) transport: &'static str,
    /// The share of a processor.
    pub(crate) cpu: f64,
    /// Context switches a second.
    pub(crate) switches: f64,
    pub(crate) threads: u64,
}

impl Bench<'_> {
    /// Pushes over gRPC, and over HTTP where the list is not too large for that.
    pub(crate) fn pushes(&self, targets: usize) -> Pushes {
        let mut over_grpc = OverGrpc::start(self, targets);
        let rounds = rounds(targets);
        let (mut receive, mut latency, mut write) = (Vec::new(), Vec::new(), Vec::new());
        let mut all = Vec::new();
        let mut floor_cpu = [Vec::new(), Vec::new()];
        for _ in 0..rounds {
            over_grpc.list.number += 1;
            over_grpc.list.first = over_grpc.list.number;
            let push = over_grpc.push(true);
            receive.push(push.receive);
            all.push(push.cpu);
            let replaced = over_grpc.replace_file(self.folder);
            latency.push(push.file.expect("a file") + replaced.durable - replaced.in_place);
            write.push(replaced.durable);
            floor_cpu[0].push(push.receive_cpu);
            floor_cpu[1].push(replaced.cpu);
        }
        let one = (0..rounds).map(|_| {
            over_grpc.list.first += 1;
            over_grpc.push(true).cpu
        });
        let one = median(one.collect());
        let same = median((0..rounds).map(|_| over_grpc.push(false).cpu).collect());
        Pushes {
            targets,
            message: over_grpc.message,
            file: fs::read(over_grpc.daemon.file()).expect("the file").len(),
            receive: median(receive),
            write: median(write),
            floor_cpu: floor_cpu.map(median),
            latency: median(latency),
            all: median(all),
            one,
            same,
            memory: over_grpc.daemon.memory(),
            http: (targets <= LARGEST_OVER_HTTP).then(|| self.over_http(targets)),
        }
    }

    fn over_http(&self, targets: usize) -> OverHttp {
        let answer = |list: List| {
            HttpAnswer::new(200, "text/plain; charset=utf-8", list.to_json(list.number))
        };
        let plane = scripted(HTTP);
        let mut list = List::new(targets);
        plane.answer_http(answer(list));
        let mut daemon = Daemon::start(self.program, self.folder, &plane.http_url());
        daemon.wait_for_file();
        let (mut latency, mut all) = (Vec::new(), Vec::new());
        for _ in 0..rounds(targets).min(7) {
            // A poll starts a second after the last one, and is held from then on.
            let version = list.number.to_string();
            list.number += 1;
            list.first += 1;
            let answer = answer(list);
            plane.events().expect("the next poll", LIMIT, |event| match event {
                Event::Request(request) => (request.version_info == version).then_some(()),
                _ => None,
            });
            thread::sleep(pause_between_writes(targets));
            let before = daemon.usage_at_rest().cpu;
            let sent = Instant::now();
            plane.answer_http(answer);
            latency.push(daemon.wait_for_file() - sent);
            all.push(daemon.usage_at_rest().cpu - before);
            assert_holds(&daemon, list);
        }
        OverHttp { latency: median(latency), all: median(all), memory: daemon.memory() }
    }

    /// Starts with 1,000 targets over gRPC.
    pub(crate) fn start(&self) -> Start {
        let plane = faithful(GRPC, List::new(FEW));
        let (mut first_file, mut beyond_connect) = (Vec::new(), Vec::new());
        for _ in 0..STARTS {
            plane.events().discard();
            let daemon = Daemon::start(self.program, self.folder, &plane.grpc_url());
            let time = daemon.wait_for_file() - daemon.started;
            let connected = plane.events().expect("a connection", LIMIT, |event| match event {
                Event::Connected { server: Server::Mads, at } => Some(*at),
                _ => None,
            });
            let request = plane.events().expect_request(LIMIT);
            first_file.push(time);
            beyond_connect.push(time.saturating_sub(request.at - connected));
            assert_holds(&daemon, List::new(FEW));
        }
        Start { first_file: median(first_file), beyond_connect: median(beyond_connect) }
    }

    /// Daemons with 1,000 targets and an open stream, for so long.
    pub(crate) fn idle(&self, time: Duration) -> Vec<Idle> {
        let planes = [GRPC, HTTP].map(|kuma| faithful(kuma, List::new(FEW)));
        let addresses = [("gRPC", planes[0].grpc_url()), ("HTTP", planes[1].http_url())];
        let mut daemons = addresses.map(|(transport, address)| {
            let daemon = Daemon::start(self.program, self.folder, &address);
            daemon.wait_for_file();
            (transport, daemon)
        });
        thread::sleep(SETTLED);
        let before = daemons.each_mut().map(|(_, daemon)| daemon.usage());
        let start = Instant::now();
        while start.elapsed() < time {
            thread::sleep(Duration::from_secs(1));
            for (_, daemon) in &mut daemons {
                daemon.usage(); // Of threads that end, too.
            }
        }
        let seconds = start.elapsed().as_secs_f64();
        let measured = daemons.iter_mut().zip(before);
        let idle = measured.map(|((transport, daemon), before)| {
            let after = daemon.usage();
            Idle {
                transport,
                cpu: (after.cpu - before.cpu).as_secs_f64() / seconds,
                switches: (after.switches - before.switches) as f64 / seconds,
                threads: daemon.threads(),
            }
        });
        idle.collect()
    }
}

/// A daemon and a bare client, each on a stream of its own.
struct OverGrpc {
    plane: ControlPlane,
    daemon: Daemon,
    floor_plane: ControlPlane,
    receiver: Receiver,
    /// What was sent last.
    list: List,
    version: usize,
    message: usize,
}

/// One push.
struct Push {
    /// Until the bare client had it.
    receive: Duration,
    /// What that took.
    receive_cpu: Duration,
    /// Until the new file was in place, if one was to come.
    file: Option<Duration>,
    /// What the daemon took for all of it.
    cpu: Duration,
}

impl OverGrpc {
    fn start(bench: &Bench<'_>, targets: usize) -> Self {
        let (plane, floor_plane) = (scripted(GRPC), scripted(GRPC));
        let receiver = Receiver::start(floor_plane.grpc_url().trim_start_matches("grpc://"));
        let daemon = Daemon::start(bench.program, bench.folder, &plane.grpc_url());
        for plane in [&plane, &floor_plane] {
            plane.events().expect_request(LIMIT);
        }
        let mut over_grpc = Self {
            plane,
            daemon,
            floor_plane,
            receiver,
            list: List::new(targets),
            version: 0,
            message: 0,
        };
        over_grpc.push(true);
        over_grpc
    }

    /// Sends the list as it is now, under the next version and in another order: first to the bare client,
    /// then to the daemon.
    fn push(&mut self, brings_a_file: bool) -> Push {
        self.version += 1;
        let message = self.list.to_protobuf(self.version);
        self.message = message.len();
        let frame = Frame::from(message);
        thread::sleep(match brings_a_file {
            true => pause_between_writes(self.list.targets),
            false => PAUSE,
        });

        let before = self.receiver.cpu();
        let start = Instant::now();
        assert_eq!(self.floor_plane.send_frame(&frame), 1);
        let receive = self.receiver.wait_for(self.message) - start;
        self.floor_plane.events().expect_request(LIMIT);
        let receive_cpu = self.receiver.cpu() - before;

        let before = self.daemon.usage_at_rest().cpu;
        let start = Instant::now();
        assert_eq!(self.plane.send_frame(&frame), 1);
        let file = brings_a_file.then(|| self.daemon.wait_for_file() - start);
        let ack = self.plane.events().expect_request(LIMIT);
        assert_eq!((ack.nonce, ack.error_detail), (self.version.to_string(), None));
        let cpu = self.daemon.usage_at_rest().cpu - before;
        assert!(!self.daemon.has_written(), "a file that nobody expects");
        assert_holds(&self.daemon, self.list);
        Push { receive, receive_cpu, file, cpu }
    }

    /// Writes the daemon's file once more, without the daemon.
    fn replace_file(&self, folder: &Path) -> Replaced {
        let bytes = fs::read(self.daemon.file()).expect("the file can be read");
        floors::replace(folder, &bytes)
    }
}

/// A control plane that sends nothing by itself.
fn scripted(kuma: KumaVersion) -> ControlPlane {
    let plane = ControlPlane::start(kuma);
    plane.set_answers(Answers::Scripted);
    plane
}

/// A control plane that answers as KumaVersion does, encoded once for all streams.
fn faithful(kuma: KumaVersion, list: List) -> ControlPlane {
    let plane = ControlPlane::start(kuma);
    let resources = (0..list.targets).map(|index| Resource::Raw {
        type_url: TYPE_URL.to_owned(),
        value: list.assignment(index),
        json: serde_json::from_str(&list.assignment_json(index)).expect("it is JSON"),
    });
    plane.publish_resources(resources.collect());
    plane
}

#[track_caller]
fn assert_holds(daemon: &Daemon, list: List) {
    let file = fs::read_to_string(daemon.file()).expect("the file can be read");
    assert!(list.is_in(&file), "the file is not {list:?}");
}

/// So many pushes of a kind.
fn rounds(targets: usize) -> usize {
    match targets {
        ..=1_000 => 21,
        1_001..=10_000 => 11,
        10_001..=100_000 => 7,
        _ => 3,
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
