//! The whole program as a subprocess, against a control plane inside the test.
//!
//! One test binary, because linking is slow; one module for each thing that an operator or a
//! control plane can see of the daemon. The harness starts it and waits for what it does.

mod harness;
mod mesh;
mod wire;
