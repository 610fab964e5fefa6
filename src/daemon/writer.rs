//! The writer thread: runs the output's state machine over the file.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{Receiver, Select, Sender, TryRecvError};

use crate::common::fields::text;
use crate::common::heartbeat::Heartbeat;
use crate::common::logging;
use crate::common::machine::{self, Effects, Machine};
use crate::daemon::observed::Observation;
use crate::output::file::OutputFile;
use crate::output::report::Report;
use crate::output::state_machine::{Action, Event, Failure, Output};
use crate::snapshot::Snapshot;

/// What the output's actions are done with.
pub(super) struct WriterEffects {
    /// Everything but the reports.
    pub(super) file: OutputFile,
    /// What the main thread is to know.
    pub(super) observations: Sender<Observation>,
    /// By when the thread will be back.
    pub(super) heartbeat: Heartbeat,
    /// How many bytes were last written.
    pub(super) written: usize,
}

/// One turn of the writer, which waits for nothing but the file: the newest snapshot, or a deadline.
/// Where no more snapshots will come, or no more are waited for (`is_stopping`), it writes what is
/// still to be written. Says whether that was the last turn.
pub fn turn<M, E>(
    output: &mut M,
    effects: &mut E,
    snapshots: &Receiver<Arc<Snapshot>>,
    is_stopping: bool,
) -> bool
where
    M: Machine<Event = Event>,
    E: Effects<M, Error = Infallible>,
{
    let (event, is_over) = match snapshots.try_recv() {
        Ok(snapshot) => (Some(Event::Wanted(snapshot)), false),
        Err(TryRecvError::Empty) if !is_stopping => (None, false),
        Err(_) => (Some(Event::Finish), true),
    };
    let Ok(_) = machine::turn(output, effects, event);
    is_over
}

/// The writer thread. It runs until `snapshots` is disconnected or `stop` is.
pub(super) fn run(
    mut output: Output,
    mut effects: WriterEffects,
    snapshots: &Receiver<Arc<Snapshot>>,
    stop: &Receiver<Infallible>,
) {
    loop {
        effects.wait(output.deadline(), snapshots, stop);
        let is_stopping = stop.try_recv() == Err(TryRecvError::Disconnected);
        if turn(&mut output, &mut effects, snapshots, is_stopping) {
            return;
        }
    }
}

/// Logs what the machine reports of the file at `path`.
pub(super) fn log_report(report: &Report, path: &Path) {
    let path = path.display();
    let mut fields = report.fields();
    fields.push(text("path", &path));
    logging::log(report.level(), &fields, format_args!("{path}: {report}"));
}

impl WriterEffects {
    /// Waits until there is something to do, or to give a sign of life.
    fn wait(
        &self,
        deadline: Option<Instant>,
        snapshots: &Receiver<Arc<Snapshot>>,
        stop: &Receiver<Infallible>,
    ) {
        let wake_at = self.heartbeat.waiting(Instant::now(), deadline);
        let mut ready = Select::new();
        ready.recv(snapshots);
        ready.recv(stop);
        let _ = ready.ready_deadline(wake_at);
    }

    fn log(&self, report: Report) {
        log_report(&report, self.file.path());
        self.observe(Observation::Output(report));
    }

    fn replace(&mut self, content: &Arc<Snapshot>) -> Event {
        self.written = content.bytes().len();
        self.attempt(|file| file.replace(content))
    }

    /// Writes or flushes, and lets the main thread know how that went.
    fn attempt(&mut self, work: impl FnOnce(&mut OutputFile) -> Result<(), Failure>) -> Event {
        let start = Instant::now();
        let result = work(&mut self.file);
        self.observe(Observation::Replaced {
            bytes: self.written,
            took: start.elapsed(),
            is_success: result.is_ok(),
        });
        Event::Replaced(result)
    }

    fn observe(&self, observation: Observation) {
        // Where the main thread is no more, the process is ending anyway.
        let _ = self.observations.send(observation);
    }
}

impl Effects<Output> for WriterEffects {
    type Error = Infallible;

    fn begin(&mut self, _: &Event) {
        self.heartbeat.working(Instant::now());
    }

    fn perform(&mut self, action: Action) -> Vec<Event> {
        let event = match action {
            Action::Inspect(expected) => Event::Inspected(self.file.inspect(&expected)),
            Action::Replace(content) => self.replace(&content),
            Action::Flush => self.attempt(OutputFile::flush),
            Action::Report(report) => {
                self.log(report);
                return Vec::new();
            }
        };
        let moved = self.file.take_moved().map(Event::Moved);
        moved.into_iter().chain([event]).collect()
    }
}
