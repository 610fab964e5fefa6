//! The model of the output file and of the disk it lies on: writes that fail before or after the
//! rename, a disk that hangs, and somebody else's hands.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use kuma_prometheus_sd::output::file::WriteError;
use kuma_prometheus_sd::output::state_machine::{Failure, Inspection};

use crate::rng::{Rng, milliseconds, seconds};

/// How the disk behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DiskManner {
    Healthy,
    /// Every write fails before the rename, as on a full or a read-only disk.
    Full,
    /// The flush of the directory fails: the new content is in place, but the write has failed.
    Unflushable,
    /// Any act fails now and then.
    Flaky,
    /// Nothing can be read, but all can be written.
    Unreadable,
    /// Every act takes seconds.
    Slow,
    /// Every act takes minutes.
    Hanging,
}

impl DiskManner {
    pub(crate) const BAD: [Self; 6] =
        [Self::Full, Self::Unflushable, Self::Flaky, Self::Unreadable, Self::Slow, Self::Hanging];
}

fn failed(act: &'static str, kind: ErrorKind) -> WriteError {
    WriteError::new(act, Path::new("/kuma.file_sd.json"))(kind.into())
}

#[derive(Debug)]
pub(crate) struct Disk {
    pub(crate) manner: DiskManner,
    /// What a reader sees; `None` where there is no file.
    pub(crate) file: Option<Vec<u8>>,
    /// Whether somebody else has touched it since the daemon last looked or wrote.
    pub(crate) is_touched: bool,
    has_right_mode: bool,
    /// Whether the last replacement would survive a power cut.
    pub(crate) is_flushed: bool,
}

impl Disk {
    /// With no file, or one of another time.
    pub(crate) fn new(rng: &mut Rng) -> Self {
        let file = rng.chance(0.5).then(|| b"[\n]".to_vec());
        Self {
            manner: DiskManner::Healthy,
            file,
            is_touched: true,
            has_right_mode: true,
            is_flushed: true,
        }
    }

    /// How long an act takes until it shows, and then until it returns.
    pub(crate) fn latency(&self, rng: &mut Rng) -> Duration {
        match self.manner {
            DiskManner::Slow => rng.between(milliseconds(50), seconds(2)),
            DiskManner::Hanging => rng.between(seconds(5), seconds(300)),
            _ => rng.between(Duration::ZERO, milliseconds(20)),
        }
    }

    pub(crate) fn inspect(
        &mut self,
        expected: &[u8],
        rng: &mut Rng,
    ) -> Result<Inspection, WriteError> {
        let fails = match self.manner {
            DiskManner::Unreadable => true,
            DiskManner::Flaky => rng.chance(0.3),
            _ => false,
        };
        if fails {
            // What cannot be read may be anything, so it may be replaced.
            self.is_touched = true;
            return Err(failed("read", ErrorKind::PermissionDenied));
        }
        self.is_touched = false;
        Ok(match &self.file {
            None => Inspection::Missing,
            Some(bytes) if bytes == expected && self.has_right_mode => Inspection::Same,
            Some(bytes) if bytes == expected => Inspection::OtherMode(0o600),
            Some(bytes) => Inspection::Different(bytes.clone()),
        })
    }

    pub(crate) fn replace(&mut self, content: &[u8], rng: &mut Rng) -> Result<(), Failure> {
        let is_full = match self.manner {
            DiskManner::Full => true,
            DiskManner::Flaky => rng.chance(0.3),
            _ => false,
        };
        if is_full {
            return Err(Failure::Unwritten(failed("write", ErrorKind::StorageFull)));
        }
        self.file = Some(content.to_vec());
        self.has_right_mode = true;
        self.is_touched = false;
        self.is_flushed = false;
        self.flush(rng)
    }

    pub(crate) fn flush(&mut self, rng: &mut Rng) -> Result<(), Failure> {
        let is_unflushable = match self.manner {
            DiskManner::Unflushable => true,
            DiskManner::Flaky => rng.chance(0.3),
            _ => false,
        };
        if is_unflushable {
            return Err(Failure::Unflushed(failed("flush", ErrorKind::InvalidData)));
        }
        self.is_flushed = true;
        Ok(())
    }

    /// Whether a write of `content` would change nothing that a reader can see.
    pub(crate) fn holds(&self, content: &[u8]) -> bool {
        self.has_right_mode && self.file.as_deref() == Some(content)
    }

    /// Somebody else edits the file, removes it, or makes it unreadable for others.
    pub(crate) fn is_meddled_with(&mut self, rng: &mut Rng) -> &'static str {
        self.is_touched = true;
        match rng.below(4) {
            0 => {
                self.file = None;
                "removes"
            }
            1 if self.file.is_some() => {
                self.has_right_mode = false;
                "changes the mode of"
            }
            2 => {
                self.file = Some(b"[]\n".to_vec());
                "empties"
            }
            _ => {
                let foreign = format!("[\n{{\"targets\":[\"foreign:{}\"]}}\n]\n", rng.below(9));
                self.file = Some(foreign.into_bytes());
                "edits"
            }
        }
    }
}
