//! The daemon's metrics: their names, what each counts, and their two text formats.
//!
//! Pure but for the time until the next attempt, and for what the process itself uses, which `process`
//! asks the system for. The library writes OpenMetrics; the older text format of Prometheus differs from
//! it in the lines made here. `docs/operators-guide.md` has a table of all metrics, which a test compares
//! with the output.

mod process;

use std::fmt;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::mads::negotiation::Protocol;
use crate::mads::report::Report;
use process::Process;

/// How the names of all metrics begin but those that every exporter has.
const PREFIX: &str = "kuma_prometheus_sd";

/// The bounds of the buckets of a write's duration, in seconds: from a small file on a fast disk to a
/// write that hangs.
const WRITE_BUCKETS: [f64; 8] = [0.001, 0.004, 0.016, 0.064, 0.25, 1.0, 4.0, 16.0];

/// A text format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// OpenMetrics 1.0.0.
    OpenMetrics,
    /// Version 0.0.4 of Prometheus' own.
    Prometheus,
}

/// Everything that is counted. A time is `None` before the first.
#[derive(Debug, Clone)]
pub(super) struct Metrics {
    start: Timestamp,
    /// `None` while there is no connection.
    protocol: Option<Protocol>,
    attempts: Outcomes,
    /// `None` while there is a connection, and before the first attempt has failed.
    next_attempt: Option<Instant>,
    accepted: u64,
    rejected: u64,
    last_response: Option<Timestamp>,
    /// `None` before the first list.
    targets: Option<usize>,
    targets_skipped: usize,
    last_change: Option<Timestamp>,
    writes: Outcomes,
    write_duration: Histogram,
    file_size: Option<usize>,
    last_write: Option<Timestamp>,
    /// Whether all threads meet their deadlines.
    pub(super) is_responsive: bool,
}

/// How often something succeeded and failed.
#[derive(Debug, Clone, Copy, Default)]
struct Outcomes {
    success: u64,
    failure: u64,
}

impl Metrics {
    /// Of a daemon that starts at `start`.
    pub(super) fn new(start: Timestamp) -> Self {
        Self {
            start,
            protocol: None,
            attempts: Outcomes::default(),
            next_attempt: None,
            accepted: 0,
            rejected: 0,
            last_response: None,
            targets: None,
            targets_skipped: 0,
            last_change: None,
            writes: Outcomes::default(),
            write_duration: Histogram::new(WRITE_BUCKETS),
            file_size: None,
            last_write: None,
            is_responsive: true,
        }
    }

    /// The connection reported something at `now`.
    pub(super) fn connection(&mut self, now: Timestamp, report: &Report) {
        match report {
            Report::Connected { protocol, .. } => {
                self.attempts.success += 1;
                self.protocol = Some(*protocol);
                self.next_attempt = None;
            }
            Report::Disconnected { retry_in, .. } => {
                // The end of a connection is no attempt to connect.
                if self.protocol.take().is_none() {
                    self.attempts.failure += 1;
                }
                self.next_attempt = Some(Instant::now() + *retry_in);
            }
            // What was there is given up, and the next attempt begins at once.
            Report::Reconnecting => {
                self.protocol = None;
                self.next_attempt = None;
            }
            // A server may refuse a protocol after it seemed to be served.
            Report::NotServed { .. } => self.protocol = None,
            Report::Received { .. } | Report::Unchanged { .. } => self.last_response = Some(now),
            Report::Accepted { skipped, .. } => {
                self.accepted += 1;
                self.targets_skipped = *skipped;
            }
            Report::Rejected { .. } => self.rejected += 1,
            _ => {}
        }
    }

    /// A list was accepted at `now`. It `is_changed` where it is another one than before, or the first.
    pub(super) fn list(&mut self, now: Timestamp, targets: usize, is_changed: bool) {
        self.targets = Some(targets);
        if is_changed {
            self.last_change = Some(now);
        }
    }

    /// An attempt to get so many bytes into the file, and the file to the disk, ended at `now`.
    pub(super) fn replaced(
        &mut self,
        now: Timestamp,
        bytes: usize,
        took: Duration,
        is_success: bool,
    ) {
        self.write_duration.observe(took.as_secs_f64());
        if is_success {
            self.writes.success += 1;
            self.file_size = Some(bytes);
            self.last_write = Some(now);
        } else {
            self.writes.failure += 1;
        }
    }

    /// All metrics as they are now.
    pub(super) fn encode(&self, format: Format) -> String {
        let mut own = Registry::with_prefix(PREFIX);
        own.register_collector(Box::new(Scrape(self.clone())));
        let mut process = Registry::default();
        process.register_collector(Box::new(Process { start: self.start }));
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode_registry(&mut text, &own)
            .and_then(|()| encode_registry(&mut text, &process))
            .and_then(|()| encode_eof(&mut text));
        match format {
            Format::OpenMetrics => text,
            Format::Prometheus => prometheus_text(&text),
        }
    }
}

impl Outcomes {
    fn named(self) -> [(&'static str, u64); 2] {
        [("success", self.success), ("failure", self.failure)]
    }
}

/// The metrics at the time of a request.
#[derive(Debug)]
struct Scrape(Metrics);

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let encoder = &mut encoder;
        let version = [("version", crate::VERSION)];
        info(encoder, "build", "Version of the program", Some(version))?;
        self.0.encode_connection(encoder)?;
        self.0.encode_list(encoder)?;
        self.0.encode_file(encoder)?;
        let help = "Whether all threads meet their deadlines";
        gauge(encoder, "responsive", help, f64::from(self.0.is_responsive))
    }
}

impl Metrics {
    fn encode_connection(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Whether there is a connection to the control plane";
        gauge(encoder, "connected", help, f64::from(self.protocol.is_some()))?;
        let connection = self.protocol.map(|protocol| {
            let transport = match protocol {
                Protocol::Grpc(_) => "grpc",
                Protocol::Http => "http",
            };
            let api_version = protocol.api_version().to_string();
            [("transport", transport.to_owned()), ("api_version", api_version)]
        });
        let help = "Transport and API version in use, while connected";
        info(encoder, "connection", help, connection)?;
        let help = "Attempts to connect to the control plane, by outcome";
        outcomes(encoder, "connection_attempts", help, self.attempts.named())?;
        let wait = self
            .next_attempt
            .map_or(Duration::ZERO, |next| next.saturating_duration_since(Instant::now()));
        let help = "Time until the next attempt to connect, 0 while connected or connecting";
        gauge(encoder, "next_attempt_seconds", help, wait.as_secs_f64())?;
        let help = "Responses of the control plane, by outcome";
        let responses = [("accepted", self.accepted), ("rejected", self.rejected)];
        outcomes(encoder, "responses", help, responses)?;
        let help = "Unix time of the last response";
        gauge(encoder, "last_response_timestamp_seconds", help, seconds(self.last_response))
    }

    fn encode_list(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Targets in the last accepted list";
        gauge(encoder, "targets", help, number(self.targets))?;
        let help = "Targets of the last accepted list that have no address and were left out";
        gauge(encoder, "targets_skipped", help, number(Some(self.targets_skipped)))?;
        let help = "Unix time at which the list last changed";
        gauge(encoder, "last_change_timestamp_seconds", help, seconds(self.last_change))
    }

    fn encode_file(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Attempts to write the file, by outcome";
        outcomes(encoder, "file_writes", help, self.writes.named())?;
        let help = "Time to write the file and flush it to disk";
        let name = "file_write_duration_seconds";
        let duration = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        self.write_duration.encode(duration)?;
        let help = "Size of the file as it was last written";
        gauge(encoder, "file_size_bytes", help, number(self.file_size))?;
        let help = "Unix time at which the file was last written";
        gauge(encoder, "last_write_timestamp_seconds", help, seconds(self.last_write))
    }
}

/// What is not known yet has no sample.
fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: impl Into<Option<f64>>,
) -> fmt::Result {
    let encoder = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    match value.into() {
        Some(value) => ConstGauge::new(value).encode(encoder),
        None => Ok(()),
    }
}

fn outcomes(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    counts: [(&str, u64); 2],
) -> fmt::Result {
    let mut encoder = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    counts.iter().try_for_each(|(outcome, count)| {
        ConstCounter::new(*count).encode(encoder.encode_family(&[("outcome", *outcome)])?)
    })
}

fn info<L: EncodeLabelSet + Clone + Eq + std::hash::Hash>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    labels: Option<L>,
) -> fmt::Result {
    let encoder = encoder.encode_descriptor(name, help, None, MetricType::Info)?;
    match labels {
        Some(labels) => Info::new(labels).encode(encoder),
        None => Ok(()),
    }
}

fn number(count: Option<usize>) -> Option<f64> {
    count.map(|count| count as f64)
}

fn seconds(time: Option<Timestamp>) -> Option<f64> {
    time.map(|time| time.as_millisecond() as f64 / 1000.0)
}

/// The same in the older format: there the name of a counter has its suffix in all lines, an info is a
/// gauge, and there is no end mark.
fn prometheus_text(openmetrics: &str) -> String {
    let types =
        openmetrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let types: Vec<(&str, &str)> = types.collect();
    let is = |name, kind| types.contains(&(name, kind));
    let mut text = String::with_capacity(openmetrics.len());
    for line in openmetrics.lines().filter(|line| *line != "# EOF") {
        let comment = ["# HELP ", "# TYPE "]
            .into_iter()
            .find_map(|start| Some((start, line.strip_prefix(start)?.split_once(' ')?)));
        match comment {
            Some((start, (name, rest))) if is(name, "counter") => {
                text.extend([start, name, "_total ", rest]);
            }
            Some((start, (name, rest))) if is(name, "info") => {
                let rest = if start == "# TYPE " { "gauge" } else { rest };
                text.extend([start, name, "_info ", rest]);
            }
            _ => text.push_str(line),
        }
        text.push('\n');
    }
    text
}
