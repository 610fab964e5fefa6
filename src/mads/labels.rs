//! The labels of a target: which names Prometheus accepts, what becomes of the others, and whose
//! labels win.
//!
//! Pure.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::str::Utf8Error;

use crate::common::bytes::{HIGHEST, ONES, all_words};
use crate::snapshot::Text;

/// A label as it came.
#[derive(Clone, Copy)]
pub(crate) struct Label<'a> {
    /// Any UTF-8 at all.
    pub(crate) name: &'a [u8],
    /// Whether Prometheus accepts the name.
    pub(crate) is_valid: bool,
    pub(crate) value: Text<'a>,
}

impl<'a> Label<'a> {
    /// A label of any name at all.
    ///
    /// # Errors
    /// Where the name is not UTF-8.
    pub(crate) fn new(name: &'a [u8], value: Text<'a>) -> Result<Self, Utf8Error> {
        let is_valid = is_valid_name(name);
        if !is_valid {
            std::str::from_utf8(name)?;
        }
        Ok(Self {
            name,
            is_valid,
            value,
        })
    }

    /// A label of a name that is known to be valid.
    pub(crate) const fn valid(name: &'static str, value: Text<'a>) -> Self {
        Self {
            name: name.as_bytes(),
            is_valid: true,
            value,
        }
    }

    /// A label of a text.
    pub(crate) fn of(name: &'a str, value: Text<'a>) -> Self {
        let name = name.as_bytes();
        Self {
            name,
            is_valid: is_valid_name(name),
            value,
        }
    }
}

/// Labels with names that are valid, each once, sorted by name.
pub(crate) type ValidLabels<'a> = BTreeMap<String, Text<'a>>;

/// Whether Prometheus 2 accepts the name: `[a-zA-Z_][a-zA-Z0-9_]*`.
fn is_valid_name(name: &[u8]) -> bool {
    !name.first().is_none_or(u8::is_ascii_digit) && all_words(name, is_allowed_word, is_allowed)
}

/// Whether all eight bytes of a word are allowed in a name. Those of ASCII are compared by an addition
/// that sets a byte's highest bit and never carries.
fn is_allowed_word(word: u64) -> bool {
    if word & HIGHEST != 0 {
        return false;
    }
    let between = |word: u64, first: u8, last: u8| {
        let from = word + ONES * u64::from(0x80 - first);
        let beyond = word + ONES * u64::from(0x7f - last);
        from & !beyond
    };
    let lowercase = word | (ONES * 0x20);
    let allowed =
        between(lowercase, b'a', b'z') | between(word, b'0', b'9') | between(word, b'_', b'_');
    allowed & HIGHEST == HIGHEST
}

fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Makes the label names of one map valid, as a single invalid name makes Prometheus 2 refuse the
/// whole file. Of equal names the last one counts, as everywhere in protobuf and JSON.
///
/// Where two names meet, the one that was valid as it came wins, then the first in byte order.
pub(crate) fn valid_names<'a>(labels: &[Label<'a>]) -> ValidLabels<'a> {
    let labels: BTreeMap<&[u8], Text<'a>> = labels
        .iter()
        .map(|label| (label.name, label.value))
        .collect();
    let mut made_valid = Vec::new();
    let mut valid = ValidLabels::new();
    for (name, value) in labels {
        match valid_name(&String::from_utf8_lossy(name)) {
            Cow::Borrowed("") => {}
            Cow::Borrowed(name) => {
                valid.insert(name.to_owned(), value);
            }
            Cow::Owned(name) => made_valid.push((name, value)),
        }
    }
    for (name, value) in made_valid {
        valid.entry(name).or_insert(value);
    }
    valid
}

/// `name` where it is valid or empty, else a name that is valid.
fn valid_name(name: &str) -> Cow<'_, str> {
    if name.is_empty() || is_valid_name(name.as_bytes()) {
        return Cow::Borrowed(name);
    }
    let starts_with_digit = name.starts_with(|first: char| first.is_ascii_digit());
    let prefix = if starts_with_digit { "_" } else { "" };
    let replaced = name.chars().map(|character| match u8::try_from(character) {
        Ok(byte) if is_allowed(byte) => character,
        _ => '_',
    });
    Cow::Owned(prefix.chars().chain(replaced).collect())
}

#[cfg(test)]
mod tests {
    use super::is_valid_name;

    #[test]
    fn each_byte_is_judged_alike_at_each_place_of_a_name() {
        for byte in 0..=0xff_u8 {
            let is_allowed = byte.is_ascii_alphanumeric() || byte == b'_';
            for (before, after) in (0..10).flat_map(|before| [(before, 0), (before, 9)]) {
                let name = [vec![b'a'; before], vec![byte], vec![b'_'; after]].concat();
                let is_first_digit = before == 0 && byte.is_ascii_digit();
                assert_eq!(
                    is_valid_name(&name),
                    is_allowed && !is_first_digit,
                    "{name:?}"
                );
            }
        }
    }
}
