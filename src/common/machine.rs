//! How a state machine is run: what is due and what has happened becomes an event, one at a time; what
//! the machine answers is done, and what comes of that is an event again.
//!
//! This is the one loop body of the program. The receiver thread, the writer thread, `check` and the
//! simulation all run it, each with effects of its own. It waits for nothing: that is for its callers.

use std::collections::VecDeque;
use std::time::Instant;

/// A state machine: it knows no clock and does nothing itself.
pub trait Machine {
    /// What can happen to it.
    type Event;
    /// What it wants done.
    type Action;

    /// The event for a deadline that has come; harmless at any other time.
    const TIME: Self::Event;

    /// When it wants `TIME` next; `None` where only another event can change anything.
    fn deadline(&self) -> Option<Instant>;

    /// Takes in what happened at `now`. `random`, in `0.0..1.0`, is used for jitter.
    fn step(&mut self, now: Instant, random: f64, event: Self::Event) -> Vec<Self::Action>;
}

/// The world around a machine.
pub trait Effects<M: Machine> {
    /// Why the machine cannot be run any longer.
    type Error;

    /// The clock.
    fn now(&self) -> Instant {
        Instant::now()
    }

    /// Chance, in `0.0..1.0`.
    fn random(&mut self) -> f64 {
        fastrand::f64()
    }

    /// One thing that has happened, where things happen that the machine has not asked for.
    ///
    /// # Errors
    /// Where nothing will ever happen again.
    fn poll(&mut self) -> Result<Option<M::Event>, Self::Error> {
        Ok(None)
    }

    /// An event is about to be dealt with.
    fn begin(&mut self, _event: &M::Event) {}

    /// Does one thing; what comes of it at once are the next events.
    fn perform(&mut self, action: M::Action) -> Vec<M::Event>;
}

/// One turn: `event`, where there is one, then what is due, then one thing that has happened. So none of
/// them is starved by a flood of another. Says whether there may be more to do at once.
///
/// # Errors
/// Where nothing will ever happen again.
pub fn turn<M: Machine, E: Effects<M>>(
    machine: &mut M,
    effects: &mut E,
    event: Option<M::Event>,
) -> Result<bool, E::Error> {
    if let Some(event) = event {
        step(machine, effects, event);
    }
    let now = effects.now();
    if machine.deadline().is_some_and(|deadline| deadline <= now) {
        step(machine, effects, M::TIME);
    }
    let event = effects.poll()?;
    let is_busy = event.is_some();
    if let Some(event) = event {
        step(machine, effects, event);
    }
    Ok(is_busy)
}

/// One event, and all that follows from it.
pub fn step<M: Machine>(machine: &mut M, effects: &mut impl Effects<M>, event: M::Event) {
    let mut events = VecDeque::from([event]);
    while let Some(event) = events.pop_front() {
        effects.begin(&event);
        for action in machine.step(effects.now(), effects.random(), event) {
            events.extend(effects.perform(action));
        }
    }
}

#[cfg(test)]
pub(crate) mod story;
