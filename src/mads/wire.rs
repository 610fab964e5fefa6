//! Generated wire types: the requests of an xDS stream.
//!
//! The definition, with the source of each field, is `proto/discovery.proto`. Responses are read by
//! `protobuf`, which copies nothing.

#![allow(
    clippy::semicolon_if_nothing_returned,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "generated code; proto/ is its documentation"
)]

include!(concat!(env!("OUT_DIR"), "/proto/mod.rs"));
