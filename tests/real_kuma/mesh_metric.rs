//! MeshMetric, with and without a `clientId`, and what control planes make of both kinds together:
//! a list may stay or shrink silently, and only what is done to the policies brings it back.

use std::time::{Duration, Instant};

use crate::addresses::CHANGED_WITHIN;
use crate::control_plane::{ControlPlane, Ports};
use crate::harness::{Launch, SOON, wait_until};
use crate::list::{Dataplane, EMPTY, Source, enable_metrics, list, mesh_metric, put_mesh_metric};
use crate::table::Table;
use crate::version::{Folder, Version};

/// The port of the MeshMetric without a `clientId`.
const FOR_ALL: u16 = 5671;

/// The port of the MeshMetric for the client `other`.
const FOR_OTHER: u16 = 5672;

/// A control plane makes a client's list anew within its refresh interval, a second or two.
const NEW_LIST: Duration = Duration::from_secs(4);

#[test]
fn mesh_metric_is_followed_and_its_traps_are_as_documented() {
    let Some(folder) = Folder::open("mesh_metric_is_followed_and_its_traps_are_as_documented")
    else {
        return;
    };
    let mut table = Table::default();
    let versions = folder.versions();
    for version in versions
        .into_iter()
        .filter(|version| version.has_mesh_metric())
    {
        tell(&folder, version, &mut table);
    }
    table.judge();
}

fn tell(folder: &Folder, version: Version, table: &mut Table) {
    let plane = ControlPlane::start(folder, version, Ports::free(), false);
    let [first, second] = [
        Dataplane::new("app-1", "10.0.0.1", "prod"),
        Dataplane::new("app-2", "10.0.0.2", "prod").in_mesh("second"),
    ];
    for dataplane in [&first, &second] {
        enable_metrics(&plane, &dataplane.mesh);
        dataplane.put(&plane);
    }
    let lists = |source, dataplanes: &[&Dataplane]| {
        let dataplanes: Vec<_> = dataplanes.iter().copied().cloned().collect();
        list(version, source, &dataplanes)
    };
    let by_mesh = lists(Source::Mesh, &[&first, &second]);
    let for_all = lists(Source::MeshMetric(FOR_ALL), &[&first]);
    let for_other = lists(Source::MeshMetric(FOR_OTHER), &[&first]);
    // Up to 2.6 each client has a list of its own making. Later there is one for each clientId, and
    // one for all other clients, which is made anew only while something is to be in it.
    let is_made_for_each_client = version < Version(2, 7);

    let mut step = |told: &str, kuma_sd: &str, other: &str| {
        for (client, expected) in [("kuma_sd", kuma_sd), ("other", other)] {
            let outcome = expect(&plane, client, expected).map(|()| summary(expected));
            table.row(&format!("{version} | {told} | {client}"), outcome);
        }
    };
    let run = Launch::follow(&format!("http://127.0.0.1:{}", plane.ports.api)).start();
    step("metrics of two meshes", &by_mesh, &by_mesh);

    put_mesh_metric(&plane, "default", "for-all", FOR_ALL, None);
    step(
        "a MeshMetric in one of them: both Mesh.metrics are off",
        &for_all,
        &for_all,
    );

    put_mesh_metric(&plane, "default", "other", FOR_OTHER, Some("other"));
    let shared = if is_made_for_each_client {
        &for_all
    } else {
        EMPTY
    };
    step(
        "and one for `other`, of which one takes effect",
        &for_all,
        shared,
    );

    plane.delete(&mesh_metric("default", "for-all"));
    let left = if is_made_for_each_client {
        &by_mesh
    } else {
        &for_all
    };
    step("only the one for `other`", left, &for_other);

    let third = Dataplane::new("app-3", "10.0.0.3", "prod");
    third.put(&plane);
    let by_mesh = lists(Source::Mesh, &[&first, &second, &third]);
    let left = if is_made_for_each_client {
        &by_mesh
    } else {
        &for_all
    };
    let for_other = lists(Source::MeshMetric(FOR_OTHER), &[&first, &third]);
    // The client `other` is asked last, and has what is new: so `kuma_sd` had been told all there was.
    step("and a new dataplane", left, &for_other);
    step("and a new dataplane, still", left, &for_other);

    plane.delete(&mesh_metric("default", "other"));
    step("no MeshMetric", &by_mesh, &by_mesh);

    // The daemon that has been there all the time. Kuma 2.12 does not wake a held poll for this.
    let has_it = || run.file().as_deref() == Some(&*by_mesh);
    let outcome = match wait_until(SOON, has_it) {
        true => Ok(summary(&by_mesh)),
        false => Err(run.log()),
    };
    table.row(
        &format!("{version} | no MeshMetric | the daemon of the beginning"),
        outcome,
    );
}

/// Lets new daemons ask until one has this list. New ones, because some control planes do not wake a
/// held poll when a policy changes; each for a while, because some answer a new stream with the list
/// of the client's last one first.
fn expect(plane: &ControlPlane, client: &str, expected: &str) -> Result<(), String> {
    let address = format!("http://127.0.0.1:{}", plane.ports.mads);
    let start = Instant::now();
    loop {
        let launch = Launch::follow(&address).argument("--name").argument(client);
        let daemon = launch.start();
        if wait_until(NEW_LIST, || daemon.file().as_deref() == Some(expected)) {
            return Ok(());
        }
        if start.elapsed() > CHANGED_WITHIN {
            let file = daemon.file().unwrap_or_default();
            return Err(format!("the file is not\n{expected}but\n{file}"));
        }
    }
}

/// The targets of a list.
fn summary(list: &str) -> String {
    let groups: Vec<serde_json::Value> = serde_json::from_str(list).unwrap();
    let targets: Vec<_> = groups
        .iter()
        .map(|group| group["targets"][0].to_string())
        .collect();
    format!("[{}]", targets.join(", "))
}
