//! The connection to the control plane: how it is made, what is sent on it, and what becomes of each answer.

mod api_server;
mod c_core;
mod contract;
mod dead_peer;
mod http_faults;
mod pins;
mod polls;
mod proxies;
mod slow_answers;
mod slow_peers;
mod upgrades;
