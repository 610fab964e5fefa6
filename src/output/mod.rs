//! From a snapshot to the file that Prometheus reads.
//!
//! `changes`, `report` and `state_machine` are pure; `file` alone touches the disk. Nothing here knows the
//! control plane.

pub mod changes;
pub mod file;
pub mod report;
pub mod state_machine;
