//! The daemon against real control planes, and the stand-in held to them.
//!
//! `make real-kuma KUMA_CP_DIR=FOLDER` runs it with each `kuma-cp-VERSION` of the folder, one at a
//! time, on loopback and in memory. No control plane belongs into the repository, so without the
//! folder each test says that it was not tried.

mod addresses;
mod asking;
mod control_plane;
mod form;
mod global;
mod likeness;
mod list;
mod mesh_metric;
mod scraping;
mod single_run;
mod table;
mod version;
mod walk;
