//! When an attempt begins and ends, and what resets the backoff.

use super::*;

#[test]
fn a_lost_stream_is_resumed_after_a_pause_with_the_last_accepted_version() {
    let mut story = connected();
    story.play(vec![
        (100.0, ended(EndKind::Outage), &["close"]),
        (101.1, Event::Time, &["resolve"]),
        (101.1, found(), &["open gRPC v1 at cp:5676, version \"a\""]),
        (101.1, Event::Ready, &[]),
        (102.1, Event::Time, &[]),
    ]);
    assert_eq!(story.deadline(), None, "a silent stream on a ready channel is healthy");
    story.assert_logged(&[
        "no connection to the control plane: Outage; the file stays as it is, next attempt in 1.1 s",
        "connected to MADS at cp:5676 over gRPC v1, after 2.1 s without a connection",
    ]);
}

#[test]
fn each_state_of_an_attempt_has_a_deadline() {
    let mut story = new_story(HTTP);
    story.play(vec![
        (0.0, Event::Time, &["resolve"]),
        (15.0, Event::Time, &["close"]),
        (16.1, Event::Time, &["resolve"]),
        (16.1, found(), &[OPEN_HTTP]),
        (51.1, Event::Time, &["close", "diagnose"]),
        (56.1, Event::Time, &["close"]),
        (57.7, Event::Time, &["resolve"]),
        (57.7, found(), &[OPEN_HTTP]),
        (58.0, good("a", ""), &["hand over 0"]),
        (58.7, Event::Time, &[POLL_A]),
        (388.7, Event::Time, &["close"]),
    ]);
    story.assert_logged(&[
        "no connection to the control plane: MADS was not located within 15 s; is a file for the token \
         or for TLS on a disk that hangs?; 15 s without one; the file stays as it is, next \
         attempt in 1.1 s",
        "connected to MADS at cp:5676 over HTTP v1, after 58 s without a connection",
        "no connection to the control plane: cp:5676 did not answer a poll within 330 s; the file \
         stays as it is, next attempt in 1.1 s",
    ]);
}

#[test]
fn a_server_that_hangs_up_without_a_word_is_diagnosed_before_the_pause() {
    let mut story = opening();
    story.play(vec![
        (0.1, ended(EndKind::Unready), &["close", "diagnose"]),
        (0.2, Event::Diagnosed(Some("TLS is spoken there")), &["close"]),
        (1.3, Event::Time, &["resolve"]),
    ]);
    story.assert_logged(&["no connection to the control plane: Unready; TLS is spoken there; \
         the file stays as it is, next attempt in 1.1 s"]);
}

/// The pause after the next failure, in seconds.
fn pause_after(story: &mut Story, seconds: f64) -> f64 {
    story.step(seconds, ended(EndKind::Outage));
    story.deadline().expect("a failure sets the next attempt") - seconds
}

/// Fails twice, so that the next pause is the third, and connects again over `protocols`.
fn third_attempt(pins: Pins) -> Story {
    let mut story = new_story(pins);
    for (resolved, failed) in [(0.0, 0.0), (1.1, 1.1)] {
        story.step(resolved, Event::Time);
        story.step(resolved, found());
        story.step(failed, ended(EndKind::Outage));
    }
    story.step(2.7, Event::Time);
    story.step(2.7, found());
    story
}

#[test]
fn only_what_shows_health_resets_the_backoff() {
    const THIRD: f64 = 2.56;
    type Events = Vec<(f64, Event)>;
    let rows: [(&str, Pins, Events, f64, f64); 7] = [
        ("a mere connect", Pins::default(), vec![(3.0, Event::Ready)], 4.0, THIRD),
        ("a rejected response", Pins::default(), vec![(3.0, bad("a", "1"))], 3.5, 4.1),
        ("an accepted response", Pins::default(), vec![(3.0, good("a", "1"))], 3.5, 1.1),
        (
            "a silent stream that was up for less than 60 s",
            Pins::default(),
            vec![(3.0, Event::Ready), (4.0, Event::Time)],
            62.9,
            THIRD,
        ),
        (
            "a silent stream that was up for 60 s",
            Pins::default(),
            vec![(3.0, Event::Ready), (4.0, Event::Time)],
            63.0,
            1.1,
        ),
        ("a 304 at once", HTTP, vec![(2.8, Event::Unchanged)], 3.0, THIRD),
        ("a 304 after a second", HTTP, vec![(3.7, Event::Unchanged)], 3.8, 1.1),
    ];
    for (what, pins, events, fails_at, expected) in rows {
        let mut story = third_attempt(pins);
        for (seconds, event) in events {
            story.step(seconds, event);
        }
        let pause = pause_after(&mut story, fails_at);
        assert!((pause - expected).abs() < 0.01, "after {what}: {pause} s");
    }
}

#[test]
fn a_reconnect_is_soon_in_any_state() {
    let states: [(&str, Vec<Event>); 3] = [
        ("resolving", vec![Event::Time]),
        ("opening", vec![Event::Time, found()]),
        ("connected", vec![Event::Time, found(), Event::Ready, good("a", "1")]),
    ];
    for (state, events) in states {
        let mut story = new_story(Pins::default());
        for event in events {
            story.step(0.0, event);
        }
        assert_eq!(story.step(0.5, Event::Reconnect), ["close"], "{state}");
        assert_eq!(story.deadline(), Some(1.6), "{state}");
        assert_eq!(story.step(1.6, Event::Time), ["resolve"], "{state}");
    }
    // In a long pause.
    let mut story = third_attempt(Pins::default());
    let pause = pause_after(&mut story, 3.0);
    assert!(pause > 2.0, "{pause} s");
    story.step(3.1, Event::Reconnect);
    assert_eq!(story.deadline(), Some(4.2));
}

#[test]
fn one_reconnect_after_another_does_not_put_the_attempt_off() {
    let mut story = connected();
    story.play(vec![
        (10.0, Event::Reconnect, &["close"]),
        (11.0, Event::Reconnect, &["close"]),
        (11.1, Event::Time, &["resolve"]),
    ]);
}

#[test]
fn what_an_abandoned_attempt_still_says_does_not_count() {
    let mut story = new_story(Pins::default());
    story.play(vec![
        (0.0, Event::Time, &["resolve"]),
        (0.0, unresolved(), &["close"]),
        (0.5, Event::Ready, &[]),
        (0.5, good("a", "1"), &[]),
        (0.5, ended(EndKind::Outage), &[]),
        (0.5, found(), &[]),
        (1.1, Event::Time, &["resolve"]),
        (1.1, good("a", "1"), &[]),
        (1.1, found(), &[OPEN_V1]),
    ]);
}

#[test]
fn time_that_comes_too_early_changes_nothing() {
    let mut story = connected();
    story.play(vec![(10.0, bad("b", "2"), &[])]);
    assert_eq!(story.step(10.5, Event::Time), [""; 0]);
    assert_eq!(story.deadline(), Some(11.1));
}
