//! The daemon against real control planes, and the stand-in held to them.
//!
//! `make real-kuma KUMA_CP_DIR=FOLDER` runs it with each `kuma-cp-VERSION` of the folder, one at a
//! time, on loopback and in memory. No control plane belongs into the repository, so without the
//! folder each test says that it was not tried.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../daemon/harness.rs"]
#[allow(dead_code, reason = "tests/daemon uses the rest of it")]
mod harness;
#[path = "../common/not_tried.rs"]
mod not_tried;
#[path = "../daemon/streams.rs"]
#[allow(dead_code, reason = "tests/daemon uses the rest of it")]
mod streams;

mod addresses;
mod asking;
mod control_plane;
mod form;
mod global;
mod likeness;
mod list;
mod mesh_metric;
mod table;
mod version;
mod walk;
