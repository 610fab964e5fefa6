//! Wire types, generated from the project's `proto/` by this crate's own build script.
//!
//! They are public for tests that build a response of their own.

#![allow(missing_docs, reason = "generated code; proto/ is its documentation")]

include!(concat!(env!("OUT_DIR"), "/proto/mod.rs"));
