//! How the daemon is doing, in one line of words, as a service manager shows it.
//!
//! Pure. What the two threads observe becomes a note where it changes the status.

use std::fmt;

use jiff::Timestamp;

use crate::common::sanitize::sanitize;
use crate::common::wording::Targets;
use crate::mads::endpoint::Endpoint;
use crate::mads::negotiation::Protocol;
use crate::mads::report::Report;
use crate::mads::transport::address::Security;
use crate::output;

/// What changes the status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// The control plane answers.
    Connected {
        /// Where and over what, such as `grpc://host:5676 (v1)`.
        source: String,
    },
    /// The connection is given up for another one, as asked.
    Reconnecting,
    /// There is no connection, for this reason.
    Disconnected(String),
    /// The control plane's response cannot be used, for this reason.
    Rejected(String),
    /// The control plane's responses can be used again.
    Accepted,
    /// The file holds so many targets, as it did before this daemon looked.
    Found(usize),
    /// The file has been replaced, and holds so many targets now.
    Written(usize),
    /// The file could not be written, for this reason.
    NotWritten(String),
}

impl Note {
    /// What the connection tells, as far as it changes the status.
    #[must_use]
    pub fn of_connection(report: &Report) -> Option<Self> {
        match report {
            Report::Connected {
                protocol, endpoint, ..
            } => Some(Self::Connected {
                source: source(*protocol, endpoint),
            }),
            Report::Reconnecting => Some(Self::Reconnecting),
            Report::Disconnected { error, .. } => Some(Self::Disconnected(error.to_string())),
            // Those that are logged: only after one of them it is reported that they are over.
            Report::Rejected {
                reason,
                suppressed: Some(_),
                ..
            } => Some(Self::Rejected(sanitize(&reason.to_string()))),
            Report::Accepted {
                ends_rejections: true,
                ..
            }
            | Report::Unchanged {
                ends_rejections: true,
            } => Some(Self::Accepted),
            _ => None,
        }
    }

    /// What the output tells, as far as it changes the status.
    #[must_use]
    pub fn of_output(report: &output::report::Report) -> Option<Self> {
        match report {
            output::report::Report::Written { targets, .. } => Some(Self::Written(*targets)),
            output::report::Report::Unchanged {
                targets,
                first: true,
                ..
            } => Some(Self::Found(*targets)),
            output::report::Report::WriteFailed { error, .. } => {
                Some(Self::NotWritten(error.to_string()))
            }
            output::report::Report::Unchanged { .. }
            | output::report::Report::Named(_)
            | output::report::Report::ExternalChange { .. }
            | output::report::Report::Moved { .. } => None,
        }
    }
}

fn source(protocol: Protocol, endpoint: &Endpoint) -> String {
    let scheme = match (protocol, endpoint.security) {
        (Protocol::Grpc(_), _) => "grpc",
        (Protocol::Http, Security::Plaintext) => "http",
        (Protocol::Http, Security::Tls) => "https",
    };
    let api_version = protocol.api_version();
    let authority = endpoint.authority();
    format!(
        "{scheme}://{authority}{} ({api_version})",
        endpoint.base_path
    )
}

/// All that is known.
#[derive(Debug, Clone)]
pub struct Status {
    /// `--cp-address`.
    pub(super) address: String,
    pub(super) start: Timestamp,
    /// Since when the list comes from where; `None` before the first connection, and while one that was
    /// given up is replaced.
    pub(super) source: Option<(Timestamp, String)>,
    /// Since when there has been no connection, and why.
    pub(super) outage: Option<(Timestamp, String)>,
    /// Since when responses are rejected, and why.
    pub(super) rejections: Option<(Timestamp, String)>,
    /// `None` before the first list is in the file.
    pub(super) list: Option<List>,
    /// Since when the file cannot be written, and why.
    pub(super) write_trouble: Option<(Timestamp, String)>,
}

/// The list in the file.
#[derive(Debug, Clone)]
pub(super) struct List {
    pub(super) targets: usize,
    /// `None` where the file has been as it is since before the start.
    pub(super) changed: Option<Timestamp>,
}

impl Status {
    /// The status of a daemon that starts at `start` and is to follow `address`.
    #[must_use]
    pub fn new(address: String, start: Timestamp) -> Self {
        Self {
            address,
            start,
            source: None,
            outage: None,
            rejections: None,
            list: None,
            write_trouble: None,
        }
    }

    /// Takes in what happened at `now`.
    pub fn take(&mut self, now: Timestamp, note: Note) {
        match note {
            Note::Connected { source } => {
                self.source = Some((now, source));
                self.outage = None;
            }
            Note::Reconnecting => self.source = None,
            Note::Disconnected(reason) => lasting(&mut self.outage, now, reason),
            Note::Rejected(reason) => lasting(&mut self.rejections, now, reason),
            Note::Accepted => self.rejections = None,
            Note::NotWritten(reason) => lasting(&mut self.write_trouble, now, reason),
            Note::Found(targets) => {
                let changed = self.list.as_ref().and_then(|list| list.changed);
                self.wrote(targets, changed);
            }
            Note::Written(targets) => self.wrote(targets, Some(now)),
        }
    }

    fn wrote(&mut self, targets: usize, changed: Option<Timestamp>) {
        self.list = Some(List { targets, changed });
        self.write_trouble = None;
    }
}

/// A trouble that goes on keeps its beginning, and has the newest reason.
fn lasting(trouble: &mut Option<(Timestamp, String)>, now: Timestamp, reason: String) {
    let since = trouble.take().map_or(now, |(since, _)| since);
    *trouble = Some((since, reason));
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((since, reason)) = &self.write_trouble {
            let since = Time(*since);
            write!(formatter, "cannot write the file since {since}: {reason}; ")?;
        }
        match (&self.list, &self.source) {
            (Some(list), source) => {
                write!(formatter, "{}", Targets(list.targets))?;
                if let Some((_, source)) = source {
                    write!(formatter, " from {source}")?;
                }
                match list.changed {
                    Some(changed) => write!(formatter, ", changed {}", Time(changed))?,
                    None => write!(formatter, ", unchanged since {}", Time(self.start))?,
                }
            }
            (None, Some((_, source))) => write!(formatter, "no list yet from {source}")?,
            (None, None) => write!(formatter, "no list yet from {}", self.address)?,
        }
        if let Some((since, reason)) = &self.rejections {
            let since = Time(*since);
            write!(
                formatter,
                "; responses are rejected since {since}: {reason}"
            )?;
        }
        if let Some((since, reason)) = &self.outage {
            let since = Time(*since);
            write!(formatter, "; no connection since {since}: {reason}")?;
        }
        Ok(())
    }
}

/// A time of day for today's reader, and the date for tomorrow's.
struct Time(Timestamp);

impl fmt::Display for Time {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0.strftime("%H:%M:%S UTC on %Y-%m-%d"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Note, Status};
    use jiff::Timestamp;

    const START: i64 = 1_700_000_000;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(START + seconds).unwrap()
    }

    fn connected() -> Note {
        Note::Connected {
            source: "grpc://kuma:5676 (v1)".to_owned(),
        }
    }

    #[test]
    fn each_note_changes_the_words() {
        let unreachable = || Note::Disconnected("kuma:5676: refused".to_owned());
        let full = || Note::NotWritten("no space left".to_owned());
        let rows = [
            (
                unreachable(),
                "no list yet from http://kuma:5681; no connection since 22:13:20 UTC on 2023-11-14: kuma:5676: refused",
            ),
            (
                unreachable(),
                "no list yet from http://kuma:5681; no connection since 22:13:20 UTC on 2023-11-14: kuma:5676: refused",
            ),
            (connected(), "no list yet from grpc://kuma:5676 (v1)"),
            (
                Note::Found(2),
                "2 targets from grpc://kuma:5676 (v1), unchanged since 22:13:20 UTC on 2023-11-14",
            ),
            (
                Note::Written(1),
                "1 target from grpc://kuma:5676 (v1), changed 22:13:24 UTC on 2023-11-14",
            ),
            (
                full(),
                "cannot write the file since 22:13:25 UTC on 2023-11-14: no space left; 1 target from grpc://kuma:5676 (v1), changed 22:13:24 UTC on 2023-11-14",
            ),
            (
                full(),
                "cannot write the file since 22:13:25 UTC on 2023-11-14: no space left; 1 target from grpc://kuma:5676 (v1), changed 22:13:24 UTC on 2023-11-14",
            ),
            (
                Note::Found(1),
                "1 target from grpc://kuma:5676 (v1), changed 22:13:24 UTC on 2023-11-14",
            ),
            (
                unreachable(),
                "1 target from grpc://kuma:5676 (v1), changed 22:13:24 UTC on 2023-11-14; no connection since 22:13:28 UTC on 2023-11-14: kuma:5676: refused",
            ),
            (
                connected(),
                "1 target from grpc://kuma:5676 (v1), changed 22:13:24 UTC on 2023-11-14",
            ),
            (
                Note::Rejected("resource 0".to_owned()),
                "1 target from grpc://kuma:5676 (v1), changed 22:13:24 UTC on 2023-11-14; responses are rejected since 22:13:30 UTC on 2023-11-14: resource 0",
            ),
            (
                Note::Accepted,
                "1 target from grpc://kuma:5676 (v1), changed 22:13:24 UTC on 2023-11-14",
            ),
        ];
        let mut status = Status::new("http://kuma:5681".to_owned(), at(0));
        assert_eq!(status.to_string(), "no list yet from http://kuma:5681");
        for (second, (note, expected)) in (0..).zip(rows) {
            status.take(at(second), note.clone());
            assert_eq!(status.to_string(), expected, "after {note:?}");
        }
    }
}
