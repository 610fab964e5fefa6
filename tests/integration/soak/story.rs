//! The story of a soak: one random thing after the other, and the calm in between.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use kuma_stand_in::{
    Answers, ApiVersion, Body, ControlPlane, Fault, HttpAnswer, KumaVersion, Resource,
};

use crate::soak::disk::{self, BY_HAND, Disk};
use crate::soak::table::Table;
use crate::support::harness::{Daemon, Launch, on_its_port, wait_until};
use crate::support::lists;
use crate::support::mesh::EMPTY;
use crate::support::process::Figures;
use crate::support::reader::Reader;

/// The longest list.
const TARGETS: usize = 300;

/// Nothing may take longer than this, which is longer than it should take.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) struct Story {
    started: Instant,
    rng: fastrand::Rng,
    plane: ControlPlane,
    launch: Launch,
    daemon: Option<Daemon>,
    disk: Disk,
    reader: Reader,
    table: Table,
    last_list: usize,
    last_length: usize,
}

impl Story {
    pub(crate) fn begin(seed: u64, disk: Disk) -> Story {
        let mut rng = fastrand::Rng::with_seed(seed);
        let plane = ControlPlane::start(KumaVersion::ALL[rng.usize(..KumaVersion::ALL.len())]);
        let address = match rng.bool() {
            true => plane.grpc_url(),
            false => plane.api_url(),
        };
        let launch = Launch::follow(&address).output(disk.output()).argument("--log-level=info");
        let mut story = Story {
            started: Instant::now(),
            daemon: Some(launch.start()),
            reader: Reader::start_with_pauses(&disk.output(), Duration::from_micros(200)),
            rng,
            plane,
            launch,
            disk,
            table: Table::default(),
            last_list: 0,
            last_length: 0,
        };
        story.calm();
        story
    }

    /// One random thing, and a pause.
    pub(crate) fn step(&mut self) {
        match self.rng.u32(..100) {
            0..35 => self.publish(),
            35..40 => self.burst(),
            40..46 => self.outage(),
            46..52 => self.upgrade(),
            52..56 => {
                self.tell("restart of the control plane");
                self.plane.restart();
            }
            56..61 => self.add_network_faults(),
            61..65 => {
                self.tell("streams closed");
                self.plane.close_streams(14, "by chance");
            }
            65..70 => self.bad_list(),
            70..75 => self.bad_answer(),
            75..78 => {
                self.tell("no list for a while");
                self.plane.withdraw();
            }
            78..93 => self.harm_the_disk(),
            93..96 => {
                self.tell("SIGHUP");
                self.running().signal("HUP");
            }
            96..98 => self.suspend(),
            _ => self.another_life(),
        }
        self.pause(300);
    }

    /// Heals everything, and sees that the file becomes what the control plane says.
    pub(crate) fn calm(&mut self) {
        self.disk.heal();
        self.come_back();
        self.plane.fault_proxy().set_fault(Fault::None);
        self.plane.set_answers(Answers::Faithful);
        self.plane.answer_every_http(None);
        self.publish();
        let since = Instant::now();
        let expected = self.last_list;
        let file = self.disk.output();
        let is_empty = self.last_length == 0;
        let is_right = || {
            let content = fs::read_to_string(&file).unwrap_or_default();
            match is_empty {
                true => content == EMPTY,
                false => lists::number_of(&content) == Some(expected),
            }
        };
        let came = wait_until(PATIENCE, is_right);
        assert!(came, "the file is not list {expected} within {PATIENCE:?}");
        let process = self.running().process();
        self.table.measure(Figures::of(process));
        self.table.calms += 1;
        self.table.slowest_calm = self.table.slowest_calm.max(since.elapsed());
    }

    /// Ends it, and returns what it took.
    pub(crate) fn end(mut self) -> Table {
        self.calm();
        self.end_life(true);
        let seen = self.reader.stop();
        // What this story itself has done to the file, and the empty list.
        let by_us = ["no file", "Is a directory", "[]", BY_HAND];
        let wrong: Vec<&String> = seen
            .wrong
            .iter()
            .filter(|wrong| !by_us.iter().any(|text| wrong.contains(text)))
            .collect();
        assert!(wrong.is_empty(), "a reader saw {wrong:#?}");
        self.table.duration = self.started.elapsed();
        self.table.lists = self.last_list;
        self.table
    }

    fn running(&mut self) -> &mut Daemon {
        self.daemon.as_mut().expect("one is always running")
    }

    fn tell(&mut self, what: &str) {
        self.table.count(what);
        println!("{:9.3} s  {what}", self.started.elapsed().as_secs_f64());
    }

    fn pause(&mut self, longest_ms: u64) {
        thread::sleep(Duration::from_millis(self.rng.u64(..longest_ms)));
    }

    fn publish(&mut self) {
        self.last_list += 1;
        self.last_length = match self.rng.u32(..20) {
            0 => 0,
            _ => self.rng.usize(1..TARGETS),
        };
        let list = lists::list(self.last_list, self.last_length);
        self.plane.publish(&list);
    }

    fn burst(&mut self) {
        self.tell("burst of lists");
        for _ in 0..self.rng.u32(1..100) {
            self.publish();
        }
    }

    fn outage(&mut self) {
        self.tell("outage");
        self.plane.go_away();
        self.pause(5000);
        self.publish();
        self.come_back();
    }

    fn come_back(&self) {
        on_its_port(|| self.plane.come_back());
    }

    fn upgrade(&mut self) {
        let kuma = KumaVersion::ALL[self.rng.usize(..KumaVersion::ALL.len())];
        self.tell(&format!("upgrade or rollback to {kuma}"));
        self.plane.upgrade_to(kuma);
    }

    fn add_network_faults(&mut self) {
        let fault = match self.rng.u32(..3) {
            0 => Fault::Stall,
            1 => Fault::Slow { bytes: 7, pause: Duration::from_millis(1) },
            _ => Fault::Garble { every: self.rng.usize(1..200) },
        };
        self.tell(match fault {
            Fault::Stall => "way stalled",
            Fault::Slow { .. } => "way slow",
            _ => "way garbled",
        });
        self.plane.fault_proxy().set_fault(fault);
        self.publish();
        self.pause(4000);
        self.plane.fault_proxy().set_fault(Fault::None);
        // Half a frame, or a changed one, may be anything.
        self.plane.fault_proxy().cut();
    }

    fn bad_list(&mut self) {
        self.tell("list that must be rejected");
        for api_version in ApiVersion::ALL {
            let bad = vec![Resource::undecodable(api_version)];
            self.plane.publish_raw(api_version, api_version.type_url(), bad);
        }
        self.pause(2000);
        self.publish();
    }

    fn bad_answer(&mut self) {
        self.tell("bad answer over HTTP");
        let sent = b"{\"version_info\":".to_vec();
        let answers = [
            HttpAnswer::new(200, "text/html", "<html>Log in</html>"),
            HttpAnswer::error(500, "Broken", "by chance"),
            HttpAnswer::redirect(302, "http://127.0.0.1:9/"),
            HttpAnswer::Raw(b"\0garbage".to_vec()),
            HttpAnswer::with_body(304, Body::Full(Vec::new())),
            HttpAnswer::with_body(200, Body::Truncated { sent, promised: 4096 }),
        ];
        let answer = answers[self.rng.usize(..answers.len())].clone();
        self.plane.answer_every_http(Some(answer));
        self.pause(3000);
        self.plane.answer_every_http(None);
    }

    fn harm_the_disk(&mut self) {
        let fault = disk::Fault::any(&mut self.rng);
        self.tell(&format!("disk: {fault:?}"));
        self.disk.suffer(fault);
        self.publish();
        self.pause(2000);
        self.disk.heal();
    }

    fn suspend(&mut self) {
        self.tell("suspension");
        self.running().signal("STOP");
        self.publish();
        self.pause(3000);
        self.running().signal("CONT");
    }

    fn another_life(&mut self) {
        let is_killed = self.rng.bool();
        self.tell(match is_killed {
            true => "SIGKILL and a new start",
            false => "SIGTERM and a new start",
        });
        self.end_life(!is_killed);
        self.daemon = Some(self.launch.start());
    }

    fn end_life(&mut self, by_asking: bool) {
        let daemon = self.daemon.take().expect("one is always running");
        self.table.cpu += daemon.figures().cpu;
        self.table.lives += 1;
        self.table.log_lines += daemon.log().lines().count();
        match by_asking {
            true => drop(daemon.terminate()),
            false => daemon.kill(),
        }
    }
}
