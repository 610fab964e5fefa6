//! The daemon as a process: signals, the service manager, the log.

mod json_log;
mod logging;
mod service_manager;
mod signals;
mod stalled_log;
