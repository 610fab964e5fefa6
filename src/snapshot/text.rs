//! A text as it came over the wire, looked at once: whether it is UTF-8, and whether a JSON string
//! can take it as it is.

use std::fmt;
use std::str::Utf8Error;

use crate::common::bytes::{HIGHEST, ONES, all_words};

/// Bytes that are UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text<'a> {
    bytes: &'a [u8],
    /// Whether it is ASCII without anything that JSON escapes.
    is_plain: bool,
}

impl<'a> Text<'a> {
    /// No text at all.
    pub const EMPTY: Text<'static> = Text { bytes: b"", is_plain: true };

    /// Takes bytes for a text.
    ///
    /// # Errors
    /// Where they are not UTF-8.
    #[inline(always)]
    pub fn new(bytes: &'a [u8]) -> Result<Self, Utf8Error> {
        let is_plain = is_plain(bytes);
        if !is_plain {
            std::str::from_utf8(bytes)?;
        }
        Ok(Self { bytes, is_plain })
    }

    /// The bytes, unescaped.
    #[must_use]
    pub fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// Whether it is `""`.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.bytes.is_empty()
    }

    /// Appends it as a JSON string, without the quotation marks.
    #[inline]
    pub(super) fn append_to(self, line: &mut Vec<u8>) {
        if self.is_plain {
            line.extend_from_slice(self.bytes);
        } else {
            self.append_escaped(line);
        }
    }

    fn append_escaped(self, line: &mut Vec<u8>) {
        let start = line.len();
        let text = String::from_utf8_lossy(self.bytes);
        serde_json::to_writer(&mut *line, &text).expect("a text is JSON, and memory takes it");
        line.pop();
        line.remove(start);
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        let bytes = text.as_bytes();
        Self { bytes, is_plain: is_plain(bytes) }
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&String::from_utf8_lossy(self.bytes))
    }
}

impl Default for Text<'_> {
    fn default() -> Self {
        Self::EMPTY
    }
}

/// Whether all bytes are ASCII, and none is a control character, a quotation mark or a backslash.
#[inline(never)]
fn is_plain(bytes: &[u8]) -> bool {
    all_words(bytes, is_plain_word)
}

/// The same for the eight bytes of a word. A byte's highest bit is set where the byte is none that is allowed;
/// a borrow from a byte below can only add a bit where that one has set its own already.
fn is_plain_word(word: u64) -> bool {
    let below = |limit: u64| word.wrapping_sub(ONES * limit);
    let equal = |byte: u8| (word ^ (ONES * u64::from(byte))).wrapping_sub(ONES);
    (word | below(0x20) | equal(b'"') | equal(b'\\')) & HIGHEST == 0
}

#[cfg(test)]
mod tests {
    use super::Text;

    #[test]
    fn a_text_is_escaped_as_serde_json_does_it() {
        let all: Vec<String> = (0..0x180).filter_map(char::from_u32).map(String::from).collect();
        let words = all.iter().flat_map(|one| {
            (0..9).map(move |place| format!("{}{one}{}", "a".repeat(place), "~ ".repeat(5)))
        });
        for text in words.chain(all.clone()).chain(["".to_owned(), "🦀\"\\".to_owned()]) {
            let mut line = b"\"".to_vec();
            Text::new(text.as_bytes()).unwrap().append_to(&mut line);
            line.push(b'"');
            assert_eq!(String::from_utf8(line).unwrap(), serde_json::to_string(&text).unwrap());
            let is_plain = text.bytes().all(|byte| (0x20..0x80).contains(&byte))
                && !text.contains(['"', '\\']);
            assert_eq!(Text::from(&*text).is_plain, is_plain, "{text:?}");
        }
    }

    #[test]
    fn bytes_that_are_not_utf8_are_no_text() {
        assert!(Text::new(b"abcdefghijk\xff").is_err());
        assert!(Text::new(b"\xc3").is_err());
    }
}
