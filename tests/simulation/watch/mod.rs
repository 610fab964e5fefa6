//! The invariants: all of them in one list, and those who watch over them after every step.
//!
//! A watcher sees what reaches a machine, what the machine wants done, and what comes of it; it
//! knows what was really sent, and it does not look into the machines.

mod file;
mod log;
mod pace;
mod protocol;

use std::fmt;
use std::time::Duration;

pub(crate) use file::{FileEvent, FileWatch};
pub(crate) use log::LogWatch;
pub(crate) use pace::{LATENESS, OutageSpread, PaceWatch, ReloadSpread};
pub(crate) use protocol::ProtocolWatch;

/// What must hold; the number is that of the invariant in the design.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Invariant {
    /// 1: a response that can be used is handed to the writer, as it was sent.
    GoodListIsHandedOver,
    /// 1: nothing is acknowledged before it is handed over.
    AckAfterHandOver,
    /// 1: an ACK carries the version and the nonce of the response that it is for.
    AckNamesItsResponse,
    /// 2: only what cannot be used is rejected, with that response's nonce.
    NackOnlyForBadResponse,
    /// 2: a NACK carries the last accepted version.
    NackKeepsLastAcceptedVersion,
    /// 2: a NACK waits for the backoff's pause, 0.2 s at least.
    NackWaits,
    /// 2: a first request has no nonce, and the version accepted last in its API version.
    ResumesWithLastAcceptedVersion,
    /// 2: the accepted version belongs to an API version, and is never sent in another.
    VersionStaysInItsApiVersion,
    /// 3: the file is one complete list that was handed over, unless somebody else wrote it.
    FileIsACompleteList,
    /// 3: the file becomes empty only when the control plane says so.
    EmptyOnlyWhenSaid,
    /// 3: what is written is the newest list that the writer has.
    WritesTheNewestList,
    /// 3: after a calm, the file is what the control plane says.
    CalmConverges,
    /// 4: equal content is never written again.
    EqualContentIsNotWritten,
    /// 5: the newest list that was handed over comes into the file, and a foreign change is put
    /// right within 10 s, where the disk lets it.
    FileIsPutRight,
    /// 5: a failed write is tried again after a growing pause.
    WritesBackOff,
    /// 5: after a calm, what the file holds would survive a power cut.
    ReplacementIsFlushed,
    /// 5: at most ten replacements a second.
    TenReplacementsASecond,
    /// 5: the first replacement is at once.
    FirstReplacementIsAtOnce,
    /// 7: every pause grows from 0.2 s to 30 s, unless something allowed has reset it.
    PausesGrow,
    /// 7: each state of an attempt has a deadline: 10 s for a channel, 35 s for a first poll, 15 s for
    /// where MADS is, 5 s for why a server hung up.
    AttemptEndsInTime,
    /// A deadline has its turn also while events come one after another.
    DeadlinesHaveTheirTurn,
    /// 7: the first pauses of a fleet are spread, after a lost connection and after SIGHUP.
    FleetIsSpread,
    /// 7: polls over HTTP start at least 1 s apart.
    PollsOneSecondApart,
    /// 7: so does the poll that follows a rejected answer.
    PollsAfterRejectionsOneSecondApart,
    /// 7: one source at a time, and nothing is sent over one that is closed.
    OneSourceAtATime,
    /// 8: a list that was acknowledged is written before the end, where the disk lets it.
    WrittenBeforeTheEnd,
    /// 10: a few lines of log a minute while the control plane is away, and a bounded number
    /// whatever happens.
    LogIsBounded,
    /// 10: a warning about where MADS is is not logged at every connect.
    EndpointWarningsAreRare,
    /// Issue 5: the machines are at rest between events: no deadline is served again and again.
    NoBusyLoop,
    /// Issue 5: after a short outage everything is as before within 3 s.
    BackWithinThreeSeconds,
    /// 9: the machines never panic.
    NoPanic,
}

/// What was violated, and how.
#[derive(Debug, Clone)]
pub(crate) struct Violation {
    pub(crate) invariant: Invariant,
    pub(crate) at: Duration,
    pub(crate) words: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { invariant, at, words } = self;
        write!(formatter, "{invariant:?} is violated at {:.3} s: {words}", at.as_secs_f64())
    }
}

/// The first violation of a story.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    now: Duration,
    pub(crate) violation: Option<Violation>,
}

impl Verdict {
    pub(crate) fn require(
        &mut self,
        holds: bool,
        invariant: Invariant,
        words: impl FnOnce() -> String,
    ) {
        if holds || self.violation.is_some() {
            return;
        }
        self.violation = Some(Violation { invariant, at: self.now, words: words() });
    }
}

/// All watchers of one story.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    pub(crate) verdict: Verdict,
    pub(crate) protocol: ProtocolWatch,
    pub(crate) pace: PaceWatch,
    pub(crate) outage_spread: OutageSpread,
    pub(crate) reload_spread: ReloadSpread,
    pub(crate) file: FileWatch,
    pub(crate) log: LogWatch,
}

impl Watch {
    /// A new process knows nothing of the one before.
    pub(crate) fn daemon_starts(&mut self) {
        self.receiver_ends();
        self.log = LogWatch::default();
        self.file.daemon_starts();
    }

    /// Nothing more is asked of a control plane.
    pub(crate) fn receiver_ends(&mut self) {
        self.protocol = ProtocolWatch::default();
        self.pace = PaceWatch::default();
    }

    /// Nothing has happened until `now`; `file` is what a reader saw all the time.
    pub(crate) fn time_passes(&mut self, now: Duration, file: Option<&[u8]>) {
        self.verdict.now = now;
        self.file.time_passes(now, file, &mut self.verdict);
        self.pace.time_passes(now, &mut self.verdict);
    }
}
