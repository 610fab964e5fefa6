//! Every planted fault is found: as the violation of an invariant that it should violate, and within
//! a few stories. A fault that slipped through would mean that the simulation looks away.

use crate::fault::Fault;
use crate::play;
use crate::watch::Invariant;

/// Within so many stories a planted fault must be found.
const STORIES: u64 = 60;

#[track_caller]
fn assert_found(fault: Fault, expected: &[Invariant]) {
    let found = (0..STORIES).find_map(|seed| play(seed, Some(fault)).err());
    let Some(violation) = found else {
        panic!("{fault:?} is not found in {STORIES} stories");
    };
    assert!(
        expected.contains(&violation.invariant),
        "{fault:?} is found as something else: {violation}"
    );
}

/// One test for each fault, with the invariants of which it violates one first.
macro_rules! found {
    ($($name:ident: $fault:ident => $($invariant:ident)|+;)+) => {$(
        #[test]
        fn $name() {
            assert_found(Fault::$fault, &[$(Invariant::$invariant),+]);
        }
    )+};
}

found! {
    a_forgotten_retry: ForgottenRetry
        => CalmConverges | FileIsPutRight | BackWithinThreeSeconds;
    a_backoff_that_is_always_reset: BackoffAlwaysReset => PausesGrow;
    a_version_of_another_api_version: VersionOfAnotherApiVersion => VersionStaysInItsApiVersion;
    an_ack_before_the_hand_over: AckBeforeHandOver => AckAfterHandOver;
    the_nonce_of_the_response_before: NonceOfResponseBefore => AckNamesItsResponse;
    a_nack_with_the_rejected_version: NackWithRejectedVersion => NackKeepsLastAcceptedVersion;
    a_forgotten_close: ForgottenClose => OneSourceAtATime;
    an_abandoned_source_that_counts: AbandonedSourceCounts
        => AckNamesItsResponse | GoodListIsHandedOver | NackOnlyForBadResponse;
    a_state_without_a_deadline: StateWithoutDeadline => AttemptEndsInTime;
    a_loop_that_starves_deadlines: StarvingLoop => DeadlinesHaveTheirTurn;
    a_fleet_that_returns_at_once: FleetReturnsAtOnce => FleetIsSpread;
    a_reloaded_fleet_that_returns_at_once: ReloadedFleetReturnsAtOnce => FleetIsSpread;
    polls_in_haste: HastyPolls => PollsOneSecondApart | NackWaits;
    the_newest_list_dropped: NewestListDropped => WritesTheNewestList;
    an_empty_list_while_the_control_plane_is_away: EmptyWhileAway => EmptyOnlyWhenSaid;
    equal_content_written_again: EqualTakenForDifferent => EqualContentIsNotWritten;
    nobody_looks_at_the_file: InspectionSkipped => FileIsPutRight | WrittenBeforeTheEnd;
    a_failed_write_taken_for_done: FailedWriteTakenForDone
        => FileIsPutRight | WrittenBeforeTheEnd | EqualContentIsNotWritten | ReplacementIsFlushed;
    a_flush_that_is_never_repeated: FlushNeverRepeated => ReplacementIsFlushed;
    retries_in_haste: HastyRetries => WritesBackOff;
    replacements_in_haste: HastyReplacements
        => TenReplacementsASecond | FirstReplacementIsAtOnce;
    a_file_written_in_place: WrittenInPlace => FileIsACompleteList;
    a_label_lost_in_rendering: RenderedWithoutALabel => FileIsACompleteList;
    every_failure_logged: EveryFailureLogged => LogIsBounded;
    nothing_written_at_the_end: NothingWrittenAtTheEnd => WrittenBeforeTheEnd;
}
