//! A machine without a world, for the tests of each: at a time, an event, and what is to be done then.

use std::time::{Duration, Instant};

use log::Level;

use super::Machine;

/// No jitter.
pub(crate) const MIDDLE: f64 = 0.5;

/// An action, as a test shows it.
pub(crate) enum Described {
    Action(String),
    Report(Level, String),
}

pub(crate) struct Story<M: Machine> {
    machine: M,
    start: Instant,
    describe: fn(&M::Action) -> Described,
    /// What was to be logged above debug, and how many of that were warnings.
    pub(crate) logged: Vec<String>,
    pub(crate) warnings: usize,
}

impl<M: Machine> Story<M> {
    pub(crate) fn new(
        machine: impl FnOnce(Instant) -> M,
        describe: fn(&M::Action) -> Described,
    ) -> Self {
        let start = Instant::now();
        Self { machine: machine(start), start, describe, logged: Vec::new(), warnings: 0 }
    }

    /// What is to be done at `seconds`, in words; what is to be logged is kept.
    pub(crate) fn step(&mut self, seconds: f64, event: M::Event) -> Vec<String> {
        let now = self.start + Duration::from_secs_f64(seconds);
        let mut actions = Vec::new();
        for action in self.machine.step(now, MIDDLE, event) {
            match (self.describe)(&action) {
                Described::Action(action) => actions.push(action),
                Described::Report(Level::Debug | Level::Trace, _) => {}
                Described::Report(level, text) => {
                    self.warnings += usize::from(level == Level::Warn);
                    self.logged.push(text);
                }
            }
        }
        actions
    }

    /// Plays a table; every deadline must be the one that the table waits for with `TIME`.
    #[track_caller]
    pub(crate) fn play(&mut self, rows: Vec<(f64, M::Event, &[&str])>)
    where
        M::Event: std::fmt::Debug,
    {
        for (seconds, event, expected) in rows {
            if std::mem::discriminant(&event) == std::mem::discriminant(&M::TIME) {
                assert_eq!(self.deadline(), Some(seconds), "before {seconds} s");
            }
            let described = format!("{event:?} at {seconds} s");
            assert_eq!(self.step(seconds, event), expected, "{described}");
        }
    }

    /// The next deadline comes.
    pub(crate) fn wait(&mut self) -> f64 {
        let seconds = self.deadline().expect("a deadline is set");
        self.step(seconds, M::TIME);
        seconds
    }

    /// Seconds since the start, to the millisecond.
    pub(crate) fn deadline(&self) -> Option<f64> {
        let deadline = self.machine.deadline()? - self.start;
        Some(deadline.as_micros().div_ceil(1000) as f64 / 1000.0)
    }

    #[track_caller]
    pub(crate) fn assert_logged(&mut self, expected: &[&str]) {
        assert_eq!(std::mem::take(&mut self.logged), expected);
    }
}
