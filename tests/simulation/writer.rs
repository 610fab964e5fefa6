//! The writer thread: the program's own turns, in virtual time, over the simulated disk. It does one
//! thing at a time, and a disk can make it wait.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use kuma_prometheus_sd::common::machine::{self, Effects, Machine};
use kuma_prometheus_sd::daemon::writer;
use kuma_prometheus_sd::output::state_machine::{Action, Event, Inspection};
use kuma_prometheus_sd::snapshot::Snapshot;
use log::Level;

use crate::daemon::Operation;
use crate::fault::Fault;
use crate::faulty::FaultyOutput;
use crate::rng::milliseconds;
use crate::watch::FileEvent;
use crate::world::{Happening, World};

/// How long an act on the disk takes to return once it has shown.
const RETURN: Duration = milliseconds(5);

impl World {
    /// When the writer's deadline has come; not while it waits for the disk.
    pub(crate) fn writer_alarm(&mut self) -> Option<Duration> {
        let daemon = self.daemon.as_ref()?;
        if daemon.operation.is_some() || daemon.is_stopping {
            return None;
        }
        let deadline = daemon.output.as_ref()?.deadline();
        let deadline = deadline.map(|deadline| self.time(deadline));
        let daemon = self.daemon.as_mut()?;
        daemon.writer_alarm.set(deadline, &mut self.rng)
    }

    pub(crate) fn writer_wakes(&mut self) {
        if let Some(daemon) = &mut self.daemon {
            daemon.writer_alarm.reset();
        }
        self.watch.pace.step(self.now, &mut self.watch.verdict);
        self.writer_goes_on();
    }

    /// The thread takes its turns until it would wait for something, or for the disk.
    pub(crate) fn writer_goes_on(&mut self) {
        while let Some(daemon) = &mut self.daemon {
            if daemon.operation.is_some() {
                return;
            }
            if daemon.has_finished {
                return self.daemon_ends();
            }
            let is_stopping = daemon.is_stopping;
            let snapshots = daemon.snapshots.1.clone();
            let is_last = snapshots.is_empty() && !is_stopping;
            let has_finished = self
                .output_steps(|output, world| writer::turn(output, world, &snapshots, is_stopping));
            if let Some(daemon) = &mut self.daemon {
                daemon.has_finished = has_finished;
            }
            if is_last {
                return;
            }
        }
    }

    fn output_steps<T: Default>(
        &mut self,
        work: impl FnOnce(&mut FaultyOutput, &mut Self) -> T,
    ) -> T {
        let Some(mut output) = self.daemon.as_mut().and_then(|daemon| daemon.output.take()) else {
            return T::default();
        };
        let result = work(&mut output, self);
        let watch = &mut self.watch;
        watch.file.after_step(self.now, &mut watch.verdict);
        if let Some(daemon) = &mut self.daemon {
            daemon.output = Some(output);
        }
        result
    }

    /// Begins an act on the disk.
    fn begin_on_disk(&mut self, action: Action) {
        self.log(|| format!("output -> {}", action_in_words(&action)));
        let number = self.number();
        let latency = self.disk.latency(&mut self.rng);
        self.plan(latency, Happening::DiskActs(number));
        let Some(daemon) = &mut self.daemon else {
            return;
        };
        assert!(daemon.operation.is_none(), "one act at a time");
        daemon.operation = Some(Operation { number, action, outcome: None });
    }

    /// A disk that has hung goes on with whatever it was doing.
    pub(crate) fn disk_goes_on(&mut self) {
        let operation = self.daemon.as_ref().and_then(|daemon| daemon.operation.as_ref());
        if let Some(operation) = operation.filter(|operation| operation.outcome.is_none()) {
            let number = operation.number;
            self.plan(milliseconds(10), Happening::DiskActs(number));
        }
    }

    /// The act shows: a reader sees the new file from now on.
    pub(crate) fn disk_acts(&mut self, number: u64) {
        let fault = self.fault;
        let daemon = self.daemon.as_mut();
        let Some(operation) = daemon.and_then(|daemon| daemon.operation.as_mut()) else {
            return;
        };
        if operation.number != number || operation.outcome.is_some() {
            return;
        }
        let outcome = match &operation.action {
            Action::Inspect(expected) => {
                let found = self.disk.inspect(&rendered(expected, fault), &mut self.rng);
                Event::Inspected(match (fault, found) {
                    (Some(Fault::InspectionSkipped), _) => Ok(Inspection::Same),
                    (Some(Fault::EqualTakenForDifferent), Ok(Inspection::Same)) => {
                        Ok(Inspection::Different(expected.bytes().to_vec()))
                    }
                    (_, found) => found,
                })
            }
            Action::Replace(content) => {
                let content = rendered(content, fault);
                let watch = &mut self.watch;
                let is_known = !self.disk.is_touched;
                let holds_it = is_known && self.disk.holds(&content);
                watch.file.about_to_write(holds_it, &mut watch.verdict);
                let before = self.disk.file.clone();
                let mut replaced = self.disk.replace(&content, &mut self.rng);
                if fault == Some(Fault::WrittenInPlace) && self.disk.file != before {
                    self.disk.file = Some(content[..content.len() / 2].to_vec());
                }
                if self.disk.file != before
                    && let Some(file) = &self.disk.file
                {
                    watch.file.written(file, &mut watch.verdict);
                }
                if fault == Some(Fault::FailedWriteTakenForDone) {
                    replaced = Ok(());
                }
                Event::Replaced(replaced)
            }
            Action::Flush if fault == Some(Fault::FlushNeverRepeated) => Event::Replaced(Ok(())),
            Action::Flush => Event::Replaced(self.disk.flush(&mut self.rng)),
            Action::Report(_) => return,
        };
        operation.outcome = Some(outcome);
        let pause = self.rng.between(Duration::ZERO, RETURN);
        self.plan(pause, Happening::DiskReturns(number));
    }

    pub(crate) fn disk_returns(&mut self, number: u64) {
        let Some(daemon) = &mut self.daemon else {
            return;
        };
        let is_present = |operation: &mut Operation| operation.number == number;
        let Some(operation) = daemon.operation.take_if(is_present) else {
            return;
        };
        if let Some(outcome) = operation.outcome {
            self.output_steps(|output, world| machine::step(output, world, outcome));
        }
        self.writer_goes_on();
    }
}

impl Effects<FaultyOutput> for World {
    type Error = Infallible;

    fn now(&self) -> Instant {
        self.instant(self.now)
    }

    fn random(&mut self) -> f64 {
        self.rng.jitter()
    }

    fn begin(&mut self, event: &Event) {
        self.log(|| format!("output <- {}", in_words(event)));
        if let Event::Wanted(_) = event {
            self.watch.pace.event_from_outside();
        }
        let watch = &mut self.watch;
        watch.pace.step(self.now, &mut watch.verdict);
        watch.file.event(self.now, FileEvent::of(event), &mut watch.verdict);
    }

    fn perform(&mut self, action: Action) -> Vec<Event> {
        let watch = &mut self.watch;
        watch.file.action(self.now, &action, &mut watch.verdict);
        match action {
            Action::Report(report) => {
                watch.log.file(self.now, &report, &mut watch.verdict);
                if report.level() <= Level::Info {
                    self.log(|| format!("output -> log: {report}"));
                }
            }
            action => self.begin_on_disk(action),
        }
        // The disk takes its time.
        Vec::new()
    }
}

/// The bytes of a file, or those that a `render` that loses a label would have made.
fn rendered(content: &Snapshot, fault: Option<Fault>) -> Vec<u8> {
    if fault != Some(Fault::RenderedWithoutALabel) {
        return content.bytes().to_vec();
    }
    let text = std::str::from_utf8(content.bytes()).unwrap();
    text.replacen("\"mesh\":\"default\",", "", 1).into_bytes()
}

fn in_words(event: &Event) -> String {
    match event {
        Event::Wanted(content) => format!("wanted {}", list(content.bytes())),
        Event::Inspected(Ok(Inspection::Different(bytes))) => {
            format!("inspected, different: {}", list(bytes))
        }
        event => format!("{event:?}"),
    }
}

fn action_in_words(action: &Action) -> String {
    match action {
        Action::Inspect(content) => format!("inspect, expecting {}", list(content.bytes())),
        Action::Replace(content) => format!("replace by {}", list(content.bytes())),
        Action::Flush => "flush".to_owned(),
        Action::Report(report) => format!("{report:?}"),
    }
}

/// A file by its addresses.
fn list(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let addresses: Vec<&str> =
        text.split("[\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    format!("{addresses:?}")
}
