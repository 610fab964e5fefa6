//! What is made from the table of flags and from the sources of all that is linked in, and kept in the
//! repo, is current. `make generate` renews it.

mod completion;
mod environment_file;
mod manual;
mod readme_table;

use std::env;
use std::fs;

use self::environment_file::environment_file;
use self::manual::manual;
use self::readme_table::readme_table;
use crate::repository::third_party::{bill_of_materials, notices};
use crate::support::command::repository;

/// Set by `make generate`.
const RENEW: &str = "RENEW_GENERATED_FILES";

/// What stands around the table in `README.md`.
const TABLE_BEGINS: &str = "<!-- The table of flags is generated: see `make generate`. -->\n\n";
const TABLE_ENDS: &str = "\n<!-- The end of the table. -->";

#[track_caller]
fn is_current(path: &str, content: impl Fn(&str) -> String) {
    let full_path = repository().join(path);
    let found = fs::read_to_string(&full_path).unwrap_or_default();
    let expected = content(&found);
    if env::var_os(RENEW).is_some() {
        fs::write(&full_path, expected).unwrap();
        return;
    }
    assert!(found == expected, "{path} is not current: run `make generate`");
}

#[test]
fn the_table_in_the_readme_is_current() {
    is_current("README.md", |readme| {
        let (before, rest) = readme.split_once(TABLE_BEGINS).expect("where it begins");
        let (_, after) = rest.split_once(TABLE_ENDS).expect("where it ends");
        format!("{before}{TABLE_BEGINS}{}{TABLE_ENDS}{after}", readme_table())
    });
}

#[test]
fn the_notices_of_third_parties_are_current() {
    is_current("packaging/THIRD-PARTY-NOTICES.txt", |_| notices());
}

#[test]
fn the_bill_of_materials_is_current() {
    is_current("packaging/kuma-prometheus-sd.cdx.json", |_| bill_of_materials());
}

#[test]
fn the_man_page_is_current() {
    is_current("packaging/kuma-prometheus-sd.1", |_| manual());
}

#[test]
fn the_environment_file_is_current() {
    is_current("packaging/environment", |_| environment_file());
}

#[test]
fn the_completions_are_current() {
    let path = |name| format!("packaging/completions/{name}");
    is_current(&path("kuma-prometheus-sd.bash"), |_| completion::bash());
    is_current(&path("_kuma-prometheus-sd"), |_| completion::zsh());
    is_current(&path("kuma-prometheus-sd.fish"), |_| completion::fish());
}
