//! A control plane whose name has several addresses, of which the first swallows what is sent to
//! it: IPv6 that leads nowhere, say.

use std::time::Instant;

use kuma_stand_in::{ControlPlane, KumaVersion};

use crate::support::following::at_once;
use crate::support::harness::Launch;
use crate::support::lists;
use crate::support::own_process;

/// Each name has addresses of no machine first, and this one's at last. What is sent to those goes
/// through a cable to a device that takes none of it.
const PREPARE: &str = "ip link set lo up \
     && ip link add here type veth peer name there && ip link set here up && ip link set there up \
     && ip addr add 2001:db8::ffff/64 dev here nodad \
     && for last in 1 2; do \
          ip neigh add 2001:db8::$last lladdr 02:00:00:00:00:01 dev here nud permanent; \
          echo \"2001:db8::$last two.test\"; \
        done > \"$folder/hosts\" \
     && echo '2001:db8::1 one.test' >> \"$folder/hosts\" \
     && echo '127.0.0.1 one.test two.test' >> \"$folder/hosts\" \
     && mount --bind \"$folder/hosts\" /etc/hosts";

#[test]
fn an_address_that_swallows_everything_does_not_hide_the_next_one() {
    let test = an_address_that_swallows_everything_does_not_hide_the_next_one;
    let side = own_process::in_namespaces(&["--mount", "--net"], PREPARE, test);
    if side.inside().is_none() {
        return;
    }
    let cases =
        [(KumaVersion::V2_6, "grpc"), (KumaVersion::V2_12, "grpc"), (KumaVersion::V2_12, "http")];
    at_once(cases, |(kuma, scheme)| {
        at_once(["one.test", "two.test"], |name| {
            is_reached(kuma, scheme, name);
        });
    });
}

fn is_reached(kuma: KumaVersion, scheme: &str, name: &str) {
    let plane = ControlPlane::serving(kuma, &lists::list(1, 20));
    let start = Instant::now();
    let address = format!("{scheme}://{name}:{}", plane.port());
    let daemon = Launch::follow(&address).start();
    daemon.wait_for_file(&lists::file(1, 20));
    println!("{address}, {kuma:?}: {:?}", start.elapsed());
    assert_eq!(daemon.lines_with("no connection"), 0, "{address}");
}
