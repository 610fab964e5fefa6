//! The daemon as a process: its start, its file, and its memory.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::used::{Usage, Used, number_after};
use crate::watch::Watch;

/// Longer than anything that works takes.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

const FILE_NAME: &str = "kuma.file_sd.json";

/// A running daemon, with a folder of its own.
pub(crate) struct Daemon {
    process: Child,
    folder: TempDir,
    watch: Watch,
    used: Used,
    /// When it was started.
    pub(crate) started: Instant,
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
            .arg(format!("--output-file={}", folder.path().join(FILE_NAME).display()))
            .env_clear()
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", program.display()));
        Self { used: Used::by(process.id()), process, folder, watch, started }
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
        self.used.at_rest()
    }

    /// What it has used.
    pub(crate) fn usage(&mut self) -> Usage {
        self.used.now()
    }

    /// Its memory.
    pub(crate) fn memory(&self) -> Memory {
        let status = fs::read_to_string(self.proc("status")).expect("the daemon is running");
        let bytes = |name| number_after(&status, name).expect("the kernel says so") * 1024;
        Memory { resident: bytes("VmRSS:"), peak: bytes("VmHWM:") }
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
