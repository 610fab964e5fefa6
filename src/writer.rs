//! The writer thread: does what the output machine says, and tells it how that went.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Instant;

use crossbeam_channel::{Receiver, at, never, select};

use crate::connection::Snapshot;
use crate::output::{Action, Event, Output};
use crate::publish::OutputFile;
use crate::render::render;

/// Runs until `snapshots` is disconnected or `stop` is; writes what is still to be written first.
pub fn run(mut file: OutputFile, snapshots: &Receiver<Snapshot>, stop: &Receiver<Infallible>) {
    let mut output = Output::new(Instant::now());
    loop {
        let event = select! {
            recv(snapshots) -> snapshot => match snapshot {
                Ok(snapshot) => Event::Wanted(render(&snapshot.targets)),
                Err(_) => break,
            },
            recv(stop) -> _ => break,
            recv(timer(output.deadline())) -> _ => Event::Time,
        };
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

fn timer(deadline: Option<Instant>) -> Receiver<Instant> {
    deadline.map_or_else(never, at)
}
