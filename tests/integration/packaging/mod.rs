//! What is installed and packed, and the service that comes of it: the tree that `make install`
//! makes, the tarball, the manual as mandoc judges it, the systemd unit as systemd does, and the runit
//! directory under the real `runsv`, and the container image under podman.
//!
//! Where a machine lacks such a judge, its tests say so and return.

mod container;
mod dist;
mod install;
mod instances;
mod manual;
mod runit;
mod supervised;
mod systemd;
mod tree;
