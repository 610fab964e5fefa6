//! The process: its threads and their end, signals, the watchdog, and what the service manager is told.
//!
//! Nothing here decides about the connection or the file: a thread performs what its state machine
//! says, and tells it what happened.

pub mod listener;
pub mod metrics;
pub mod observed;
pub mod once;
pub mod receiver;
pub mod service_manager;
pub mod status;
pub mod supervise;
pub mod watchdog;
pub mod writer;
