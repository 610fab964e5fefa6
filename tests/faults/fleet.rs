//! A fleet of daemons that lose their control plane at one moment, or are reloaded at one moment:
//! they return one after another.

use std::collections::BTreeMap;

use kuma_stand_in::{ControlPlane, Kuma};

use crate::harness::{Daemon, Launch};
use crate::lists;

const DAEMONS: usize = 40;

/// Enough that chance alone does not put a tenth of all returns into one 100 ms.
const ROUNDS: usize = 15;

#[test]
fn a_fleet_that_loses_its_control_plane_does_not_return_at_one_moment() {
    let plane = ControlPlane::start(Kuma::V2_6);
    let start = || Launch::follow(&plane.grpc_url()).start();
    let daemons: Vec<Daemon> = (0..DAEMONS).map(|_| start()).collect();
    // The log has tenths of a second.
    let mut returns: BTreeMap<String, usize> = BTreeMap::new();
    for round in 1..=ROUNDS {
        plane.publish(&lists::list(round, 2));
        for daemon in &daemons {
            daemon.wait_for_file(&lists::file(round, 2));
        }
        plane.restart();
        for daemon in &daemons {
            let line = daemon.wait_for_log_count("next attempt in", round);
            let pause = line.rsplit_once(" in ").map(|(_, pause)| pause.to_owned());
            *returns.entry(pause.expect("it says when")).or_default() += 1;
        }
    }
    let most = returns.values().max().expect("there were returns");
    assert!(*most <= DAEMONS * ROUNDS / 10, "{returns:?}");
}
