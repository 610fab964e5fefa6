//! What a power cut could spoil: the bytes are flushed before the rename that shows them, and the
//! folder after it. The system calls tell, as strace sees them; a power cut itself cannot be had
//! in a test.

use std::fs;
use std::process::{Command, Stdio};

use kuma_stand_in::{ControlPlane, Kuma};

use crate::harness::{SOON, program, read_if_there, wait_until};
use crate::lists;
use crate::namespace;
use crate::not_tried::not_tried;
use crate::process;

#[test]
fn a_list_is_on_disk_before_it_is_shown_and_its_name_after() {
    let plane = ControlPlane::start(Kuma::V2_6);
    plane.publish(&lists::list(1, 50));
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let (output, trace) = (folder.path().join("sd.json"), folder.path().join("trace"));
    let child = Command::new("strace")
        .args(["-f", "-y", "-e", "trace=fsync,fdatasync,/^rename", "-o"])
        .arg(&trace)
        .arg(program())
        .arg("run")
        .arg(format!("--cp-address={}", plane.grpc_url()))
        .arg("--output-file")
        .arg(&output)
        .env_clear()
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else {
        return not_tried("there is no strace here");
    };
    let is_written = || read_if_there(&output) == Some(lists::file(1, 50));
    let has_ended = wait_until(SOON, || {
        is_written() || child.try_wait().is_ok_and(|status| status.is_some())
    });
    // The last act is on the folder.
    let flushed = || fs::read_to_string(&trace).unwrap_or_default();
    let is_over = || {
        flushed()
            .lines()
            .any(|line| acted_on(line, "fsync", "folder"))
    };
    let was_traced = has_ended && is_written() && wait_until(SOON / 6, is_over);
    // It ends with what it traces.
    if let Some(daemon) = process::that_writes(&output) {
        namespace::shell(&format!("kill {daemon}"));
    }
    child.wait().expect("it is ours");
    if flushed().is_empty() {
        return not_tried("strace may not trace here");
    }
    let log = flushed();
    assert!(was_traced, "{log}");
    let acts: Vec<&str> = log.lines().filter_map(act).collect();
    assert_eq!(
        acts,
        ["flush the file", "rename", "flush the folder"],
        "{log}"
    );
}

fn acted_on(line: &str, call: &str, what: &str) -> bool {
    let Some((_, rest)) = line.split_once(&format!(" {call}(")) else {
        return false;
    };
    let is_file = rest.contains(".sd.json.") && rest.contains(".tmp>");
    if what == "file" { is_file } else { !is_file }
}

fn act(line: &str) -> Option<&'static str> {
    if line.contains(" rename") {
        return Some("rename");
    }
    for call in ["fsync", "fdatasync"] {
        if acted_on(line, call, "file") {
            return Some("flush the file");
        }
        if acted_on(line, call, "folder") {
            return Some("flush the folder");
        }
    }
    None
}
