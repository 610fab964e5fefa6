//! Where MADS is.

mod address;
mod answers;

use kuma_prometheus_sd::mads::endpoint::Endpoint;
use kuma_prometheus_sd::mads::transport::address::Address;

pub(crate) fn address(text: &str) -> Address {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The endpoint as one line: its security, authority and base path, and who says so.
pub(crate) fn line(endpoint: &Endpoint) -> String {
    let Endpoint { address, origin, .. } = endpoint;
    let (security, authority) = (address.security(), address.authority());
    format!("{security:?} {authority}{} by {origin:?}", address.path)
}
