//! From the control plane to a snapshot: the monitoring assignment discovery service (MADS) and how its
//! responses become targets.
//!
//! All but `transport` and the generated `wire` is pure: it knows no clock, socket, file or log.
//! Nothing here knows the output file.

pub mod api_version;
pub mod assignment;
pub mod connection;
pub mod endpoint;
pub mod envelope;
pub mod labels;
pub mod negotiation;
pub mod outage;
pub mod polling;
pub mod protobuf;
pub mod report;
pub mod session;
pub mod transport;
mod wire;
