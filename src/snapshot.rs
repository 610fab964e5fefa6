//! What travels from the control plane's side to the file's side: a snapshot of all targets.
//!
//! Neither side knows the other; both know this.

use std::collections::BTreeMap;

/// Labels by name.
pub type Labels = BTreeMap<String, String>;

/// A scrape target: what one group of the file says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// `host:port`, never empty; otherwise as the control plane sent it.
    pub address: String,
    /// Valid label names (Prometheus 2) with non-empty values, without `__address__`.
    pub labels: Labels,
}

/// A complete list, accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// All targets of the mesh.
    pub targets: Vec<Target>,
}
