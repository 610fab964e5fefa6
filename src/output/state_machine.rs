//! The output file, as a state machine: when to write, when to look whether the file is still
//! ours, when to try again, and what to log about it.
//!
//! Pure: no I/O, no clock, no log. `step` takes in what happened and when, and answers what to do.

mod event;

use std::sync::Arc;
use std::time::{Duration, Instant};

pub use event::{Action, Event, Failure, Inspection};

use crate::common::backoff::{Backoff, RateLimit};
use crate::common::machine::Machine;
use crate::output::changes::{Changes, Difference};
use crate::output::file::WriteError;
use crate::output::report::{ExternalChange, Report};
use crate::snapshot::Snapshot;

/// At most ten replacements a second: Prometheus reads the file anew after each.
const REPLACEMENT_INTERVAL: Duration = Duration::from_millis(100);

/// Prometheus takes some 70 µs of processor time for each target of a file that has changed, 7 s for
/// 100,000. So large files are replaced less often; but not less than Prometheus itself applies what it
/// has read.
const REPLACEMENT_INTERVAL_PER_GROUP: Duration = Duration::from_micros(50);
const LONGEST_REPLACEMENT_INTERVAL: Duration = Duration::from_secs(5);

/// How often to look whether the file is still ours, so that a foreign change is put right well
/// within 10 s.
const INSPECTION_INTERVAL: Duration = Duration::from_secs(5);

/// So many writes are logged at once; after that, one in each interval.
const WRITES_LOGGED_AT_ONCE: u32 = 10;
const WRITES_LOG_INTERVAL: Duration = Duration::from_secs(6);

/// So many external changes are logged at once; after that, one a minute.
const WARNINGS_AT_ONCE: u32 = 3;

/// The state machine.
#[derive(Debug)]
pub struct Output {
    /// Whether to name the targets that a write changes.
    names_targets: bool,
    /// The newest list; `None` until the first one has come.
    wanted: Option<Arc<Snapshot>>,
    file: FileState,
    /// Whether the last replacement that came into place could not be flushed to the disk.
    flush_is_owed: bool,
    /// How many targets the file had when it last held a list; `None` until it has held one.
    targets_before: Option<usize>,
    /// Before this time nothing is written.
    next_replacement: Instant,
    next_inspection: Instant,
    backoff: Backoff,
    /// Since when the file cannot be written.
    failing_since: Option<Instant>,
    failures: RateLimit,
    writes: RateLimit,
    /// What all writes that were not logged have changed, added up.
    unlogged_changes: Changes,
    external_changes: RateLimit,
    /// Whether the path has led elsewhere since the file was last known, so that it is no wonder if
    /// that is another one.
    has_moved: bool,
    finishing: bool,
}

/// What is known of the file.
#[derive(Debug)]
enum FileState {
    /// Nothing: the daemon has just started, or a write failed halfway.
    None,
    /// It holds exactly this.
    Holds(Arc<Snapshot>),
    /// It holds what nobody asked for, or nothing at all. This puts it right, with what is wanted by then.
    Different(Replacement),
    /// It is being compared with this, which it held when it was last looked at, or may hold.
    Inspecting { content: Arc<Snapshot>, held: bool },
    /// It is being replaced.
    Replacing(Replacement),
    /// It has been replaced, but that could not be flushed to the disk.
    Unflushed(Replacement),
    /// That is being flushed once more.
    Flushing(Replacement),
}

/// One write.
#[derive(Debug)]
struct Replacement {
    content: Arc<Snapshot>,
    /// What the file held; `None` once that has been compared.
    before: Option<Before>,
    /// What the write has changed, once it is done.
    changes: Changes,
    /// How many targets the list had before, where it has become empty.
    emptied: Option<usize>,
    /// The permissions that the file had, where they alone were wrong.
    mode: Option<u32>,
    /// Whether it is not worth a line, as it was not that the file was found otherwise.
    is_quiet: bool,
}

/// What a file held before it was replaced.
#[derive(Debug)]
enum Before {
    List(Arc<Snapshot>),
    Other(Vec<u8>),
}

impl Replacement {
    fn of(content: &Arc<Snapshot>, before: Option<Before>) -> Self {
        Self {
            content: Arc::clone(content),
            before,
            changes: Changes::default(),
            emptied: None,
            mode: None,
            is_quiet: false,
        }
    }
}

impl Machine for Output {
    type Event = Event;
    type Action = Action;

    const TIME: Event = Event::Time;

    /// `None` while nothing is to be done before the next list.
    fn deadline(&self) -> Option<Instant> {
        let wanted = self.wanted.as_ref()?;
        match &self.file {
            FileState::Inspecting { .. } | FileState::Replacing(_) | FileState::Flushing(_) => None,
            FileState::Holds(content) if content == wanted => Some(self.next_inspection),
            FileState::None
            | FileState::Holds(_)
            | FileState::Different(_)
            | FileState::Unflushed(_) => Some(self.next_replacement),
        }
    }

    fn step(&mut self, now: Instant, random: f64, event: Event) -> Vec<Action> {
        let has_failed = matches!(event, Event::Replaced(Err(_)));
        let mut actions = match event {
            Event::Time => Vec::new(),
            Event::Wanted(content) => self.want(content).into_iter().collect(),
            Event::Inspected(result) => self.inspected(now, result),
            Event::Replaced(result) => self.replaced(now, random, result),
            Event::Moved(moved) => {
                self.has_moved = true;
                let suppressed = self.external_changes.allow(now);
                vec![Action::Report(Report::Moved { moved, suppressed })]
            }
            Event::Finish => {
                self.finishing = true;
                Vec::new()
            }
        };
        // What has failed is not tried again at once, not even at the end.
        if !has_failed {
            actions.extend(self.act(now));
        }
        actions
    }
}

impl Output {
    /// A machine that knows nothing of the file yet. `names_targets` says whether to name those that a
    /// write changes, which takes time.
    pub fn new(start: Instant, names_targets: bool) -> Self {
        Self {
            names_targets,
            wanted: None,
            file: FileState::None,
            flush_is_owed: false,
            targets_before: None,
            next_replacement: start,
            next_inspection: start,
            backoff: Backoff::default(),
            failing_since: None,
            failures: RateLimit::default(),
            writes: RateLimit::new(WRITES_LOGGED_AT_ONCE, WRITES_LOG_INTERVAL),
            unlogged_changes: Changes::default(),
            external_changes: RateLimit::reminders(WARNINGS_AT_ONCE),
            has_moved: false,
            finishing: false,
        }
    }

    fn want(&mut self, content: Arc<Snapshot>) -> Option<Action> {
        let report =
            Report::Unchanged { targets: content.groups(), failed_for: None, should_log: false };
        match &self.file {
            FileState::Holds(held) if *held == content => {
                self.wanted = Some(Arc::clone(held));
                Some(Action::Report(report))
            }
            _ => {
                self.wanted = Some(content);
                None
            }
        }
    }

    /// Does what is due.
    fn act(&mut self, now: Instant) -> Option<Action> {
        let wanted = self.wanted.clone()?;
        let due = self.deadline()?;
        let is_settled = matches!(&self.file, FileState::Holds(content) if *content == wanted);
        let is_urgent = self.finishing && !is_settled;
        if now < due && !is_urgent {
            return None;
        }
        let replacement = match std::mem::replace(&mut self.file, FileState::None) {
            FileState::Unflushed(replacement) if replacement.content == wanted => {
                self.file = FileState::Flushing(replacement);
                return Some(Action::Flush);
            }
            FileState::Unflushed(Replacement { content: held, .. }) => {
                Replacement::of(&wanted, Some(Before::List(held)))
            }
            FileState::Holds(held) if !is_settled => {
                Replacement::of(&wanted, Some(Before::List(held)))
            }
            FileState::Different(found) => Replacement { content: Arc::clone(&wanted), ..found },
            _ => {
                self.file =
                    FileState::Inspecting { content: Arc::clone(&wanted), held: is_settled };
                return Some(Action::Inspect(wanted));
            }
        };
        self.next_replacement = now + replacement_interval(wanted.groups());
        self.file = FileState::Replacing(replacement);
        Some(Action::Replace(wanted))
    }

    fn inspected(&mut self, now: Instant, result: Result<Inspection, WriteError>) -> Vec<Action> {
        let FileState::Inspecting { content, held } = &self.file else {
            return Vec::new();
        };
        let (content, held) = (Arc::clone(content), *held);
        let has_moved = std::mem::take(&mut self.has_moved);
        let (before, what) = match result {
            Ok(Inspection::Same) => return self.found(now, content, held),
            Ok(Inspection::OtherMode(mode)) => {
                let before = Before::List(Arc::clone(&content));
                (before, ExternalChange::Mode(mode))
            }
            Ok(Inspection::Different(bytes)) => (Before::Other(bytes), ExternalChange::Changed),
            Ok(Inspection::Missing) => (Before::Other(Vec::new()), ExternalChange::Missing),
            // It is replaced nevertheless: if that fails too, its error says why.
            Err(error) => (Before::Other(Vec::new()), ExternalChange::Unreadable(error)),
        };
        let mode = match what {
            ExternalChange::Mode(mode) => Some(mode),
            _ => None,
        };
        // What was not there before, or not at this path, is nobody's change.
        let is_change = held && !has_moved;
        let suppressed = is_change.then(|| self.external_changes.allow(now)).flatten();
        self.file = FileState::Different(Replacement {
            mode,
            is_quiet: is_change && suppressed.is_none(),
            ..Replacement::of(&content, Some(before))
        });
        let report = Action::Report(Report::ExternalChange { what, suppressed });
        is_change.then_some(report).into_iter().collect()
    }

    /// The file holds `content`, as it did before where it was `held`.
    fn found(&mut self, now: Instant, content: Arc<Snapshot>, held: bool) -> Vec<Action> {
        if self.flush_is_owed {
            self.file = FileState::Flushing(Replacement::of(&content, None));
            return vec![Action::Flush];
        }
        let is_first = self.targets_before.is_none();
        let report = self.unchanged(now, content, is_first);
        let report = (!held).then_some(Action::Report(report));
        report.into_iter().collect()
    }

    fn unchanged(&mut self, now: Instant, content: Arc<Snapshot>, is_first: bool) -> Report {
        let targets = content.groups();
        self.holds(now, content);
        let failed_for = self.recovered(now);
        Report::Unchanged { targets, failed_for, should_log: is_first || failed_for.is_some() }
    }

    fn holds(&mut self, now: Instant, content: Arc<Snapshot>) {
        self.targets_before = Some(content.groups());
        self.file = FileState::Holds(content);
        self.next_inspection = now + INSPECTION_INTERVAL;
        self.has_moved = false;
    }

    fn replaced(&mut self, now: Instant, random: f64, result: Result<(), Failure>) -> Vec<Action> {
        let (mut replacement, is_old) = match std::mem::replace(&mut self.file, FileState::None) {
            FileState::Replacing(replacement) => (replacement, false),
            FileState::Flushing(replacement) => (replacement, true),
            other => {
                self.file = other;
                return Vec::new();
            }
        };
        let failure = match result {
            Ok(()) => None,
            Err(Failure::Unflushed(error)) => Some(error),
            // Over the network a rename may be done and its answer lost, so nothing is known after it.
            Err(Failure::Unwritten(error)) => return vec![self.failed(now, random, error)],
        };
        self.flush_is_owed = failure.is_some();
        let before = replacement.before.take();
        let named = before.and_then(|before| self.compare(&before, &mut replacement));
        if !is_old {
            // Until it is logged.
            self.writes.suppress();
            self.unlogged_changes.add(replacement.changes);
        }
        let named = named.map(Action::Report).into_iter();
        let outcome = match failure {
            None => Action::Report(self.written(now, replacement, is_old)),
            Some(error) => {
                self.file = FileState::Unflushed(replacement);
                self.failed(now, random, error)
            }
        };
        named.chain([outcome]).collect()
    }

    /// What a write has changed; the targets by name, where that is wanted. This is work for nothing but
    /// a line of the log, so the file is in place by now.
    fn compare(&self, before: &Before, replacement: &mut Replacement) -> Option<Report> {
        let difference = match before {
            Before::List(list) => Difference::between(list, &replacement.content),
            Before::Other(bytes) => Difference::from_file(bytes, &replacement.content),
        };
        let changes = difference.count();
        // What somebody else has put into the file was never on the control plane's list.
        let targets_before = self.targets_before.unwrap_or(changes.removed);
        let is_emptied = replacement.content.groups() == 0 && targets_before > 0;
        replacement.emptied = is_emptied.then_some(targets_before);
        replacement.changes = changes;
        let is_named = self.names_targets && changes != Changes::default();
        is_named.then(|| Report::Named(difference.names()))
    }

    fn written(&mut self, now: Instant, replacement: Replacement, is_old: bool) -> Report {
        let targets = replacement.content.groups();
        let report = if is_old && self.writes.suppressed() == 0 {
            // The write has been logged; only its flush was owed.
            self.unchanged(now, replacement.content, false)
        } else {
            self.holds(now, replacement.content);
            let failed_for = self.recovered(now);
            let should_log =
                failed_for.is_some() || (!replacement.is_quiet && self.writes.take(now));
            // This one was among them.
            let suppressed = should_log.then(|| self.writes.log().saturating_sub(1));
            Report::Written {
                targets,
                changes: replacement.changes,
                logged_changes: match suppressed {
                    Some(_) => std::mem::take(&mut self.unlogged_changes),
                    None => replacement.changes,
                },
                emptied: replacement.emptied,
                mode: replacement.mode,
                failed_for,
                suppressed,
            }
        };
        if is_old {
            // Nobody has looked at it since it was written, which may be long ago.
            self.next_inspection = now;
        }
        report
    }

    fn failed(&mut self, now: Instant, random: f64, error: WriteError) -> Action {
        let pause = self.backoff.next_pause(random);
        self.next_replacement = now + pause;
        self.failing_since.get_or_insert(now);
        let retry_in = (!self.finishing).then_some(pause);
        // That the newest list is not in the file is the last thing to be known of a daemon that ends.
        let suppressed = match self.finishing {
            true => Some(self.failures.log()),
            false => self.failures.allow(now),
        };
        Action::Report(Report::WriteFailed { error, retry_in, suppressed })
    }

    /// How long the file could not be written, where that is over now and was logged.
    fn recovered(&mut self, now: Instant) -> Option<Duration> {
        self.backoff.reset();
        let since = self.failing_since.take()?;
        let was_logged = self.failures.end();
        was_logged.then(|| now.saturating_duration_since(since))
    }
}

/// How long after a replacement by so many groups the next one may be.
fn replacement_interval(groups: usize) -> Duration {
    let groups = u32::try_from(groups).unwrap_or(u32::MAX);
    REPLACEMENT_INTERVAL_PER_GROUP
        .saturating_mul(groups)
        .clamp(REPLACEMENT_INTERVAL, LONGEST_REPLACEMENT_INTERVAL)
}

#[cfg(test)]
mod tests;
