//! The daemon as a process: its start, its file, and what the kernel says it has used.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::watch::Watch;

/// Longer than anything that works takes.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// A daemon that uses next to nothing for so long has done what it had to.
const CALM: Duration = Duration::from_millis(50);

/// Next to nothing: what its timers take.
const NEXT_TO_NOTHING: Duration = Duration::from_micros(300);

const FILE_NAME: &str = "kuma.file_sd.json";

/// A running daemon, with a folder of its own.
pub(crate) struct Daemon {
    process: Child,
    folder: TempDir,
    watch: Watch,
    usage: Usage,
    threads: HashMap<String, Usage>,
    /// Whether a thread had or wanted a processor or waited for a disk, when last looked at.
    is_busy: bool,
    /// When it was started.
    pub(crate) started: Instant,
}

/// What it has used since it was started.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// Processor time, to the nanosecond.
    pub(crate) cpu: Duration,
    /// Voluntary and involuntary context switches.
    pub(crate) switches: u64,
}

/// Memory, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// What is resident.
    pub(crate) resident: u64,
    /// The most that ever was.
    pub(crate) peak: u64,
}

impl Daemon {
    /// Starts one in a folder within `folder`, with nothing in its environment.
    pub(crate) fn start(program: &Path, folder: &Path, address: &str) -> Self {
        let folder = TempDir::new_in(folder).expect("a folder can be made");
        let log = File::create(folder.path().join("log")).expect("a log can be made");
        let watch = Watch::new(folder.path(), FILE_NAME);
        let started = Instant::now();
        let process = Command::new(program)
            .arg("run")
            .arg(format!("--cp-address={address}"))
            .arg(format!(
                "--output-file={}",
                folder.path().join(FILE_NAME).display()
            ))
            .env_clear()
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", program.display()));
        Self {
            process,
            folder,
            watch,
            usage: Usage::default(),
            threads: HashMap::new(),
            is_busy: true,
            started,
        }
    }

    /// The output file.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join(FILE_NAME)
    }

    /// When the next file was in place.
    pub(crate) fn wait_for_file(&self) -> Instant {
        self.watch.wait(LIMIT).unwrap_or_else(|| {
            let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            panic!("no file came within {LIMIT:?}; the daemon's log:\n{log}")
        })
    }

    /// Whether another file came that nobody has waited for.
    pub(crate) fn has_written(&self) -> bool {
        self.watch.wait(Duration::ZERO).is_some()
    }

    /// What it has used when it has nothing more to do.
    pub(crate) fn usage_at_rest(&mut self) -> Usage {
        let mut before = self.usage();
        loop {
            thread::sleep(CALM);
            let now = self.usage();
            if !self.is_busy && now.cpu - before.cpu < NEXT_TO_NOTHING {
                return now;
            }
            before = now;
        }
    }

    /// What it has used. `/proc/PID/stat` counts in hundredths of a second, so this is the sum of its
    /// threads; what one has used between the last look at it and its end is lost.
    pub(crate) fn usage(&mut self) -> Usage {
        let tasks = fs::read_dir(self.proc("task")).expect("the daemon is running");
        self.is_busy = false;
        for task in tasks.flatten() {
            let id = task.file_name().to_string_lossy().into_owned();
            let Some((now, is_busy)) = usage_of_thread(&task.path()) else {
                continue; // It has just ended.
            };
            self.is_busy |= is_busy;
            let before = self.threads.insert(id, now).unwrap_or_default();
            self.usage.cpu += now.cpu.saturating_sub(before.cpu);
            self.usage.switches += now.switches.saturating_sub(before.switches);
        }
        self.usage
    }

    /// Its memory.
    pub(crate) fn memory(&self) -> Memory {
        let status = fs::read_to_string(self.proc("status")).expect("the daemon is running");
        let bytes = |name| number_after(&status, name).expect("the kernel says so") * 1024;
        Memory {
            resident: bytes("VmRSS:"),
            peak: bytes("VmHWM:"),
        }
    }

    /// How many threads it has.
    pub(crate) fn threads(&self) -> u64 {
        let status = fs::read_to_string(self.proc("status")).expect("the daemon is running");
        number_after(&status, "Threads:").expect("the kernel says so")
    }

    fn proc(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.process.id()))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Neither can fail for a child that is still ours.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a thread has used, and whether it has or wants a processor or waits for a disk.
fn usage_of_thread(task: &Path) -> Option<(Usage, bool)> {
    let schedule = fs::read_to_string(task.join("schedstat")).ok()?;
    let nanoseconds = schedule.split_whitespace().next()?.parse().ok()?;
    let status = fs::read_to_string(task.join("status")).ok()?;
    let usage = Usage {
        cpu: Duration::from_nanos(nanoseconds),
        switches: number_after(&status, "\nvoluntary_ctxt_switches:")?
            + number_after(&status, "\nnonvoluntary_ctxt_switches:")?,
    };
    let is_busy = status.contains("\nState:\tR") || status.contains("\nState:\tD");
    Some((usage, is_busy))
}

fn number_after(text: &str, name: &str) -> Option<u64> {
    let (_, rest) = text.split_once(name)?;
    rest.split_whitespace().next()?.parse().ok()
}
