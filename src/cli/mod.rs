//! What was typed, and what is asked by it: the table of flags, the arguments, and the settings.
//!
//! Nothing here does what is asked.

pub mod arguments;
pub mod config;
pub mod flags;
pub mod listen_address;
mod setting;
