//! Faults to plant around the machines, which have no hooks for such things and need none: each
//! makes the performer do what a faulty machine would have it do.

/// One thing done wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// After a failure, nobody ever tries again.
    ForgottenRetry,
    /// The pause is about 1 s after every failure, as if a rejection reset the backoff.
    BackoffAlwaysReset,
    /// A version is sent whatever API version it was accepted in.
    VersionOfAnotherApiVersion,
    /// The ACK goes out before the list is handed over.
    AckBeforeHandOver,
    /// An ACK carries the nonce of the response before.
    NonceOfResponseBefore,
    /// A NACK carries the version that it rejects.
    NackWithRejectedVersion,
    /// A source is left open when it has failed.
    ForgottenClose,
    /// What an abandoned source still says counts.
    AbandonedSourceCounts,
    /// Nobody looks at the clock while it is being found out where MADS is, or why a server hung up.
    StateWithoutDeadline,
    /// Deadlines have no turn while responses come.
    StarvingLoop,
    /// All daemons of a fleet wait equally long.
    FleetReturnsAtOnce,
    /// The same, but only after SIGHUP.
    ReloadedFleetReturnsAtOnce,
    /// Polls follow one another at once.
    HastyPolls,
    /// A full channel keeps the old list.
    NewestListDropped,
    /// A control plane that is away empties the list.
    EmptyWhileAway,
    /// Equal content is taken for different.
    EqualTakenForDifferent,
    /// Nobody looks whether the file is still ours.
    InspectionSkipped,
    /// A failed write is taken for done.
    FailedWriteTakenForDone,
    /// A flush that has failed is never repeated.
    FlushNeverRepeated,
    /// A failed write is tried again at once, again and again.
    HastyRetries,
    /// More than ten replacements a second.
    HastyReplacements,
    /// The file is written in place.
    WrittenInPlace,
    /// A label is lost when the file is rendered.
    RenderedWithoutALabel,
    /// Every failed attempt is logged.
    EveryFailureLogged,
    /// What was acknowledged is not written at the end.
    NothingWrittenAtTheEnd,
}
