//! What the kernel says that a process has used.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

/// A process that uses next to nothing for so long has done what it had to.
const CALM: Duration = Duration::from_millis(50);

/// Next to nothing: what its timers take.
const NEXT_TO_NOTHING: Duration = Duration::from_micros(300);

/// What it has used since it was started.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// Processor time, to the nanosecond.
    pub(crate) cpu: Duration,
    /// Voluntary and involuntary context switches.
    pub(crate) switches: u64,
}

/// The use of a process, thread by thread.
pub(crate) struct Used {
    process: u32,
    total: Usage,
    threads: HashMap<String, Usage>,
    /// Whether a thread had or wanted a processor or waited for a disk, when last looked at.
    is_busy: bool,
}

impl Used {
    /// Of a process that has just been started.
    pub(crate) fn by(process: u32) -> Self {
        Self { process, total: Usage::default(), threads: HashMap::new(), is_busy: true }
    }

    /// What it has used when it has nothing more to do.
    pub(crate) fn at_rest(&mut self) -> Usage {
        let mut before = self.now();
        loop {
            thread::sleep(CALM);
            let now = self.now();
            if !self.is_busy && now.cpu - before.cpu < NEXT_TO_NOTHING {
                return now;
            }
            before = now;
        }
    }

    /// What it has used. `/proc/PID/stat` counts in hundredths of a second, so this is the sum of its
    /// threads; what one has used between the last look at it and its end is lost.
    pub(crate) fn now(&mut self) -> Usage {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.process)).expect("it is running");
        self.is_busy = false;
        for task in tasks.flatten() {
            let id = task.file_name().to_string_lossy().into_owned();
            let Some((now, is_busy)) = usage_of_thread(&task.path()) else {
                continue; // It has just ended.
            };
            self.is_busy |= is_busy;
            let before = self.threads.insert(id, now).unwrap_or_default();
            self.total.cpu += now.cpu.saturating_sub(before.cpu);
            self.total.switches += now.switches.saturating_sub(before.switches);
        }
        self.total
    }
}

/// The processor time of the thread that asks.
pub(crate) fn own_cpu() -> Duration {
    let usage = usage_of_thread(Path::new("/proc/thread-self"));
    usage.expect("the kernel says so").0.cpu
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

/// The number that follows a name in a text of the kernel's.
pub(crate) fn number_after(text: &str, name: &str) -> Option<u64> {
    let (_, rest) = text.split_once(name)?;
    rest.split_whitespace().next()?.parse().ok()
}
