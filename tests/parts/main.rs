//! Tests of the parts: each pure room, and the file on a real disk. What the whole program does is
//! for `tests/daemon`.
//!
//! One binary, because linking C-core takes longer than these tests.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod cli;
mod config;
mod dependencies;
mod endpoint;
mod generated;
mod golden;
mod labels;
#[path = "../common/not_tried.rs"]
mod not_tried;
mod properties;
mod publish;
mod reliability;
mod render;
mod requests;
mod resources;
mod session;
mod shells;
mod support;
mod third_party;
