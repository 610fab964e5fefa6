//! A running daemon as the kernel sees it: its processor time, memory, descriptors and threads.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use crate::support::harness::program;

/// The kernel counts processor time in hundredths of a second, for everyone who asks.
const TICK: Duration = Duration::from_millis(10);

/// The daemon that was started with an output file; `None` where there is none.
pub(crate) fn that_writes(output: &Path) -> Option<u32> {
    let program = program();
    let entries = fs::read_dir("/proc").expect("/proc can be listed");
    entries.flatten().find_map(|entry| {
        let id = entry.file_name().to_str()?.parse().ok()?;
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let mut arguments = line.split(|byte| *byte == 0);
        let is_daemon = arguments.next() == Some(program.as_bytes());
        let is_this = arguments.any(|argument| argument == output.as_os_str().as_bytes());
        (is_daemon && is_this).then_some(id)
    })
}

/// How much of everything a process has and has used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    /// Processor time, in user and kernel mode.
    pub(crate) cpu: Duration,
    /// Resident memory.
    pub(crate) resident_kib: u64,
    /// The most resident memory that it ever had.
    pub(crate) peak_kib: u64,
    /// Open descriptors.
    pub(crate) descriptors: usize,
    /// Threads.
    pub(crate) threads: usize,
}

impl Figures {
    /// The figures of a process that is running.
    #[track_caller]
    pub(crate) fn of(process: u32) -> Figures {
        let read = |name: &str| {
            let path = format!("/proc/{process}/{name}");
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("cannot read {path}: {error}"))
        };
        let stat = read("stat");
        // What follows the name, which may itself have spaces and brackets.
        let (_, rest) = stat.rsplit_once(')').expect("a name in brackets");
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let field = |index: usize| fields[index].parse::<u32>().expect("a number");
        let status = read("status");
        let kib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().next());
            number.and_then(|number| number.parse().ok()).unwrap_or(0)
        };
        let descriptors = fs::read_dir(format!("/proc/{process}/fd")).expect("it is ours");
        Figures {
            cpu: TICK * (field(11) + field(12)),
            resident_kib: kib("VmRSS:"),
            peak_kib: kib("VmHWM:"),
            descriptors: descriptors.count(),
            threads: field(17) as usize,
        }
    }
}
