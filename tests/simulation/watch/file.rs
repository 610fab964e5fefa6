//! Watches the file: what is written, how often, and whether it becomes what it should be.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use kuma_prometheus_sd::output::state_machine::{Action, Event, Inspection};
use kuma_prometheus_sd::snapshot::Snapshot;

use super::pace::{ExpectedBackoff, LATENESS};
use super::{Invariant, Verdict};
use crate::rng::{milliseconds, seconds};

/// The file of an empty list.
const EMPTY: &[u8] = b"[]\n";

/// By when a list is written that the writer gets on a healthy disk: the interval between
/// replacements, the acts on the disk and a late thread, twice.
const WRITTEN_WITHIN: Duration = seconds(2);

/// By when a foreign change is put right on a healthy disk.
const FOREIGN_CHANGE_WITHIN: Duration = seconds(10);

/// By when a disk that works again is noticed: the longest pause, and acts.
const RECOVERY_WITHIN: Duration = seconds(33);

const REPLACEMENT_INTERVAL: Duration = milliseconds(100);
const REPLACEMENTS_A_SECOND: usize = 10;

#[derive(Debug, Default)]
pub(crate) struct FileWatch {
    /// What was ever handed over: only that may ever be written.
    lists: BTreeSet<Arc<[u8]>>,
    /// The newest list that was handed over by this process.
    newest: Option<Arc<[u8]>>,
    /// The newest list that the writer has taken.
    wanted: Option<Vec<u8>>,
    /// What the file holds, as far as the output can know.
    held: Option<Vec<u8>>,
    replacements: VecDeque<Duration>,
    /// Whether the list that it was given last is new, and whether anything is done about that.
    is_new: bool,
    has_acted: bool,
    is_ending: bool,
    is_disk_bad: bool,
    /// Until then the disk's trouble may still be felt.
    recovering_until: Duration,
    /// By then the file must hold the newest list.
    due: Option<Duration>,
    backoff: ExpectedBackoff,
    /// Before this the next act on the disk must not be, after a failed write.
    retry_not_before: Option<Duration>,
}

impl FileWatch {
    pub(crate) fn daemon_starts(&mut self) {
        let lists = std::mem::take(&mut self.lists);
        *self = Self {
            lists,
            is_disk_bad: self.is_disk_bad,
            recovering_until: self.recovering_until,
            ..Self::default()
        };
    }

    /// From now on nothing more is handed over, and haste is allowed.
    pub(crate) fn daemon_ends(&mut self) {
        self.is_ending = true;
        self.due = None;
    }

    pub(crate) fn handed_over(&mut self, now: Duration, list: &Arc<[u8]>) {
        self.lists.insert(Arc::clone(list));
        self.newest = Some(Arc::clone(list));
        self.must_be_right_by(now + WRITTEN_WITHIN);
    }

    pub(crate) fn meddled_with(&mut self, now: Duration) {
        self.must_be_right_by(now + FOREIGN_CHANGE_WITHIN);
    }

    pub(crate) fn disk_changes(&mut self, now: Duration, is_bad: bool) {
        if self.is_disk_bad && !is_bad {
            self.recovering_until = now + RECOVERY_WITHIN;
        }
        self.is_disk_bad = is_bad;
        self.must_be_right_by(now);
    }

    fn must_be_right_by(&mut self, time: Duration) {
        let time = time.max(self.recovering_until);
        let can_be_right = !self.is_ending && !self.is_disk_bad && self.newest.is_some();
        self.due = can_be_right.then_some(self.due.map_or(time, |due| due.max(time)));
    }

    /// The machine sleeps through `pause`, as on a suspended computer.
    pub(crate) fn sleeps(&mut self, pause: Duration) {
        self.due = self.due.map(|due| due + pause);
        self.recovering_until += pause;
    }

    pub(crate) fn time_passes(
        &mut self,
        now: Duration,
        file: Option<&[u8]>,
        verdict: &mut Verdict,
    ) {
        if self.due.is_none_or(|due| now <= due) {
            return;
        }
        self.due = None;
        verdict.require(self.newest.as_deref() == file, Invariant::FileIsPutRight, || {
            "the newest list is not in the file in time".to_owned()
        });
    }

    /// Something happens to the output.
    pub(crate) fn event(&mut self, now: Duration, event: FileEvent, verdict: &mut Verdict) {
        self.is_new = false;
        self.has_acted = false;
        match event {
            FileEvent::Wanted(content) => {
                self.is_new = self.held.as_ref() != Some(&content);
                // The channel holds the newest list only.
                let invariant = if content == EMPTY {
                    Invariant::EmptyOnlyWhenSaid
                } else {
                    Invariant::WritesTheNewestList
                };
                verdict.require(self.newest.as_deref() == Some(&*content), invariant, || {
                    "the writer takes another list than the newest".to_owned()
                });
                self.wanted = Some(content);
            }
            FileEvent::Failed => {
                let pause = self.backoff.next_pause();
                self.retry_not_before = Some(now + *pause.start());
                self.held = None;
            }
            FileEvent::Works => {
                self.backoff = ExpectedBackoff::default();
                self.held.clone_from(&self.wanted);
            }
            FileEvent::Other => {}
        }
    }

    /// The output wants something done.
    pub(crate) fn action(&mut self, now: Duration, action: &Action, verdict: &mut Verdict) {
        match action {
            Action::Inspect(_) | Action::Flush => {}
            Action::Replace(content) => self.replace(now, content, verdict),
            Action::Report(_) => return,
        }
        self.has_acted = true;
        if let Some(earliest) = self.retry_not_before.take() {
            verdict.require(self.is_ending || now >= earliest, Invariant::WritesBackOff, || {
                format!("{:?} too early", earliest - now)
            });
        }
    }

    /// The output has said all that it has to say about an event.
    pub(crate) fn after_step(&mut self, now: Duration, verdict: &mut Verdict) {
        let last = self.replacements.back();
        let may_be_at_once = self.retry_not_before.is_none()
            && last.is_none_or(|last| now >= *last + REPLACEMENT_INTERVAL);
        verdict.require(
            !self.is_new || self.has_acted || !may_be_at_once || self.is_ending,
            Invariant::FirstReplacementIsAtOnce,
            || "a new list waits without need".to_owned(),
        );
        self.is_new = false;
    }

    fn replace(&mut self, now: Duration, content: &Snapshot, verdict: &mut Verdict) {
        verdict.require(
            self.wanted.as_deref() == Some(content.bytes()),
            Invariant::WritesTheNewestList,
            || "another list than the newest is written".to_owned(),
        );
        if self.is_ending {
            return;
        }
        self.replacements.push_back(now);
        while self.replacements.len() > REPLACEMENTS_A_SECOND {
            let first = self.replacements.pop_front().unwrap_or_default();
            verdict.require(now >= first + seconds(1), Invariant::TenReplacementsASecond, || {
                format!("eleven within {:?}", now - first)
            });
        }
    }

    /// The disk is about to take `content`, or has it already.
    pub(crate) fn about_to_write(&self, holds_it: bool, verdict: &mut Verdict) {
        verdict.require(!holds_it, Invariant::EqualContentIsNotWritten, || {
            "the file holds it already".to_owned()
        });
    }

    /// The daemon has changed the file.
    pub(crate) fn written(&self, file: &[u8], verdict: &mut Verdict) {
        verdict.require(self.lists.contains(file), Invariant::FileIsACompleteList, || {
            format!("nobody sent {:?}", String::from_utf8_lossy(file))
        });
    }

    /// The writer has ended by itself; `could_write` where the disk was healthy and nobody else
    /// touched the file.
    pub(crate) fn ended(&self, file: Option<&[u8]>, could_write: bool, verdict: &mut Verdict) {
        verdict.require(
            !could_write || self.newest.is_none() || self.newest.as_deref() == file,
            Invariant::WrittenBeforeTheEnd,
            || "the newest list is not in the file".to_owned(),
        );
    }

    /// Whether trouble with the disk may still be felt.
    pub(crate) fn is_disk_in_doubt(&self, now: Duration) -> bool {
        self.is_disk_bad || now < self.recovering_until + LATENESS
    }
}

/// What happens to the output, as far as it matters here.
#[derive(Debug)]
pub(crate) enum FileEvent {
    Wanted(Vec<u8>),
    Failed,
    Works,
    Other,
}

impl FileEvent {
    pub(crate) fn of(event: &Event) -> Self {
        match event {
            Event::Wanted(content) => Self::Wanted(content.bytes().to_vec()),
            Event::Replaced(Err(_)) => Self::Failed,
            Event::Replaced(Ok(())) | Event::Inspected(Ok(Inspection::Same)) => Self::Works,
            Event::Time | Event::Finish | Event::Inspected(_) | Event::Moved(_) => Self::Other,
        }
    }
}
