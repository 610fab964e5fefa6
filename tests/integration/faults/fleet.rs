//! A fleet of daemons that lose their control plane at one moment, or are reloaded at one moment:
//! they return one after another.
//!
//! Judged is when they really return, as the control plane sees it, and not what they announce. Two
//! things would fail by chance, and are allowed for:
//!
//! - A tenth of one small fleet may come into one 100 ms by chance alone. So rounds are pooled: of
//!   420 returns, about 23 come into any 100 ms, and 42 hardly ever do.
//! - A machine that stands still for a moment, as a busy one does, lets returns pile up that were to
//!   come one after another. It does so in one round or two, and a fleet that is not spread bunches in
//!   each of them. So for each 100 ms the two rounds with the most returns are left out.

use std::collections::HashMap;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kuma_stand_in::{ControlPlane, Event, KumaVersion, SeenRequest};

use crate::support::harness::{Daemon, Launch, SOON};
use crate::support::lists;

const DAEMONS: usize = 70;
const ROUNDS: usize = 8;

/// Of which the two with the most returns at a moment are left out there.
const JUDGED_ROUNDS: usize = ROUNDS - 2;

/// Two fleets at once would make each other late, and in each round alike.
static ONE_FLEET: Mutex<()> = Mutex::new(());

/// No more than a tenth of the fleet returns within this time.
const ONE_MOMENT: Duration = Duration::from_millis(100);

/// The first pause.
const SHORTEST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(2);

/// What connecting may take on a busy machine, for nine daemons out of ten.
const CONNECTING: Duration = Duration::from_secs(1);

/// The log has tenths of a second.
const ROUNDING: Duration = Duration::from_millis(50);

/// A return: its round, and how long after the cause it was.
type Return = (usize, Duration);

struct Fleet {
    plane: ControlPlane,
    daemons: Vec<Daemon>,
    // Dropped last.
    _only: MutexGuard<'static, ()>,
}

/// The daemon's number is its name, by which the control plane knows it.
fn name(number: usize) -> String {
    format!("daemon-{number}")
}

impl Fleet {
    /// Starts it, and waits until each daemon has acknowledged the list.
    fn start() -> Fleet {
        let only = ONE_FLEET.lock().unwrap_or_else(PoisonError::into_inner);
        let plane = ControlPlane::serving(KumaVersion::V2_6, &lists::list(1, 2));
        let start = |number| {
            let launch = Launch::follow(&plane.grpc_url());
            launch.argument(format!("--name={}", name(number))).start()
        };
        let daemons = (0..DAEMONS).map(start).collect();
        let fleet = Fleet { plane, daemons, _only: only };
        fleet.requests_of_all("an ACK", |request| !request.nonce.is_empty());
        fleet
    }

    /// Waits for one request of each daemon, and returns when they came.
    fn requests_of_all(
        &self,
        what: &str,
        is_wanted: impl Fn(&SeenRequest) -> bool,
    ) -> HashMap<String, Instant> {
        let mut came = HashMap::new();
        while came.len() < DAEMONS {
            let (node, at) = self.plane.events().expect(what, SOON, |event| match event {
                Event::Request(request)
                    if is_wanted(request) && !came.contains_key(&request.node_id) =>
                {
                    Some((request.node_id.clone(), request.at))
                }
                _ => None,
            });
            came.insert(node, at);
        }
        came
    }

    /// Waits until each daemon has returned, and returns how long after `start` each of them did.
    fn returns(&self, start: Instant) -> HashMap<String, Duration> {
        let is_first = |request: &SeenRequest| request.nonce.is_empty();
        let first = self.requests_of_all("the first request of a new stream", is_first);
        let since = |(node, at): (String, Instant)| (node, at - start);
        first.into_iter().map(since).collect()
    }

    /// Sends SIGHUP to all daemons, by one command.
    fn hang_up(&self) {
        let processes = self.daemons.iter().map(|daemon| daemon.process().to_string());
        let status = Command::new("kill").arg("-HUP").args(processes).status();
        assert!(status.expect("kill can be run").success());
    }
}

/// The pause that a daemon has announced in its log, `round` being the number of its outages.
fn announced(daemon: &Daemon, round: usize) -> Duration {
    let line = daemon.wait_for_log_count("next attempt in", round);
    let pause = line.rsplit_once(" in ").map(|(_, pause)| pause);
    let seconds = pause.and_then(|pause| pause.strip_suffix(" s")?.parse().ok());
    Duration::from_secs_f64(seconds.unwrap_or_else(|| panic!("no pause in {line:?}")))
}

/// The most returns in one moment, without the rounds that have the most of them there.
fn most_at_one_moment(returns: &[Return]) -> usize {
    let most_from = |moment: Duration| {
        let mut rounds = [0; ROUNDS];
        for (round, time) in returns {
            rounds[*round] += usize::from((moment..moment + ONE_MOMENT).contains(time));
        }
        rounds.sort_unstable();
        rounds[..JUDGED_ROUNDS].iter().sum::<usize>()
    };
    let most = returns.iter().map(|(_, moment)| most_from(*moment)).max();
    most.expect("there were returns")
}

#[track_caller]
fn assert_spread(cause: &str, returns: &[Return]) {
    let mut tenths = [0; 40];
    for (_, time) in returns {
        let tenth = usize::try_from(time.as_millis() / 100).unwrap_or(usize::MAX);
        tenths[tenth.min(39)] += 1;
    }
    let most = most_at_one_moment(returns);
    println!("{cause}: {most} in one moment at most; in each tenth of a second {tenths:?}");
    assert!(most <= DAEMONS * JUDGED_ROUNDS / 10, "{cause}: {most}");
    let earliest = returns.iter().map(|(_, time)| *time).min();
    assert!(earliest >= Some(SHORTEST), "{cause}: {earliest:?}");
    let is_late = |(_, time): &&Return| *time > LONGEST + CONNECTING;
    let late = returns.iter().filter(is_late).count();
    assert!(late <= returns.len() / 10, "{cause}: {late} are late");
}

#[test]
fn a_fleet_that_loses_its_control_plane_does_not_return_at_one_moment() {
    let fleet = Fleet::start();
    let mut returns = Vec::new();
    for round in 0..ROUNDS {
        fleet.plane.events().discard();
        let start = Instant::now();
        fleet.plane.restart();
        let came = fleet.returns(start);
        // The list has another version then. Its ACK makes the next pause a first one.
        fleet.requests_of_all("an ACK", |request| !request.nonce.is_empty());
        for (number, daemon) in fleet.daemons.iter().enumerate() {
            let (came, pause) = (came[&name(number)], announced(daemon, round + 1));
            assert!(came + ROUNDING >= pause, "after {came:?}, not {pause:?}");
        }
        returns.extend(came.into_values().map(|came| (round, came)));
    }
    assert_spread("after a restart", &returns);
}

#[test]
fn a_fleet_that_is_reloaded_does_not_return_at_one_moment() {
    let fleet = Fleet::start();
    let mut returns = Vec::new();
    for round in 0..ROUNDS {
        fleet.plane.events().discard();
        let start = Instant::now();
        fleet.hang_up();
        let came = fleet.returns(start);
        returns.extend(came.into_values().map(|came| (round, came)));
    }
    assert_spread("after SIGHUP", &returns);
}
