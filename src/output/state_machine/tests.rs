//! The output as tables: at a time, an event, and what is to be done then.

mod failures;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use std::{io, iter};

use super::{Action, Event, Failure, Inspection, Output, Report, replacement_interval};
use crate::common::machine::Machine;
use crate::common::machine::story::{self, Described, MIDDLE};
use crate::output::file::WriteError;
use crate::output::report::Moved;
use crate::snapshot::{Builder, LabelNames, Snapshot, Text};

type Story = story::Story<Output>;

fn new_story() -> Story {
    Story::new(|start| Output::new(start, true), describe)
}

fn describe(action: &Action) -> Described {
    Described::Action(match action {
        Action::Inspect(content) => format!("inspect {}", name(content)),
        Action::Replace(content) => format!("replace by {}", name(content)),
        Action::Flush => "flush".to_owned(),
        Action::Report(report) => return Described::Report(report.level(), report.to_string()),
    })
}

/// An act that failed, as the disk was full, or could not be flushed.
fn error(act: &'static str) -> WriteError {
    WriteError::new(act, Path::new("/f"))(io::Error::other("no"))
}

/// A list with one target for each letter.
fn list(letters: &str) -> Arc<Snapshot> {
    let empty = Arc::new(Snapshot::empty());
    let mut builder = Builder::new(&empty, 0, 0);
    let no_labels = LabelNames::new(iter::empty());
    for address in letters.chars().map(String::from) {
        builder.append(Text::from(&*address), &no_labels, iter::empty()).unwrap();
    }
    builder.finish().snapshot
}

/// The letters of a list.
fn name(content: &Snapshot) -> String {
    let text = String::from_utf8(content.bytes().to_vec()).unwrap();
    text.split("[\"").skip(1).filter_map(|rest| rest.chars().next()).collect()
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
    Event::Replaced(Err(Failure::Unwritten(error("write"))))
}

fn unflushed() -> Event {
    Event::Replaced(Err(Failure::Unflushed(error("flush"))))
}

fn other_mode() -> Event {
    Event::Inspected(Ok(Inspection::OtherMode(0o600)))
}

fn moved(from: &str, to: &str) -> Event {
    Event::Moved(Moved { from: from.to_owned(), to: to.to_owned() })
}

/// An output that wrote "ab" at the start.
fn settled() -> Story {
    let mut story = new_story();
    story.play(vec![
        (0.0, wanted("ab"), &["inspect ab"]),
        (0.0, missing(), &["replace by ab"]),
        (0.0, written(), &[]),
    ]);
    story.assert_logged(&["wrote 2 targets: 2 added, 0 removed, 0 changed"]);
    story
}

#[test]
fn nothing_is_done_before_the_first_list() {
    let mut story = new_story();
    assert_eq!(story.deadline(), None);
    story.play(vec![(5.0, Event::Finish, &[])]);
}

#[test]
fn an_empty_first_list_is_written_like_any_other() {
    let mut story = new_story();
    story.play(vec![
        (0.0, wanted(""), &["inspect "]),
        (0.0, missing(), &["replace by "]),
        (0.0, written(), &[]),
    ]);
    story.assert_logged(&["wrote 0 targets: 0 added, 0 removed, 0 changed"]);
}

#[test]
fn a_restart_onto_an_equal_file_writes_nothing() {
    let mut story = new_story();
    story.play(vec![(0.0, wanted("ab"), &["inspect ab"]), (0.0, same(), &[])]);
    story.assert_logged(&["the file already holds 2 targets"]);
}

#[test]
fn a_restart_onto_another_file_logs_what_changes() {
    let mut story = new_story();
    story.play(vec![
        (0.0, wanted("abc"), &["inspect abc"]),
        (0.0, different("bd"), &["replace by abc"]),
        (0.0, written(), &[]),
    ]);
    story.assert_logged(&["wrote 3 targets: 2 added, 1 removed, 0 changed"]);
}

#[test]
fn equal_content_is_never_written_again() {
    let mut story = settled();
    story.play(vec![(1.0, wanted("ba"), &[]), (2.0, wanted("aab"), &[])]);
    story.assert_logged(&[]);
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
fn the_larger_a_list_the_further_away_is_the_next_write() {
    for (groups, milliseconds) in
        [(0, 100), (2_000, 100), (10_000, 500), (100_000, 5_000), (usize::MAX, 5_000)]
    {
        assert_eq!(replacement_interval(groups).as_millis(), milliseconds, "{groups}");
    }
    let many = ('\u{3400}'..).take(20_000).collect::<String>();
    let mut story = settled();
    story.play(vec![
        (10.0, wanted(&many), &[&format!("replace by {many}")]),
        (10.0, written(), &[]),
    ]);
    story.play(vec![(10.5, wanted("a"), &[])]);
    assert_eq!(story.deadline(), Some(11.0));
    story.play(vec![(11.0, Event::Time, &["replace by a"])]);
}

#[test]
fn a_flood_of_changes_is_logged_ten_times_a_minute_and_the_rest_is_counted() {
    let mut story = settled();
    for (tenth, letters) in (1..=600).zip(["a", "b"].into_iter().cycle()) {
        let seconds = f64::from(tenth) / 10.0;
        story.step(seconds, wanted(letters));
        story.step(seconds, written());
    }
    assert_eq!(story.logged.len(), 9 + 10, "{:#?}", story.logged);
    let last = story.logged.last().unwrap();
    assert!(last.ends_with("; 59 more writes since the last such message"), "{last}");
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
fn a_list_that_becomes_empty_is_a_warning() {
    let last = |story: &Story| story.logged.last().cloned().unwrap_or_default();
    let mut story = settled();
    story.play(vec![(1.0, wanted(""), &["replace by "]), (1.0, written(), &[])]);
    let text = "the control plane's list is empty now: 2 targets removed; check --name and the \
                mesh's metrics settings";
    assert_eq!(last(&story), text);
    assert_eq!(story.warnings, 1);

    // So is one that is empty where the file of an earlier daemon was not.
    let mut story = new_story();
    story.play(vec![
        (0.0, wanted(""), &["inspect "]),
        (0.0, different("ab"), &["replace by "]),
        (0.0, written(), &[]),
    ]);
    assert_eq!(last(&story), text);

    // What somebody else has put into the file was on no list.
    story.play(vec![
        (5.0, Event::Time, &["inspect "]),
        (5.0, different("x"), &["replace by "]),
        (5.0, written(), &[]),
    ]);
    assert_eq!(last(&story), "wrote 0 targets: 0 added, 1 removed, 0 changed");
}

#[test]
fn lines_about_lists_that_became_empty_are_few_and_warnings() {
    let mut story = settled();
    let mut letters = ["", "a"].into_iter().cycle();
    for second in 1..=120 {
        story.step(f64::from(second), wanted(letters.next().unwrap()));
        story.step(f64::from(second), written());
    }
    let is_empty_now = |line: &&String| line.starts_with("the control plane's list is empty now");
    assert_eq!(story.warnings, story.logged.iter().filter(is_empty_now).count());
    assert!((5..=10 + 120 / 6).contains(&story.warnings), "{:#?}", story.logged);
}

#[test]
fn a_write_because_of_the_mode_alone_says_so() {
    let mut story = new_story();
    story.play(vec![
        (0.0, wanted("ab"), &["inspect ab"]),
        (0.0, other_mode(), &["replace by ab"]),
        (0.0, written(), &[]),
    ]);
    story.assert_logged(&[
        "wrote 2 targets to set the mode, which was 0600: 0 added, 0 removed, 0 changed",
    ]);
}

#[test]
fn a_tug_of_war_over_the_file_is_logged_three_times_and_then_once_a_minute() {
    let mut story = settled();
    for round in 1..=120 {
        let seconds = f64::from(round) * 5.0;
        story.step(seconds, Event::Time);
        assert_eq!(story.step(seconds, different("x")), ["replace by ab"]);
        story.step(seconds, written());
    }
    // Ten minutes; what was written is logged no more often.
    assert_eq!(story.warnings, 3 + 9, "{:#?}", story.logged);
    assert!(story.logged.len() <= 30, "{:#?}", story.logged);
    let last = story.logged.iter().rfind(|line| line.contains("somebody else"));
    assert!(last.unwrap().ends_with("; 11 more changes since the last such message"));
}

#[test]
fn a_link_that_leads_elsewhere_is_logged_once_and_followed() {
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
        assert_eq!(story.logged[0], text);
        assert_eq!(story.warnings, 1, "{:#?}", story.logged);
        // The next foreign change is one again.
        story.step(10.0, Event::Time);
        story.step(10.0, missing());
        assert_eq!(story.warnings, 2, "{:#?}", story.logged);
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
            output.step(start, MIDDLE, written()).into_iter().find_map(|action| match action {
                Action::Report(report @ Report::Named(_)) => Some(report),
                _ => None,
            });
        let expected = names_targets.then(|| "added a; removed c".to_owned());
        assert_eq!(named.map(|report| report.to_string()), expected);
    }
}

#[test]
fn a_file_that_is_deleted_or_changed_from_outside_is_put_right_within_ten_seconds() {
    let rows = [
        (missing(), "the file is gone, so it is written again"),
        (different("x"), "the file was changed by somebody else, so it is written again"),
        (
            other_mode(),
            "the file's mode was changed to 0600 by somebody else, so it is written again",
        ),
        (Event::Inspected(Err(error("read"))), "cannot read /f: no, so it is written again"),
    ];
    for (found, logged) in rows {
        let mut story = settled();
        story.play(vec![
            (5.0, Event::Time, &["inspect ab"]),
            (5.0, same(), &[]),
            (10.0, Event::Time, &["inspect ab"]),
            (10.0, found, &["replace by ab"]),
            (10.0, written(), &[]),
        ]);
        assert_eq!(story.logged[0], logged);
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
fn at_the_end_a_settled_file_is_left_alone() {
    settled().play(vec![(1.0, Event::Finish, &[])]);
}
