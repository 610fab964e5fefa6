//! The writer thread: performs what the output wants done, as `src/daemon/writer.rs` does, and tells it
//! what comes of it. It does one thing at a time, and a disk can make it wait.

use std::time::Duration;

use kuma_prometheus_sd::output::render::render;
use kuma_prometheus_sd::output::state_machine::{Action, Event, Inspection};
use log::Level;

use crate::daemon::{Ending, Operation};
use crate::dice::milliseconds;
use crate::fault::Fault;
use crate::watch::Told;
use crate::world::{Happening, World};

/// How long an act on the disk takes to return once it has shown.
const RETURN: Duration = milliseconds(5);

impl World {
    /// When the writer's deadline has come; not while it waits for the disk.
    pub(crate) fn writer_alarm(&mut self) -> Option<Duration> {
        let daemon = self.daemon.as_ref()?;
        if daemon.operation.is_some() || daemon.ending.is_some() {
            return None;
        }
        let deadline = daemon.output.deadline().map(|deadline| self.time(deadline));
        let (now, fault) = (self.now, self.fault);
        let is_disk_in_doubt = self.watch.file.is_disk_in_doubt(now);
        let is_retrying = self.watch.file.is_retrying();
        let daemon = self.daemon.as_mut()?;
        let alarm = daemon.writer_alarm.set(deadline, &mut self.dice)?;
        let is_soon = alarm < now + milliseconds(100);
        match fault {
            Some(Fault::HastyReplacements) if is_soon && !is_disk_in_doubt => Some(now),
            Some(Fault::HastyRetries) if is_retrying => Some(alarm.min(now + milliseconds(200))),
            _ => Some(alarm),
        }
    }

    pub(crate) fn writer_wakes(&mut self) {
        if let Some(daemon) = &mut self.daemon {
            daemon.writer_alarm.reset();
        }
        self.output_steps(Event::Time);
    }

    /// The writer takes what is there to be taken; after SIGTERM, it finishes.
    pub(crate) fn writer_goes_on(&mut self) {
        while let Some(daemon) = &mut self.daemon {
            if daemon.operation.is_some() {
                return;
            }
            match daemon.ending {
                None => match daemon.slot.take() {
                    Some(snapshot) => self.output_steps(Event::Wanted(render(&snapshot.targets))),
                    None => return,
                },
                Some(Ending::Asked) => {
                    daemon.ending = Some(Ending::LastListTaken);
                    if let Some(snapshot) = daemon.slot.take() {
                        self.output_steps(Event::Wanted(render(&snapshot.targets)));
                    }
                }
                Some(Ending::LastListTaken) => {
                    daemon.ending = Some(Ending::Finishing);
                    self.output_steps(Event::Finish);
                }
                Some(Ending::Finishing) => return self.daemon_ends(),
            }
        }
    }

    fn output_steps(&mut self, event: Event) {
        self.tell(|| format!("output <- {}", in_words(&event)));
        let told = Told::of(&event);
        if let Event::Wanted(_) = event {
            self.watch.pace.event_from_outside();
        }
        self.watch.pace.step(self.now, &mut self.watch.verdict);
        let is_hasty = self.has(Fault::HastyReplacements) || self.has(Fault::HastyRetries);
        let mut instant = self.instant(self.now);
        let jitter = self.dice.jitter();
        let Some(daemon) = &mut self.daemon else {
            return;
        };
        if let (Event::Time, true) = (&event, is_hasty) {
            instant = instant.max(daemon.output.deadline().unwrap_or(instant));
        }
        let actions = daemon.output.step(instant, jitter, event);
        let watch = &mut self.watch;
        watch
            .file
            .step(self.now, &told, &actions, &mut watch.verdict);
        for action in actions {
            match action {
                Action::Report(report) => {
                    if report.level() <= Level::Info {
                        self.tell(|| format!("output -> log: {report}"));
                    }
                    let watch = &mut self.watch;
                    watch.log.file(self.now, &report, &mut watch.verdict);
                }
                action => self.begin(action),
            }
        }
    }

    /// Begins an act on the disk.
    fn begin(&mut self, action: Action) {
        self.tell(|| format!("output -> {}", action_in_words(&action)));
        let number = self.number();
        let latency = self.disk.latency(&mut self.dice);
        self.plan(latency, Happening::DiskActs(number));
        let Some(daemon) = &mut self.daemon else {
            return;
        };
        assert!(daemon.operation.is_none(), "one act at a time");
        daemon.operation = Some(Operation {
            number,
            action,
            outcome: None,
        });
    }

    /// A disk that has hung goes on with whatever it was doing.
    pub(crate) fn disk_goes_on(&mut self) {
        let operation = self
            .daemon
            .as_ref()
            .and_then(|daemon| daemon.operation.as_ref());
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
                let found = self.disk.inspect(expected, &mut self.dice);
                Event::Inspected(match (fault, found) {
                    (Some(Fault::InspectionSkipped), _) => Ok(Inspection::Same),
                    (Some(Fault::EqualTakenForDifferent), Ok(Inspection::Same)) => {
                        Ok(Inspection::Different(expected.bytes().to_vec()))
                    }
                    (_, found) => found,
                })
            }
            Action::Replace(content) => {
                let watch = &mut self.watch;
                let is_known = !self.disk.is_touched;
                let holds_it = is_known && self.disk.holds(content.bytes());
                watch.file.about_to_write(holds_it, &mut watch.verdict);
                let before = self.disk.file.clone();
                let mut replaced = self.disk.replace(content, &mut self.dice);
                if fault == Some(Fault::WrittenInPlace) && self.disk.file != before {
                    self.disk.file = Some(content.bytes()[..content.bytes().len() / 2].to_vec());
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
            Action::Flush => Event::Replaced(self.disk.flush(&mut self.dice)),
            Action::Report(_) => return,
        };
        operation.outcome = Some(outcome);
        let pause = self.dice.between(Duration::ZERO, RETURN);
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
            self.output_steps(outcome);
        }
        self.writer_goes_on();
    }
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
    let addresses: Vec<&str> = text
        .split("[\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    format!("{addresses:?}")
}
