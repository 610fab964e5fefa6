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

#[cfg(test)]
mod tests {
    use super::{Effects, Machine, turn};
    use std::convert::Infallible;
    use std::time::Instant;

    /// Wants its deadline until that has come once; answers each event by an action of that name.
    struct Echo(Option<Instant>);

    impl Machine for Echo {
        type Event = &'static str;
        type Action = &'static str;

        const TIME: &'static str = "time";

        fn deadline(&self) -> Option<Instant> {
            self.0
        }

        fn step(&mut self, _: Instant, _: f64, event: &'static str) -> Vec<&'static str> {
            self.0 = self.0.filter(|_| event != "time");
            vec![event]
        }
    }

    /// A network on which something happens at each poll, and what was performed.
    struct Flood(Instant, Vec<&'static str>);

    impl Effects<Echo> for Flood {
        type Error = Infallible;

        fn now(&self) -> Instant {
            self.0
        }

        fn poll(&mut self) -> Result<Option<&'static str>, Infallible> {
            Ok(Some("network"))
        }

        fn perform(&mut self, action: &'static str) -> Vec<&'static str> {
            self.1.push(action);
            match action {
                "command" => vec!["failure"],
                _ => Vec::new(),
            }
        }
    }

    #[test]
    fn a_command_a_deadline_and_one_event_of_a_flood_have_their_turn() {
        let now = Instant::now();
        let mut machine = Echo(Some(now));
        let mut flood = Flood(now, Vec::new());
        assert_eq!(turn(&mut machine, &mut flood, Some("command")), Ok(true));
        assert_eq!(flood.1, ["command", "failure", "time", "network"]);
        assert_eq!(turn(&mut machine, &mut flood, None), Ok(true));
        assert_eq!(flood.1[4..], ["network"]);
    }
}
