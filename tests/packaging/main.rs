//! What is installed and packed, and the service that comes of it: the tree that `make install`
//! makes, the tarball, the manual as mandoc judges it, the systemd unit as systemd does, and the runit
//! directory under the real `runsv`.
//!
//! Where a machine lacks such a judge, its tests say so and return.

#[path = "../daemon/harness.rs"]
#[allow(dead_code, reason = "tests/daemon uses the rest of it")]
mod harness;
#[path = "../daemon/mesh.rs"]
#[allow(dead_code, reason = "tests/daemon uses the rest of it")]
mod mesh;
#[path = "../common/not_tried.rs"]
mod not_tried;
#[path = "../daemon/streams.rs"]
#[allow(dead_code, reason = "tests/daemon uses the rest of it")]
mod streams;

mod dist;
mod install;
mod instances;
mod manual;
mod runit;
mod shell;
mod supervised;
mod systemd;
mod tree;
