//! The manual page, as mandoc judges it.

use crate::support::command::{command, has, repository, run};

#[test]
fn mandoc_finds_no_fault_with_the_manual() {
    if !has("mandoc") {
        return;
    }
    let mut lint = command("mandoc");
    lint.args(["-T", "lint", "-W", "style"])
        .arg(repository().join("packaging/kuma-prometheus-sd.1"));
    assert_eq!(run(&mut lint).successfully().output, "");
}
