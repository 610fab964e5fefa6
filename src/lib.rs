//! Follows the monitoring assignments of a Kuma control plane and keeps a `file_sd` file for
//! Prometheus up to date.
//!
//! The binary is the product; this library exists so that tests, fuzzing and benchmarks use the
//! same parts. `ARCHITECTURE.md` shows what each module owns.

pub mod check;
pub mod cli;
pub mod common;
pub mod daemon;
pub mod mads;
pub mod output;
mod single_attempt;
pub mod snapshot;

/// The version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// How this program names itself to servers.
pub(crate) const USER_AGENT: &str = concat!("kuma-prometheus-sd/", env!("CARGO_PKG_VERSION"));
