//! Watches the log: how many lines an operator has to read in any minute.

use std::collections::VecDeque;
use std::time::Duration;

use kuma_prometheus_sd::mads::report;
use kuma_prometheus_sd::output;
use log::Level;

use super::{Invariant, Verdict};
use crate::rng::seconds;

const MINUTE: Duration = seconds(60);

/// Lines about the connection, whatever a control plane does: outages logged at once and their ends,
/// rejections, skipped targets.
const CONNECTION_LINES: usize = 15;

/// Lines about the connection while nothing at all is heard of a control plane.
const LINES_WHILE_AWAY: usize = 4;

/// An operator who asks for a new connection gets a line for that, and sees at once how it goes:
/// the connection, the next failure, and what comes of that.
const LINES_FOR_A_RECONNECT: usize = 3;

/// Lines about where MADS is, however often the API server changes its mind.
const ENDPOINT_WARNING_LINES: usize = 3;

/// Lines about the file, whatever happens: its replacements, foreign changes, and trouble with the
/// disk.
const FILE_LINES: usize = 60;

/// Warnings about the file: foreign changes, three at once and then one a minute, and lists that become
/// empty, which are writes: ten at once and then one in 6 s.
const FILE_WARNINGS: usize = (3 + 1) + (10 + 10);

#[derive(Debug, Default)]
pub(crate) struct LogWatch {
    connection: Window,
    reconnects: Window,
    endpoint_warnings: Window,
    file: Window,
    file_warnings: Window,
    last_heard: Duration,
}

/// When lines were logged within the last minute.
#[derive(Debug, Default)]
struct Window(VecDeque<Duration>);

impl Window {
    fn add(&mut self, now: Duration) -> usize {
        self.0.push_back(now);
        self.within_a_minute(now)
    }

    fn within_a_minute(&mut self, now: Duration) -> usize {
        while self.0.front().is_some_and(|first| *first + MINUTE <= now) {
            self.0.pop_front();
        }
        self.0.len()
    }

    fn since(&self, start: Duration) -> usize {
        self.0.iter().filter(|time| **time > start).count()
    }
}

impl LogWatch {
    /// Something was heard of a control plane.
    pub(crate) fn heard(&mut self, now: Duration) {
        self.last_heard = now;
    }

    pub(crate) fn connection(
        &mut self,
        now: Duration,
        report: &report::Report,
        verdict: &mut Verdict,
    ) {
        if let report::Report::Reconnecting = report {
            self.reconnects.add(now);
            return;
        }
        if report.level() > Level::Info {
            return;
        }
        if let report::Report::EndpointWarning { .. } = report {
            let lines = self.endpoint_warnings.add(now);
            verdict.require(
                lines <= ENDPOINT_WARNING_LINES,
                Invariant::EndpointWarningsAreRare,
                || format!("{lines} lines about where MADS is in a minute, now {report:?}"),
            );
            return;
        }
        let asked_for = LINES_FOR_A_RECONNECT * self.reconnects.within_a_minute(now);
        let lines = self.connection.add(now);
        verdict.require(lines <= CONNECTION_LINES + asked_for, Invariant::LogIsBounded, || {
            format!("{lines} lines about the connection in a minute, now {report:?}")
        });
        let lines = self.connection.since(self.last_heard);
        verdict.require(lines <= LINES_WHILE_AWAY + asked_for, Invariant::LogIsBounded, || {
            format!("{lines} lines in a minute of an outage, now {report:?}")
        });
    }

    pub(crate) fn file(
        &mut self,
        now: Duration,
        report: &output::report::Report,
        verdict: &mut Verdict,
    ) {
        if report.level() > Level::Info {
            return;
        }
        if report.level() == Level::Warn {
            let lines = self.file_warnings.add(now);
            verdict.require(lines <= FILE_WARNINGS, Invariant::LogIsBounded, || {
                format!("{lines} warnings about the file in a minute, now {report:?}")
            });
        }
        let lines = self.file.add(now);
        verdict.require(lines <= FILE_LINES, Invariant::LogIsBounded, || {
            format!("{lines} lines about the file in a minute, now {report:?}")
        });
    }
}
