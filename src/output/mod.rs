//! From a snapshot to the file that Prometheus reads.
//!
//! `render` and `state_machine` are pure; `file` alone touches the disk. Nothing here knows the
//! control plane.

pub mod file;
pub mod render;
pub mod state_machine;
