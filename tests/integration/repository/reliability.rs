//! `RELIABILITY.md` names tests: each of them exists.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::command::repository;
use crate::support::files::entries;

/// Where the folders are that the document names.
const TESTS: [&str; 2] = ["tests/integration", "tests"];

/// The folder of tests that a name begins with, and the rest of the name.
fn folder_of(named: &str) -> Option<(PathBuf, &str)> {
    let (folder, rest) = named.split_once('/')?;
    let folders = TESTS.map(|tests| repository().join(tests).join(folder));
    let folder = folders.into_iter().find(|folder| folder.is_dir())?;
    Some((folder, rest))
}

/// What stands in backquotes in the last column of each table that says which test shows what.
fn named_tests(document: &str) -> Vec<&str> {
    let rows = document.lines().filter(|line| line.starts_with("| "));
    let shown_by = rows.filter_map(|row| row.trim_end_matches(" |").rsplit_once(" | "));
    shown_by
        .flat_map(|(_, shown_by)| shown_by.split('`').skip(1).step_by(2))
        .filter(|text| !text.contains(' ') && (text.contains("::") || folder_of(text).is_some()))
        .collect()
}

/// Whether a source has a test of this name, or one that begins so where the name is cut short.
fn has_test(source: &Path, name: &str) -> bool {
    let text = fs::read_to_string(source).expect("it can be read");
    let (name, is_cut) = match name.strip_suffix('…') {
        Some(beginning) => (beginning, true),
        None => (name, false),
    };
    // A planted fault is a test by a macro: `name: Fault => …`.
    let forms = if is_cut {
        [format!("fn {name}"), format!(" {name}")]
    } else {
        [format!("fn {name}("), format!(" {name}: ")]
    };
    forms.iter().any(|form| text.contains(form))
}

fn exists(named: &str) -> bool {
    let (folder, rest) = folder_of(named).unwrap_or_else(|| (repository().join("src"), named));
    let (module, test) = match rest.split_once("::") {
        Some((module, test)) => (module, Some(test)),
        None => (rest, None),
    };
    let is_of_module = |path: &&PathBuf| {
        let path = path.strip_prefix(repository()).unwrap_or(path);
        let path = path.with_extension("");
        path.ends_with(module) || path.parent().is_some_and(|parent| parent.ends_with(module))
    };
    let files = entries(&folder);
    let mut of_module = files
        .iter()
        .filter(|path| path.extension().is_some_and(|ending| ending == "rs"))
        .filter(is_of_module)
        .peekable();
    match test {
        _ if of_module.peek().is_none() => false,
        None => true,
        Some(test) => of_module.any(|source| has_test(source, test)),
    }
}

#[test]
fn each_test_that_reliability_md_names_exists() {
    let document = fs::read_to_string(repository().join("RELIABILITY.md")).expect("it is there");
    let named = named_tests(&document);
    assert!(named.len() > 80, "only {} tests are named", named.len());
    let missing: Vec<&str> = named.into_iter().filter(|named| !exists(named)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn a_test_that_does_not_exist_is_noticed() {
    assert!(exists("faults/sighup"));
    assert!(!exists("faults/no_such_file"));
    assert!(!exists("faults/sighup::no_such_test"));
}
