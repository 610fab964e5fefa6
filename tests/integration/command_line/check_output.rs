//! `kuma-prometheus-sd check` on outputs that `run` could not write: it finds what can be found without
//! writing, and promises no more than that.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use kuma_stand_in::{ControlPlane, KumaVersion};

use crate::support::check::{check, failed, passed};
use crate::support::not_tried::not_tried;
use crate::support::own_process::AS_NOBODY;

#[test]
fn a_name_that_prometheus_does_not_take_is_reported() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let told = passed(&check(&plane.grpc_url()).argument("--output-file=targets"));
    let text = "the output targets does not end in .json, .yml or .yaml";
    assert!(told.contains(text), "{told}");
}

#[test]
fn a_name_that_is_too_long_once_it_is_a_temporary_ones_is_found() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    for (length, fits) in [(233, true), (234, false), (245, false)] {
        let name = format!("{}.json", "x".repeat(length - 5));
        let launch = check(&plane.grpc_url()).argument(format!("--output-file={name}"));
        if fits {
            passed(&launch);
            continue;
        }
        let told = failed(&launch);
        assert!(told.contains("cannot create .xxx"), "{told}");
        // musl has "Filename too long".
        assert!(told.contains("name too long"), "{told}");
    }
}

#[test]
fn a_file_system_of_the_kernels_is_found() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    for directory in ["/proc", "/proc/self", "/sys"] {
        let output = format!("--output-file={directory}/kuma.json");
        let told = failed(&check(&plane.grpc_url()).argument(output));
        assert!(told.contains(&format!("cannot write to {directory}: ")), "{told}");
    }
}

#[test]
fn another_users_file_in_a_sticky_directory_is_found() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let launch = check(&plane.grpc_url()).prelude(AS_NOBODY);
    launch.put("kuma.file_sd.json", "another user's");
    let set = |mode| fs::set_permissions(launch.folder(), Permissions::from_mode(mode)).unwrap();
    set(0o777);
    if std::os::unix::fs::chown(launch.folder(), Some(0), Some(0)).is_err() {
        return not_tried("this user may not become another one");
    }
    passed(&launch);
    set(0o1777);
    let told = failed(&launch);
    let text = "cannot replace kuma.file_sd.json: it is another user's, in a directory where only";
    assert!(told.contains(text), "{told}");
}

/// As `run` does: the lock file may be held by a daemon that cannot be seen from here.
#[test]
fn another_users_lock_file_is_reported_as_by_run() {
    const LOCK: &str = ".kuma.file_sd.json.lock";
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let launch = check(&plane.grpc_url()).prelude(AS_NOBODY);
    launch.put(LOCK, "");
    let set = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    let lock = launch.folder().join(LOCK);
    set(&lock, 0o600);
    if std::os::unix::fs::chown(&lock, Some(0), Some(0)).is_err() {
        return not_tried("this user may not become another one");
    }
    for mode in [0o777, 0o1777] {
        set(launch.folder(), mode);
        let told = failed(&launch);
        let text =
            "\nthe lock file .kuma.file_sd.json.lock belongs to another user, uid 0; remove it";
        assert!(told.contains(text), "{mode:o}: {told}");
    }
}
