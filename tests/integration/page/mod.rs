//! The status page in a real browser. What it says in which state is tested beside its code; here it
//! is read, typed into and clicked.

mod browser;
mod filter;
mod look;

use kuma_stand_in::{ControlPlane, Dataplane, KumaVersion};

use crate::support::harness::{Daemon, Launch, SOON, wait_until};
use crate::support::mesh::file_v1;

/// A daemon that serves the page, and the control plane that it follows.
struct Served {
    control_plane: ControlPlane,
    daemon: Daemon,
    /// The address of the page.
    url: String,
}

/// Starts both, and waits until the list is in the file.
fn serve(dataplanes: &[Dataplane]) -> Served {
    let control_plane = ControlPlane::serving(KumaVersion::V2_6, dataplanes);
    let daemon =
        Launch::follow(&control_plane.api_url()).argument("--listen-address=127.0.0.1:0").start();
    let line = daemon.wait_for_log("a status page are served at ");
    let (_, url) = line.rsplit_once(' ').unwrap();
    let url = url.to_owned();
    daemon.wait_for_file(&file_v1(dataplanes));
    // What the threads observe reaches the listener a moment later.
    let is_ready = || ureq::get(format!("{url}-/ready")).call().is_ok();
    assert!(wait_until(SOON, is_ready), "not ready");
    Served { control_plane, daemon, url }
}

/// The dataplanes of a service.
fn service(mesh: &str, service: &str, count: usize) -> Vec<Dataplane> {
    let number = |number| {
        let name = format!("{service}-{number:02}");
        let address = format!("10.20.{}.{number}:5670", service.len());
        Dataplane::new(service, &name, &address).in_mesh(mesh)
    };
    (1..=count).map(number).collect()
}
