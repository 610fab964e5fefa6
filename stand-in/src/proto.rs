//! Wire types, generated from the project's `proto/` by this crate's own build script.
//!
//! They are public for tests that build a response of their own.

#![allow(
    clippy::semicolon_if_nothing_returned,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "generated code; proto/ is its documentation"
)]

include!(concat!(env!("OUT_DIR"), "/proto/mod.rs"));
