//! One story: everything there is in it, the virtual time, and what happens next.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use kuma_prometheus_sd::mads::connection::Event;
use kuma_prometheus_sd::mads::endpoint::Endpoint;
use kuma_prometheus_sd::mads::negotiation::Protocol;
use kuma_prometheus_sd::mads::session::Request;

use crate::control_plane::{ControlPlane, Sent};
use crate::daemon::Daemon;
use crate::disk::Disk;
use crate::fault::Fault;
use crate::fault_schedule::FaultSchedule;
use crate::network::{Link, Route};
use crate::rng::Rng;
use crate::story::Story;
use crate::watch::{Violation, Watch};

/// What will happen at a set time.
#[derive(Debug)]
pub(crate) enum Happening {
    /// Something reaches the daemon over the link, or answers its question, of that number.
    ToDaemon(u64, Event, Option<Sent>),
    /// A connection reaches the control plane, with its first request.
    Opened(u64, Endpoint, Protocol, Request),
    /// A further request reaches the control plane.
    Requested(u64, Request),
    /// The control plane has held a poll, of that number on its link, for long enough.
    PollHeld(u64, u64),
    /// The client has waited for a poll for long enough.
    PollGivenUp(u64, u64),
    /// The control plane pushes once more, whatever was acknowledged.
    Push(u64),
    /// The control plane has pushed enough.
    FloodEnds,
    /// The writer thread notices the list that was handed to it.
    WriterWakes,
    /// An act on the disk, of that number, shows.
    DiskActs(u64),
    /// The act is over.
    DiskReturns(u64),
    /// The grace of that daemon after SIGTERM is over.
    GraceEnds(u64),
    /// The control plane has another list.
    ListChanges,
    /// Somebody asks the daemon to end.
    SigTerm,
    /// A new daemon starts.
    DaemonStarts,
    /// Time for something else.
    NextPhase,
}

/// A happening at its time; of two at one time, the one that was planned first is first.
#[derive(Debug)]
struct Planned {
    time: Duration,
    number: u64,
    happening: Box<Happening>,
}

impl PartialEq for Planned {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Planned {}

impl PartialOrd for Planned {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Planned {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.time, self.number).cmp(&(other.time, other.number))
    }
}

/// Which of the daemon's two threads has waited for its deadline.
enum Waiting {
    Receiver,
    Writer,
    Nobody,
}

#[derive(Debug)]
pub(crate) struct World {
    /// Virtual time, since the start of the story.
    pub(crate) now: Duration,
    base: Instant,
    plans: BinaryHeap<Reverse<Planned>>,
    numbers: u64,
    pub(crate) rng: Rng,
    pub(crate) control_plane: ControlPlane,
    pub(crate) route: Route,
    pub(crate) link: Option<Link>,
    /// What is known of the response that the receiver deals with at present.
    pub(crate) sent: Option<Sent>,
    pub(crate) disk: Disk,
    /// `None` between a daemon's end and the start of the next one.
    pub(crate) daemon: Option<Daemon>,
    pub(crate) schedule: FaultSchedule,
    pub(crate) watch: Watch,
    pub(crate) story: Story,
    /// What is planted, to see whether it is found.
    pub(crate) fault: Option<Fault>,
}

impl World {
    pub(crate) fn new(seed: u64, fault: Option<Fault>, story: Story) -> Self {
        let mut rng = Rng::new(seed);
        let mut world = Self {
            now: Duration::ZERO,
            base: Instant::now(),
            plans: BinaryHeap::new(),
            numbers: 0,
            control_plane: ControlPlane::new(&mut rng),
            route: Route::default(),
            link: None,
            sent: None,
            disk: Disk::new(&mut rng),
            daemon: None,
            schedule: FaultSchedule::default(),
            watch: Watch::default(),
            story,
            fault,
            rng,
        };
        world.plan(Duration::ZERO, Happening::DaemonStarts);
        world.plan(Duration::ZERO, Happening::NextPhase);
        world
    }

    /// Plays until `end`.
    pub(crate) fn play(&mut self, end: Duration) -> Result<(), Violation> {
        while self.now < end {
            self.turn();
            if let Some(violation) = self.watch.verdict.violation.take() {
                return Err(violation);
            }
        }
        Ok(())
    }

    /// `now`, as the machines know it.
    pub(crate) fn instant(&self, time: Duration) -> Instant {
        self.base + time
    }

    pub(crate) fn time(&self, instant: Instant) -> Duration {
        instant.saturating_duration_since(self.base)
    }

    /// A number that nothing else has.
    pub(crate) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    pub(crate) fn plan(&mut self, pause: Duration, happening: Happening) {
        let time = self.now + pause;
        self.plan_at(time, happening);
    }

    pub(crate) fn plan_at(&mut self, time: Duration, happening: Happening) {
        let number = self.number();
        self.plans.push(Reverse(Planned { time, number, happening: Box::new(happening) }));
    }

    pub(crate) fn log(&mut self, words: impl FnOnce() -> String) {
        self.story.log(self.now, words);
    }

    pub(crate) fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// The next thing happens.
    fn turn(&mut self) {
        let planned = self.plans.peek().map(|Reverse(planned)| planned.time);
        let mut next = (planned.unwrap_or(Duration::MAX), Waiting::Nobody);
        for (alarm, whose) in
            [(self.receiver_alarm(), Waiting::Receiver), (self.writer_alarm(), Waiting::Writer)]
        {
            if let Some(time) = alarm.filter(|time| *time < next.0) {
                next = (time, whose);
            }
        }
        let (time, whose) = next;
        self.now = self.now.max(time);
        let file = self.disk.file.as_deref();
        self.watch.time_passes(self.now, file);
        match whose {
            Waiting::Receiver => self.receiver_wakes(),
            Waiting::Writer => self.writer_wakes(),
            Waiting::Nobody => {
                if let Some(Reverse(planned)) = self.plans.pop() {
                    self.happens(*planned.happening);
                }
            }
        }
    }

    fn happens(&mut self, happening: Happening) {
        match happening {
            Happening::ToDaemon(number, event, sent) => self.reaches_daemon(number, event, sent),
            Happening::Opened(link, endpoint, protocol, request) => {
                self.opened(link, &endpoint, protocol, &request);
            }
            Happening::Requested(link, request) => self.requested(link, &request),
            Happening::PollHeld(link, poll) => self.poll_held(link, poll),
            Happening::PollGivenUp(link, poll) => self.poll_given_up(link, poll),
            Happening::Push(link) => self.push(link),
            Happening::FloodEnds => self.flood_ends(),
            Happening::WriterWakes => self.writer_goes_on(),
            Happening::DiskActs(operation) => self.disk_acts(operation),
            Happening::DiskReturns(operation) => self.disk_returns(operation),
            Happening::GraceEnds(daemon) => self.grace_ends(daemon),
            Happening::ListChanges => self.list_changes(),
            Happening::SigTerm => self.daemon_is_asked_to_end(),
            Happening::DaemonStarts => self.daemon_starts(),
            Happening::NextPhase => self.schedule_goes_on(),
        }
    }
}
