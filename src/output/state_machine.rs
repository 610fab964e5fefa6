//! The output file, as a state machine: when to write, when to look whether the file is still
//! ours, when to try again, and what to tell about it.
//!
//! Pure: no I/O, no clock, no log. `step` is told what happened and when, and answers what to do;
//! the writer thread does it.

mod event;

use std::sync::Arc;
use std::time::{Duration, Instant};

pub use event::{Action, Event, Failure, Inspection};

use crate::common::backoff::{Backoff, RateLimit, Reminder};
use crate::common::machine::Machine;
use crate::output::render::{self, Changes, Content};
use crate::output::report::{Foreign, Report};

/// At most ten replacements a second: Prometheus reads the file anew after each.
const REPLACEMENT_INTERVAL: Duration = Duration::from_millis(100);

/// How often to look whether the file is still ours, so that a foreign change is put right well
/// within 10 s.
const INSPECTION_INTERVAL: Duration = Duration::from_secs(5);

/// So many writes are told at once; after that, one in each interval.
const TOLD_AT_ONCE: u32 = 10;
const TELLING_INTERVAL: Duration = Duration::from_secs(6);

/// So many foreign changes are told at once; after that, one a minute.
const WARNINGS_AT_ONCE: u32 = 3;

/// The state machine.
#[derive(Debug)]
pub struct Output {
    /// Whether to name the targets that a write changes.
    names_targets: bool,
    /// The newest list; `None` until the first one has come.
    wanted: Option<Arc<Content>>,
    file: Knowledge,
    /// Whether the last replacement that came into place could not be flushed to the disk.
    flush_is_owed: bool,
    /// How many targets the file had when it last held a list; `None` until it has held one.
    targets_before: Option<usize>,
    /// Before this time nothing is written.
    next_replacement: Instant,
    next_inspection: Instant,
    backoff: Backoff,
    trouble_since: Option<Instant>,
    trouble_is_told: bool,
    trouble_reminder: Reminder,
    written_rate_limit: RateLimit,
    untold_writes: u32,
    /// What all untold writes have changed, added up.
    untold_changes: Changes,
    foreign_rate_limit: RateLimit,
    untold_foreign: u32,
    /// Whether the path has led elsewhere since the file was last known, so that it is no wonder if
    /// that is another one.
    has_moved: bool,
    finishing: bool,
}

/// What is known of the file.
#[derive(Debug)]
enum Knowledge {
    /// Nothing: the daemon has just started, or a write failed halfway.
    None,
    /// It holds exactly this.
    Holds(Arc<Content>),
    /// It holds what nobody asked for, or nothing at all.
    Foreign(Found),
    /// It is being compared with this, which it held when it was last looked at, or may hold.
    Inspecting { content: Arc<Content>, held: bool },
    /// It is being replaced.
    Replacing(Replacement),
    /// It has been replaced, but that could not be flushed to the disk.
    Unflushed(Replacement),
    /// That is being flushed once more.
    Flushing(Replacement),
}

/// A file that is to be replaced.
#[derive(Debug)]
struct Found {
    bytes: Vec<u8>,
    /// Its permissions, where they alone are wrong.
    mode: Option<u32>,
    /// Whether it is not worth a line that it is replaced, as it was not that it was found.
    is_quiet: bool,
}

/// One write.
#[derive(Debug)]
struct Replacement {
    content: Arc<Content>,
    changes: Changes,
    /// Which targets it changes, where that is wanted.
    names: Option<String>,
    /// How many targets the list had before, where it becomes empty.
    emptied: Option<usize>,
    mode: Option<u32>,
    is_quiet: bool,
}

impl Replacement {
    /// The content is in place already.
    fn of_nothing(content: Arc<Content>) -> Self {
        Self {
            content,
            changes: Changes::default(),
            names: None,
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
            Knowledge::Inspecting { .. } | Knowledge::Replacing(_) | Knowledge::Flushing(_) => None,
            Knowledge::Holds(content) if content == wanted => Some(self.next_inspection),
            Knowledge::None
            | Knowledge::Holds(_)
            | Knowledge::Foreign(_)
            | Knowledge::Unflushed(_) => Some(self.next_replacement),
        }
    }

    fn step(&mut self, now: Instant, random: f64, event: Event) -> Vec<Action> {
        match event {
            Event::Time => self.act(now),
            Event::Wanted(content) => self.want(now, content),
            Event::Inspected(result) => self.inspected(now, result),
            Event::Replaced(result) => self.replaced(now, random, result),
            Event::Moved(moved) => {
                self.has_moved = true;
                let held_back = self.foreign_held_back(now);
                vec![Action::Report(Report::Moved { moved, held_back })]
            }
            Event::Finish => {
                self.finishing = true;
                self.act(now)
            }
        }
    }
}

impl Output {
    /// A machine that knows nothing of the file yet. `names_targets` says whether to name those that a
    /// write changes, which takes time.
    #[must_use]
    pub fn new(start: Instant, names_targets: bool) -> Self {
        Self {
            names_targets,
            wanted: None,
            file: Knowledge::None,
            flush_is_owed: false,
            targets_before: None,
            next_replacement: start,
            next_inspection: start,
            backoff: Backoff::default(),
            trouble_since: None,
            trouble_is_told: false,
            trouble_reminder: Reminder::default(),
            written_rate_limit: RateLimit::new(TOLD_AT_ONCE, TELLING_INTERVAL, start),
            untold_writes: 0,
            untold_changes: Changes::default(),
            foreign_rate_limit: RateLimit::new(WARNINGS_AT_ONCE, Reminder::INTERVAL, start),
            untold_foreign: 0,
            has_moved: false,
            finishing: false,
        }
    }

    fn want(&mut self, now: Instant, content: Content) -> Vec<Action> {
        match &self.file {
            Knowledge::Holds(held) if **held == content => {
                self.wanted = Some(Arc::clone(held));
                let targets = content.groups();
                vec![Action::Report(Report::Unchanged {
                    targets,
                    first: false,
                    trouble: None,
                    is_told: false,
                })]
            }
            _ => {
                self.wanted = Some(Arc::new(content));
                self.act(now)
            }
        }
    }

    /// Does what is due.
    fn act(&mut self, now: Instant) -> Vec<Action> {
        let Some(wanted) = self.wanted.clone() else {
            return Vec::new();
        };
        let Some(due) = self.deadline() else {
            return Vec::new();
        };
        let is_settled = matches!(&self.file, Knowledge::Holds(content) if *content == wanted);
        let is_urgent = self.finishing && !is_settled;
        if now < due && !is_urgent {
            return Vec::new();
        }
        let replacement = match std::mem::replace(&mut self.file, Knowledge::None) {
            Knowledge::Unflushed(replacement) if replacement.content == wanted => {
                self.file = Knowledge::Flushing(replacement);
                return vec![Action::Flush];
            }
            Knowledge::Unflushed(Replacement { content, .. }) => {
                self.replacement(content.bytes(), &wanted)
            }
            Knowledge::Holds(held) if !is_settled => self.replacement(held.bytes(), &wanted),
            Knowledge::Foreign(found) => Replacement {
                mode: found.mode,
                is_quiet: found.is_quiet,
                ..self.replacement(&found.bytes, &wanted)
            },
            _ => {
                self.file = Knowledge::Inspecting {
                    content: Arc::clone(&wanted),
                    held: is_settled,
                };
                return vec![Action::Inspect(wanted)];
            }
        };
        self.next_replacement = now + REPLACEMENT_INTERVAL;
        self.file = Knowledge::Replacing(replacement);
        vec![Action::Replace(wanted)]
    }

    fn replacement(&self, before: &[u8], wanted: &Arc<Content>) -> Replacement {
        let changes = render::changes(before, wanted.bytes());
        // What somebody else has put into the file was never on the control plane's list.
        let targets_before = self.targets_before.unwrap_or(changes.removed);
        let is_emptied = wanted.groups() == 0 && targets_before > 0;
        Replacement {
            changes,
            names: (self.names_targets && changes != Changes::default())
                .then(|| render::changed_names(before, wanted.bytes())),
            emptied: is_emptied.then_some(targets_before),
            ..Replacement::of_nothing(Arc::clone(wanted))
        }
    }

    fn inspected(&mut self, now: Instant, result: Result<Inspection, String>) -> Vec<Action> {
        let Knowledge::Inspecting { content, held } = &self.file else {
            return Vec::new();
        };
        let (content, held) = (Arc::clone(content), *held);
        let has_moved = std::mem::take(&mut self.has_moved);
        let (bytes, what) = match result {
            Ok(Inspection::Same) => return self.found(now, content, held),
            Ok(Inspection::OtherMode(mode)) => (content.bytes().to_vec(), Foreign::Mode(mode)),
            Ok(Inspection::Different(bytes)) => (bytes, Foreign::Changed),
            Ok(Inspection::Missing) => (Vec::new(), Foreign::Missing),
            // It is replaced nevertheless: if that fails too, its error says why.
            Err(reason) => (Vec::new(), Foreign::Unreadable(reason)),
        };
        let mode = match what {
            Foreign::Mode(mode) => Some(mode),
            _ => None,
        };
        let mut actions = Vec::new();
        let mut is_quiet = false;
        if held && !has_moved {
            let held_back = self.foreign_held_back(now);
            is_quiet = held_back.is_none();
            actions.push(Action::Report(Report::Foreign { what, held_back }));
        }
        self.file = Knowledge::Foreign(Found {
            bytes,
            mode,
            is_quiet,
        });
        actions.extend(self.act(now));
        actions
    }

    /// The file holds `content`, as it did before where it was `held`.
    fn found(&mut self, now: Instant, content: Arc<Content>, held: bool) -> Vec<Action> {
        if self.flush_is_owed {
            self.file = Knowledge::Flushing(Replacement::of_nothing(content));
            return vec![Action::Flush];
        }
        let is_first = self.targets_before.is_none();
        let report = self.unchanged(now, content, is_first);
        let mut actions: Vec<Action> = (!held)
            .then_some(Action::Report(report))
            .into_iter()
            .collect();
        actions.extend(self.act(now));
        actions
    }

    fn unchanged(&mut self, now: Instant, content: Arc<Content>, is_first: bool) -> Report {
        let targets = content.groups();
        self.holds(now, content);
        let trouble = self.recovered(now);
        Report::Unchanged {
            targets,
            first: true,
            trouble,
            is_told: is_first || trouble.is_some(),
        }
    }

    fn holds(&mut self, now: Instant, content: Arc<Content>) {
        self.targets_before = Some(content.groups());
        self.file = Knowledge::Holds(content);
        self.next_inspection = now + INSPECTION_INTERVAL;
        self.has_moved = false;
    }

    fn replaced(&mut self, now: Instant, random: f64, result: Result<(), Failure>) -> Vec<Action> {
        let (mut replacement, is_old) = match std::mem::replace(&mut self.file, Knowledge::None) {
            Knowledge::Replacing(replacement) => (replacement, false),
            Knowledge::Flushing(replacement) => (replacement, true),
            other => {
                self.file = other;
                return Vec::new();
            }
        };
        if !is_old && !matches!(result, Err(Failure::Unwritten(_))) {
            self.untold_writes += 1;
            self.untold_changes.add(replacement.changes);
        }
        let named = match &result {
            Err(Failure::Unwritten(_)) => None,
            _ => replacement.names.take().map(Report::Named),
        };
        match &result {
            Ok(()) => self.flush_is_owed = false,
            Err(Failure::Unflushed(_)) => self.flush_is_owed = true,
            Err(Failure::Unwritten(_)) => {}
        }
        let mut actions: Vec<Action> = named.map(Action::Report).into_iter().collect();
        actions.extend(match result {
            Ok(()) => self.written(now, replacement, is_old),
            // Over the network a rename may be done and its answer lost, so nothing is known after it.
            Err(Failure::Unwritten(reason)) => self.failed(now, random, reason),
            Err(Failure::Unflushed(reason)) => {
                self.file = Knowledge::Unflushed(replacement);
                self.failed(now, random, reason)
            }
        });
        actions
    }

    fn written(&mut self, now: Instant, replacement: Replacement, is_old: bool) -> Vec<Action> {
        if is_old && self.untold_writes == 0 {
            // The write has been logged; only its flush was owed.
            let report = self.unchanged(now, replacement.content, false);
            self.next_inspection = now;
            let mut actions = vec![Action::Report(report)];
            actions.extend(self.act(now));
            return actions;
        }
        let targets = replacement.content.groups();
        self.holds(now, replacement.content);
        if is_old {
            // Nobody has looked at it since it was written, which may be long ago.
            self.next_inspection = now;
        }
        let trouble = self.recovered(now);
        let is_worth_a_line =
            trouble.is_some() || (!replacement.is_quiet && self.written_rate_limit.take(now));
        let held_back =
            is_worth_a_line.then(|| std::mem::take(&mut self.untold_writes).saturating_sub(1));
        let changes = match held_back {
            Some(_) => std::mem::take(&mut self.untold_changes),
            None => replacement.changes,
        };
        let mut actions = vec![Action::Report(Report::Written {
            targets,
            changes,
            emptied: replacement.emptied,
            mode: replacement.mode,
            trouble,
            held_back,
        })];
        actions.extend(self.act(now));
        actions
    }

    fn failed(&mut self, now: Instant, random: f64, reason: String) -> Vec<Action> {
        let pause = self.backoff.next_pause(random);
        self.next_replacement = now + pause;
        self.trouble_since.get_or_insert(now);
        let retry_in = (!self.finishing).then_some(pause);
        let held_back = self.trouble_reminder.due(now);
        self.trouble_is_told |= held_back.is_some();
        vec![Action::Report(Report::Trouble {
            reason,
            retry_in,
            held_back,
        })]
    }

    /// How many foreign changes were not told, where this one may be.
    fn foreign_held_back(&mut self, now: Instant) -> Option<u32> {
        let is_told = self.foreign_rate_limit.take(now);
        self.untold_foreign += u32::from(!is_told);
        is_told.then(|| std::mem::take(&mut self.untold_foreign))
    }

    /// How long the file could not be written, where that is over now and was logged.
    fn recovered(&mut self, now: Instant) -> Option<Duration> {
        self.backoff.reset();
        let since = self.trouble_since.take()?;
        if !std::mem::take(&mut self.trouble_is_told) {
            return None;
        }
        self.trouble_reminder.forget();
        Some(now.saturating_duration_since(since))
    }
}

#[cfg(test)]
mod tests;
