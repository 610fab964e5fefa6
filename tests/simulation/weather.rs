//! What befalls the daemon: times of trouble, in which anything may fail, and times of calm, after
//! which everything must be as the control plane says.

use std::time::Duration;

use kuma_prometheus_sd::mads::negotiation::{EndKind, Protocol};

use crate::control_plane::{ApiManner, Kuma, Manner};
use crate::dice::{milliseconds, minutes, seconds};
use crate::disk::DiskManner;
use crate::list::Defect;
use crate::network::Way;
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
pub(crate) struct Weather {
    season: Season,
    /// Whether the daemon's end under way met a healthy disk, and a file that nobody had touched.
    pub(crate) is_end_clean: bool,
}

#[derive(Debug, Default, Clone, Copy)]
enum Season {
    #[default]
    Beginning,
    /// Until then things befall the daemon, about so far apart.
    Trouble {
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

impl Weather {
    /// Whether anything may fail at present.
    pub(crate) fn is_trouble(&self) -> bool {
        matches!(self.season, Season::Trouble { .. })
    }
}

impl World {
    pub(crate) fn weather_changes(&mut self) {
        match self.weather.season {
            Season::Trouble { until, apart } if self.now < until => {
                self.something_befalls();
                let pause = self.dice.about(apart).min(until.saturating_sub(self.now));
                self.plan(pause, Happening::WeatherChanges);
            }
            Season::Trouble { .. } => self.calm_begins(),
            Season::Beginning => self.trouble_begins(),
            Season::Calm => {
                self.must_be_right(Invariant::CalmConverges);
                self.season(Season::Steady, GOOD_STREAM);
            }
            Season::Steady => {
                self.must_be_right(Invariant::CalmConverges);
                self.list_changes();
                self.season(Season::Changed, self.soon());
            }
            Season::Changed => {
                self.must_be_right(Invariant::FileIsPutRight);
                self.tell(|| "a short outage".to_owned());
                self.end_link(EndKind::Outage);
                self.list_changes();
                self.season(Season::Interrupted, self.soon());
            }
            Season::Interrupted => {
                self.must_be_right(Invariant::BackWithinThreeSeconds);
                self.trouble_begins();
            }
        }
    }

    fn season(&mut self, season: Season, length: Duration) {
        self.weather.season = season;
        self.plan(length, Happening::WeatherChanges);
    }

    /// How soon a change shows in the file; over HTTP an outage shows with the next poll, too.
    fn soon(&self) -> Duration {
        let is_polled = self
            .link
            .as_ref()
            .is_some_and(|link| link.protocol == Protocol::Http);
        if is_polled && self.control_plane.has_replicas() {
            SOON_FROM_REPLICAS
        } else {
            SOON
        }
    }

    fn must_be_right(&mut self, invariant: Invariant) {
        let is_right = self.disk.file.as_deref() == Some(&*self.control_plane.list.file);
        self.watch.verdict.require(is_right, invariant, || {
            "the file is not what the control plane says".to_owned()
        });
        let is_flushed = self.disk.is_flushed;
        self.watch
            .verdict
            .require(is_flushed, Invariant::ReplacementIsFlushed, || {
                "the file is not flushed to the disk".to_owned()
            });
    }

    fn trouble_begins(&mut self) {
        let length = match self.dice.below(10) {
            0..5 => self.dice.about(seconds(20)),
            5..9 => self.dice.about(minutes(10)),
            _ => self.dice.about(minutes(120)),
        };
        let apart = match self.dice.below(4) {
            0 => length / 10,
            1 => (length / 100).max(milliseconds(50)),
            _ => (length / 30).max(milliseconds(500)),
        };
        self.tell(|| format!("-- trouble for {length:?}"));
        let until = self.now + length;
        self.season(Season::Trouble { until, apart }, Duration::ZERO);
    }

    fn calm_begins(&mut self) {
        self.tell(|| "-- calm".to_owned());
        self.way = Way::Good;
        self.control_plane.heal(&mut self.dice);
        self.set_disk(DiskManner::Healthy);
        if self.daemon.as_ref().is_none_or(|daemon| daemon.is_stopping) {
            self.daemon_is_killed();
            self.daemon_starts();
        }
        self.answer_if_due();
        self.season(Season::Calm, CALM);
    }

    fn something_befalls(&mut self) {
        match self.dice.below(28) {
            0..6 => self.list_changes(),
            6..9 => self.control_plane_restarts(),
            9..14 => self.manners_change(),
            14 => {
                self.control_plane.api_manner = self.dice.pick(&ApiManner::BAD);
                let manner = self.control_plane.api_manner;
                self.tell(|| format!("the API server becomes {manner:?}"));
            }
            15..17 => self.response_becomes_bad(),
            17 => {
                self.tell(|| "the way is cut".to_owned());
                self.end_link(EndKind::Outage);
            }
            18 => {
                self.tell(|| "the way is cut silently".to_owned());
                self.cut_link();
            }
            19 => self.way = self.dice.pick(&[Way::Good, Way::Slow]),
            20..22 => {
                let manner = self.dice.pick(&DiskManner::BAD);
                self.set_disk(manner);
            }
            22 => self.set_disk(DiskManner::Healthy),
            23..25 => {
                let act = self.disk.is_meddled_with(&mut self.dice);
                self.tell(|| format!("somebody {act} the file"));
                self.watch.file.meddled_with(self.now);
            }
            25 => self.reconnect(),
            26 if self.dice.chance(0.5) => self.daemon_is_killed(),
            26 => {
                // In the midst of changes there is something left to write.
                for _ in 0..2 {
                    let pause = self.dice.between(Duration::ZERO, milliseconds(60));
                    self.plan(pause, Happening::ListChanges);
                }
                self.plan(milliseconds(80), Happening::SigTerm);
            }
            _ => self.machine_sleeps(),
        }
    }

    pub(crate) fn list_changes(&mut self) {
        let list = self.control_plane.list.next(&mut self.dice);
        let defect = self.control_plane.defect;
        self.control_plane.change(list, defect, &mut self.dice);
        self.tell(|| "the control plane's list changes".to_owned());
        self.answer_if_due();
    }

    fn response_becomes_bad(&mut self) {
        let defect = self.dice.pick(&[
            None,
            Some(Defect::WrongTypeUrl),
            Some(Defect::ForeignResource),
            Some(Defect::UndecodableResource),
        ]);
        let list = self.control_plane.list.clone();
        self.control_plane.change(list, defect, &mut self.dice);
        self.tell(|| format!("what the control plane sends has the defect {defect:?}"));
        self.answer_if_due();
    }

    /// A restart, an upgrade or a rollback; links end, or are dead without a word.
    fn control_plane_restarts(&mut self) {
        if self.dice.chance(0.5) {
            self.control_plane.kuma = self.dice.pick(&Kuma::ALL);
        }
        let kuma = self.control_plane.kuma;
        self.tell(|| format!("the control plane restarts as {kuma:?}"));
        if self.dice.chance(0.8) {
            self.end_link(EndKind::Outage);
        } else {
            self.cut_link();
        }
        self.control_plane.restart(&mut self.dice);
    }

    fn manners_change(&mut self) {
        let manner = if self.dice.chance(0.4) {
            Manner::Proper
        } else {
            self.dice.pick(&Manner::BAD)
        };
        self.tell(|| format!("the control plane becomes {manner:?}"));
        self.control_plane.manner = manner;
        if self.dice.chance(0.2) {
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
                if self.dice.chance(0.3) {
                    self.response_becomes_bad();
                }
                let length = self.dice.about(LONGEST_FLOOD / 3).min(LONGEST_FLOOD);
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
        self.tell(|| format!("the disk becomes {manner:?}"));
        self.disk.manner = manner;
        self.weather.is_end_clean = false;
        let is_bad = manner != DiskManner::Healthy;
        self.watch.file.disk_changes(self.now, is_bad);
        if !is_bad {
            self.disk_goes_on();
        }
    }

    /// As a laptop does when it is closed: nothing runs, and then all that was due is late.
    fn machine_sleeps(&mut self) {
        let pause = self.dice.about(minutes(2));
        self.tell(|| format!("the machine sleeps for {pause:?}"));
        self.now += pause;
        self.watch.file.sleeps(pause);
        self.watch.pace.sleeps(self.now, pause);
    }
}
