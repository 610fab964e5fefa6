//! What a soak took, as a table, and the bounds that it must keep.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::support::process::Figures;

/// What a build without optimisation has for lists of some hundred targets, and some more.
const MEMORY_KIB: u64 = 96 << 10;
const DESCRIPTORS: usize = 64;
const THREADS: usize = 48;

/// The time after which the file must be right, when everything else is: the longest pause, an
/// attempt, and this machine.
const CALM_WITHIN: Duration = Duration::from_secs(60);

/// Lines that a life begins and ends with, and that a thing that happens is worth.
const LINES_A_LIFE: usize = 8;
const LINES_A_HAPPENING: usize = 3;

/// Lines of a log that nothing happens to.
const LINES_A_MINUTE: f64 = 12.0;

#[derive(Default)]
pub(crate) struct Table {
    pub(crate) duration: Duration,
    /// What happened, and how often.
    pub(crate) happened: BTreeMap<String, usize>,
    pub(crate) lists: usize,
    pub(crate) lives: usize,
    pub(crate) calms: usize,
    pub(crate) slowest_calm: Duration,
    pub(crate) log_lines: usize,
    pub(crate) cpu: Duration,
    first: Option<Figures>,
    last: Option<Figures>,
    most_resident_kib: u64,
    most_descriptors: usize,
    most_threads: usize,
}

impl Table {
    /// One more thing has happened.
    pub(crate) fn count(&mut self, what: &str) {
        *self.happened.entry(what.to_owned()).or_default() += 1;
    }

    /// Takes in the figures of a calm daemon.
    pub(crate) fn measure(&mut self, figures: Figures) {
        self.first.get_or_insert(figures);
        self.last = Some(figures);
        self.most_resident_kib = self.most_resident_kib.max(figures.resident_kib);
        self.most_descriptors = self.most_descriptors.max(figures.descriptors);
        self.most_threads = self.most_threads.max(figures.threads);
    }

    fn happenings(&self) -> usize {
        self.happened.values().sum()
    }

    fn most_lines(&self) -> usize {
        let quiet = self.duration.as_secs_f64() / 60.0 * LINES_A_MINUTE;
        // Rounded to lines, of which there are not that many.
        LINES_A_LIFE * self.lives + LINES_A_HAPPENING * self.happenings() + quiet as usize
    }

    /// Sees that nothing has grown beyond its bounds.
    #[track_caller]
    pub(crate) fn assert_within_bounds(&self) {
        assert!(self.most_resident_kib <= MEMORY_KIB, "memory");
        assert!(self.most_descriptors <= DESCRIPTORS, "descriptors");
        assert!(self.most_threads <= THREADS, "threads");
        assert!(self.slowest_calm <= CALM_WITHIN, "time to calm");
        assert!(self.log_lines <= self.most_lines(), "lines of log");
    }
}

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, times) in &self.happened {
            writeln!(formatter, "{what:<34} {times}")?;
        }
        let Table { duration, lists, lives, calms, slowest_calm, cpu, .. } = self;
        writeln!(
            formatter,
            "{duration:.0?}, {cpu:?} of processor time, {lives} lives of the daemon"
        )?;
        writeln!(
            formatter,
            "{lists} lists, {calms} calms with the right file, within {slowest_calm:.1?}"
        )?;
        let (lines, most_lines) = (self.log_lines, self.most_lines());
        writeln!(formatter, "{lines} lines of log at info, of at most {most_lines}")?;
        let (memory, descriptors, threads) =
            (self.most_resident_kib, self.most_descriptors, self.most_threads);
        writeln!(formatter, "at most {memory} KiB, {descriptors} descriptors, {threads} threads")?;
        writeln!(formatter, "the first: {:?}\nthe last: {:?}", self.first, self.last)
    }
}
