//! Faults that need mounts or a network of one's own: the test runs again, in a process of its own,
//! in namespaces of its own, where that process is root and nothing outside is touched.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::not_tried::not_tried;

/// Tells the process inside that it is that, and which folder is its own.
const FOLDER: &str = "KUMA_PROMETHEUS_SD_TEST_FOLDER";

/// Where a test runs.
pub(crate) enum Side {
    /// In namespaces of its own, with this folder.
    Inside(PathBuf),
    /// Outside, after it has passed inside.
    Passed,
    /// Outside, as this machine has no namespaces for it.
    Forbidden,
}

/// Runs the test `test` again in namespaces of its own, after a shell script that may use `$folder`
/// has prepared them.
#[track_caller]
pub(crate) fn enter(namespaces: &[&str], prepare: &str, test: &str) -> Side {
    if let Some(folder) = env::var_os(FOLDER) {
        return Side::Inside(PathBuf::from(folder));
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
            .args(["--exact", "--nocapture", "--include-ignored", test])
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
            return Side::Passed;
        }
        reasons.push_str(&stderr);
    }
    println!("this machine has no namespaces for {test}:\n{reasons}");
    Side::Forbidden
}

impl Side {
    /// The folder inside. Outside there is nothing left to do, and it says so where that is because
    /// this machine forbids it.
    pub(crate) fn inside(self) -> Option<PathBuf> {
        match self {
            Side::Inside(folder) => Some(folder),
            Side::Passed => None,
            Side::Forbidden => {
                not_tried("this machine forbids it, see above");
                None
            }
        }
    }
}

/// Enters a namespace where `$folder/disk` is a disk of 1 MiB, and returns that.
#[track_caller]
pub(crate) fn small_disk(test: &str) -> Option<PathBuf> {
    let folder = enter(&["--mount"], &mount("1m"), test).inside()?;
    Some(folder.join("disk"))
}

/// The script that mounts a disk of a size at `$folder/disk`.
pub(crate) fn mount(size: &str) -> String {
    format!("mkdir \"$folder/disk\" && mount -t tmpfs -o size={size} tmpfs \"$folder/disk\"")
}

/// Runs a shell command that must succeed.
#[track_caller]
pub(crate) fn shell(script: &str) {
    let status = Command::new("sh").args(["-c", script]).status();
    assert!(status.expect("sh can be run").success(), "{script}");
}
