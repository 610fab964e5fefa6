//! The way to the control plane, what is said on it, and what becomes of each answer.

mod api_server;
mod contract;
mod dead_peer;
mod grpc;
mod http_faults;
mod pins;
mod polls;
mod proxies;
mod slow_answers;
mod slow_peers;
mod upgrades;
