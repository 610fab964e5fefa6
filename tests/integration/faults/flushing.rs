//! What a power cut could spoil: the bytes are flushed before the rename that shows them, and the
//! folder after it; a flush that fails is repeated; a large file is flushed in parts, so that a slow disk
//! does not pass for one that hangs. The system calls tell, as strace sees them; a power cut itself
//! cannot be had in a test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use kuma_stand_in::{ControlPlane, Dataplane, KumaVersion};
use tempfile::TempDir;

use crate::support::command::shell;
use crate::support::harness::{SOON, program, read_if_there, wait_until};
use crate::support::lists;
use crate::support::mesh;
use crate::support::not_tried::not_tried;
use crate::support::process;

/// So much may be written before it is flushed.
const PART: usize = 4 << 20;

/// A daemon under strace, which can also make its system calls fail or take long.
struct Traced {
    folder: TempDir,
    strace: Child,
}

impl Traced {
    /// `None` where there is no strace.
    fn start(plane: &ControlPlane, strace_options: &[&str]) -> Option<Traced> {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let log = fs::File::create(folder.path().join("log")).expect("a file can be made");
        let strace = Command::new("strace")
            .args(["-f", "-y", "-s", "16"])
            .args(strace_options)
            .arg("-o")
            .arg(folder.path().join("trace"))
            .arg(program())
            .args(["run", "--log-level=info"])
            .arg(format!("--cp-address={}", plane.grpc_url()))
            .arg("--output-file")
            .arg(folder.path().join("sd.json"))
            .env_clear()
            .stderr(log)
            .stdout(Stdio::null())
            .spawn();
        match strace {
            Ok(strace) => Some(Traced { folder, strace }),
            Err(error) => {
                not_tried(format_args!("there is no strace here: {error}"));
                None
            }
        }
    }

    fn output(&self) -> PathBuf {
        self.folder.path().join("sd.json")
    }

    fn log(&self) -> String {
        read(&self.folder.path().join("log"))
    }

    fn trace(&self) -> String {
        read(&self.folder.path().join("trace"))
    }

    /// Waits until the log has a text; says whether this machine lets strace trace at all.
    #[track_caller]
    fn waits_for_log(&mut self, text: &str) -> bool {
        let found = wait_until(SOON, || {
            self.log().contains(text) || self.strace.try_wait().is_ok_and(|end| end.is_some())
        });
        if self.trace().is_empty() {
            not_tried(format_args!("strace may not trace here: {}", self.log()));
            return false;
        }
        assert!(
            found && self.log().contains(text),
            "no {text:?} in {}",
            self.log()
        );
        true
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        // strace ends with what it traces.
        if let Some(daemon) = process::that_writes(&self.output()) {
            shell(&format!("kill {daemon}"));
        }
        let _ = self.strace.wait();
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// What was done to the file and its folder, with how it ended.
fn acts(trace: &str) -> Vec<&str> {
    trace.lines().filter_map(act).collect()
}

fn act(line: &str) -> Option<&'static str> {
    if line.contains(" rename") {
        return Some("rename");
    }
    let (_, rest) = ["fsync", "fdatasync"]
        .into_iter()
        .find_map(|call| line.split_once(&format!(" {call}(")))?;
    let is_file = rest.contains(".sd.json.") && rest.contains(".tmp>");
    Some(match (is_file, rest.contains("EIO")) {
        (true, _) => "flush the file",
        (false, false) => "flush the folder",
        (false, true) => "fail to flush the folder",
    })
}

const CALLS: [&str; 2] = ["-e", "trace=fsync,fdatasync,/^rename"];

#[test]
fn a_list_is_on_disk_before_it_is_shown_and_its_name_after() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    plane.publish(&lists::list(1, 50));
    let Some(mut daemon) = Traced::start(&plane, &CALLS) else {
        return;
    };
    if !daemon.waits_for_log("wrote 50 targets") {
        return;
    }
    assert_eq!(read_if_there(&daemon.output()), Some(lists::file(1, 50)));
    let trace = daemon.trace();
    let expected = ["flush the file", "rename", "flush the folder"];
    assert_eq!(acts(&trace), expected, "{trace}");
}

#[test]
fn a_flush_of_the_folder_that_fails_is_repeated_until_it_works() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    plane.publish(&lists::list(1, 50));
    let failing = ["-e", "inject=fsync:error=EIO:when=2..3"];
    let Some(mut daemon) = Traced::start(&plane, &[CALLS, failing].concat()) else {
        return;
    };
    if !daemon.waits_for_log("wrote 50 targets: 50 added, 0 removed, 0 changed; the file can be") {
        return;
    }
    let log = daemon.log();
    assert!(
        log.contains("cannot write the file: cannot flush the directory "),
        "{log}"
    );
    // EIO, in the words of whatever libc.
    assert!(log.contains("(os error 5)"), "{log}");
    assert_eq!(read_if_there(&daemon.output()), Some(lists::file(1, 50)));
    let trace = daemon.trace();
    let expected = [
        "flush the file",
        "rename",
        "fail to flush the folder",
        "fail to flush the folder",
        "flush the folder",
    ];
    assert_eq!(acts(&trace), expected, "{trace}");
}

/// Three parts and the folder take 16 s here, which is more than a thread may be silent.
#[test]
fn a_large_file_on_a_slow_disk_is_written_in_parts_and_passes_for_no_hang() {
    let long = "x".repeat(1320);
    let tagged = |dataplane: Dataplane| dataplane.tag("long", &long);
    let mesh: Vec<Dataplane> = mesh::backends(4000).into_iter().map(tagged).collect();
    let plane = ControlPlane::start(KumaVersion::V2_6);
    plane.publish(&mesh);
    let slow = [
        "-e",
        "trace=write,fsync,fdatasync,/^rename",
        "-e",
        "inject=fsync,fdatasync:delay_enter=4000000",
    ];
    let Some(mut daemon) = Traced::start(&plane, &slow) else {
        return;
    };
    if !daemon.waits_for_log("wrote 4000 targets") {
        return;
    }
    assert_eq!(read_if_there(&daemon.output()), Some(mesh::file_v1(&mesh)));
    let (log, trace) = (daemon.log(), daemon.trace());
    assert!(!log.contains("the writer thread is"), "{log}");
    let expected = [
        "flush the file",
        "flush the file",
        "flush the file",
        "rename",
        "flush the folder",
    ];
    assert_eq!(acts(&trace), expected, "{trace}");
    let written = |line: &str| -> Option<usize> {
        let is_file = line.contains(" write(") && line.contains(".tmp>");
        line.rsplit_once("= ").filter(|_| is_file)?.1.parse().ok()
    };
    let sizes: Vec<usize> = trace.lines().filter_map(written).collect();
    assert!(sizes.iter().sum::<usize>() > 2 * PART, "{sizes:?}");
    assert!(sizes.iter().all(|size| *size <= PART), "{sizes:?}");
}

#[test]
fn a_file_system_without_locks_is_warned_of_and_written() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    plane.publish(&lists::list(1, 3));
    for error in ["ENOLCK", "EOPNOTSUPP", "EINVAL", "ENOSYS"] {
        let inject = format!("inject=flock:error={error}");
        let options = ["-e", "trace=flock", "-e", &inject];
        let Some(mut daemon) = Traced::start(&plane, &options) else {
            return;
        };
        if !daemon.waits_for_log("wrote 3 targets") {
            return;
        }
        let log = daemon.log();
        let text = ".sd.json.lock has no locks, so see to it yourself that no second daemon";
        let line = log.lines().find(|line| line.contains(text));
        assert!(line.is_some_and(|line| line.contains("WARN ]")), "{log}");
        assert_eq!(read_if_there(&daemon.output()), Some(lists::file(1, 3)));
    }
}
