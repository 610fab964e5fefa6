//! The guide's table of the log's fields has those that the program writes, and no others.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::support::command::repository;

/// What each line has; the others are of its message.
const OF_EACH_LINE: [&str; 3] = ["time", "level", "message"];

#[test]
fn the_fields_of_the_guide_are_those_of_the_source() {
    let mut names = OF_EACH_LINE.map(str::to_owned).into();
    collect_names(&repository().join("src"), &mut names);
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
fn collect_names(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect_names(&path, names);
            continue;
        }
        let source = fs::read_to_string(&path).unwrap();
        for start in ["field(", "text(", "seconds("] {
            let calls = source.split(start).skip(1);
            let literals = calls.filter_map(|rest| rest.trim_start().strip_prefix('"'));
            names.extend(
                literals
                    .filter_map(|rest| rest.split('"').next())
                    .map(str::to_owned),
            );
        }
    }
}
