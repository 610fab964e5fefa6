//! What befalls the daemon: times of trouble, in which anything may fail, and times of calm, after
//! which everything must be as the control plane says.

use std::time::Duration;

use kuma_prometheus_sd::mads::negotiation::{EndKind, Protocol};

use crate::control_plane::{ApiManner, Kuma, Manner};
use crate::disk::DiskManner;
use crate::list::Defect;
use crate::network::Route;
use crate::rng::{milliseconds, minutes, seconds};
use crate::watch::Invariant;
use crate::world::{Happening, World};

/// How long a calm lasts before everything must be right: a dead link is noticed within 50 s (by
/// gRPC's keepalive; a poll over HTTP is given up after 20 s), the pause after that is 30 s at
/// most, the attempt that it interrupts 20 s (where it hangs while it is found out where MADS is, or
/// why a server hung up), and 5 s are for a healthy attempt and the write.
const CALM: Duration = seconds(50 + 30 + 20 + 5);

/// After so long, a stream was a good one, and a failure finds the backoff reset.
const GOOD_STREAM: Duration = seconds(65);

/// How soon a change, or the end of a short outage, shows in the file.
const SOON: Duration = seconds(3);

/// How soon a change shows where several replicas answer polls: those are further apart then.
const SOON_FROM_REPLICAS: Duration = seconds(13);

/// The longest flood; a thousand pushes a second take their time even in a simulation.
const LONGEST_FLOOD: Duration = milliseconds(2400);

#[derive(Debug, Default)]
pub(crate) struct FaultSchedule {
    phase: Phase,
    /// Whether the present end of the daemon met a healthy disk, and a file that nobody had touched.
    pub(crate) is_end_clean: bool,
}

#[derive(Debug, Default, Clone, Copy)]
enum Phase {
    #[default]
    Beginning,
    /// Until then things befall the daemon, about so far apart.
    Faults {
        until: Duration,
        apart: Duration,
    },
    /// Nothing has befallen it for a while.
    Calm,
    /// All was well when last looked at; then there was a change, and then a short outage.
    Steady,
    Changed,
    Interrupted,
}

impl FaultSchedule {
    /// Whether anything may fail at present.
    pub(crate) fn has_faults(&self) -> bool {
        matches!(self.phase, Phase::Faults { .. })
    }
}

impl World {
    pub(crate) fn schedule_goes_on(&mut self) {
        match self.schedule.phase {
            Phase::Faults { until, apart } if self.now < until => {
                self.something_befalls();
                let pause = self.rng.about(apart).min(until.saturating_sub(self.now));
                self.plan(pause, Happening::NextPhase);
            }
            Phase::Faults { .. } => self.calm_begins(),
            Phase::Beginning => self.faults_begin(),
            Phase::Calm => {
                self.must_be_right(Invariant::CalmConverges);
                self.phase(Phase::Steady, GOOD_STREAM);
            }
            Phase::Steady => {
                self.must_be_right(Invariant::CalmConverges);
                self.list_changes();
                self.phase(Phase::Changed, self.soon());
            }
            Phase::Changed => {
                self.must_be_right(Invariant::FileIsPutRight);
                self.log(|| "a short outage".to_owned());
                self.end_link(EndKind::Outage);
                self.list_changes();
                self.phase(Phase::Interrupted, self.soon());
            }
            Phase::Interrupted => {
                self.must_be_right(Invariant::BackWithinThreeSeconds);
                self.faults_begin();
            }
        }
    }

    fn phase(&mut self, phase: Phase, length: Duration) {
        self.schedule.phase = phase;
        self.plan(length, Happening::NextPhase);
    }

    /// How soon a change shows in the file; over HTTP an outage shows with the next poll, too.
    fn soon(&self) -> Duration {
        let is_polled = self.link.as_ref().is_some_and(|link| link.protocol == Protocol::Http);
        if is_polled && self.control_plane.has_replicas() { SOON_FROM_REPLICAS } else { SOON }
    }

    fn must_be_right(&mut self, invariant: Invariant) {
        let is_right = self.disk.file.as_deref() == Some(&*self.control_plane.list.file);
        self.watch.verdict.require(is_right, invariant, || {
            "the file is not what the control plane says".to_owned()
        });
        let is_flushed = self.disk.is_flushed;
        self.watch.verdict.require(is_flushed, Invariant::ReplacementIsFlushed, || {
            "the file is not flushed to the disk".to_owned()
        });
    }

    fn faults_begin(&mut self) {
        let length = match self.rng.below(10) {
            0..5 => self.rng.about(seconds(20)),
            5..9 => self.rng.about(minutes(10)),
            _ => self.rng.about(minutes(120)),
        };
        let apart = match self.rng.below(4) {
            0 => length / 10,
            1 => (length / 100).max(milliseconds(50)),
            _ => (length / 30).max(milliseconds(500)),
        };
        self.log(|| format!("-- trouble for {length:?}"));
        let until = self.now + length;
        self.phase(Phase::Faults { until, apart }, Duration::ZERO);
    }

    fn calm_begins(&mut self) {
        self.log(|| "-- calm".to_owned());
        self.route = Route::Good;
        self.control_plane.heal(&mut self.rng);
        self.set_disk(DiskManner::Healthy);
        if self.daemon.as_ref().is_none_or(|daemon| daemon.is_stopping) {
            self.daemon_is_killed();
            self.daemon_starts();
        }
        self.answer_if_due();
        self.phase(Phase::Calm, CALM);
    }

    fn something_befalls(&mut self) {
        match self.rng.below(28) {
            0..6 => self.list_changes(),
            6..9 => self.control_plane_restarts(),
            9..14 => self.manners_change(),
            14 => {
                self.control_plane.api_manner = self.rng.pick(&ApiManner::BAD);
                let manner = self.control_plane.api_manner;
                self.log(|| format!("the API server becomes {manner:?}"));
            }
            15..17 => self.response_becomes_bad(),
            17 => {
                self.log(|| "the link is cut".to_owned());
                self.end_link(EndKind::Outage);
            }
            18 => {
                self.log(|| "the link is cut silently".to_owned());
                self.cut_link();
            }
            19 => self.route = self.rng.pick(&[Route::Good, Route::Slow]),
            20..22 => {
                let manner = self.rng.pick(&DiskManner::BAD);
                self.set_disk(manner);
            }
            22 => self.set_disk(DiskManner::Healthy),
            23..25 => {
                let act = self.disk.is_meddled_with(&mut self.rng);
                self.log(|| format!("somebody {act} the file"));
                self.watch.file.meddled_with(self.now);
            }
            25 => self.reconnect(),
            26 if self.rng.chance(0.5) => self.daemon_is_killed(),
            26 => {
                // In the midst of changes there is something left to write.
                for _ in 0..2 {
                    let pause = self.rng.between(Duration::ZERO, milliseconds(60));
                    self.plan(pause, Happening::ListChanges);
                }
                self.plan(milliseconds(80), Happening::SigTerm);
            }
            _ => self.machine_sleeps(),
        }
    }

    pub(crate) fn list_changes(&mut self) {
        let list = self.control_plane.list.next(&mut self.rng);
        let defect = self.control_plane.defect;
        self.control_plane.change(list, defect, &mut self.rng);
        self.log(|| "the control plane's list changes".to_owned());
        self.answer_if_due();
    }

    fn response_becomes_bad(&mut self) {
        let defect = self.rng.pick(&[
            None,
            Some(Defect::WrongTypeUrl),
            Some(Defect::ForeignResource),
            Some(Defect::UndecodableResource),
        ]);
        let list = self.control_plane.list.clone();
        self.control_plane.change(list, defect, &mut self.rng);
        self.log(|| format!("what the control plane sends has the defect {defect:?}"));
        self.answer_if_due();
    }

    /// A restart, an upgrade or a rollback; links end, or die without an end of the connection.
    fn control_plane_restarts(&mut self) {
        if self.rng.chance(0.5) {
            self.control_plane.kuma = self.rng.pick(&Kuma::ALL);
        }
        let kuma = self.control_plane.kuma;
        self.log(|| format!("the control plane restarts as {kuma:?}"));
        if self.rng.chance(0.8) {
            self.end_link(EndKind::Outage);
        } else {
            self.cut_link();
        }
        self.control_plane.restart(&mut self.rng);
    }

    fn manners_change(&mut self) {
        let manner =
            if self.rng.chance(0.4) { Manner::Proper } else { self.rng.pick(&Manner::BAD) };
        self.log(|| format!("the control plane becomes {manner:?}"));
        self.control_plane.manner = manner;
        if self.rng.chance(0.2) {
            self.control_plane.api_manner = ApiManner::Discreet;
        }
        match manner {
            Manner::Refusing => self.end_link(EndKind::Outage),
            Manner::Unreachable => self.cut_link(),
            Manner::Proper => {
                self.control_plane.api_manner = ApiManner::Proper;
                self.answer_if_due();
            }
            Manner::Flooding => {
                let stream = self
                    .link
                    .as_ref()
                    .filter(|link| link.protocol != Protocol::Http)
                    .map(|link| link.number);
                if let Some(number) = stream {
                    self.push(number);
                }
                if self.rng.chance(0.3) {
                    self.response_becomes_bad();
                }
                let length = self.rng.about(LONGEST_FLOOD / 3).min(LONGEST_FLOOD);
                self.plan(length, Happening::FloodEnds);
            }
            _ => {}
        }
    }

    pub(crate) fn flood_ends(&mut self) {
        if self.control_plane.manner == Manner::Flooding {
            self.control_plane.manner = Manner::Proper;
        }
    }

    fn set_disk(&mut self, manner: DiskManner) {
        self.log(|| format!("the disk becomes {manner:?}"));
        self.disk.manner = manner;
        self.schedule.is_end_clean = false;
        let is_bad = manner != DiskManner::Healthy;
        self.watch.file.disk_changes(self.now, is_bad);
        if !is_bad {
            self.disk_goes_on();
        }
    }

    /// As a laptop does when it is closed: nothing runs, and then all that was due is late.
    fn machine_sleeps(&mut self) {
        let pause = self.rng.about(minutes(2));
        self.log(|| format!("the machine sleeps for {pause:?}"));
        self.now += pause;
        self.watch.file.sleeps(pause);
        self.watch.pace.sleeps(self.now, pause);
    }
}
