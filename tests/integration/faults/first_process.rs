//! The daemon as process 1, as in a container without an init: it inherits every orphan, and a child
//! that nobody waits for stays a zombie.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::harness::{Launch, NOTHING_THERE, SOON, wait_until};
use crate::support::own_process;
use crate::support::process;

#[test]
fn as_process_1_it_reaps_the_orphans_that_it_inherits() {
    let test = as_process_1_it_reaps_the_orphans_that_it_inherits;
    let Some(folder) = own_process::in_namespaces(&[], ":", test).inside() else {
        return;
    };
    let as_process_1 = "exec unshare --pid --fork --kill-child --mount-proc \"$0\" \"$@\"";
    let daemon = Launch::follow(NOTHING_THERE).prelude(as_process_1).start();
    daemon.wait_for_trouble();
    let id = process::that_writes(daemon.output_path()).expect("it runs");

    // A child that is told when to end, of a parent that does not wait for it.
    let fifo = folder.join("fifo");
    let orphaned = "mkfifo \"$1\" && { sh -c 'read line <\"$1\"' sh \"$1\" & }";
    let status = Command::new("nsenter")
        .args(["--target", &id.to_string(), "--pid", "sh", "-c", orphaned, "sh"])
        .arg(&fifo)
        .status()
        .expect("nsenter can be run");
    assert!(status.success());
    let mut orphan = None;
    wait_until(SOON, || {
        orphan = child_of(id);
        orphan.is_some()
    });
    let orphan = orphan.expect("the daemon has inherited it");
    fs::write(&fifo, "\n").unwrap();
    let is_gone = || !Path::new(&format!("/proc/{orphan}")).exists();
    assert!(wait_until(SOON, is_gone), "it stays a zombie");
}

/// A child of any thread of a process.
fn child_of(parent: u32) -> Option<u32> {
    let threads = fs::read_dir(format!("/proc/{parent}/task")).ok()?;
    let mut children = threads.flatten().map(|thread| thread.path().join("children"));
    children.find_map(|path| {
        let children = fs::read_to_string(path).ok()?;
        children.split_whitespace().next()?.parse().ok()
    })
}
