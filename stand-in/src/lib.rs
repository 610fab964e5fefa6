//! A stand-in for Kuma's control plane, for the tests and the demo of `kuma-prometheus-sd`.
//!
//! It serves monitoring assignments as control planes from Kuma 0.7 to 2.14 do, over gRPC, HTTP and
//! HTTPS on one port, and on another the API server that names that port. It changes from one version
//! of Kuma to another while it runs, answers what a test sets in place of what Kuma would, adds faults to
//! connections, and keeps a record of all it sees.
//!
//! ```no_run
//! use std::time::Duration;
//! use kuma_stand_in::{ControlPlane, Dataplane, KumaVersion};
//!
//! let plane = ControlPlane::start(KumaVersion::V1_2);
//! plane.publish(&[Dataplane::new("backend", "backend-01", "192.168.0.1:5670").tag("env", "prod")]);
//! // … start a client of plane.grpc_url() …
//! let first = plane.events().expect_request(Duration::from_secs(10));
//! assert_eq!(first.version_info, "");
//! plane.upgrade_to(KumaVersion::V2_12);
//! ```
//!
//! ```text
//!             ┌ fault_proxy: first bytes ─┐
//!  client ───►│  HTTP/2 ─────────────────►│ grpc ───────────► subscription ┐
//!             │  HTTP/1, TLS ────────────►│ http_server ────► mads_http ───┤► state ─► events
//!             └ faults, cuts ─────────────┘                                │
//!  client ───────────────────────────────► http_server ────► api_server ───┘
//! ```
//!
//! It shares no code with the daemon: what both took from the same misunderstanding, no test would
//! find.

mod api_server;
mod certificates;
mod control_plane;
mod dataplane;
mod event;
mod events;
mod fault_proxy;
mod grpc;
mod http1;
mod http_answer;
mod http_server;
mod kuma_version;
mod listener;
mod mads_http;
mod metrics_server;
pub mod proto;
mod snapshot;
mod state;
mod stream;
mod subscription;
mod tls;

pub use api_server::ApiServer;
pub use certificates::{Authority, Identity, Validity};
pub use control_plane::{ControlPlane, Plan};
pub use dataplane::Dataplane;
pub use event::{ErrorDetail, Event, HttpRequest, SeenRequest, Server, StreamId, Transport};
pub use events::Events;
pub use fault_proxy::{Fault, FaultProxy};
pub use grpc::Frame;
pub use http_answer::{Body, HttpAnswer};
pub use kuma_version::{ApiVersion, KumaVersion, Role, Serves};
pub use listener::free_port;
pub use metrics_server::MetricsServer;
pub use snapshot::Resource;
pub use state::Answers;
pub use tls::Tls;
