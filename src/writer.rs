//! The writer thread: does what the output machine says, and tells it how that went.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Instant;

use crossbeam_channel::{Receiver, at, select};

use crate::connection::Snapshot;
use crate::output::{Action, Event, Output};
use crate::publish::OutputFile;
use crate::pulse::Pulse;
use crate::render::render;

/// Runs until `snapshots` is disconnected or `stop` is; writes what is still to be written first.
pub fn run(
    mut file: OutputFile,
    snapshots: &Receiver<Snapshot>,
    stop: &Receiver<Infallible>,
    pulse: &Pulse,
) {
    let mut output = Output::new(Instant::now());
    loop {
        let wake_at = pulse.waiting(Instant::now(), output.deadline());
        let event = select! {
            recv(snapshots) -> snapshot => match snapshot {
                Ok(snapshot) => Event::Wanted(render(&snapshot.targets)),
                Err(_) => break,
            },
            recv(stop) -> _ => break,
            recv(at(wake_at)) -> _ => Event::Time,
        };
        pulse.working(Instant::now());
        perform(&mut output, &mut file, event);
    }
    if let Ok(snapshot) = snapshots.try_recv() {
        perform(
            &mut output,
            &mut file,
            Event::Wanted(render(&snapshot.targets)),
        );
    }
    perform(&mut output, &mut file, Event::Finish);
}

/// One event, and all that follows from it.
fn perform(output: &mut Output, file: &mut OutputFile, event: Event) {
    let mut events = VecDeque::from([event]);
    while let Some(event) = events.pop_front() {
        for action in output.step(Instant::now(), fastrand::f64(), event) {
            match action {
                Action::Inspect(expected) => {
                    let inspected = file.inspect(&expected).map_err(|error| error.to_string());
                    events.push_back(Event::Inspected(inspected));
                }
                Action::Replace(content) => {
                    let replaced = file.replace(&content).map_err(|error| error.to_string());
                    events.push_back(Event::Replaced(replaced));
                }
                Action::Report(report) => {
                    log::log!(report.level(), "{}: {report}", file.path().display());
                }
            }
        }
    }
}
