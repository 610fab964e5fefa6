//! Faults that need mounts or a network of one's own: the test runs again, in a process of its own,
//! in namespaces of its own, where that process is root and nothing outside is touched.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

/// Tells the process inside that it is that, and which folder is its own.
const FOLDER: &str = "KUMA_PROMETHEUS_SD_TEST_FOLDER";

/// Runs the test `test` again in namespaces of its own, after a shell script that may use `$folder`
/// has prepared them. Returns that folder inside, and `None` outside, when it has passed there, or
/// cannot run on this machine; then it says so.
#[track_caller]
pub(crate) fn enter(namespaces: &[&str], prepare: &str, test: &str) -> Option<PathBuf> {
    if let Some(folder) = env::var_os(FOLDER) {
        return Some(PathBuf::from(folder));
    }
    let folder = TempDir::new().expect("a temporary folder can be made");
    // As a user without rights, and as root where that user may not make namespaces.
    let as_user = ["--user", "--map-root-user"];
    let mut reasons = String::new();
    for user in [as_user.as_slice(), &[]] {
        let output = Command::new("unshare")
            .args(user)
            .args(namespaces)
            .args(["sh", "-c"])
            .arg(format!("{{ {prepare}; }} && exec \"$@\""))
            .arg("sh")
            .arg(env::current_exe().expect("a running program has a path"))
            .args(["--exact", "--nocapture", test])
            .env(FOLDER, folder.path())
            .env("folder", folder.path())
            .output();
        let output = match output {
            Ok(output) => output,
            Err(error) => {
                reasons.push_str(&format!("unshare: {error}\n"));
                continue;
            }
        };
        let stdout = String::from_utf8_lossy(&output.stdout);
        let stderr = String::from_utf8_lossy(&output.stderr);
        if stdout.contains("running 1 test") {
            println!("{stdout}");
            assert!(output.status.success(), "{stdout}\n{stderr}");
            return None;
        }
        reasons.push_str(&stderr);
    }
    println!("not tried, as this machine forbids it: {test}\n{reasons}");
    None
}

/// Enters a namespace where `$folder/disk` is a disk of 1 MiB, and returns that.
#[track_caller]
pub(crate) fn small_disk(test: &str) -> Option<PathBuf> {
    let prepare = "mkdir \"$folder/disk\" && mount -t tmpfs -o size=1m tmpfs \"$folder/disk\"";
    enter(&["--mount"], prepare, test).map(|folder| folder.join("disk"))
}

/// Runs a shell command that must succeed.
#[track_caller]
pub(crate) fn shell(script: &str) {
    let status = Command::new("sh").args(["-c", script]).status();
    assert!(status.expect("sh can be run").success(), "{script}");
}
