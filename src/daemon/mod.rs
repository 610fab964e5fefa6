//! The process: its threads and their end, signals, the watchdog, and what the service manager is told.
//!
//! Nothing here decides about the connection or the file: a thread performs what its state machine
//! says, and tells it what happened.

mod listener;
mod metrics;
mod observed;
pub mod once;
pub mod receiver;
mod service_manager;
mod status;
pub mod supervise;
mod watchdog;
pub mod writer;
