//! Bytes, eight or sixteen at a time: each list passes through here, whole, and the functions that the
//! static binary's C library has for this go byte by byte.
//!
//! Pure.

use std::cmp::Ordering;

/// A one in each byte of a word.
pub(crate) const ONES: u64 = u64::MAX / 0xff;

/// The highest bit of each byte of a word.
pub(crate) const HIGHEST: u64 = ONES << 7;

/// Whether something is true of all bytes, of which eight make a word. The last eight may have been among
/// those before.
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

/// How bytes are sorted.
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

/// Whether bytes are equal.
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

#[cfg(test)]
mod tests {
    use super::{are_equal, compare, leading_bytes};

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
}
