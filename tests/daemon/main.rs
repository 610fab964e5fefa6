//! The whole program as a subprocess, against a control plane inside the test.
//!
//! One test binary, because linking is slow; one module for each thing that an operator or a
//! control plane can see of the daemon. The harness starts it and waits for what it does.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod addresses;
mod api_server;
mod check;
mod check_output;
mod check_result;
mod command_line;
mod contract;
mod dead_peer;
mod file;
mod hanging_files;
mod harness;
mod http_faults;
mod logging;
mod mesh;
#[path = "../common/not_tried.rs"]
mod not_tried;
mod notify;
mod output;
mod own_certificate;
mod peer;
mod pins;
mod place;
mod plaintext_or_tls;
mod polls;
mod proxies;
mod secure;
mod service_manager;
mod signals;
mod slow_answers;
mod slow_peers;
mod stalled_log;
mod start_warnings;
mod strangers;
mod streams;
mod tls;
mod tls_files;
mod token;
mod upgrades;
mod wire;
