//! What is odd about the targets of a list, and when to report it: where it is new, and once a minute at
//! most.
//!
//! Pure.

use std::time::Instant;

use crate::common::backoff::RateLimit;
use crate::mads::assignment::SkippedTarget;
use crate::mads::report::Report;
use crate::snapshot::Snapshot;

/// What Kuma from 2.14 on says where a Dataplane does not name its workload.
const UNKNOWN_SERVICE: &str = "unknown";

/// What has been reported.
#[derive(Debug, Default)]
pub(super) struct TargetWarnings {
    /// The targets without an address that were reported last.
    skipped: Vec<SkippedTarget>,
    skipped_reminders: RateLimit,
    unknown_service_reminders: RateLimit,
}

impl TargetWarnings {
    /// What there is to report of a list that was accepted.
    pub(super) fn about(
        &mut self,
        now: Instant,
        snapshot: &Snapshot,
        skipped: Vec<SkippedTarget>,
    ) -> impl Iterator<Item = Report> + use<> {
        let skipped = self.about_skipped(now, skipped);
        let unknown = self.about_unknown_services(now, snapshot);
        skipped.into_iter().chain(unknown)
    }

    /// Targets without an address are reported where they are other ones than the last time.
    fn about_skipped(&mut self, now: Instant, mut skipped: Vec<SkippedTarget>) -> Option<Report> {
        // The order of arrival is random.
        skipped.sort_unstable();
        if skipped == self.skipped {
            return None;
        }
        let is_report = !skipped.is_empty();
        let quiet = is_report && self.skipped_reminders.allow(now).is_none();
        if !quiet {
            self.skipped.clone_from(&skipped);
        }
        let targets = skipped;
        is_report.then_some(Report::Skipped { targets, quiet })
    }

    /// Targets with the service that stands for none are reported once, until there are none.
    fn about_unknown_services(&mut self, now: Instant, snapshot: &Snapshot) -> Option<Report> {
        let unknown = snapshot.groups_of_service(UNKNOWN_SERVICE);
        if unknown == 0 {
            self.unknown_service_reminders.end();
            return None;
        }
        if self.unknown_service_reminders.has_logged() {
            return None;
        }
        let quiet = self.unknown_service_reminders.allow(now).is_none();
        Some(Report::UnknownServices { unknown, targets: snapshot.groups(), quiet })
    }
}
