//! What a test reports if this machine lacks something that it needs.

use std::env;
use std::fmt::Display;

/// Says why a test, or a part of it, is not tried. A failure where `REQUIRE_ALL_TESTS` is set.
#[track_caller]
pub(crate) fn not_tried(reason: impl Display) {
    let is_required = env::var_os("REQUIRE_ALL_TESTS").is_some_and(|value| !value.is_empty());
    assert!(!is_required, "not tried, though REQUIRE_ALL_TESTS is set: {reason}");
    println!("not tried: {reason}");
}
