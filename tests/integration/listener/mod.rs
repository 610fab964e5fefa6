//! What the real binary serves at `--listen-address`, and what clients of that cannot do to it.

mod clients;
mod metrics;
mod paths;
mod reverse_proxy;
mod start;
