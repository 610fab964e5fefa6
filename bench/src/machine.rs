//! What the figures were measured on, and when.

use std::fmt;
use std::fs;
use std::thread;

/// A machine, as it was at one time.
pub(crate) struct Machine {
    /// `YYYY-MM-DD`.
    pub(crate) date: String,
    /// What the kernel calls its processors.
    pub(crate) processor: String,
    /// How many there are.
    pub(crate) processors: usize,
    /// Memory, in bytes.
    pub(crate) memory: u64,
    /// The kernel's release, without what its builder adds.
    pub(crate) kernel: String,
    /// The mean number of threads that wanted a processor, in the minute before.
    pub(crate) load: f64,
}

impl Machine {
    /// This machine, now. What the kernel does not say is empty or 0.
    pub(crate) fn look() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let (cpuinfo, meminfo) = (read("/proc/cpuinfo"), read("/proc/meminfo"));
        let first = |text: &str| text.split_whitespace().next().unwrap_or_default().to_owned();
        let kilobytes: u64 = first(value(&meminfo, "MemTotal")).parse().unwrap_or_default();
        Self {
            date: jiff::Timestamp::now().strftime("%Y-%m-%d").to_string(),
            processor: value(&cpuinfo, "model name").to_owned(),
            processors: thread::available_parallelism().map_or(0, usize::from),
            memory: kilobytes * 1024,
            kernel: read("/proc/sys/kernel/osrelease")
                .chars()
                .take_while(|letter| letter.is_ascii_digit() || *letter == '.')
                .collect(),
            load: first(&read("/proc/loadavg")).parse().unwrap_or_default(),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}, {} × {}, {} GB, Linux {}, load {}",
            self.date,
            self.processors,
            self.processor,
            self.memory / 1_000_000_000,
            self.kernel,
            self.load
        )
    }
}

/// What follows a name and a colon.
fn value<'a>(text: &'a str, name: &str) -> &'a str {
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(found, _)| found.trim() == name).map_or("", |(_, value)| value.trim())
}
