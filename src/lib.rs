//! Follows the monitoring assignments of a Kuma control plane and keeps a `file_sd` file for
//! Prometheus up to date.
//!
//! The binary is the product; this library exists so that tests, fuzzing and benchmarks use the
//! same parts. `ARCHITECTURE.md` shows the rooms and what each owns.

pub mod absence;
pub mod address;
pub mod assignment;
pub mod backoff;
pub mod budget;
pub mod check;
pub mod cli;
pub mod config;
pub mod connection;
pub mod diagnosis;
pub mod endpoint;
mod excerpt;
pub mod flags;
pub mod http_client;
mod json;
mod log_queue;
pub mod logging;
pub mod negotiation;
pub mod network;
pub mod output;
pub mod polling;
mod proto;
pub mod proxy;
pub mod publish;
pub mod pulse;
pub mod receiver;
pub mod render;
pub mod report;
pub mod resolve;
pub mod service_manager;
pub mod session;
pub mod source;
pub mod status;
pub mod supervise;
pub mod tls;
pub mod watch;
pub mod writer;

/// The version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// How this program names itself to servers.
pub(crate) const USER_AGENT: &str = concat!("kuma-prometheus-sd/", env!("CARGO_PKG_VERSION"));
