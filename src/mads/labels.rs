//! Label names that Prometheus accepts.
//!
//! Pure.

use std::borrow::Cow;

use crate::snapshot::Labels;

/// Makes the label names of one map valid in Prometheus 2, where a single invalid name makes
/// Prometheus refuse the whole file.
///
/// Where two names meet, the one that was valid as it came wins, then the first in byte order.
pub(crate) fn valid_names(labels: Labels) -> Labels {
    let mut made_valid = Vec::new();
    let mut valid = Labels::new();
    for (name, value) in labels {
        match valid_name(&name) {
            Cow::Borrowed("") => {}
            Cow::Borrowed(_) => {
                valid.insert(name, value);
            }
            Cow::Owned(new_name) => made_valid.push((new_name, value)),
        }
    }
    for (name, value) in made_valid {
        valid.entry(name).or_insert(value);
    }
    valid
}

/// `name` where it matches `[a-zA-Z_][a-zA-Z0-9_]*` or is empty, else a name that does.
fn valid_name(name: &str) -> Cow<'_, str> {
    let is_allowed = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let starts_with_digit = name.starts_with(|first: char| first.is_ascii_digit());
    if !starts_with_digit && name.chars().all(is_allowed) {
        return Cow::Borrowed(name);
    }
    let prefix = if starts_with_digit { "_" } else { "" };
    let replaced = name.chars().map(|character| {
        if is_allowed(character) {
            character
        } else {
            '_'
        }
    });
    Cow::Owned(prefix.chars().chain(replaced).collect())
}
