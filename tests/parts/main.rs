//! Tests of the parts: each pure room, and the file on a real disk. What the whole program does is
//! for `tests/daemon`.
//!
//! One binary, because linking C-core takes longer than these tests.

mod cli;
mod config;
mod endpoint;
mod golden;
mod labels;
mod properties;
mod publish;
mod publish_disk;
mod publish_links;
mod render;
mod session;
mod support;
