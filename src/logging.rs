//! The log: one event a line on stderr.

use env_logger::{Builder, Target};
use log::LevelFilter;

/// Starts logging everything up to `level`. To be called once.
pub fn start(level: LevelFilter) {
    // C-core has its own idea of what is an error: a peer that is away fills a screen. What there
    // is to know of it comes with the status of the call.
    let core = if level >= LevelFilter::Debug {
        level
    } else {
        LevelFilter::Off
    };
    Builder::new()
        .filter_level(level)
        .filter_module("grpcio", core)
        .filter_module("ureq", core)
        .filter_module("ureq_proto", core)
        .filter_module("rustls", core)
        .format_target(false)
        .format_timestamp_millis()
        .target(Target::Stderr)
        .init();
}
