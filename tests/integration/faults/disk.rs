//! The disk is full or read-only, or its folder may not be written to; then it is well again. The
//! reader of the file sees the last good list throughout, and then the newest, and the log says
//! what is wrong in a line or two.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use kuma_stand_in::{ControlPlane, KumaVersion};

use crate::support::check::check;
use crate::support::command::shell;
use crate::support::files::{fill, leftovers};
use crate::support::harness::{Daemon, Launch};
use crate::support::lists;
use crate::support::notify::Manager;
use crate::support::own_process;
use crate::support::reader::Reader;

/// So many lists are published while the disk is ill.
const LISTS: usize = 20;

/// Few enough targets for a small disk, and enough for a block of it.
const TARGETS: usize = 200;

fn follow_onto(plane: &ControlPlane, disk: &Path) -> Launch {
    Launch::follow(&plane.grpc_url())
        .output(disk.join("kuma.file_sd.json"))
        .argument("--log-level=info")
}

/// Makes a disk ill under a running daemon, publishes, and heals it.
fn is_endured(disk: &Path, cause: &str, make_ill: impl FnOnce(), heal: impl FnOnce()) {
    let plane = ControlPlane::serving(KumaVersion::V2_6, &lists::list(0, TARGETS));
    let daemon = follow_onto(&plane, disk).start();
    daemon.wait_for_file(&lists::file(0, TARGETS));
    let reader = Reader::start(daemon.output_path());

    make_ill();
    for number in 1..=LISTS {
        plane.publish(&lists::list(number, TARGETS));
    }
    let line = daemon.wait_for_log("cannot write the file");
    assert!(line.contains("ERROR] ") && line.contains(cause), "{line}");
    assert!(line.contains(&disk.display().to_string()), "{line}");
    plane.publish(&lists::list(LISTS + 1, TARGETS));
    assert_eq!(daemon.file(), Some(lists::file(0, TARGETS)));

    heal();
    daemon.wait_for_file(&lists::file(LISTS + 1, TARGETS));
    daemon.wait_for_warning("the file can be written again after");
    assert_eq!(reader.finish().lists, [0, LISTS + 1], "{cause}");
    let line = daemon.wait_for_log(&format!("wrote {TARGETS} targets: 0 added, 0 removed"));
    println!("{line}");
    assert!(line_count(&daemon) <= 8, "{}", daemon.log());
    assert_eq!(leftovers(disk), [""; 0]);
}

fn line_count(daemon: &Daemon) -> usize {
    daemon.log().lines().count()
}

#[test]
fn a_disk_that_fills_up_gets_the_newest_list_later() {
    let test = a_disk_that_fills_up_gets_the_newest_list_later;
    let Some(disk) = own_process::with_disk("1m", test) else {
        return;
    };
    let make_ill = || drop(fill(&disk).unwrap());
    let heal = || fs::remove_file(disk.join("filler")).unwrap();
    is_endured(&disk, "No space left on device", make_ill, heal);
}

#[test]
fn a_disk_that_is_full_at_the_start_is_waited_for() {
    let test = a_disk_that_is_full_at_the_start_is_waited_for;
    let Some(disk) = own_process::with_disk("1m", test) else {
        return;
    };
    let plane = ControlPlane::serving(KumaVersion::V2_6, &lists::list(1, TARGETS));
    fs::write(disk.join("kuma.file_sd.json"), lists::file(0, TARGETS)).expect("there is room");
    let filler = fill(&disk).unwrap();
    let daemon = follow_onto(&plane, &disk).start();
    daemon.wait_for_log("No space left on device");
    daemon.wait_for_log("connected to MADS");
    assert_eq!(daemon.file(), Some(lists::file(0, TARGETS)));
    fs::remove_file(filler).unwrap();
    daemon.wait_for_file(&lists::file(1, TARGETS));
    assert!(line_count(&daemon) <= 8, "{}", daemon.log());
}

#[test]
fn a_full_disk_is_found_by_check_and_shown_in_the_status() {
    let test = a_full_disk_is_found_by_check_and_shown_in_the_status;
    let Some(disk) = own_process::with_disk("1m,nr_inodes=6", test) else {
        return;
    };
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let output = disk.join("kuma.file_sd.json");
    let check = || check(&plane.grpc_url()).output(&output).run_to_its_end();
    // A daemon that runs has the lock, which is no reason not to look.
    let running = follow_onto(&plane, &disk).start();
    running.wait_for_log("wrote 0 targets");
    assert_eq!(check().code, Some(0));
    let mut fillers: Vec<_> = (0..6).map(|number| disk.join(number.to_string())).collect();
    fillers.retain(|filler| File::create(filler).is_ok());
    let finished = check();
    assert_eq!(finished.code, Some(1), "{}", finished.stdout);
    let text = format!("cannot write to {}: No space left on device", disk.display());
    assert!(finished.stdout.contains(&text), "{}", finished.stdout);
    running.terminate();
    assert_eq!(check().code, Some(1));

    // The daemon starts, and says why there is no list, before one is there to be written.
    plane.set_answers(kuma_stand_in::Answers::Scripted);
    let manager = Manager::listen();
    let daemon = manager.manage(follow_onto(&plane, &disk)).start();
    daemon.wait_for_log("No space left on device");
    let told = manager.expect("STATUS=cannot write the file since ");
    let status = told.last().expect("it was told");
    assert!(status.contains("No space left on device"), "{status}");
    assert!(status.contains("; no list yet from "), "{status}");
}

#[test]
fn a_disk_that_becomes_read_only_gets_the_newest_list_later() {
    let test = a_disk_that_becomes_read_only_gets_the_newest_list_later;
    let Some(disk) = own_process::with_disk("1m", test) else {
        return;
    };
    let path = disk.display();
    let make_ill = || {
        shell(&format!("mount --bind {path} {path} && mount -o remount,bind,ro {path}"));
    };
    let heal = || shell(&format!("umount --lazy {path}"));
    is_endured(&disk, "Read-only file system", make_ill, heal);
}

#[test]
fn a_folder_without_the_right_to_write_gets_the_newest_list_later() {
    let test = a_folder_without_the_right_to_write_gets_the_newest_list_later;
    let Some(disk) = own_process::without_rights(test).inside() else {
        return;
    };
    let set = |mode| fs::set_permissions(&disk, Permissions::from_mode(mode)).expect("it is ours");
    is_endured(&disk, "Permission denied", || set(0o555), || set(0o755));
}
