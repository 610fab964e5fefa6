//! The output file's place in the file system: its permissions, its directory, what lies beside
//! it, who else writes it.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

use kuma_stand_in::{ControlPlane, KumaVersion};

use crate::support::harness::{Daemon, Launch, SOON, wait_until};
use crate::support::mesh::{EMPTY, backends, file_v1};

/// A change from outside is put right within this time.
const REPAIR_LIMIT: Duration = Duration::from_secs(10);

/// What somebody does to the file.
type Damage = fn(&Path);

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn names(folder: &Path) -> BTreeSet<String> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn its_mode_is_0644_or_as_asked_whatever_the_umask() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let cases = [
        ("077", None, 0o644),
        ("000", None, 0o644),
        ("077", Some("0664"), 0o664),
        ("022", Some("600"), 0o600),
    ];
    for (umask, asked, expected) in cases {
        let mut launch = Launch::follow(&plane.grpc_url()).prelude(&format!("umask {umask}"));
        if let Some(asked) = asked {
            launch = launch.argument(format!("--file-mode={asked}"));
        }
        let daemon = launch.start();
        daemon.wait_for_file(EMPTY);
        assert_eq!(
            mode(daemon.output_path()),
            expected,
            "umask {umask}, {asked:?}"
        );
    }
}

#[test]
fn an_equal_file_of_another_mode_gets_the_right_one() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let launch = Launch::follow(&plane.grpc_url());
    fs::write(launch.output_path(), EMPTY).unwrap();
    fs::set_permissions(launch.output_path(), Permissions::from_mode(0o600)).unwrap();
    let daemon = launch.start();
    daemon.wait_for_log("wrote 0 targets");
    assert_eq!(mode(launch.output_path()), 0o644);
    assert_eq!(daemon.file().as_deref(), Some(EMPTY));
}

#[test]
fn missing_directories_are_made() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let launch = Launch::follow(&plane.grpc_url()).output("var/run/sd/targets.json");
    launch.start().wait_for_file(EMPTY);
}

#[test]
fn a_relative_path_is_relative_to_the_working_directory() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    for path in ["targets.json", "./sub/../targets.json"] {
        let launch = Launch::follow(&plane.grpc_url());
        fs::create_dir(launch.folder().join("sub")).unwrap();
        let daemon = launch
            .argument("--output-file")
            .argument(path)
            .expecting_output("targets.json")
            .start();
        daemon.wait_for_file(EMPTY);
    }
}

#[test]
fn a_symbolic_link_stays_one_and_what_it_points_to_is_replaced() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    // Once onto a file, once onto nothing yet.
    for content in [Some("old"), None] {
        let launch = Launch::follow(&plane.grpc_url());
        let folder = launch.folder();
        fs::create_dir(folder.join("real")).unwrap();
        if let Some(content) = content {
            fs::write(folder.join("real/targets.json"), content).unwrap();
        }
        symlink("real/targets.json", launch.output_path()).unwrap();
        let daemon = launch.start();
        daemon.wait_for_file(EMPTY);
        let link = fs::read_link(launch.output_path()).unwrap();
        assert_eq!(link, Path::new("real/targets.json"));
        assert_eq!(names(folder), set(&["kuma.file_sd.json", "real"]));
        daemon.wait_for_log("wrote 0 targets");
        let beside = set(&[".targets.json.lock", "targets.json"]);
        assert_eq!(names(&folder.join("real")), beside);
    }
}

#[test]
fn leftovers_of_a_killed_daemon_are_removed_and_foreign_files_kept() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let launch = Launch::follow(&plane.grpc_url());
    let leftovers = [
        ".kuma.file_sd.json.0123456789abcdef.tmp",
        ".kuma.file_sd.json.fedcba9876543210.tmp",
    ];
    let foreign = [
        ".kuma.file_sd.json.0123456789abcde.tmp",
        ".kuma.file_sd.json.0123456789abcdefa.tmp",
        ".kuma.file_sd.json.0123456789abcdeg.tmp",
        ".other.file_sd.json.0123456789abcdef.tmp",
        "kuma.file_sd.json.0123456789abcdef.tmp",
        "kuma.file_sd.json.tmp",
        "other.json",
    ];
    for name in leftovers.iter().chain(&foreign) {
        fs::write(launch.folder().join(name), "x").unwrap();
    }
    let daemon = launch.start();
    daemon.wait_for_log("wrote 0 targets");
    let mut expected = set(&foreign);
    expected.extend(set(&["kuma.file_sd.json", ".kuma.file_sd.json.lock"]));
    assert_eq!(names(launch.folder()), expected);
}

#[test]
fn an_ended_daemon_leaves_the_file_and_its_lock_file_only() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let launch = Launch::follow(&plane.grpc_url());
    let daemon = launch.start();
    daemon.wait_for_file(EMPTY);
    daemon.terminate();
    let expected = set(&["kuma.file_sd.json", ".kuma.file_sd.json.lock"]);
    assert_eq!(names(launch.folder()), expected);
}

#[test]
fn a_second_daemon_on_one_output_is_refused_and_the_first_goes_on() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let launch = Launch::follow(&plane.grpc_url());
    let first = launch.start();
    first.wait_for_file(EMPTY);

    let second = launch.run_to_its_end();
    assert_eq!(second.code, Some(1));
    assert_eq!(second.stdout, "");
    let lock = launch.folder().join(".kuma.file_sd.json.lock");
    let expected = format!(
        "kuma-prometheus-sd: another kuma-prometheus-sd writes this output (process {} holds {}); \
         stop it, or give another --output-file\n",
        first.process(),
        lock.display()
    );
    assert_eq!(second.stderr, expected);

    plane.publish(&backends(1));
    first.wait_for_file(&file_v1(&backends(1)));
    // The lock goes with its holder, however that ends.
    first.kill();
    launch.start().wait_for_log("already holds 1 target");
}

#[test]
fn a_second_daemon_by_way_of_a_link_is_refused_too() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let launch = Launch::follow(&plane.grpc_url());
    let first = launch.start();
    first.wait_for_file(EMPTY);
    symlink("kuma.file_sd.json", launch.folder().join("link.json")).unwrap();
    let second = launch.clone().output("link.json").run_to_its_end();
    assert_eq!(second.code, Some(1));
    assert!(
        second.stderr.contains("another kuma-prometheus-sd"),
        "{}",
        second.stderr
    );
}

#[test]
fn a_file_that_is_deleted_or_changed_from_outside_is_put_right_within_10_seconds() {
    let damages: [(&str, Damage); 7] = [
        ("is gone", |path| fs::remove_file(path).unwrap()),
        ("was changed", |path| fs::write(path, "[]\n").unwrap()),
        ("was changed", |path| fs::write(path, "").unwrap()),
        ("was changed", |path| {
            fs::write(path.with_extension("new"), "[]\n").unwrap();
            fs::rename(path.with_extension("new"), path).unwrap();
        }),
        ("was changed", |path| {
            fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
        }),
        ("is gone", |path| {
            fs::remove_dir_all(path.parent().unwrap()).unwrap();
        }),
        ("is gone", |path| {
            let folder = path.parent().unwrap();
            fs::remove_dir_all(folder).unwrap();
            fs::create_dir(folder).unwrap();
        }),
    ];
    let mesh = backends(5);
    let plane = ControlPlane::start(KumaVersion::V2_6);
    plane.publish(&mesh);
    let daemons: Vec<Daemon> = damages
        .iter()
        .map(|_| {
            Launch::follow(&plane.grpc_url())
                .output("folder/targets.json")
                .start()
        })
        .collect();
    for daemon in &daemons {
        daemon.wait_for_log("wrote 5 targets");
    }
    let start = Instant::now();
    for (daemon, (_, damage)) in daemons.iter().zip(&damages) {
        damage(daemon.output_path());
    }
    for (daemon, (told, _)) in daemons.iter().zip(&damages) {
        let repaired =
            || daemon.file() == Some(file_v1(&mesh)) && mode(daemon.output_path()) == 0o644;
        assert!(wait_until(SOON, repaired), "{told}");
        assert!(
            start.elapsed() < REPAIR_LIMIT,
            "{told}: {:?}",
            start.elapsed()
        );
        let line = daemon.wait_for_log("so it is written again");
        assert!(line.contains("WARN ]") && line.contains(told), "{line}");
    }
}
