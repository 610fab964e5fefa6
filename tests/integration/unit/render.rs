//! The file's bytes: the lines and their order; and what is counted as added, removed and changed from
//! one file to the next. Equal groups and escapes are in `properties::file`.

use kuma_prometheus_sd::output::changes::{Changes, Difference};

use crate::support::decoded::{group, snapshot};
use crate::support::prometheus::{Group, groups};

fn text(groups: &[Group]) -> String {
    String::from_utf8(snapshot(groups).bytes().to_vec()).unwrap()
}

#[test]
fn no_target_gives_an_empty_list() {
    assert_eq!(text(&[]), "[]\n");
    assert_eq!(snapshot(&[]).groups(), 0);
}

#[test]
fn each_target_is_a_line_of_its_own() {
    let targets = [group("b:1", &[("z", "1"), ("a", "2")]), group("a:1", &[])];
    let expected = "[\n\
         {\"targets\":[\"a:1\"],\"labels\":{}},\n\
         {\"targets\":[\"b:1\"],\"labels\":{\"a\":\"2\",\"z\":\"1\"}}\n\
         ]\n";
    assert_eq!(text(&targets), expected);
    assert_eq!(snapshot(&targets).groups(), 2);
}

#[test]
fn groups_are_sorted_by_mesh_service_instance_address_and_content() {
    let sorted = [
        group("z:1", &[]),
        group("y:1", &[("mesh", "a"), ("instance", "z")]),
        group("x:1", &[("mesh", "a"), ("service", "a"), ("instance", "b")]),
        group("w:1", &[("mesh", "a"), ("service", "b"), ("instance", "a")]),
        group("w:2", &[("mesh", "a"), ("service", "b"), ("instance", "a"), ("env", "a")]),
        group("w:2", &[("mesh", "a"), ("service", "b"), ("instance", "a"), ("env", "b")]),
        group("v:1", &[("mesh", "b"), ("__scheme__", "a")]),
        // As the file has it: what is escaped begins with a backslash, behind the capitals.
        group("v:1", &[("mesh", "bZ")]),
        group("v:1", &[("mesh", "b\"")]),
        // Bytes decide, not a locale: a capital comes first, a letter with an accent last.
        group("v:1", &[("mesh", "é")]),
    ];
    let lines = text(&sorted);
    let mut shuffled = sorted.clone();
    shuffled.reverse();
    assert_eq!(text(&shuffled), lines);
    shuffled.swap(1, 6);
    assert_eq!(text(&shuffled), lines);
    let found: Vec<_> = groups(lines.as_bytes()).into_iter().collect();
    for (group, expected) in found.iter().zip(&sorted) {
        assert_eq!((&group.address, &group.labels), (&expected.address, &expected.labels));
    }
}

fn count(before: &[&Group], after: &[&Group]) -> (usize, usize, usize) {
    let file = |groups: &[&Group]| {
        let groups: Vec<Group> = groups.iter().copied().cloned().collect();
        snapshot(&groups)
    };
    let changes = Difference::between(&file(before), &file(after)).count();
    (changes.added, changes.removed, changes.changed)
}

#[test]
fn changes_are_counted_in_groups() {
    let a = &group("a:1", &[("env", "prod")]);
    let relabelled = &group("a:1", &[("env", "test")]);
    let b = &group("b:1", &[]);
    let c = &group("c:1", &[]);
    let table: [(&[&Group], &[&Group], _); 10] = [
        (&[], &[], (0, 0, 0)),
        (&[a], &[a], (0, 0, 0)),
        (&[], &[a, b], (2, 0, 0)),
        // A comma at the end of the first line is no change.
        (&[a], &[a, b], (1, 0, 0)),
        (&[a, b], &[], (0, 2, 0)),
        (&[a], &[relabelled], (0, 0, 1)),
        (&[a, b], &[relabelled, c], (1, 1, 1)),
        (&[a], &[a, relabelled], (1, 0, 0)),
        (&[a, relabelled], &[a], (0, 1, 0)),
        (&[b], &[c], (1, 1, 0)),
    ];
    for (before, after, expected) in table {
        assert_eq!(count(before, after), expected, "{before:?} -> {after:?}");
    }
}

#[test]
fn of_each_kind_of_change_20_targets_are_named() {
    let named = |number: usize, label| {
        group(&format!("{number}:1"), &[("instance", &format!("dp-{number}")), ("x", label)])
    };
    let before: Vec<Group> = [1, 2].map(|number| named(number, "old")).into();
    let mut after: Vec<Group> = (10..47).map(|number| named(number, "new")).collect();
    after.push(named(1, "new"));
    let (before, after) = (snapshot(&before), snapshot(&after));
    let names = Difference::between(&before, &after).names();
    assert!(names.starts_with("added dp-10 (10:1), dp-11 (11:1), "), "{names}");
    let end = "dp-29 (29:1) and 17 more; removed dp-2 (2:1); changed dp-1 (1:1)";
    assert!(names.ends_with(end), "{names}");
}

#[test]
fn a_foreign_file_has_groups_where_it_has_lines_of_our_form() {
    let after = snapshot(&[group("a:1", &[])]);
    for (before, removed) in [
        (&b""[..], 0),
        (b"\xff\xfe\0garbage\n\"targets\":[", 0),
        (b"[{\"targets\":[\"b:1\"]}]", 0),
        (b"{\"targets\":[\"b:1\"],\"labels\":{}}", 1),
    ] {
        let found = Difference::from_file(before, &after).count();
        let lossy = String::from_utf8_lossy(before);
        assert_eq!(found.added, 1, "{lossy}");
        assert_eq!(found.removed, removed, "{lossy}");
        assert_eq!(found.changed, 0, "{lossy}");
    }
}

#[test]
fn changes_are_told_in_words() {
    let changes = Changes { added: 1, removed: 2, changed: 3 };
    assert_eq!(changes.to_string(), "1 added, 2 removed, 3 changed");
}
