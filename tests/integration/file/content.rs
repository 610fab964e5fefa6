//! What stands in the output file: one complete list that the control plane has sent, however long.

use kuma_stand_in::{ControlPlane, KumaVersion};

use crate::support::harness::Launch;
use crate::support::mesh::{EMPTY, backends, file_v1};

#[test]
fn a_large_list_is_received_whole() {
    for (kuma, dataplanes, at_least) in
        [(KumaVersion::V2_6, 8000, 20 << 20), (KumaVersion::V2_12, 4500, 10_000_000)]
    {
        let long = "x".repeat(1320);
        // The tag alone is as long, once as it is and once as a list of one.
        assert!(2 * long.len() * dataplanes >= at_least);
        let mesh = backends(dataplanes).into_iter();
        let mesh: Vec<_> = mesh.map(|of| of.tag("long", &long)).collect();
        let plane = ControlPlane::serving(kuma, &mesh);
        let daemon = Launch::follow(&plane.grpc_url()).start();
        daemon.wait_for_file(&file_v1(&mesh));
        plane.publish(&[]);
        daemon.wait_for_file(EMPTY);
    }
}
