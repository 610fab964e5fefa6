//! `run --once`, again and again: each has the list of now, and not the one that the control plane has
//! sent to this client last.

use crate::real_kuma::control_plane::{ControlPlane, Ports};
use crate::real_kuma::list::{Dataplane, Source, enable_metrics, list};
use crate::real_kuma::table::Table;
use crate::real_kuma::version::Folder;
use crate::support::harness::{Launch, SOON, wait_until};

#[test]
fn a_single_run_does_not_get_the_list_of_the_last_one() {
    let Some(folder) = Folder::open("a_single_run_does_not_get_the_list_of_the_last_one") else {
        return;
    };
    let mut table = Table::default();
    for version in folder.versions() {
        let plane = ControlPlane::start(&folder, version, Ports::free(), false);
        enable_metrics(&plane, "default");
        let launch = Launch::follow(&format!("http://127.0.0.1:{}", plane.ports.api))
            .argument("--once")
            .argument("--output-file=-");
        let mut mesh = Vec::new();
        for number in 1..=3 {
            let dataplane =
                Dataplane::new(&format!("app-{number}"), &format!("10.0.0.{number}"), "prod");
            dataplane.put(&plane);
            mesh.push(dataplane);
            let expected = list(version, Source::Enabled, &mesh);
            let mut last = None;
            let is_right = wait_until(SOON, || {
                let finished = launch.run_to_its_end();
                let is_right = finished.code == Some(0) && finished.stdout == expected;
                last = Some(finished);
                is_right
            });
            let outcome = match is_right {
                true => Ok("the list of now".to_owned()),
                false => Err(format!("{last:?}")),
            };
            table.row(&format!("{version} | {number} targets"), outcome);
        }
        plane.terminate();
    }
    table.judge();
}
