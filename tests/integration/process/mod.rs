//! The daemon as a process: signals, the service manager, the log.

mod json_log;
mod logging;
mod service_manager;
mod signals;
mod stalled_log;

use kuma_stand_in::{Answers, ApiVersion, ControlPlane, KumaVersion, Resource};

use crate::support::harness::{Finished, Launch, SOON};
use crate::support::mesh::backends;

/// The life of a daemon to which a control plane says `evil` in every place where there is text.
#[track_caller]
fn life_with(evil: &str, follow: impl Fn(&str) -> Launch) -> Finished {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    plane.set_answers(Answers::Scripted);
    let daemon = follow(&plane.grpc_url()).start();
    let v1 = ApiVersion::V1.type_url();
    plane.events().expect_request(SOON);
    plane.respond(evil, evil, evil, Vec::new());
    plane.events().expect_nack(SOON);
    plane.respond(evil, evil, v1, vec![Resource::undecodable(ApiVersion::V1)]);
    plane.events().expect_nack(SOON);
    let mut homeless = backends(1);
    homeless[0].name = evil.to_owned();
    homeless[0].address.clear();
    let homeless = homeless.into_iter().map(Resource::Dataplane).collect();
    plane.respond(evil, evil, v1, homeless);
    plane.events().expect_ack(SOON);
    plane.close_streams(13, &evil.replace('\n', " "));
    daemon.wait_for_log("no connection to the control plane");
    daemon.terminate()
}
