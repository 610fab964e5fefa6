//! A test that runs in a process of its own, for what belongs to a whole process: its umask, its
//! mounts.

use std::env;
use std::process::{Command, Output};

const MARK: &str = "KUMA_PROMETHEUS_SD_TEST_CHILD";

/// Whether this is that process.
pub(crate) fn is_child() -> bool {
    env::var_os(MARK).is_some()
}

/// Runs the test `name` of this binary as the last command of a shell script, which finds the
/// command in `"$@"`.
pub(crate) fn run(script: &str, name: &str) -> Output {
    Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(env::current_exe().unwrap())
        .args(["--exact", "--nocapture", name])
        .env(MARK, "1")
        .output()
        .unwrap()
}

/// Demands that exactly one test ran there, and passed.
#[track_caller]
pub(crate) fn assert_passed(output: &Output) {
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    let passed = output.status.success() && stdout.contains("test result: ok. 1 passed");
    assert!(passed, "{}\n{stdout}\n{stderr}", output.status);
}
