//! Generated wire types: the xDS envelope and the monitoring assignments of both MADS generations.
//!
//! The definitions, with the source of each field, are the files in `proto/`.

#![allow(
    clippy::semicolon_if_nothing_returned,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "generated code; proto/ is its documentation"
)]

include!(concat!(env!("OUT_DIR"), "/proto/mod.rs"));
