//! Parts of the program through its library, without a process.

mod cli;
mod config;
mod endpoint;
mod golden;
mod labels;
mod properties;
mod publish;
mod render;
mod requests;
mod resources;
mod session;
