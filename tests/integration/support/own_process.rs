//! What a test needs of a process as a whole: mounts or a network of its own, another umask, fewer
//! rights. The test runs itself again in such a process, and nothing outside is touched.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::support::not_tried::not_tried;

/// Tells the process inside that it is that, and which folder is its own.
const FOLDER: &str = "KUMA_PROMETHEUS_SD_TEST_FOLDER";

/// Takes root's right to write anywhere.
const WITHOUT_RIGHTS: &str =
    "[ $(id -u) != 0 ] || set -- setpriv --bounding-set=-all --inh-caps=-all \"$@\"
    exec \"$@\"";

/// The prelude of a daemon that is to be the user without rights.
pub(crate) const AS_NOBODY: &str =
    r#"exec setpriv --reuid=65534 --regid=65534 --clear-groups "$0" "$@""#;

/// Where a test runs.
pub(crate) enum Side {
    /// In a process of its own, with this folder.
    Inside(PathBuf),
    /// Outside, after it has passed inside.
    Passed,
    /// Outside, as this machine allows no such process.
    Forbidden,
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

/// Runs a test again in namespaces of its own, where it is root, after a shell script that may use
/// `$folder` has prepared them.
#[track_caller]
pub(crate) fn in_namespaces<T: Fn()>(namespaces: &[&str], prepare: &str, test: T) -> Side {
    // As a user without rights, and as root where that user may not make namespaces.
    let ways = [["--user", "--map-root-user"].as_slice(), &[]].map(|user| {
        let mut unshare = Command::new("unshare");
        let script = format!("{{ {prepare}; }} && exec \"$@\"");
        unshare.args(user).args(namespaces);
        unshare.args(["sh", "-c", &script, "sh"]);
        unshare
    });
    again(ways, &test)
}

/// Runs a test again after a shell script that ends with `exec "$@"`.
#[track_caller]
pub(crate) fn after<T: Fn()>(script: &str, test: T) -> Side {
    let mut shell = Command::new("sh");
    shell.args(["-c", script, "sh"]);
    again([shell], &test)
}

/// Runs a test again without root's right to write anywhere.
#[track_caller]
pub(crate) fn without_rights<T: Fn()>(test: T) -> Side {
    after(WITHOUT_RIGHTS, test)
}

/// Runs a test again where `$folder/disk` is a disk of a size, as `mount` has it; returns that.
#[track_caller]
pub(crate) fn with_disk<T: Fn()>(size: &str, test: T) -> Option<PathBuf> {
    let folder = in_namespaces(&["--mount"], &mount(size), test).inside()?;
    Some(folder.join("disk"))
}

/// The script that mounts a disk of a size at `$folder/disk`.
fn mount(size: &str) -> String {
    format!("mkdir \"$folder/disk\" && mount -t tmpfs -o size={size} tmpfs \"$folder/disk\"")
}

/// Runs a test by the first of some commands that may be.
#[track_caller]
fn again<T: Fn()>(ways: impl IntoIterator<Item = Command>, _test: &T) -> Side {
    if let Some(folder) = env::var_os(FOLDER) {
        return Side::Inside(PathBuf::from(folder));
    }
    let (_crate, test) = std::any::type_name::<T>().split_once("::").expect("a path");
    let folder = TempDir::new().expect("a temporary folder can be made");
    let mut reasons = String::new();
    for mut command in ways {
        command
            .arg(env::current_exe().expect("a running program has a path"))
            .args(["--exact", "--nocapture", "--include-ignored", test])
            .env(FOLDER, folder.path())
            .env("folder", folder.path());
        let output = match command.output() {
            Ok(output) => output,
            Err(error) => {
                reasons.push_str(&format!("{command:?}: {error}\n"));
                continue;
            }
        };
        let stdout = String::from_utf8_lossy(&output.stdout);
        let stderr = String::from_utf8_lossy(&output.stderr);
        // What should have become it ends with 1, too, where it may not.
        if stdout.contains("running 1 test") {
            println!("{stdout}");
            let has_passed = stdout.contains("test result: ok. 1 passed");
            assert!(output.status.success() && has_passed, "{stdout}\n{stderr}");
            return Side::Passed;
        }
        reasons.push_str(&stderr);
    }
    println!("this machine has no such process for {test}:\n{reasons}");
    Side::Forbidden
}
