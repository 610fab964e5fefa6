//! One daemon for each form of address, and below it control planes of all versions, one after the
//! other on the same ports: up, down, and with TLS turned on and off.

use std::fs;
use std::thread;
use std::time::Duration;

use kuma_stand_in::Authority;

use crate::real_kuma::addresses::wait_for_list;
use crate::real_kuma::control_plane::{ControlPlane, Ports, hand_out_certificate};
use crate::real_kuma::form::{FORMS, Verdict};
use crate::real_kuma::list::{Dataplane, Source, enable_metrics, list};
use crate::real_kuma::table::Table;
use crate::real_kuma::version::{Folder, Version};
use crate::support::harness::Launch;

/// A form of address that led nowhere for several steps is tried every half minute or so.
const FOLLOWED_WITHIN: Duration = Duration::from_secs(50);

/// Each version with and without TLS for MADS, in an order in which an operator may have them.
fn walk(versions: &[Version]) -> Vec<(Version, bool)> {
    let up = versions.iter().map(|version| (*version, false));
    let down = up.clone().rev().skip(1);
    let with_tls = versions.iter().filter(|version| version.has_mads_tls());
    let with_tls = with_tls.map(|version| (*version, true));
    let newest = versions.last().map(|version| (*version, false));
    up.chain(down)
        .chain(newest)
        .chain(with_tls.clone().rev())
        .chain(with_tls.skip(1))
        .chain(newest)
        .collect()
}

#[test]
fn each_upgrade_and_rollback_is_followed_under_a_running_daemon() {
    let test = "each_upgrade_and_rollback_is_followed_under_a_running_daemon";
    let Some(folder) = Folder::open(test) else {
        return;
    };
    let ports = Ports::free();
    let trust = tempfile::tempdir().unwrap();
    let own = trust.path().join("own.pem");
    fs::write(&own, Authority::new("of a later control plane").pem()).unwrap();
    let forms = FORMS.iter().filter(|form| form.may_be_followed());
    let mut daemons: Vec<_> = forms
        .map(|form| {
            let launch = form.trusting(Launch::follow(&form.url(&ports)), &own, &own);
            (form, launch.start(), None::<String>)
        })
        .collect();

    let mut table = Table::default();
    for (number, (version, mads_tls)) in walk(&folder.versions()).into_iter().enumerate() {
        let plane = ControlPlane::start(&folder, version, ports, mads_tls);
        hand_out_certificate(&plane, &own);
        enable_metrics(&plane, "default");
        let mesh = [1, 2].map(|at| {
            Dataplane::new(&format!("step-{number}-{at}"), &format!("10.0.{number}.{at}"), "prod")
        });
        mesh.iter().for_each(|dataplane| dataplane.put(&plane));
        let expected = list(version, Source::Enabled, &mesh);
        let mads = if mads_tls { ", TLS for MADS" } else { "" };
        thread::scope(|scope| {
            let waits: Vec<_> = daemons
                .iter()
                .filter(|(form, ..)| form.verdict(version, mads_tls) == Verdict::Followed)
                .map(|(form, daemon, _)| {
                    (form, scope.spawn(|| wait_for_list(daemon, &expected, FOLLOWED_WITHIN)))
                })
                .collect();
            for (form, wait) in waits {
                let outcome = wait.join().unwrap().map(|()| "followed".to_owned());
                table.row(&format!("step {number}, {version}{mads} | {}", form.name()), outcome);
            }
        });
        // Where a form of address leads nowhere, the list from before stays.
        for (form, daemon, last) in &mut daemons {
            let outcome = match form.verdict(version, mads_tls) {
                Verdict::Followed => {
                    *last = daemon.file();
                    continue;
                }
                Verdict::Refused(_) if daemon.file() == *last => {
                    Ok("the old list stays".to_owned())
                }
                Verdict::Refused(_) => Err("the list has changed".to_owned()),
            };
            table.row(&format!("step {number}, {version}{mads} | {}", form.name()), outcome);
        }
        plane.terminate();
    }
    for (form, daemon, _) in daemons {
        let finished = daemon.terminate();
        let outcome = match finished.stderr.contains("panicked") {
            true => Err(finished.stderr),
            false => Ok("ended".to_owned()),
        };
        table.row(&form.name(), outcome);
    }
    table.judge();
}
