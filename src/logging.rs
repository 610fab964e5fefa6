//! The log: one event a line on stderr.

use env_logger::{Builder, Target};
use log::LevelFilter;

/// Starts logging everything up to `level`. To be called once.
pub fn start(level: LevelFilter) {
    // Libraries have their own idea of what is worth a line: to C-core a peer that is away is
    // worth a screen. What an operator needs of it stands in our own lines. And never more than
    // debug: at trace the HTTP library dumps what goes over the wire, tokens too.
    let libraries = if level == LevelFilter::Trace {
        LevelFilter::Debug
    } else {
        LevelFilter::Off
    };
    Builder::new()
        .filter_level(libraries)
        .filter_module(env!("CARGO_CRATE_NAME"), level)
        .format_target(false)
        .format_timestamp_millis()
        .target(Target::Stderr)
        .init();
}
