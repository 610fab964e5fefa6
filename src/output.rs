//! The output file, as a state machine: when to write, when to look whether the file is still
//! ours, when to try again, and what to tell about it.
//!
//! Pure: no I/O, no clock, no log. `step` is told what happened and when, and answers what to do;
//! the writer thread does it.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use log::Level;

use crate::backoff::{Allowance, Backoff, Reminder};
use crate::render::{self, Changes, Content};
use crate::report::{Rounded, Targets, write_held_back};

/// At most ten replacements a second: Prometheus reads the file anew after each.
const REPLACEMENT_INTERVAL: Duration = Duration::from_millis(100);

/// How often to look whether the file is still ours, so that a foreign change is put right well
/// within 10 s.
const INSPECTION_INTERVAL: Duration = Duration::from_secs(5);

/// So many writes are told at once; after that, one in each interval.
const TOLD_AT_ONCE: u32 = 10;
const TELLING_INTERVAL: Duration = Duration::from_secs(6);

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// The time that `deadline` named has come. Harmless at any other time.
    Time,
    /// The control plane's newest list, rendered.
    Wanted(Content),
    /// What `Action::Inspect` found; an error says what failed, in words.
    Inspected(Result<Inspection, String>),
    /// How `Action::Replace` went; an error says what failed, in words.
    Replaced(Result<(), String>),
    /// No more lists will come: write what is still to be written, now.
    Finish,
}

/// What stands in the file, compared with what was asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inspection {
    /// Exactly that, readable as it should be.
    Same,
    /// Something else, or with other permissions: these bytes.
    Different(Vec<u8>),
    /// There is no file.
    Missing,
}

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Compare the file with this content, and answer with `Event::Inspected`.
    Inspect(Arc<Content>),
    /// Replace the file by this content, and answer with `Event::Replaced`.
    Replace(Arc<Content>),
    /// Tell what happened.
    Report(Report),
}

/// One event in the life of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// The file has been replaced.
    Written {
        /// How many target groups it has now.
        targets: usize,
        /// What this write has changed, or, where it is told, all writes since the last such line.
        changes: Changes,
        /// How long the file could not be written before that.
        trouble: Option<Duration>,
        /// Writes since the last such line, where this one is worth a line; `None` else.
        held_back: Option<u32>,
    },
    /// The list is the one that stands in the file already.
    Unchanged {
        /// How many target groups it has.
        targets: usize,
        /// Whether this is the first list, or the first one after a trouble, of which an operator
        /// wants to know.
        first: bool,
        /// How long the file could not be written before that.
        trouble: Option<Duration>,
    },
    /// The file is not what it was left as.
    Foreign(Foreign),
    /// The file could not be written; it will be tried again.
    Trouble {
        /// What happened, to what.
        reason: String,
        /// The time until the next attempt; `None` where there will be none.
        retry_in: Option<Duration>,
        /// Failures since the last such line, where this one is worth a line; `None` else.
        held_back: Option<u32>,
    },
}

/// What has become of a file that nobody else should touch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Foreign {
    /// It is gone.
    Missing,
    /// It has other content, or other permissions.
    Changed,
    /// It cannot be looked at, for this reason.
    Unreadable(String),
}

/// The state machine.
#[derive(Debug)]
pub struct Output {
    /// The newest list; `None` until the first one has come.
    wanted: Option<Arc<Content>>,
    file: Knowledge,
    /// Before this time nothing is written.
    next_replacement: Instant,
    next_inspection: Instant,
    backoff: Backoff,
    trouble_since: Option<Instant>,
    trouble_is_told: bool,
    trouble_reminder: Reminder,
    written_allowance: Allowance,
    untold_writes: u32,
    /// What all untold writes have changed, added up.
    untold_changes: Changes,
    finishing: bool,
}

/// What is known of the file.
#[derive(Debug)]
enum Knowledge {
    /// Nothing: the daemon has just started, or a write failed halfway.
    None,
    /// It holds exactly this.
    Holds(Arc<Content>),
    /// It holds these bytes, which nobody asked for, or nothing at all.
    Foreign(Vec<u8>),
    /// It is being compared with this, which it held when it was last looked at, or may hold.
    Inspecting { content: Arc<Content>, held: bool },
    /// It is being replaced by this, which changes this much.
    Replacing {
        content: Arc<Content>,
        changes: Changes,
    },
}

impl Output {
    /// A machine that knows nothing of the file yet.
    #[must_use]
    pub fn new(start: Instant) -> Self {
        Self {
            wanted: None,
            file: Knowledge::None,
            next_replacement: start,
            next_inspection: start,
            backoff: Backoff::default(),
            trouble_since: None,
            trouble_is_told: false,
            trouble_reminder: Reminder::default(),
            written_allowance: Allowance::new(TOLD_AT_ONCE, TELLING_INTERVAL, start),
            untold_writes: 0,
            untold_changes: Changes::default(),
            finishing: false,
        }
    }

    /// When `Event::Time` is wanted next; `None` while nothing is to be done before the next list.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let wanted = self.wanted.as_ref()?;
        match &self.file {
            Knowledge::Inspecting { .. } | Knowledge::Replacing { .. } => None,
            Knowledge::Holds(content) if content == wanted => Some(self.next_inspection),
            Knowledge::None | Knowledge::Holds(_) | Knowledge::Foreign(_) => {
                Some(self.next_replacement)
            }
        }
    }

    /// Takes in what happened at `now`. `random`, in `0.0..1.0`, is used for jitter.
    pub fn step(&mut self, now: Instant, random: f64, event: Event) -> Vec<Action> {
        match event {
            Event::Time => self.act(now),
            Event::Wanted(content) => self.want(now, content),
            Event::Inspected(result) => self.inspected(now, result),
            Event::Replaced(result) => self.replaced(now, random, result),
            Event::Finish => {
                self.finishing = true;
                self.act(now)
            }
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
        let before = match &self.file {
            Knowledge::Holds(held) if !is_settled => held.bytes(),
            Knowledge::Foreign(bytes) => bytes,
            _ => {
                self.file = Knowledge::Inspecting {
                    content: Arc::clone(&wanted),
                    held: is_settled,
                };
                return vec![Action::Inspect(wanted)];
            }
        };
        let changes = render::changes(before, wanted.bytes());
        self.next_replacement = now + REPLACEMENT_INTERVAL;
        self.file = Knowledge::Replacing {
            content: Arc::clone(&wanted),
            changes,
        };
        vec![Action::Replace(wanted)]
    }

    fn inspected(&mut self, now: Instant, result: Result<Inspection, String>) -> Vec<Action> {
        let Knowledge::Inspecting { content, held } = &self.file else {
            return Vec::new();
        };
        let (content, held) = (Arc::clone(content), *held);
        let (bytes, foreign) = match result {
            Ok(Inspection::Same) => return self.found(now, content, held),
            Ok(Inspection::Different(bytes)) => (bytes, Foreign::Changed),
            Ok(Inspection::Missing) => (Vec::new(), Foreign::Missing),
            // It is replaced nevertheless: if that fails too, its error says why.
            Err(reason) => (Vec::new(), Foreign::Unreadable(reason)),
        };
        self.file = Knowledge::Foreign(bytes);
        let report = held.then_some(Action::Report(Report::Foreign(foreign)));
        let mut actions: Vec<Action> = report.into_iter().collect();
        actions.extend(self.act(now));
        actions
    }

    /// The file holds `content`, as it did before where it was `held`.
    fn found(&mut self, now: Instant, content: Arc<Content>, held: bool) -> Vec<Action> {
        let targets = content.groups();
        self.file = Knowledge::Holds(content);
        self.next_inspection = now + INSPECTION_INTERVAL;
        let trouble = self.recovered(now);
        let report = Report::Unchanged {
            targets,
            first: true,
            trouble: trouble.map(|(trouble, _)| trouble),
        };
        let mut actions: Vec<Action> = (!held)
            .then_some(Action::Report(report))
            .into_iter()
            .collect();
        actions.extend(self.act(now));
        actions
    }

    fn replaced(&mut self, now: Instant, random: f64, result: Result<(), String>) -> Vec<Action> {
        let Knowledge::Replacing { content, changes } = &self.file else {
            return Vec::new();
        };
        if let Err(reason) = result {
            return self.failed(now, random, reason);
        }
        let (content, changes) = (Arc::clone(content), *changes);
        let targets = content.groups();
        self.file = Knowledge::Holds(content);
        self.next_inspection = now + INSPECTION_INTERVAL;
        let trouble = self.recovered(now);
        self.untold_writes += 1;
        self.untold_changes.add(changes);
        let ends_told_trouble = trouble.is_some_and(|(_, is_told)| is_told);
        let is_worth_a_line = ends_told_trouble || self.written_allowance.take(now);
        let held_back = is_worth_a_line.then(|| std::mem::take(&mut self.untold_writes) - 1);
        let changes = match held_back {
            Some(_) => std::mem::take(&mut self.untold_changes),
            None => changes,
        };
        let mut actions = vec![Action::Report(Report::Written {
            targets,
            changes,
            trouble: trouble.map(|(trouble, _)| trouble),
            held_back,
        })];
        actions.extend(self.act(now));
        actions
    }

    /// A write that failed may have got as far as the rename, so nothing is known after it.
    fn failed(&mut self, now: Instant, random: f64, reason: String) -> Vec<Action> {
        let pause = self.backoff.next_pause(random);
        self.file = Knowledge::None;
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

    /// How long the file could not be written, where that is over now, and whether it was told.
    fn recovered(&mut self, now: Instant) -> Option<(Duration, bool)> {
        self.backoff.reset();
        let since = self.trouble_since.take()?;
        let is_told = std::mem::take(&mut self.trouble_is_told);
        Some((now.saturating_duration_since(since), is_told))
    }
}

impl Report {
    /// How loudly to tell it.
    #[must_use]
    pub fn level(&self) -> Level {
        match self {
            Self::Written {
                held_back: Some(_), ..
            }
            | Self::Unchanged { first: true, .. } => Level::Info,
            Self::Foreign(_) => Level::Warn,
            Self::Trouble {
                held_back: Some(_), ..
            } => Level::Error,
            Self::Written { .. } | Self::Unchanged { .. } | Self::Trouble { .. } => Level::Debug,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Written {
                targets,
                changes,
                trouble,
                held_back,
            } => {
                write!(formatter, "wrote {}: {changes}", Targets(*targets))?;
                write_held_back(formatter, *held_back, "write")?;
                match trouble {
                    Some(trouble) => write!(
                        formatter,
                        "; the file can be written again after {}",
                        Rounded(*trouble)
                    ),
                    None => Ok(()),
                }
            }
            Self::Unchanged {
                targets, trouble, ..
            } => {
                write!(formatter, "the file already holds {}", Targets(*targets))?;
                match trouble {
                    // Nothing was written, so nobody knows whether it could be.
                    Some(trouble) => write!(
                        formatter,
                        "; nothing is left to be written after {} of failures",
                        Rounded(*trouble)
                    ),
                    None => Ok(()),
                }
            }
            Self::Foreign(Foreign::Missing) => {
                formatter.write_str("the file is gone, so it is written again")
            }
            Self::Foreign(Foreign::Changed) => {
                formatter.write_str("the file was changed by somebody else, so it is written again")
            }
            Self::Foreign(Foreign::Unreadable(reason)) => {
                write!(formatter, "{reason}; the file is written again")
            }
            Self::Trouble {
                reason,
                retry_in,
                held_back,
            } => {
                write!(formatter, "cannot write the file: {reason}")?;
                write_held_back(formatter, *held_back, "failure")?;
                match retry_in {
                    Some(pause) => write!(formatter, "; next attempt in {}", Rounded(*pause)),
                    None => formatter.write_str("; giving up, as the daemon is ending"),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
