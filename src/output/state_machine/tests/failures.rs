//! Writes and flushes that fail, and what is logged of them.

use super::*;

#[test]
fn a_failed_write_is_retried_with_backoff_and_the_newest_list() {
    let mut story = settled();
    story.play(vec![
        (10.0, wanted("c"), &["replace by c"]),
        (10.0, failed(), &[]),
        (10.5, wanted("cd"), &[]),
        (11.1, Event::Time, &["inspect cd"]),
        (11.1, different("ab"), &["replace by cd"]),
        (11.1, failed(), &[]),
        (12.7, Event::Time, &["inspect cd"]),
        (12.7, different("ab"), &["replace by cd"]),
        (12.7, written(), &[]),
    ]);
    story.assert_logged(&[
        "cannot write the file: cannot write /f: no; next attempt in 1.1 s",
        "wrote 2 targets: 2 added, 2 removed, 0 changed; the file can be written again after 2.7 s",
    ]);
}

#[test]
fn a_flush_that_failed_after_the_rename_is_repeated_and_the_write_is_not() {
    let mut story = settled();
    story.play(vec![
        (10.0, wanted("c"), &["replace by c"]),
        (10.0, unflushed(), &[]),
        (11.1, Event::Time, &["flush"]),
        (11.1, unflushed(), &[]),
        (12.7, Event::Time, &["flush"]),
        // Meanwhile somebody may have changed it.
        (12.7, written(), &["inspect c"]),
        (12.7, same(), &[]),
        (17.7, Event::Time, &["inspect c"]),
    ]);
    story.assert_logged(&[
        "cannot write the file: cannot flush /f: no; next attempt in 1.1 s",
        "wrote 1 target: 1 added, 2 removed, 0 changed; the file can be written again after 2.7 s",
    ]);
}

#[test]
fn a_flush_that_failed_is_overtaken_by_a_newer_list() {
    let mut story = settled();
    story.play(vec![
        (10.0, wanted("c"), &["replace by c"]),
        (10.0, unflushed(), &[]),
        (10.5, wanted("cd"), &[]),
        (11.1, Event::Time, &["replace by cd"]),
        (11.1, written(), &[]),
    ]);
    story.assert_logged(&[
        "cannot write the file: cannot flush /f: no; next attempt in 1.1 s",
        "wrote 2 targets: 2 added, 2 removed, 0 changed; 1 more write since the last such message; \
         the file can be written again after 1.1 s",
    ]);
}

#[test]
fn a_flush_that_failed_is_owed_also_after_a_newer_list_that_was_not_written() {
    let mut story = settled();
    story.play(vec![
        (10.0, wanted("c"), &["replace by c"]),
        (10.0, unflushed(), &[]),
        (10.5, wanted("d"), &[]),
        (11.1, Event::Time, &["replace by d"]),
        (11.1, failed(), &[]),
        (11.6, wanted("c"), &[]),
        (12.7, Event::Time, &["inspect c"]),
        (12.7, same(), &["flush"]),
        (12.7, written(), &["inspect c"]),
        (12.7, same(), &[]),
    ]);
}

#[test]
fn at_the_end_a_flush_that_failed_is_tried_once_more() {
    let mut story = settled();
    story.play(vec![
        (1.0, wanted("c"), &["replace by c"]),
        (1.0, unflushed(), &[]),
        (1.5, Event::Finish, &["flush"]),
        (1.5, written(), &["inspect c"]),
    ]);
}

/// Fails to write another list at `seconds`, and then to do so `retries` times.
fn fail(story: &mut Story, seconds: f64, retries: usize) {
    story.step(seconds, wanted("c"));
    story.step(seconds, failed());
    for _ in 0..retries {
        let seconds = story.wait();
        story.step(seconds, different("ab"));
        story.step(seconds, failed());
    }
}

/// The control plane goes back to the list that is in the file.
fn recover(story: &mut Story) {
    let seconds = story.deadline().unwrap();
    story.step(seconds, wanted("ab"));
    story.step(seconds, same());
}

#[test]
fn failures_of_one_outage_are_not_counted_in_the_next_one() {
    let mut story = settled();
    fail(&mut story, 10.0, 3);
    recover(&mut story);
    fail(&mut story, 1000.0, 0);
    let lines = std::mem::take(&mut story.logged);
    assert_eq!(lines.len(), 3, "{lines:#?}");
    assert_eq!(lines[2], "cannot write the file: cannot write /f: no; next attempt in 1.1 s");
}

#[test]
fn the_end_of_a_failure_that_was_not_logged_is_not_logged() {
    let mut story = settled();
    fail(&mut story, 10.0, 0);
    recover(&mut story);
    story.logged.clear();
    for second in 1..20 {
        fail(&mut story, 12.0 + f64::from(second), 0);
        recover(&mut story);
    }
    story.assert_logged(&[]);
}

#[test]
fn a_lasting_failure_is_logged_once_a_minute() {
    let mut story = settled();
    story.step(10.0, wanted("c"));
    story.step(10.0, failed());
    while story.deadline().is_some_and(|deadline| deadline < 220.0) {
        let seconds = story.wait();
        story.step(seconds, missing());
        story.step(seconds, failed());
    }
    assert_eq!(story.logged.len(), 4, "{:#?}", story.logged);
}

#[test]
fn at_the_end_a_list_that_could_not_be_written_is_tried_once_more() {
    let mut story = settled();
    story.play(vec![
        (1.0, wanted("c"), &["replace by c"]),
        (1.0, failed(), &[]),
        (1.5, Event::Finish, &["inspect c"]),
        (1.5, missing(), &["replace by c"]),
        (1.5, failed(), &[]),
    ]);
}

#[test]
fn a_write_that_fails_at_the_end_is_logged_in_any_case() {
    let mut story = settled();
    story.play(vec![
        (10.0, wanted("c"), &["replace by c"]),
        (10.0, failed(), &[]),
        (10.5, Event::Finish, &["inspect c"]),
        (10.5, different("ab"), &["replace by c"]),
        (10.5, failed(), &[]),
    ]);
    story.assert_logged(&[
        "cannot write the file: cannot write /f: no; next attempt in 1.1 s",
        "cannot write the file: cannot write /f: no; giving up, as the daemon is ending",
    ]);
}
