//! What the micro-benchmarks, the instruction counts and the benchmark of whole processes share: lists of
//! targets as a control plane sends them, and the daemon's stages one by one.
//!
//! Nothing here needs C-core.

pub mod list;
pub mod stages;
