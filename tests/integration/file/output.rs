//! What is logged about the output: a link that changes, what will not work with Prometheus, and a
//! lock of another user.

use std::fmt::Display;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::Command;

use kuma_stand_in::{ControlPlane, KumaVersion};

use crate::support::harness::{Launch, SOON, read_if_there, wait_until};
use crate::support::mesh::{EMPTY, backends, file_v1};
use crate::support::not_tried::not_tried;
use crate::support::own_process::AS_NOBODY;

const LOCK: &str = ".kuma.file_sd.json.lock";

const NOBODY: u32 = 65534;

fn give_to_nobody(path: &Path) -> io::Result<()> {
    chown(path, Some(NOBODY), Some(NOBODY))
}

/// What is reported if the lock file is root's.
fn another_users(lock: &impl Display) -> String {
    format!(
        "the lock file {lock} belongs to another user, uid 0; remove it if no kuma-prometheus-sd of \
         that user runs"
    )
}

#[track_caller]
fn wait_for(path: &Path, expected: &str) {
    let is_there = || read_if_there(path).as_deref() == Some(expected);
    assert!(wait_until(SOON, is_there), "{}", path.display());
}

#[test]
fn a_link_that_is_changed_is_followed_and_reported_once() {
    let plane = ControlPlane::serving(KumaVersion::V2_6, &backends(1));
    let launch = Launch::follow(&plane.grpc_url());
    let folder = launch.folder();
    let [old, new] = ["old", "new"].map(|name| folder.join(name).join("real.json"));
    for path in [&old, &new] {
        fs::create_dir(path.parent().unwrap()).unwrap();
    }
    symlink(&old, launch.output_path()).unwrap();
    let daemon = launch.start();
    wait_for(&old, &file_v1(&backends(1)));

    // With no new list, it is the look at the file that finds it.
    fs::remove_file(launch.output_path()).unwrap();
    symlink(&new, launch.output_path()).unwrap();
    wait_for(&new, &file_v1(&backends(1)));
    let line = daemon.wait_for_warning("as a symbolic link was changed or replaced");
    assert!(line.contains(&new.display().to_string()), "{line}");
    assert!(line.contains(&old.display().to_string()), "{line}");
    assert_eq!(read_if_there(&old), Some(file_v1(&backends(1))));
    plane.publish(&backends(2));
    wait_for(&new, &file_v1(&backends(2)));
    assert_eq!(daemon.lines_with("so it is written again"), 0);
}

#[test]
fn what_will_not_work_with_prometheus_is_warned_of_at_the_start() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let launch = Launch::follow(&plane.grpc_url()).prelude("umask 077");
    let daemon = launch.output("a/b/targets.txt").start();
    daemon.wait_for_file(EMPTY);
    daemon.wait_for_warning("/a/b/targets.txt does not end in .json, .yml or .yaml");
    daemon.wait_for_warning("/a was made with mode 0700, as the umask says");

    // With a directory that was there, and the usual umask and name, there is nothing to warn of.
    let launch = Launch::follow(&plane.grpc_url()).prelude("umask 022");
    let daemon = launch.output("a/b/targets.json").start();
    daemon.wait_for_file(EMPTY);
    assert_eq!(daemon.lines_with("WARN ]"), 0);
}

/// As after a try by hand as root, with the service's user as the owner of the directory.
#[test]
fn a_lock_file_that_another_user_has_left_is_refused_and_stays() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let launch = Launch::follow(&plane.grpc_url()).prelude(AS_NOBODY);
    let lock = launch.folder().join(LOCK);
    fs::write(&lock, "").unwrap();
    fs::set_permissions(&lock, Permissions::from_mode(0o600)).unwrap();
    if give_to_nobody(launch.folder()).is_err() {
        return not_tried("this user may not give a directory away");
    }
    let before = fs::metadata(&lock).unwrap().ino();
    let finished = launch.run_to_its_end();
    assert_eq!(finished.code, Some(1));
    finished.told(&another_users(&lock.display()));
    assert_eq!(fs::metadata(&lock).unwrap().ino(), before);
    fs::remove_file(&lock).unwrap();
    launch.start().wait_for_file(EMPTY);
}

/// As under the systemd unit, with `ProcSubset=pid`, and as in a container.
#[test]
fn another_users_daemon_that_cannot_be_seen_keeps_its_output() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let launch = Launch::follow(&plane.grpc_url());
    let lock = launch.folder().join(LOCK);
    if give_to_nobody(launch.folder()).is_err() {
        return not_tried("this user may not give a directory away");
    }
    let first = launch.start();
    first.wait_for_file(EMPTY);
    let before = fs::metadata(&lock).unwrap().ino();
    for hide in [
        "unshare --mount sh -c 'mount -t proc -o subset=pid proc /proc && exec \"$0\" \"$@\"'",
        "unshare --mount --pid --fork --mount-proc",
    ] {
        let mut may_hide = Command::new("sh");
        may_hide.args(["-c", &format!("{hide} true")]);
        if !may_hide.status().is_ok_and(|status| status.success()) {
            not_tried(format!("this user may not do this: {hide}"));
            continue;
        }
        let output = launch.output_path().display();
        let second = Launch::follow(&plane.grpc_url())
            .argument(format!("--output-file={output}"))
            .prelude(&format!("exec {hide} {}", AS_NOBODY.replace("exec ", "")));
        let finished = second.run_to_its_end();
        assert_eq!(finished.code, Some(1), "{hide}: {}", finished.stderr);
        finished.told(&another_users(&lock.display()));
        assert_eq!(fs::metadata(&lock).unwrap().ino(), before, "{hide}");
    }
}
