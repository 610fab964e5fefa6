//! What is answered to a response, and when.

use super::*;

#[test]
fn a_response_is_handed_over_and_only_then_acknowledged() {
    let mut story = connected();
    assert_eq!(story.deadline(), None, "silence is healthy");
    story.play(vec![(7.0, good("b", "2"), &["hand over 0", "ACK version \"b\", nonce \"2\""])]);
}

#[test]
fn a_rejected_response_is_nacked_after_the_growing_pause() {
    let mut story = connected();
    story.play(vec![
        (10.0, bad("b", "2"), &[]),
        (11.1, Event::Time, &["NACK version \"a\", nonce \"2\""]),
        (11.1, bad("b", "3"), &[]),
        (12.7, Event::Time, &["NACK version \"a\", nonce \"3\""]),
        (12.7, bad("b", "4"), &[]),
        (15.26, Event::Time, &["NACK version \"a\", nonce \"4\""]),
        (15.3, good("b", "5"), &["hand over 0", "ACK version \"b\", nonce \"5\""]),
        (20.0, bad("c", "6"), &[]),
        (21.1, Event::Time, &["NACK version \"b\", nonce \"6\""]),
    ]);
}

#[test]
fn a_good_response_makes_a_waiting_nack_void() {
    let mut story = connected();
    story.play(vec![
        (10.0, bad("b", "2"), &[]),
        (10.5, good("c", "3"), &["hand over 0", "ACK version \"c\", nonce \"3\""]),
    ]);
    assert_eq!(story.deadline(), None);
}

#[test]
fn a_flood_of_bad_responses_does_not_put_the_nack_off() {
    let mut story = connected();
    story.play(vec![
        (10.0, bad("b", "2"), &[]),
        (10.9, bad("c", "3"), &[]),
        (11.1, Event::Time, &["NACK version \"a\", nonce \"3\""]),
    ]);
}

#[test]
fn another_type_url_is_rejected() {
    let mut story = connected();
    story.play(vec![
        (10.0, good_v1alpha1("b", "2"), &[]),
        (11.1, Event::Time, &["NACK version \"a\", nonce \"2\""]),
    ]);
}

#[test]
fn polls_over_http_start_a_second_apart_and_carry_the_accepted_version() {
    let mut story = opening_http();
    story.play(vec![
        (0.1, good("a", ""), &["hand over 0"]),
        (1.0, Event::Time, &[POLL_A]),
        (11.0, Event::Unchanged, &[]),
        (11.0, Event::Time, &[POLL_A]),
        (11.1, Event::Unchanged, &[]),
        (12.0, Event::Time, &[POLL_A]),
    ]);
    story.assert_logged(&["connected to MADS at cp:5676 over HTTP v1"]);
}

#[test]
fn equal_lists_one_after_another_slow_polls_down() {
    let mut story = opening_http();
    story.play(vec![
        (0.0, good("a", ""), &["hand over 0"]),
        (1.0, Event::Time, &[POLL_A]),
        (1.0, good("a", ""), &["hand over 0"]),
        (2.0, Event::Time, &[POLL_A]),
        (2.0, good("a", ""), &["hand over 0"]),
        (3.0, Event::Time, &[POLL_A]),
        (3.0, good("a", ""), &["hand over 0"]),
        (5.0, Event::Time, &[POLL_A]),
    ]);
}

#[test]
fn a_poll_that_a_proxy_cuts_is_an_outage_only_where_none_was_accepted() {
    let mut story = opening_http();
    story.play(vec![
        (0.1, good("a", ""), &["hand over 0"]),
        (1.0, Event::Time, &[POLL_A]),
        (6.0, ended(EndKind::GatewayTimeout), &[]),
        (6.0, Event::Time, &["ACK version \"a\", nonce \"\", hold 4 s"]),
        (11.0, ended(EndKind::GatewayTimeout), &["close"]),
        (12.1, Event::Time, &["resolve"]),
        (12.1, found(), &["open HTTP v1 at cp:5676, version \"a\""]),
        (17.0, ended(EndKind::GatewayTimeout), &["close"]),
    ]);
}

#[test]
fn a_rejected_poll_is_repeated_after_the_growing_pause_with_the_old_version() {
    let mut story = opening_http();
    let nack = "NACK version \"\", nonce \"\", hold 10 s";
    story.play(vec![
        (0.0, bad("a", ""), &[]),
        (1.1, Event::Time, &[nack]),
        (1.1, bad("a", ""), &[]),
        (2.7, Event::Time, &[nack]),
        (2.8, good("b", ""), &["hand over 0"]),
        (3.7, Event::Time, &["ACK version \"b\", nonce \"\", hold 10 s"]),
    ]);
}
