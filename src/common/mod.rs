//! What both sides use: backoff and rate limits, heartbeats, the log, and words for people.
//!
//! Nothing here knows a control plane or a file.

pub mod backoff;
pub(crate) mod bytes;
pub mod fields;
pub(crate) mod hash;
pub mod heartbeat;
pub(crate) mod json;
mod log_queue;
pub mod logging;
pub mod machine;
pub(crate) mod sanitize;
pub(crate) mod wording;
