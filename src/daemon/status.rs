//! How the daemon is doing, in one line of words, as a service manager shows it.
//!
//! Pure.

use std::fmt;

use jiff::Timestamp;

use crate::common::sanitize::sanitize;
use crate::common::wording::Targets;
use crate::mads::endpoint::Endpoint;
use crate::mads::negotiation::Protocol;
use crate::mads::report::Report;
use crate::output;
use crate::output::file::WriteError;

/// All that is known.
#[derive(Debug, Clone)]
pub(super) struct Status {
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
    pub(super) fn new(address: String, start: Timestamp) -> Self {
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

    /// The connection reported something at `now`.
    pub(super) fn connection(&mut self, now: Timestamp, report: &Report) {
        match report {
            Report::Connected { protocol, endpoint, .. } => {
                self.source = Some((now, source(*protocol, endpoint)));
                self.outage = None;
            }
            Report::Reconnecting => self.source = None,
            Report::Disconnected { error, .. } => lasting(&mut self.outage, now, error.to_string()),
            // Those that are logged: only after one of them it is reported that they are over.
            Report::Rejected { reason, suppressed: Some(_), .. } => {
                lasting(&mut self.rejections, now, sanitize(&reason.to_string()));
            }
            Report::Accepted { ends_rejections: true, .. }
            | Report::Unchanged { ends_rejections: true } => self.rejections = None,
            _ => {}
        }
    }

    /// The output reported something at `now`.
    pub(super) fn output(&mut self, now: Timestamp, report: &output::report::Report) {
        use output::report::Report;
        match report {
            Report::Written { targets, .. } => self.holds(*targets, Some(now)),
            Report::Unchanged { targets, .. } => {
                let changed = self.list.as_ref().and_then(|list| list.changed);
                self.holds(*targets, changed);
            }
            Report::WriteFailed { error, .. } => self.cannot_write(now, error),
            Report::Named(_) | Report::ExternalChange { .. } | Report::Moved { .. } => {}
        }
    }

    /// The file could not be written at `now`.
    pub(super) fn cannot_write(&mut self, now: Timestamp, error: &WriteError) {
        lasting(&mut self.write_trouble, now, error.to_string());
    }

    fn holds(&mut self, targets: usize, changed: Option<Timestamp>) {
        self.list = Some(List { targets, changed });
        self.write_trouble = None;
    }
}

fn source(protocol: Protocol, endpoint: &Endpoint) -> String {
    let api_version = protocol.api_version();
    match protocol {
        Protocol::Grpc(_) => format!("grpc://{} ({api_version})", endpoint.authority()),
        Protocol::Http => format!("{} ({api_version})", endpoint.address.http_url("")),
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
            write!(formatter, "; responses are rejected since {since}: {reason}")?;
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
    use super::{Status, lasting};
    use crate::mads;
    use crate::output::changes::Changes;
    use crate::output::file::WriteError;
    use crate::output::report::Report;
    use jiff::Timestamp;
    use std::io;
    use std::path::Path;

    const START: i64 = 1_700_000_000;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(START + seconds).unwrap()
    }

    /// What happens at a time.
    type Step = fn(&mut Status, Timestamp);

    fn connected(status: &mut Status, now: Timestamp) {
        status.source = Some((now, "grpc://kuma:5676 (v1)".to_owned()));
        status.outage = None;
    }

    fn unreachable(status: &mut Status, now: Timestamp) {
        lasting(&mut status.outage, now, "kuma:5676: refused".to_owned());
    }

    fn full(status: &mut Status, now: Timestamp) {
        let error = WriteError::new("write", Path::new("/f"))(io::Error::other("no space left"));
        status.cannot_write(now, &error);
    }

    fn written(targets: usize) -> Report {
        Report::Written {
            targets,
            changes: Changes::default(),
            logged_changes: Changes::default(),
            emptied: None,
            mode: None,
            failed_for: None,
            suppressed: None,
        }
    }

    fn unchanged(targets: usize) -> Report {
        Report::Unchanged { targets, failed_for: None, should_log: false }
    }

    #[test]
    fn the_words_say_how_it_is_and_since_when() {
        let rows: [(Step, &str); 12] = [
            (
                unreachable,
                "no list yet from http://kuma:5681; no connection since 22:13:20 UTC on 2023-11-14: kuma:5676: refused",
            ),
            (
                unreachable,
                "no list yet from http://kuma:5681; no connection since 22:13:20 UTC on 2023-11-14: kuma:5676: refused",
            ),
            (connected, "no list yet from grpc://kuma:5676 (v1)"),
            (
                |status, now| status.output(now, &unchanged(2)),
                "2 targets from grpc://kuma:5676 (v1), unchanged since 22:13:20 UTC on 2023-11-14",
            ),
            (
                |status, now| status.output(now, &written(1)),
                "1 target from grpc://kuma:5676 (v1), changed 22:13:24 UTC on 2023-11-14",
            ),
            (
                full,
                "cannot write the file since 22:13:25 UTC on 2023-11-14: cannot write /f: no space left; 1 target from grpc://kuma:5676 (v1), changed 22:13:24 UTC on 2023-11-14",
            ),
            (
                full,
                "cannot write the file since 22:13:25 UTC on 2023-11-14: cannot write /f: no space left; 1 target from grpc://kuma:5676 (v1), changed 22:13:24 UTC on 2023-11-14",
            ),
            (
                |status, now| status.output(now, &unchanged(1)),
                "1 target from grpc://kuma:5676 (v1), changed 22:13:24 UTC on 2023-11-14",
            ),
            (
                unreachable,
                "1 target from grpc://kuma:5676 (v1), changed 22:13:24 UTC on 2023-11-14; no connection since 22:13:28 UTC on 2023-11-14: kuma:5676: refused",
            ),
            (connected, "1 target from grpc://kuma:5676 (v1), changed 22:13:24 UTC on 2023-11-14"),
            (
                |status, now| lasting(&mut status.rejections, now, "resource 0".to_owned()),
                "1 target from grpc://kuma:5676 (v1), changed 22:13:24 UTC on 2023-11-14; responses are rejected since 22:13:30 UTC on 2023-11-14: resource 0",
            ),
            (
                |status, now| {
                    let ends_rejections = true;
                    status.connection(now, &mads::report::Report::Unchanged { ends_rejections });
                },
                "1 target from grpc://kuma:5676 (v1), changed 22:13:24 UTC on 2023-11-14",
            ),
        ];
        let mut status = Status::new("http://kuma:5681".to_owned(), at(0));
        assert_eq!(status.to_string(), "no list yet from http://kuma:5681");
        for (second, (step, expected)) in (0..).zip(rows) {
            step(&mut status, at(second));
            assert_eq!(status.to_string(), expected, "after second {second}");
        }
    }
}
