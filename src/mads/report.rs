//! What the connection to the control plane reports: one event, one line.
//!
//! Pure. The connection decides what is logged; here are the levels, and the texts but for that of the
//! warning about where MADS is, which is `endpoint`'s. Untrusted text is escaped by whoever quotes it here.

use std::fmt;
use std::time::Duration;

use log::Level;

use crate::common::fields::{Field, field, seconds, text};
use crate::common::sanitize::sanitize;
use crate::common::wording::{Rounded, Targets, write_suppressed};
use crate::mads::assignment::SkippedTarget;
use crate::mads::connection::ConnectionError;
use crate::mads::endpoint::{Endpoint, Origin, Probe};
use crate::mads::negotiation::Protocol;
use crate::mads::outage::{Failure, Recovery};
use crate::mads::session::Rejection;
use crate::mads::transport::address::Security;

/// How many skipped targets a line names before it only counts them.
const NAMED_TARGETS: usize = 3;

/// One event in the life of the connection.
#[derive(Debug)]
pub enum Report {
    /// A probe of the API server was answered, or failed.
    ProbeFinished(Probe),
    /// A source is being opened.
    Opening {
        /// Over what.
        protocol: Protocol,
        /// Where.
        endpoint: Endpoint,
    },
    /// A protocol is not served here; the next one is tried.
    NotServed {
        /// The one that is not.
        protocol: Protocol,
        /// What the server said.
        reason: String,
    },
    /// The control plane answers.
    Connected {
        /// Over what.
        protocol: Protocol,
        /// Where.
        endpoint: Endpoint,
        /// How long it was away, and whether that is worth a line.
        recovery: Recovery,
    },
    /// MADS is not where, or not as safe, as `--cp-address` suggests.
    EndpointWarning {
        /// `host:port` of MADS.
        authority: String,
        /// What is odd about that.
        warning: String,
    },
    /// There is no connection, and the next attempt is set.
    Disconnected {
        /// Why.
        error: ConnectionError,
        /// The time until the next attempt.
        retry_in: Duration,
        /// How long there has been none, and whether that is worth a line.
        failure: Failure,
    },
    /// A response has come.
    Received {
        /// Its version.
        version: String,
        /// Its nonce.
        nonce: String,
        /// How many resources it has.
        resources: usize,
    },
    /// A response was accepted.
    Accepted {
        /// The version that is acknowledged.
        version: String,
        /// How many assignments it has.
        assignments: usize,
        /// How many targets these have.
        targets: usize,
        /// How many more have no address.
        skipped: usize,
        /// Whether rejections were logged before it.
        ends_rejections: bool,
    },
    /// Nothing new came within a poll over HTTP.
    Unchanged {
        /// Whether rejections were logged before it, which are over then.
        ends_rejections: bool,
    },
    /// A response was rejected; the last good list stays.
    Rejected {
        /// Why.
        reason: Rejection,
        /// The time until the NACK.
        pause: Duration,
        /// Rejections since the last such line, where this one is worth a line; `None` else.
        suppressed: Option<u32>,
    },
    /// Targets without an address were left out.
    Skipped {
        /// All of them.
        targets: Vec<SkippedTarget>,
        /// Whether this was logged not long ago.
        quiet: bool,
    },
    /// Targets have the service `unknown`: what newer control planes say where a Dataplane does not
    /// name its workload.
    UnknownServices {
        /// How many.
        unknown: usize,
        /// How many targets there are in all.
        targets: usize,
        /// Whether this was logged not long ago.
        quiet: bool,
    },
    /// Somebody asked for a new connection.
    Reconnecting,
}

impl Report {
    /// How important it is.
    pub fn level(&self) -> Level {
        let (level, should_log) = match self {
            Self::Reconnecting => (Level::Info, true),
            Self::Connected { recovery, .. } => match recovery.outage {
                None => (Level::Info, recovery.should_log),
                // What has begun with a warning ends with one.
                Some(_) => (Level::Warn, recovery.should_log),
            },
            Self::Accepted { ends_rejections, .. } | Self::Unchanged { ends_rejections } => {
                (Level::Warn, *ends_rejections)
            }
            Self::EndpointWarning { .. } => (Level::Warn, true),
            Self::Disconnected { failure, .. } => (Level::Warn, failure.suppressed.is_some()),
            Self::Rejected { suppressed, .. } => (Level::Warn, suppressed.is_some()),
            Self::Skipped { quiet, .. } | Self::UnknownServices { quiet, .. } => {
                (Level::Warn, !quiet)
            }
            Self::ProbeFinished(_)
            | Self::Opening { .. }
            | Self::NotServed { .. }
            | Self::Received { .. } => (Level::Debug, true),
        };
        if should_log { level } else { Level::Debug }
    }

    /// What its words are made of.
    pub fn fields(&self) -> Vec<Field> {
        match self {
            Self::ProbeFinished(probe) => vec![text("url", &probe.url)],
            Self::Opening { protocol, endpoint } => {
                vec![text("mads", endpoint.authority()), text("protocol", protocol)]
            }
            Self::NotServed { protocol, reason } => {
                vec![text("protocol", protocol), text("error", reason)]
            }
            Self::Connected { protocol, endpoint, recovery } => vec![
                text("mads", endpoint.authority()),
                text("protocol", protocol),
                seconds("outage_seconds", recovery.outage),
            ],
            Self::Disconnected { error, retry_in, failure } => vec![
                text("error", error),
                seconds("outage_seconds", failure.lasting),
                field("suppressed", failure.suppressed),
                seconds("retry_in_seconds", *retry_in),
            ],
            Self::Received { version, nonce, resources } => vec![
                text("version", sanitize(version)),
                text("nonce", sanitize(nonce)),
                field("resources", *resources),
            ],
            Self::Accepted { version, assignments, targets, skipped, .. } => vec![
                text("version", sanitize(version)),
                field("assignments", *assignments),
                field("targets", *targets),
                field("skipped", *skipped),
            ],
            Self::Rejected { reason, pause, suppressed } => vec![
                text("error", sanitize(&reason.to_string())),
                field("suppressed", *suppressed),
                seconds("retry_in_seconds", *pause),
            ],
            Self::Skipped { targets, .. } => vec![field("skipped", targets.len())],
            Self::UnknownServices { unknown, targets, .. } => {
                vec![field("unknown_services", *unknown), field("targets", *targets)]
            }
            Self::EndpointWarning { authority, .. } => vec![text("mads", authority)],
            Self::Unchanged { .. } | Self::Reconnecting => Vec::new(),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ProbeFinished(Probe { url, outcome, .. }) => {
                write!(formatter, "GET {url}: {outcome}")
            }
            Self::Opening { protocol, endpoint } => {
                write!(formatter, "asking for MADS at {} over {protocol}", endpoint.authority())
            }
            Self::NotServed { protocol, reason } => {
                write!(formatter, "{protocol} is not served here: {reason}")
            }
            Self::Connected { protocol, endpoint, recovery } => {
                write_connected(formatter, *protocol, endpoint, recovery.outage)
            }
            Self::EndpointWarning { warning, .. } => formatter.write_str(warning),
            Self::Disconnected { error, retry_in, failure } => {
                write!(formatter, "no connection to the control plane: {error}")?;
                if failure.lasting.as_secs() >= 1 {
                    write!(formatter, "; {} without one", Rounded(failure.lasting))?;
                }
                write_suppressed(formatter, failure.suppressed, "failure")?;
                write!(
                    formatter,
                    "; the file stays as it is, next attempt in {}",
                    Rounded(*retry_in)
                )
            }
            Self::Received { version, nonce, resources } => write!(
                formatter,
                "received version {:?}, nonce {:?}, {resources} resources",
                sanitize(version),
                sanitize(nonce)
            ),
            Self::Accepted { version, assignments, targets, ends_rejections, .. } => {
                let again = if *ends_rejections { "responses are accepted again: " } else { "" };
                write!(
                    formatter,
                    "{again}accepted version {:?}: {assignments} assignments, {targets} targets",
                    sanitize(version)
                )
            }
            Self::Unchanged { ends_rejections } => formatter.write_str(match ends_rejections {
                false => "nothing new at the control plane",
                true => {
                    "the control plane is back at the list that was accepted, so nothing is \
                     rejected any more"
                }
            }),
            Self::Rejected { reason, pause, suppressed } => {
                let reason = sanitize(&reason.to_string());
                write!(formatter, "rejected a response, so the last good list stays: {reason}")?;
                write_suppressed(formatter, *suppressed, "rejection")?;
                write!(formatter, "; asking again in {}", Rounded(*pause))
            }
            Self::Skipped { targets, .. } => write_skipped(formatter, targets),
            Self::UnknownServices { unknown, targets, .. } => write!(
                formatter,
                "{unknown} of {} with the service `unknown`; label their Dataplanes with \
                 kuma.io/workload",
                Targets(*targets)
            ),
            Self::Reconnecting => formatter.write_str("reconnecting, as asked by SIGHUP"),
        }
    }
}

fn write_connected(
    formatter: &mut fmt::Formatter<'_>,
    protocol: Protocol,
    endpoint: &Endpoint,
    outage: Option<Duration>,
) -> fmt::Result {
    let tls = if endpoint.address.security() == Security::Tls { " with TLS" } else { "" };
    write!(formatter, "connected to MADS at {} over {protocol}{tls}", endpoint.authority())?;
    match endpoint.origin {
        Origin::Catalog => formatter.write_str(", as /catalog of the API server says")?,
        Origin::Config => formatter.write_str(", as /config of the API server says")?,
        Origin::Address | Origin::Guess(_) => {}
    }
    match outage {
        Some(outage) => write!(formatter, ", after {} without a connection", Rounded(outage)),
        None => Ok(()),
    }
}

fn write_skipped(formatter: &mut fmt::Formatter<'_>, targets: &[SkippedTarget]) -> fmt::Result {
    let count = Targets(targets.len());
    write!(formatter, "skipped {count} without an address: ")?;
    for (index, target) in targets.iter().take(NAMED_TARGETS).enumerate() {
        let separator = if index > 0 { ", " } else { "" };
        write!(formatter, "{separator}{}", sanitize(&target.to_string()))?;
    }
    if targets.len() > NAMED_TARGETS {
        write!(formatter, " and {} more", targets.len() - NAMED_TARGETS)?;
    }
    Ok(())
}
