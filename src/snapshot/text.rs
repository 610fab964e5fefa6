//! A text as it came over the wire, looked at once: whether it is UTF-8, and whether a JSON string
//! can take it as it is.

use std::cmp::Ordering;
use std::fmt;
use std::str::Utf8Error;

/// Bytes that are UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text<'a> {
    bytes: &'a [u8],
    /// Whether it is ASCII without anything that JSON escapes.
    is_plain: bool,
}

impl<'a> Text<'a> {
    /// No text at all.
    pub const EMPTY: Text<'static> = Text {
        bytes: b"",
        is_plain: true,
    };

    /// Takes bytes for a text.
    ///
    /// # Errors
    /// Where they are not UTF-8.
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
    pub(super) fn append_escaped(self, line: &mut Vec<u8>) {
        if self.is_plain {
            line.extend_from_slice(self.bytes);
            return;
        }
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
        Self {
            bytes,
            is_plain: is_plain(bytes),
        }
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
fn is_plain(bytes: &[u8]) -> bool {
    all_words(bytes, is_plain_word, |byte| {
        matches!(byte, 0x20..0x80) && !matches!(byte, b'"' | b'\\')
    })
}

/// Whether something is true of all bytes, looked at eight at a time: each list passes through here,
/// whole. The last eight may have been among those before.
pub(crate) fn all_words(
    bytes: &[u8],
    of_word: impl Fn(u64) -> bool,
    of_byte: impl Fn(u8) -> bool,
) -> bool {
    let Some(last) = bytes.last_chunk() else {
        return bytes.iter().all(|byte| of_byte(*byte));
    };
    let (words, _) = bytes.as_chunks();
    words.iter().all(|word| of_word(u64::from_ne_bytes(*word)))
        && of_word(u64::from_ne_bytes(*last))
}

/// How bytes are sorted, sixteen at a time: what the static binary's C library has for it goes byte by
/// byte.
pub(crate) fn compare(bytes: &[u8], other: &[u8]) -> Ordering {
    let ((words, rest), (other_words, other_rest)) = (bytes.as_chunks(), other.as_chunks());
    let differing = words.iter().zip(other_words).find(|(word, other)| {
        let (word, other): (&[u8; 16], &[u8; 16]) = (word, other);
        u128::from_ne_bytes(*word) != u128::from_ne_bytes(*other)
    });
    match differing {
        Some((word, other)) => u128::from_be_bytes(*word).cmp(&u128::from_be_bytes(*other)),
        None if words.len() == other_words.len() => rest.cmp(other_rest),
        None => {
            // One of them begins with all words of the other one.
            let common = words.len().min(other_words.len()) * 16;
            bytes[common..].cmp(&other[common..])
        }
    }
}

/// Whether bytes are equal, likewise.
pub(crate) fn are_equal(bytes: &[u8], other: &[u8]) -> bool {
    bytes.len() == other.len() && compare(bytes, other).is_eq()
}

/// The first sixteen bytes as a number that is sorted as they are; what is missing counts as zero.
pub(crate) fn leading_bytes(bytes: &[u8]) -> u128 {
    if let Some(first) = bytes.first_chunk() {
        return u128::from_be_bytes(*first);
    }
    let number = match (bytes.first_chunk(), bytes.last_chunk()) {
        (Some(first), Some(last)) => {
            // Eight bytes at least: those in which both overlap are the same.
            let (first, last) = (u64::from_be_bytes(*first), u64::from_be_bytes(*last));
            u128::from(first) << (8 * (bytes.len() - 8)) | u128::from(last)
        }
        _ => bytes
            .iter()
            .fold(0, |number, byte| number << 8 | u128::from(*byte)),
    };
    // All sixteen are missing where there are no bytes.
    number
        .checked_shl(128 - 8 * u32::try_from(bytes.len()).unwrap_or(16))
        .unwrap_or(0)
}

/// The same as `is_plain` for the eight bytes of a word. A byte's highest bit is set where the byte is none that is
/// allowed; a borrow from a byte below can only add a bit where that one has set its own already.
fn is_plain_word(word: u64) -> bool {
    const ONES: u64 = u64::MAX / 0xff;
    const HIGHEST: u64 = ONES << 7;
    let below = |limit: u64| word.wrapping_sub(ONES * limit) & !word;
    let equal = |byte: u8| {
        let difference = word ^ (ONES * u64::from(byte));
        difference.wrapping_sub(ONES) & !difference
    };
    (word | below(0x20) | equal(b'"') | equal(b'\\')) & HIGHEST == 0
}

#[cfg(test)]
mod tests {
    use super::{Text, are_equal, compare, leading_bytes};

    #[test]
    fn a_text_is_escaped_as_serde_json_does_it() {
        let all: Vec<String> = (0..0x180)
            .filter_map(char::from_u32)
            .map(String::from)
            .collect();
        let words = all.iter().flat_map(|one| {
            (0..9).map(move |place| format!("{}{one}{}", "a".repeat(place), "~ ".repeat(5)))
        });
        for text in words
            .chain(all.clone())
            .chain(["".to_owned(), "🦀\"\\".to_owned()])
        {
            let mut line = b"\"".to_vec();
            Text::new(text.as_bytes())
                .unwrap()
                .append_escaped(&mut line);
            line.push(b'"');
            assert_eq!(
                String::from_utf8(line).unwrap(),
                serde_json::to_string(&text).unwrap()
            );
            let is_plain = text.bytes().all(|byte| (0x20..0x80).contains(&byte))
                && !text.contains(['"', '\\']);
            assert_eq!(Text::from(&*text).is_plain, is_plain, "{text:?}");
        }
    }

    #[test]
    fn bytes_are_sorted_as_slices_are() {
        let texts: Vec<Vec<u8>> = (0..40)
            .flat_map(|length| [b'a', 0xff].map(|last| [vec![b'a'; length], vec![last]].concat()))
            .chain([Vec::new(), b"b".to_vec()])
            .collect();
        for (left, right) in texts
            .iter()
            .flat_map(|left| texts.iter().map(move |right| (left, right)))
        {
            assert_eq!(compare(left, right), left.cmp(right), "{left:?} {right:?}");
            assert_eq!(are_equal(left, right), left == right, "{left:?} {right:?}");
        }
    }

    #[test]
    fn bytes_start_as_a_number_that_is_sorted_as_they_are() {
        for (bytes, number) in [
            (&b""[..], 0),
            (b"\x01", 1 << 120),
            (
                b"\x01\x02\x03\x04\x05\x06\x07\x08",
                0x0102_0304_0506_0708 << 64,
            ),
            (
                b"\x01\x02\x03\x04\x05\x06\x07\x08\x09",
                0x01_0203_0405_0607_0809 << 56,
            ),
            (&[0xff; 15], u128::MAX << 8),
            (&[0xff; 17], u128::MAX),
        ] {
            assert_eq!(leading_bytes(bytes), number, "{bytes:?}");
        }
    }

    #[test]
    fn bytes_that_are_not_utf8_are_no_text() {
        assert!(Text::new(b"abcdefghijk\xff").is_err());
        assert!(Text::new(b"\xc3").is_err());
    }
}
