//! What the process uses, under the names that every exporter has.
//!
//! <https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>

use std::fmt;
use std::fs;

use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use rustix::param::page_size;
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

use super::gauge;

/// This process.
#[derive(Debug)]
pub(super) struct Process {
    /// When it started.
    pub(super) start: Timestamp,
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        let cpu = time.tv_sec as f64 + time.tv_nsec as f64 / 1e9;
        let help = "Total user and system CPU time spent in seconds";
        let cpu_encoder =
            encoder.encode_descriptor("process_cpu_seconds", help, None, MetricType::Counter)?;
        ConstCounter::new(cpu).encode(cpu_encoder)?;

        let encoder = &mut encoder;
        let help = "Start time of the process since Unix epoch in seconds";
        gauge(encoder, "process_start_time_seconds", help, super::seconds(Some(self.start)))?;
        let [virtual_memory, resident] = memory().map_or([None; 2], |sizes| sizes.map(Some));
        let help = "Virtual memory size in bytes";
        gauge(encoder, "process_virtual_memory_bytes", help, virtual_memory)?;
        let help = "Resident memory size in bytes";
        gauge(encoder, "process_resident_memory_bytes", help, resident)?;
        let help = "Number of open file descriptors";
        gauge(encoder, "process_open_fds", help, open_files())?;
        let help = "Maximum number of open file descriptors";
        let limit = getrlimit(Resource::Nofile).current.map(|limit| limit as f64);
        gauge(encoder, "process_max_fds", help, limit)
    }
}

/// The virtual and the resident size in bytes: the first two numbers of proc_pid_statm(5), in pages.
fn memory() -> Option<[f64; 2]> {
    let text = fs::read_to_string("/proc/self/statm").ok()?;
    let mut pages = text.split(' ').map(|number| number.parse::<usize>().ok());
    Some([pages.next()??, pages.next()??].map(|pages| (pages * page_size()) as f64))
}

fn open_files() -> Option<f64> {
    // One of them is the folder that is read here.
    let entries = fs::read_dir("/proc/self/fd").ok()?.count();
    Some(entries.saturating_sub(1) as f64)
}
