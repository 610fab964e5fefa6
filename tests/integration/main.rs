//! All tests of the daemon but the simulation, in one binary, as linking C-core is slow. A folder is
//! a theme; `support` is what they share, and each thing there stands once.
//!
//! - `unit`: pure parts, and the file on a real disk, through the library. What a module can show of
//!   itself is beside its code.
//! - `command_line`, `connection`, `tls`, `file`, `process`: the real binary as a subprocess, against a
//!   control plane inside the test. Here is what the wiring can break.
//! - `listener`: what it serves to people and to Prometheus.
//! - `faults`: the same under faults of the control plane, the network, the disk and the process.
//! - `page`: the status page in a real browser.
//! - `packaging`, `static_binary`: what is installed, packed and shipped.
//! - `repository`: files of this repository that must agree with each other.
//! - `real_kuma`, `soak`: for people, by `make real-kuma` and `make soak`.
//!
//! A test that needs a process of its own (mounts, a network, a umask, fewer rights) runs itself again
//! in one: see `support::own_process`. `tests/simulation` is a binary of its own, as it starts no
//! daemon and is built without this harness.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod command_line;
mod connection;
mod faults;
mod file;
mod listener;
mod packaging;
mod page;
mod process;
mod real_kuma;
mod repository;
mod soak;
mod static_binary;
mod support;
mod tls;
mod unit;
