//! What several tests need: what control planes sent, messages in any wire's form, and a reader of
//! the file that is as strict as Prometheus.

pub(crate) mod captures;
pub(crate) mod child;
pub(crate) mod prometheus;
pub(crate) mod wire;
