//! What a power cut could spoil: the bytes are flushed before the rename that shows them, and the
//! folder after it; a flush that fails is repeated; a large file is flushed in parts, so that a slow disk
//! does not pass for one that hangs. And what another user could read too early. The system calls show it,
//! as strace sees them; a power cut itself cannot be had in a test.

use std::collections::HashMap;
use std::env;
use std::fs;

use kuma_stand_in::{ControlPlane, Dataplane, KumaVersion};

use crate::support::command::{has, shell};
use crate::support::harness::{Daemon, Launch, SOON, wait_until};
use crate::support::listener::{LISTEN, address_of, get};
use crate::support::not_tried::not_tried;
use crate::support::{lists, mesh, process};

/// So much may be written before it is flushed.
const PART: usize = 4 << 20;

/// A daemon under strace, which can also make its system calls fail or take long.
struct Traced {
    launch: Launch,
    daemon: Daemon,
}

impl Traced {
    /// A daemon that has come so far that its log has a text; `None` where nothing can be traced.
    #[track_caller]
    fn start(plane: &ControlPlane, strace_options: &[&str], text: &str) -> Option<Traced> {
        if !has("strace") {
            return None;
        }
        let options = strace_options.join(" ");
        let launch = Launch::follow(&plane.grpc_url())
            .argument("--log-level=info")
            .argument(LISTEN)
            .variable("PATH", env::var_os("PATH").unwrap_or_default())
            .prelude(&format!("exec strace -f -y -s 16 {options} -o trace \"$0\" \"$@\""));
        let mut traced = Traced { daemon: launch.start(), launch };
        let has_text = |traced: &Traced| traced.daemon.log().contains(text);
        wait_until(SOON, || has_text(&traced) || !traced.daemon.is_running());
        if traced.trace().is_empty() {
            let log = traced.daemon.log();
            not_tried(format_args!("strace may not trace here: {log}"));
            return None;
        }
        assert!(has_text(&traced), "no {text:?}");
        Some(traced)
    }

    /// A call a line, with how it ended. Where another thread's call came between, strace has it in two.
    fn trace(&self) -> String {
        let trace = fs::read_to_string(self.launch.folder().join("trace")).unwrap_or_default();
        let mut begun: HashMap<&str, &str> = HashMap::new();
        let mut calls = String::new();
        for line in trace.lines() {
            let thread = line.split(' ').next().unwrap_or_default();
            let resumed = line.split_once(" resumed>");
            let beginning = resumed.and_then(|_| begun.remove(thread)).unwrap_or_default();
            if let Some(beginning) = line.strip_suffix(" <unfinished ...>") {
                begun.insert(thread, beginning);
                continue;
            }
            let end = resumed.map_or(line, |(_, end)| end);
            calls.push_str(&format!("{beginning}{end}\n"));
        }
        calls
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        // strace ends with what it traces, and not the other way round.
        if let Some(daemon) = process::that_writes(self.launch.output_path()) {
            shell(&format!("kill {daemon}"));
        }
        wait_until(SOON, || !self.daemon.is_running());
    }
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
    let is_file = rest.contains(".kuma.file_sd.json.") && rest.contains(".tmp>");
    Some(match (is_file, rest.contains("EIO")) {
        (true, _) => "flush the file",
        (false, false) => "flush the folder",
        (false, true) => "fail to flush the folder",
    })
}

const CALLS: [&str; 2] = ["-e", "trace=fsync,fdatasync,/^rename"];

#[test]
fn a_list_is_on_disk_before_it_is_shown_and_its_name_after() {
    let plane = ControlPlane::serving(KumaVersion::V2_6, &lists::list(1, 50));
    let Some(traced) = Traced::start(&plane, &CALLS, "wrote 50 targets") else {
        return;
    };
    assert_eq!(traced.daemon.file(), Some(lists::file(1, 50)));
    let trace = traced.trace();
    let expected = ["flush the file", "rename", "flush the folder"];
    assert_eq!(acts(&trace), expected, "{trace}");
}

/// What is done to temporary files, but for their flush: how they are created, written and opened to
/// others.
fn steps_to_be_readable(trace: &str) -> Vec<String> {
    let lines = trace.lines().filter(|line| line.contains(".tmp"));
    let step = |line: &str| {
        let (call, _) = line.rsplit_once(") ")?;
        let (_, mode) = call.rsplit_once(", ")?;
        match () {
            () if call.contains("O_EXCL") => Some(format!("create with mode {mode}")),
            () if call.contains(" write(") => Some("write".to_owned()),
            () if call.contains("chmod") => Some(format!("set mode {mode}")),
            () => None,
        }
    };
    lines.filter_map(step).collect()
}

#[test]
fn nobody_else_can_read_a_file_before_all_of_it_is_written() {
    let plane = ControlPlane::serving(KumaVersion::V2_6, &lists::list(1, 50));
    let calls = ["-e", "trace=/^open,write,/chmod"];
    let Some(traced) = Traced::start(&plane, &calls, "wrote 50 targets") else {
        return;
    };
    let trace = traced.trace();
    let expected = [
        // The look whether the directory can be written, at the start.
        "create with mode 0600",
        "create with mode 0600",
        "write",
        "set mode 0644",
    ];
    assert_eq!(steps_to_be_readable(&trace), expected, "{trace}");
}

#[test]
fn a_flush_of_the_folder_that_fails_is_repeated_until_it_works() {
    let plane = ControlPlane::serving(KumaVersion::V2_6, &lists::list(1, 50));
    let failing = ["-e", "inject=fsync:error=EIO:when=2..3"];
    let Some(traced) = Traced::start(
        &plane,
        &[CALLS, failing].concat(),
        "wrote 50 targets: 50 added, 0 removed, 0 changed; the file can be",
    ) else {
        return;
    };
    let log = traced.daemon.log();
    assert!(log.contains("cannot write the file: cannot flush the directory "), "{log}");
    // EIO, whatever the libc calls it.
    assert!(log.contains("(os error 5)"), "{log}");
    assert_eq!(traced.daemon.file(), Some(lists::file(1, 50)));
    let metrics = get(address_of(&traced.daemon), "/metrics").text();
    for sample in [
        "file_writes_total{outcome=\"success\"} 1\n".to_owned(),
        "file_writes_total{outcome=\"failure\"} 2\n".to_owned(),
        format!("file_size_bytes {}.0\n", lists::file(1, 50).len()),
    ] {
        assert!(metrics.contains(&sample), "no {sample} in {metrics}");
    }
    let trace = traced.trace();
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
    let plane = ControlPlane::serving(KumaVersion::V2_6, &mesh);
    let slow = [
        "-e",
        "trace=write,fsync,fdatasync,/^rename",
        "-e",
        "inject=fsync,fdatasync:delay_enter=4000000",
    ];
    let Some(traced) = Traced::start(&plane, &slow, "wrote 4000 targets") else {
        return;
    };
    assert_eq!(traced.daemon.file(), Some(mesh::file_v1(&mesh)));
    let (log, trace) = (traced.daemon.log(), traced.trace());
    assert!(!log.contains("the writer thread is"), "{log}");
    let expected =
        ["flush the file", "flush the file", "flush the file", "rename", "flush the folder"];
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
    let plane = ControlPlane::serving(KumaVersion::V2_6, &lists::list(1, 3));
    for error in ["ENOLCK", "EOPNOTSUPP", "EINVAL", "ENOSYS"] {
        let inject = format!("inject=flock:error={error}");
        let options = ["-e", "trace=flock", "-e", &inject];
        let Some(traced) = Traced::start(&plane, &options, "wrote 3 targets") else {
            return;
        };
        let log = traced.daemon.log();
        let text =
            ".kuma.file_sd.json.lock has no locks, so see to it yourself that no second daemon";
        let line = log.lines().find(|line| line.contains(text));
        assert!(line.is_some_and(|line| line.contains("WARN ]")), "{log}");
        assert_eq!(traced.daemon.file(), Some(lists::file(1, 3)));
    }
}
