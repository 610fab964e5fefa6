//! The guide's table of the log's fields has those that the program writes, and no others.

use std::collections::BTreeSet;
use std::fs;

use crate::support::command::repository;
use crate::support::files::entries;

/// What each line has; the others are of its message.
const OF_EACH_LINE: [&str; 3] = ["time", "level", "message"];

#[test]
fn the_fields_of_the_guide_are_those_of_the_source() {
    let mut names: BTreeSet<String> = OF_EACH_LINE.map(str::to_owned).into();
    let files = entries(&repository().join("src"));
    for source in files.iter().filter(|path| path.is_file()) {
        names.extend(names_in(&fs::read_to_string(source).unwrap()));
    }
    assert!(names.len() > 20, "{names:?}");
    assert_eq!(names_in_the_guide(), names);
}

/// What stands in backticks in the first column of the table of fields.
pub(crate) fn names_in_the_guide() -> BTreeSet<String> {
    let guide = fs::read_to_string(repository().join("docs/operators-guide.md")).unwrap();
    let rows = guide
        .lines()
        .skip_while(|line| !line.starts_with("| field"))
        .take_while(|line| line.starts_with('|'));
    let first_columns = rows.filter_map(|row| row.split('|').nth(1));
    let quoted = first_columns.flat_map(|column| column.split('`').skip(1).step_by(2));
    quoted.map(str::to_owned).collect()
}

/// The names that fields are given.
fn names_in(source: &str) -> BTreeSet<String> {
    let calls = ["field(", "text(", "seconds("].map(|start| source.split(start).skip(1));
    let literals = calls.into_iter().flatten();
    let literals = literals.filter_map(|rest| rest.trim_start().strip_prefix('"'));
    let names = literals.filter_map(|rest| rest.split('"').next());
    names.map(str::to_owned).collect()
}
