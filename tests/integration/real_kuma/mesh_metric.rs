//! MeshMetric, with and without a `clientId`, and what control planes make of both kinds together:
//! a list may stay or shrink silently, and only what is done to the policies brings it back.

use std::time::{Duration, Instant};

use crate::real_kuma::addresses::CHANGED_WITHIN;
use crate::real_kuma::control_plane::{ControlPlane, Ports};
use crate::real_kuma::list::{
    Dataplane, Source, enable_metrics, list, mesh_metric, put_mesh_metric,
};
use crate::real_kuma::table::Table;
use crate::real_kuma::version::{Folder, Version};
use crate::support::harness::{Launch, SOON, wait_until};
use crate::support::mesh::EMPTY;

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
        .filter(|version| version.has_mesh_metric() && version.has_metrics_of_mesh())
    {
        tell(&folder, version, &mut table);
    }
    table.judge();
}

fn tell(folder: &Folder, version: Version, table: &mut Table) {
    let plane = ControlPlane::start(folder, version, Ports::free(), false);
    let first = Dataplane::new("app-1", "10.0.0.1", "prod");
    let second = Dataplane::new("app-2", "10.0.0.2", "prod").in_mesh("second");
    for dataplane in [&first, &second] {
        enable_metrics(&plane, &dataplane.mesh);
        dataplane.put(&plane);
    }
    let run = Launch::follow(&format!("http://127.0.0.1:{}", plane.ports.api)).start();
    let steps = steps(&plane, &first, &second);
    for (told, change, kuma_sd, other) in &steps {
        change(&plane);
        // `other` is asked last. Where it has what is new, `kuma_sd` has been told all there is.
        for (client, expected) in [("kuma_sd", kuma_sd), ("other", other)] {
            let outcome = expect(&plane, client, expected).map(|()| summary(expected));
            table.row(&format!("{version} | {told} | {client}"), outcome);
        }
    }
    // The daemon that has been there all the time.
    let (told, _, expected, _) = steps.last().expect("there are steps");
    let outcome = match wait_until(SOON, || run.file().as_ref() == Some(expected)) {
        true => Ok(summary(expected)),
        false => Err(run.log()),
    };
    let what = format!("{version} | {told} | the daemon of the beginning");
    table.row(&what, outcome);
}

/// What is done to a control plane.
type Change = Box<dyn Fn(&ControlPlane)>;

/// What is done, in words and in fact, and the lists of the clients `kuma_sd` and `other` then.
type Step = (&'static str, Change, String, String);

fn steps(plane: &ControlPlane, first: &Dataplane, second: &Dataplane) -> Vec<Step> {
    let version = plane.version;
    // Up to 2.6 each client has a list of its own. Later there is one for each `clientId`, and one for
    // all other clients, which is made anew only while a MeshMetric has none, or there is none at all.
    let either = |up_to_2_6: &str, later: &str| match version < Version(2, 7) {
        true => up_to_2_6.to_owned(),
        false => later.to_owned(),
    };
    let third = Dataplane::new("app-3", "10.0.0.3", "prod");
    let lists = |source: Source, dataplanes: &[&Dataplane]| {
        let dataplanes: Vec<_> = dataplanes.iter().copied().cloned().collect();
        list(version, source, &dataplanes)
    };
    let mesh = lists(Source::Enabled, &[first, second]);
    let mesh_of_3 = lists(Source::Enabled, &[first, second, &third]);
    let for_all = lists(Source::MeshMetric(FOR_ALL), &[first]);
    let for_other = lists(Source::MeshMetric(FOR_OTHER), &[first]);
    let for_other_of_3 = lists(Source::MeshMetric(FOR_OTHER), &[first, &third]);

    let put = |name: &'static str, port: u16, client: Option<&'static str>| -> Change {
        Box::new(move |plane| put_mesh_metric(plane, "default", name, port, client))
    };
    let delete = |name: &'static str| -> Change {
        Box::new(move |plane| plane.delete(&mesh_metric("default", name)))
    };
    let nothing = || -> Change { Box::new(|_| ()) };
    let (come, gone) = (third.clone(), third.clone());
    let rows: Vec<(_, Change, String, &str)> = vec![
        ("metrics of two meshes", nothing(), mesh.clone(), &mesh),
        (
            "a MeshMetric in one of them: both Mesh.metrics are off",
            put("for-all", FOR_ALL, None),
            for_all.clone(),
            &for_all,
        ),
        (
            "and one for `other`: one of the two takes effect",
            put("other", FOR_OTHER, Some("other")),
            for_all.clone(),
            match version < Version(2, 7) {
                true => &for_all,
                false => EMPTY,
            },
        ),
        ("only the one for `other`", delete("for-all"), either(&mesh, &for_all), &for_other),
        (
            "and a new dataplane",
            Box::new(move |plane| come.put(plane)),
            either(&mesh_of_3, &for_all),
            &for_other_of_3,
        ),
        ("still the same", nothing(), either(&mesh_of_3, &for_all), &for_other_of_3),
        ("no MeshMetric", delete("other"), mesh_of_3.clone(), &mesh_of_3),
        (
            "one for `other` where none was",
            put("other", FOR_OTHER, Some("other")),
            mesh_of_3.clone(),
            &for_other_of_3,
        ),
        (
            "and a dataplane less",
            Box::new(move |plane| gone.delete(plane)),
            either(&mesh, &mesh_of_3),
            &for_other,
        ),
        ("still the same", nothing(), either(&mesh, &mesh_of_3), &for_other),
        ("no MeshMetric", delete("other"), mesh.clone(), &mesh),
    ];
    rows.into_iter()
        .map(|(told, change, kuma_sd, other)| (told, change, kuma_sd, other.to_owned()))
        .collect()
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
    let targets: Vec<_> = groups.iter().map(|group| group["targets"][0].to_string()).collect();
    format!("[{}]", targets.join(", "))
}
