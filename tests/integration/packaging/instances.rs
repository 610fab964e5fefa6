//! Several control planes on one host: the template unit, and copies of the runit directory.

use std::fs;
use std::path::Path;

use kuma_stand_in::{ControlPlane, KumaVersion};

use crate::packaging::supervised::Supervised;
use crate::packaging::tree;
use crate::support::command::{Ended, has, run};
use crate::support::mesh;

/// Long enough for `sv` to see that a service is ready.
const PATIENTLY: u32 = 7;

/// Installs to the usual paths below a folder, or uninstalls.
#[track_caller]
fn install(folder: &Path, word: &str) -> Ended {
    let program = tree::program(folder);
    run(&mut tree::installer(word, &[("BINARY", &program), ("DESTDIR", folder)])).successfully()
}

/// The text of both units.
fn units() -> [String; 2] {
    let folder = tree::folder();
    install(folder.path(), "install");
    ["kuma-prometheus-sd.service", "kuma-prometheus-sd@.service"].map(|unit| {
        let units = folder.path().join("usr/local/lib/systemd/system");
        fs::read_to_string(units.join(unit)).expect("it is installed")
    })
}

/// The settings of a unit, without its comments.
fn lines(unit: &str) -> Vec<&str> {
    let is_setting = |line: &&str| !line.starts_with('#') && !line.is_empty();
    unit.lines().filter(is_setting).collect()
}

#[test]
fn the_template_differs_from_the_plain_unit_in_names_only() {
    let [plain, template] = units();
    let (plain, template) = (lines(&plain), lines(&template));
    let only_in = |these: &[&str], others: &[&str]| -> Vec<String> {
        let is_only_here = |line: &&&str| !others.contains(line);
        let lines = these.iter().filter(is_only_here);
        lines.map(|line| (*line).to_owned()).collect()
    };
    assert_eq!(
        only_in(&plain, &template),
        [
            "Description=Kuma service discovery for Prometheus",
            "Environment=KUMA_PROMETHEUS_OUTPUT_FILE=%S/kuma-prometheus-sd/kuma.file_sd.json",
            "EnvironmentFile=-/etc/default/kuma-prometheus-sd",
        ]
    );
    assert_eq!(
        only_in(&template, &plain),
        [
            "Description=Kuma service discovery for Prometheus (%i)",
            "AssertPathExists=/etc/default/kuma-prometheus-sd-%i",
            "Environment=KUMA_PROMETHEUS_OUTPUT_FILE=%S/kuma-prometheus-sd/%i.file_sd.json",
            "EnvironmentFile=-/etc/default/kuma-prometheus-sd-%i",
        ]
    );
}

/// A control plane with a number of targets.
fn control_plane(targets: usize) -> (ControlPlane, String) {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let mesh = mesh::backends(targets);
    plane.publish(&mesh);
    (plane, mesh::file_v1(&mesh))
}

fn settings(service: &Supervised, plane: &ControlPlane) {
    let address = plane.grpc_url();
    service.settings(&[&format!("KUMA_MONITORING_ASSIGNMENT_CLIENT_URL={address}")]);
}

#[test]
fn a_copy_of_the_runit_directory_follows_a_control_plane_of_its_own() {
    if !has("runsv") {
        return;
    }
    let (plane, list) = control_plane(2);
    let mut service = Supervised::install();
    settings(&service, &plane);
    service.start();
    service.wait_for("the list", || service.list().as_ref() == Some(&list));

    let (plane_of_east, list_of_east) = control_plane(3);
    let mut east = service.copy_for("east");
    settings(&east, &plane_of_east);
    east.start();
    east.wait_for("its list", || east.list().as_ref() == Some(&list_of_east));
    for service in [&service, &east] {
        service.sv("check", PATIENTLY).successfully();
        service.wait_for_log(" follows ");
    }
    assert_eq!(service.list(), Some(list));

    east.sv("stop", PATIENTLY).successfully();
    service.sv("check", PATIENTLY).successfully();
    assert_eq!(east.list(), Some(list_of_east));
}

#[test]
fn a_copy_without_settings_says_which_file_is_missing() {
    if !has("runsv") {
        return;
    }
    let (plane, list) = control_plane(1);
    let mut esat = Supervised::install().copy_for("esat");
    esat.start();
    let file = esat.path("etc/default/kuma-prometheus-sd-esat");
    esat.wait_for_log(&format!("there is no {}", file.display()));
    assert_eq!(esat.list(), None);
    settings(&esat, &plane);
    esat.wait_for("the list", || esat.list().as_ref() == Some(&list));
}

#[test]
fn uninstalling_names_the_copies_that_it_leaves() {
    let folder = tree::folder();
    install(folder.path(), "install");
    let copy = folder.path().join("etc/sv/kuma-prometheus-sd-east");
    fs::create_dir(&copy).expect("a folder can be made");
    let said = install(folder.path(), "uninstall").output;
    let expected = format!("kept {}", copy.display());
    assert!(said.contains(&expected), "{said}");
    assert!(copy.exists());
}
