//! The writer thread: does what the output machine says, and tells it how that went.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, at, select};

use crate::common::heartbeat::Heartbeat;
use crate::daemon::status::Note;
use crate::output::file::OutputFile;
use crate::output::report::Report;
use crate::output::state_machine::{Action, Event, Output};
use crate::snapshot::Snapshot;

/// The thread's own part: the effects.
pub struct WriterThread {
    /// Decides.
    pub output: Output,
    /// What it decides about.
    pub file: OutputFile,
    /// What the main thread is to know.
    pub notes: Sender<Note>,
    /// By when the thread will be back.
    pub heartbeat: Heartbeat,
}

impl WriterThread {
    /// Runs until `snapshots` is disconnected or `stop` is; writes what is still to be written first.
    pub fn run(mut self, snapshots: &Receiver<Arc<Snapshot>>, stop: &Receiver<Infallible>) {
        loop {
            let wake_at = self
                .heartbeat
                .waiting(Instant::now(), self.output.deadline());
            select! {
                recv(snapshots) -> snapshot => match snapshot {
                    Ok(snapshot) => self.want(snapshot),
                    Err(_) => break,
                },
                recv(stop) -> _ => break,
                recv(at(wake_at)) -> _ => self.step(Event::Time),
            }
        }
        if let Ok(snapshot) = snapshots.try_recv() {
            self.want(snapshot);
        }
        self.step(Event::Finish);
    }

    fn want(&mut self, snapshot: Arc<Snapshot>) {
        self.heartbeat.working(Instant::now());
        self.step(Event::Wanted(snapshot));
    }

    /// One event, and all that follows from it. Each that is dealt with is a sign of life.
    fn step(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            self.heartbeat.working(Instant::now());
            for action in self.output.step(Instant::now(), fastrand::f64(), event) {
                match action {
                    Action::Inspect(expected) => {
                        let inspected = self.file.inspect(&expected);
                        let inspected = inspected.map_err(|error| error.to_string());
                        events.extend(self.file.take_moved().map(Event::Moved));
                        events.push_back(Event::Inspected(inspected));
                    }
                    Action::Replace(content) => {
                        let replaced = self.file.replace(&content);
                        events.extend(self.file.take_moved().map(Event::Moved));
                        events.push_back(Event::Replaced(replaced));
                    }
                    Action::Flush => events.push_back(Event::Replaced(self.file.flush())),
                    Action::Report(report) => self.tell(&report),
                }
            }
        }
    }

    fn tell(&self, report: &Report) {
        log::log!(report.level(), "{}: {report}", self.file.path().display());
        if let Some(note) = Note::of_output(report) {
            // Where the main thread is no more, the process is ending anyway.
            let _ = self.notes.send(note);
        }
    }
}
