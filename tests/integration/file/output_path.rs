//! The output file's place in the file system: its permissions, its directory, what lies beside
//! it, who else writes it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use kuma_stand_in::{ControlPlane, KumaVersion};

use crate::support::files::mode;
use crate::support::harness::{Daemon, Launch, SOON, wait_until};
use crate::support::mesh::{EMPTY, backends, file_v1};

/// A change from outside is put right within this time.
const REPAIR_LIMIT: Duration = Duration::from_secs(10);

/// What somebody does to the file.
type Damage = fn(&Path);

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
fn a_file_that_is_changed_from_outside_is_put_right_within_10_seconds() {
    let damages: [(&str, Damage); 5] = [
        ("is gone", |path| fs::remove_file(path).unwrap()),
        ("was changed", |path| fs::write(path, "[]\n").unwrap()),
        ("was changed", |path| {
            fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
        }),
        ("is gone", |path| fs::remove_dir_all(path.parent().unwrap()).unwrap()),
        ("is gone", |path| {
            let folder = path.parent().unwrap();
            fs::remove_dir_all(folder).unwrap();
            fs::create_dir(folder).unwrap();
        }),
    ];
    let mesh = backends(5);
    let plane = ControlPlane::serving(KumaVersion::V2_6, &mesh);
    let daemons: Vec<Daemon> = damages
        .iter()
        .map(|_| Launch::follow(&plane.grpc_url()).output("folder/targets.json").start())
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
        assert!(start.elapsed() < REPAIR_LIMIT, "{told}: {:?}", start.elapsed());
        let line = daemon.wait_for_log("so it is written again");
        assert!(line.contains("WARN ]") && line.contains(told), "{line}");
    }
}
