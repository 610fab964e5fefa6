//! The output as tables: at a time, an event, and what is to be done then.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use log::Level;

use super::{Action, Event, Failure, Inspection, Output, Report};
use crate::common::machine::Machine;
use crate::output::render::{Content, render};
use crate::output::report::Moved;
use crate::snapshot::Target;

/// No jitter.
const MIDDLE: f64 = 0.5;

struct Story {
    output: Output,
    start: Instant,
    told: Vec<String>,
    /// How many of these were warnings.
    warnings: usize,
}

impl Story {
    fn new() -> Self {
        let start = Instant::now();
        Self {
            output: Output::new(start, true),
            start,
            told: Vec::new(),
            warnings: 0,
        }
    }

    /// What is to be done at `seconds`, in words; what is to be told above debug is kept.
    fn step(&mut self, seconds: f64, event: Event) -> Vec<String> {
        let now = self.start + Duration::from_secs_f64(seconds);
        let mut words = Vec::new();
        for action in self.output.step(now, MIDDLE, event) {
            match action {
                Action::Inspect(content) => words.push(format!("inspect {}", name(&content))),
                Action::Replace(content) => words.push(format!("replace by {}", name(&content))),
                Action::Flush => words.push("flush".to_owned()),
                Action::Report(report) if report.level() <= Level::Info => {
                    self.warnings += usize::from(report.level() == Level::Warn);
                    self.told.push(report.to_string());
                }
                Action::Report(_) => {}
            }
        }
        words
    }

    /// Plays a table; every deadline must be the one that the table waits for with `time`.
    #[track_caller]
    fn play(&mut self, rows: Vec<(f64, Event, &[&str])>) {
        for (seconds, event, expected) in rows {
            if let Event::Time = event {
                assert_eq!(
                    self.deadline(),
                    Some(seconds),
                    "the deadline before {seconds} s"
                );
            }
            let described = format!("{event:?}");
            assert_eq!(
                self.step(seconds, event),
                expected,
                "{described} at {seconds} s"
            );
        }
    }

    /// Seconds since the start, to the millisecond.
    fn deadline(&self) -> Option<f64> {
        let deadline = self.output.deadline()?;
        Some((deadline - self.start).as_micros().div_ceil(1000) as f64 / 1000.0)
    }

    #[track_caller]
    fn assert_told(&mut self, expected: &[&str]) {
        assert_eq!(std::mem::take(&mut self.told), expected);
    }
}

/// A list with one target for each letter.
fn list(letters: &str) -> Content {
    let target = |letter: char| Target {
        address: letter.to_string(),
        labels: BTreeMap::new(),
    };
    render(&letters.chars().map(target).collect::<Vec<_>>())
}

/// The letters of a list.
fn name(content: &Content) -> String {
    let text = String::from_utf8(content.bytes().to_vec()).unwrap();
    text.split("[\"")
        .skip(1)
        .filter_map(|rest| rest.chars().next())
        .collect()
}

fn wanted(letters: &str) -> Event {
    Event::Wanted(list(letters))
}

fn missing() -> Event {
    Event::Inspected(Ok(Inspection::Missing))
}

fn same() -> Event {
    Event::Inspected(Ok(Inspection::Same))
}

fn different(letters: &str) -> Event {
    Event::Inspected(Ok(Inspection::Different(list(letters).bytes().to_vec())))
}

fn written() -> Event {
    Event::Replaced(Ok(()))
}

fn failed() -> Event {
    Event::Replaced(Err(Failure::Unwritten("no space left".to_owned())))
}

fn unflushed() -> Event {
    Event::Replaced(Err(Failure::Unflushed("no flush".to_owned())))
}

fn other_mode() -> Event {
    Event::Inspected(Ok(Inspection::OtherMode(0o600)))
}

fn moved(from: &str, to: &str) -> Event {
    Event::Moved(Moved {
        from: from.to_owned(),
        to: to.to_owned(),
    })
}

/// An output that wrote "ab" at the start.
fn settled() -> Story {
    let mut story = Story::new();
    story.play(vec![
        (0.0, wanted("ab"), &["inspect ab"]),
        (0.0, missing(), &["replace by ab"]),
        (0.0, written(), &[]),
    ]);
    story.assert_told(&["wrote 2 targets: 2 added, 0 removed, 0 changed"]);
    story
}

#[test]
fn nothing_is_done_before_the_first_list() {
    let mut story = Story::new();
    assert_eq!(story.deadline(), None);
    story.play(vec![(5.0, Event::Finish, &[])]);
}

#[test]
fn an_empty_first_list_is_written_like_any_other() {
    let mut story = Story::new();
    story.play(vec![
        (0.0, wanted(""), &["inspect "]),
        (0.0, missing(), &["replace by "]),
        (0.0, written(), &[]),
    ]);
    story.assert_told(&["wrote 0 targets: 0 added, 0 removed, 0 changed"]);
}

#[test]
fn a_restart_onto_an_equal_file_writes_nothing() {
    let mut story = Story::new();
    story.play(vec![
        (0.0, wanted("ab"), &["inspect ab"]),
        (0.0, same(), &[]),
    ]);
    story.assert_told(&["the file already holds 2 targets"]);
}

#[test]
fn a_restart_onto_another_file_tells_what_changes() {
    let mut story = Story::new();
    story.play(vec![
        (0.0, wanted("abc"), &["inspect abc"]),
        (0.0, different("bd"), &["replace by abc"]),
        (0.0, written(), &[]),
    ]);
    story.assert_told(&["wrote 3 targets: 2 added, 1 removed, 0 changed"]);
}

#[test]
fn equal_content_is_never_written_again() {
    let mut story = settled();
    story.play(vec![(1.0, wanted("ba"), &[]), (2.0, wanted("aab"), &[])]);
    story.assert_told(&[]);
}

#[test]
fn a_change_is_written_at_once_and_a_flood_at_ten_a_second_with_the_newest_last() {
    let mut story = settled();
    story.play(vec![
        (1.0, wanted("abc"), &["replace by abc"]),
        (1.0, written(), &[]),
        (1.01, wanted("abcd"), &[]),
        (1.02, wanted("a"), &[]),
        (1.1, Event::Time, &["replace by a"]),
        (1.1, written(), &[]),
        (1.3, wanted("ab"), &["replace by ab"]),
    ]);
}

#[test]
fn a_flood_of_changes_is_told_ten_times_a_minute_and_the_rest_is_counted() {
    let mut story = settled();
    for (tenth, letters) in (1..=600).zip(["a", "b"].into_iter().cycle()) {
        let seconds = f64::from(tenth) / 10.0;
        story.step(seconds, wanted(letters));
        story.step(seconds, written());
    }
    assert_eq!(story.told.len(), 9 + 10, "{:#?}", story.told);
    let last = story.told.last().unwrap();
    assert!(
        last.ends_with("; 59 more writes since the last such message"),
        "{last}"
    );
}

#[test]
fn a_change_that_is_taken_back_before_it_is_written_is_no_change() {
    let mut story = settled();
    story.play(vec![
        (1.0, wanted("abc"), &["replace by abc"]),
        (1.0, written(), &[]),
        (1.01, wanted("x"), &[]),
        (1.02, wanted("abc"), &[]),
        (6.0, Event::Time, &["inspect abc"]),
    ]);
}

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
    story.assert_told(&[
        "cannot write the file: no space left; next attempt in 1.1 s",
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
    story.assert_told(&[
        "cannot write the file: no flush; next attempt in 1.1 s",
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
    story.assert_told(&[
        "cannot write the file: no flush; next attempt in 1.1 s",
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

#[test]
fn a_list_that_becomes_empty_is_a_warning() {
    let told = |story: &Story| story.told.last().cloned().unwrap_or_default();
    let mut story = settled();
    story.play(vec![
        (1.0, wanted(""), &["replace by "]),
        (1.0, written(), &[]),
    ]);
    let text = "the control plane's list is empty now: 2 targets removed; check --name and the \
                mesh's metrics settings";
    assert_eq!(told(&story), text);
    assert_eq!(story.warnings, 1);

    // So is one that is empty where the file of an earlier daemon was not.
    let mut story = Story::new();
    story.play(vec![
        (0.0, wanted(""), &["inspect "]),
        (0.0, different("ab"), &["replace by "]),
        (0.0, written(), &[]),
    ]);
    assert_eq!(told(&story), text);

    // What somebody else has put into the file was on no list.
    story.play(vec![
        (5.0, Event::Time, &["inspect "]),
        (5.0, different("x"), &["replace by "]),
        (5.0, written(), &[]),
    ]);
    assert_eq!(
        told(&story),
        "wrote 0 targets: 0 added, 1 removed, 0 changed"
    );
}

#[test]
fn each_line_about_a_list_that_became_empty_is_a_warning_and_there_are_not_many() {
    let mut story = settled();
    let mut letters = ["", "a"].into_iter().cycle();
    for second in 1..=120 {
        story.step(f64::from(second), wanted(letters.next().unwrap()));
        story.step(f64::from(second), written());
    }
    let is_empty_now = |line: &&String| line.starts_with("the control plane's list is empty now");
    assert_eq!(
        story.warnings,
        story.told.iter().filter(is_empty_now).count()
    );
    assert!(
        (5..=10 + 120 / 6).contains(&story.warnings),
        "{:#?}",
        story.told
    );
}

#[test]
fn a_write_because_of_the_mode_alone_says_so() {
    let mut story = Story::new();
    story.play(vec![
        (0.0, wanted("ab"), &["inspect ab"]),
        (0.0, other_mode(), &["replace by ab"]),
        (0.0, written(), &[]),
    ]);
    story.assert_told(&[
        "wrote 2 targets to set the mode, which was 0600: 0 added, 0 removed, 0 changed",
    ]);
}

#[test]
fn a_tug_of_war_over_the_file_is_told_three_times_and_then_once_a_minute() {
    let mut story = settled();
    for round in 1..=120 {
        let seconds = f64::from(round) * 5.0;
        story.step(seconds, Event::Time);
        assert_eq!(story.step(seconds, different("x")), ["replace by ab"]);
        story.step(seconds, written());
    }
    // Ten minutes; what was written is told no more often.
    assert_eq!(story.warnings, 3 + 9, "{:#?}", story.told);
    assert!(story.told.len() <= 30, "{:#?}", story.told);
    let told = story
        .told
        .iter()
        .rfind(|line| line.contains("somebody else"));
    assert!(
        told.unwrap()
            .ends_with("; 11 more changes since the last such message")
    );
}

#[test]
fn a_link_that_leads_elsewhere_is_told_once_and_what_is_there_is_replaced() {
    let text = "the output is /b now, as a symbolic link was changed or replaced; /a is no longer \
                written";
    for (found, replaced) in [(missing(), true), (different("x"), true), (same(), false)] {
        let mut story = settled();
        let expected: &[&str] = if replaced { &["replace by ab"] } else { &[] };
        story.play(vec![
            (5.0, Event::Time, &["inspect ab"]),
            (5.0, moved("/a", "/b"), &[]),
            (5.0, found, expected),
        ]);
        story.step(5.0, written());
        assert_eq!(story.told[0], text);
        assert_eq!(story.warnings, 1, "{:#?}", story.told);
        // The next foreign change is one again.
        story.step(10.0, Event::Time);
        story.step(10.0, missing());
        assert_eq!(story.warnings, 2, "{:#?}", story.told);
    }
}

#[test]
fn the_targets_that_a_write_changes_are_named_where_that_is_wanted() {
    for names_targets in [true, false] {
        let start = Instant::now();
        let mut output = Output::new(start, names_targets);
        output.step(start, MIDDLE, wanted("ab"));
        output.step(start, MIDDLE, different("bc"));
        let named =
            output
                .step(start, MIDDLE, written())
                .into_iter()
                .find_map(|action| match action {
                    Action::Report(report @ Report::Named(_)) => Some(report),
                    _ => None,
                });
        let expected = names_targets.then(|| "added a; removed c".to_owned());
        assert_eq!(named.map(|report| report.to_string()), expected);
    }
}

/// Fails to write another list at `seconds`, and then to do so `retries` times.
fn fail(story: &mut Story, seconds: f64, retries: usize) {
    story.step(seconds, wanted("c"));
    story.step(seconds, failed());
    for _ in 0..retries {
        let seconds = story.deadline().unwrap();
        story.step(seconds, Event::Time);
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
    let lines = std::mem::take(&mut story.told);
    assert_eq!(lines.len(), 3, "{lines:#?}");
    assert_eq!(
        lines[2],
        "cannot write the file: no space left; next attempt in 1.1 s"
    );
}

#[test]
fn the_end_of_a_failure_that_was_not_logged_is_not_logged() {
    let mut story = settled();
    fail(&mut story, 10.0, 0);
    recover(&mut story);
    story.told.clear();
    for second in 1..20 {
        fail(&mut story, 12.0 + f64::from(second), 0);
        recover(&mut story);
    }
    story.assert_told(&[]);
}

#[test]
fn a_lasting_failure_is_told_once_a_minute() {
    let mut story = settled();
    story.step(10.0, wanted("c"));
    story.step(10.0, failed());
    while story.deadline().is_some_and(|deadline| deadline < 220.0) {
        let seconds = story.deadline().unwrap();
        story.step(seconds, Event::Time);
        story.step(seconds, missing());
        story.step(seconds, failed());
    }
    assert_eq!(story.told.len(), 4, "{:#?}", story.told);
}

#[test]
fn a_file_that_is_deleted_or_changed_from_outside_is_put_right_within_ten_seconds() {
    let rows = [
        (missing(), "the file is gone, so it is written again"),
        (
            different("x"),
            "the file was changed by somebody else, so it is written again",
        ),
        (
            other_mode(),
            "the file's mode was changed to 0600 by somebody else, so it is written again",
        ),
        (
            Event::Inspected(Err("cannot read it".to_owned())),
            "cannot read it, so it is written again",
        ),
    ];
    for (found, told) in rows {
        let mut story = settled();
        story.play(vec![
            (5.0, Event::Time, &["inspect ab"]),
            (5.0, same(), &[]),
            (10.0, Event::Time, &["inspect ab"]),
            (10.0, found, &["replace by ab"]),
            (10.0, written(), &[]),
        ]);
        assert_eq!(story.told[0], told);
    }
}

#[test]
fn at_the_end_the_newest_list_is_written_whatever_the_limits_say() {
    let mut story = settled();
    story.play(vec![
        (1.0, wanted("c"), &["replace by c"]),
        (1.0, written(), &[]),
        (1.01, wanted("d"), &[]),
        (1.02, Event::Finish, &["replace by d"]),
        (1.02, written(), &[]),
    ]);
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
fn at_the_end_a_settled_file_is_left_alone() {
    settled().play(vec![(1.0, Event::Finish, &[])]);
}
