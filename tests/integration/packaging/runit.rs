//! The runit directory under the real `runsv`, `sv` and `svlogd`.

use std::fs;
use std::thread;

use kuma_stand_in::{ControlPlane, KumaVersion};

use crate::packaging::supervised::Supervised;
use crate::support::command::{command, has, run};
use crate::support::files::names;
use crate::support::mesh;

/// Long enough for `sv` to see what is there already.
const AT_ONCE: u32 = 1;

/// Less than the pause after a crash.
const PROMPTLY: u32 = 4;

/// `sv`'s own patience.
const PATIENTLY: u32 = 7;

/// A service that follows a control plane.
fn following(plane: &ControlPlane) -> Supervised {
    let service = Supervised::install();
    service.settings(&[
        &format!("KUMA_MONITORING_ASSIGNMENT_CLIENT_URL={}", plane.grpc_url()),
        "KUMA_PROMETHEUS_SD_LOG_LEVEL=debug",
    ]);
    service
}

/// A service that has written the list of a control plane; `None` where runit is not here.
fn started() -> Option<(ControlPlane, Supervised)> {
    started_with(|_| ())
}

/// The same, prepared before its start.
fn started_with(prepare: impl FnOnce(&Supervised)) -> Option<(ControlPlane, Supervised)> {
    if !has("runsv") {
        return None;
    }
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let mesh = mesh::backends(2);
    plane.publish(&mesh);
    let mut service = following(&plane);
    prepare(&service);
    service.start();
    let list = mesh::file_v1(&mesh);
    service.wait_for("the list", || service.list().as_ref() == Some(&list));
    Some((plane, service))
}

/// Kills the daemon, as a crash would, and waits until `run` is there again, and the daemon is not.
fn crash(service: &Supervised) {
    let process = service.process().expect("it runs");
    run(command("kill").args(["-KILL", &process.to_string()])).successfully();
    service.wait_for("the pause", || service.process().is_some_and(|paused| paused != process));
}

#[test]
fn it_writes_the_list_and_its_log_is_kept() {
    let Some((_plane, service)) = started() else {
        return;
    };
    service.wait_for_log(" follows ");
    // svlogd writes the time, so the daemon must not.
    for line in service.log().lines() {
        let (time, rest) = line.split_once(' ').expect("svlogd writes the time");
        let of_its_own = rest.trim_start_matches('[').starts_with(&time[..4]);
        assert!(!of_its_own, "{line}");
    }
    service.sv("stop", PATIENTLY).successfully();
    service.wait_for_log("stopping, as asked by a signal");
}

#[test]
fn after_a_crash_it_is_started_again_when_a_pause_has_passed() {
    let Some((plane, service)) = started() else {
        return;
    };
    crash(&service);
    let check = service.sv("check", AT_ONCE);
    assert_eq!(check.code, Some(1), "{}", check.output);
    service.wait_for_log("ended with code -1, signal 9");
    service.sv("check", PATIENTLY).successfully();
    plane.publish(&[]);
    service.wait_for("the list", || service.list().as_deref() == Some(mesh::EMPTY));
    service.sv("check", PATIENTLY).successfully();
}

#[test]
fn the_pause_after_a_crash_keeps_nobody_waiting() {
    let Some((_plane, service)) = started() else {
        return;
    };
    crash(&service);
    service.sv("restart", PROMPTLY).successfully();
    crash(&service);
    service.sv("stop", PROMPTLY).successfully();
    assert!(service.is_down_for_good(), "{}", service.status());
}

#[test]
fn a_pause_that_was_ended_before_it_began_does_not_come_back() {
    let Some((_plane, service)) = started() else {
        return;
    };
    // As if `run` had been ended before it could look.
    service.put("etc/sv/kuma-prometheus-sd/supervise/failed", "");
    service.sv("restart", PROMPTLY).successfully();
    service.sv("check", PROMPTLY).successfully();
}

/// Something that ends `run` before it has become the daemon, what is logged then, and what puts it right.
type Hindrance = (fn(&Supervised), &'static str, fn(&Supervised));

#[test]
fn what_hinders_the_shell_before_the_daemon_is_waited_out() {
    const STATE: &str = "var/lib/kuma-prometheus-sd";
    if !has("runsv") {
        return;
    }
    let hindrances: [Hindrance; 2] = [
        // The shell itself ends with 2, the daemon's code for wrong usage, as where it cannot fork.
        (
            |service| service.settings(&["KUMA_PROMETHEUS_SD_TRANSPORT=\""]),
            "ended with code 2, before it was started, ",
            |service| service.settings(&[]),
        ),
        // The script ends with 1, in `fail`.
        (
            |service| service.put(STATE, "no folder"),
            "ended with code 1, ",
            |service| fs::remove_file(service.path(STATE)).expect("it is there"),
        ),
    ];
    thread::scope(|scope| {
        for (hinder, told, put_right) in hindrances {
            scope.spawn(move || {
                let mut service = Supervised::install();
                hinder(&service);
                service.start();
                service.wait_for_log(told);
                service.wait_for_log("started again in 5 s");
                put_right(&service);
                service.wait_for_log(" follows ");
            });
        }
    });
}

#[test]
fn a_usage_error_takes_it_down() {
    if !has("runsv") {
        return;
    }
    let mut service = Supervised::install();
    service.settings(&["KUMA_PROMETHEUS_SD_TRANSPORT=pigeon"]);
    service.start();
    service.wait_for_log("taken down");
    service.wait_for("its end", || service.is_down_for_good());
    assert_eq!(service.log().matches("pigeon").count(), 1);
    // Put right, it is started again by hand.
    service.settings(&[]);
    service.sv("start", PATIENTLY).successfully();
}

#[test]
fn the_check_succeeds_while_the_daemon_holds_its_lock() {
    let Some((plane, service)) = started() else {
        return;
    };
    service.sv("check", PATIENTLY).successfully();
    // Another daemon could take the output over now: the lock that is held is another file.
    let lock = service.path("var/lib/kuma-prometheus-sd/.kuma.file_sd.json.lock");
    fs::rename(&lock, lock.with_extension("old")).expect("it is there");
    assert_eq!(service.sv("check", AT_ONCE).code, Some(1), "there is no lock");
    fs::write(&lock, "").expect("a file can be written");
    assert_eq!(service.sv("check", AT_ONCE).code, Some(1), "the lock is free");
    // The daemon takes it again before it writes.
    plane.publish(&[]);
    service.sv("check", PATIENTLY).successfully();
}

#[test]
fn an_output_elsewhere_is_checked_where_it_is() {
    if !has("runsv") {
        return;
    }
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let mut service = following(&plane);
    // A link, relative to the folder of the state, as the daemon runs there.
    service.put("elsewhere/targets.json", "[]\n");
    service.put("var/lib/kuma-prometheus-sd/.keep", "");
    let link = service.path("var/lib/kuma-prometheus-sd/link.json");
    std::os::unix::fs::symlink(service.path("elsewhere/targets.json"), link)
        .expect("a link can be made");
    service.settings(&[
        &format!("KUMA_MONITORING_ASSIGNMENT_CLIENT_URL={}", plane.grpc_url()),
        "KUMA_PROMETHEUS_OUTPUT_FILE=link.json",
    ]);
    service.start();
    // What is not started yet passes every check.
    service.wait_for("it runs", || service.process().is_some());
    service.sv("check", PATIENTLY).successfully();
    assert!(service.path("elsewhere/.targets.json.lock").exists());
}

#[test]
fn the_log_is_rotated() {
    // A new file after 3000 bytes, and two old ones at most.
    let settings = "s3000\nn2\n";
    let Some((_plane, service)) =
        started_with(|service| service.put("var/log/kuma-prometheus-sd/config", settings))
    else {
        return;
    };
    let old_files = || {
        let mut old = names(&service.path("var/log/kuma-prometheus-sd"));
        old.retain(|name| name.starts_with('@'));
        old
    };
    // Each makes it connect anew, and log that.
    let mut first = Vec::new();
    service.wait_for("the oldest of its logs is gone", || {
        service.sv("hup", AT_ONCE).successfully();
        let old = old_files();
        if first.is_empty() {
            first = old.clone();
        }
        assert!(old.len() <= 3, "{old:?}");
        old.len() >= 2 && !old.contains(&first[0])
    });
}
