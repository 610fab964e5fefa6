//! Bytes, eight or sixteen at a time: each list passes through here, whole, and the functions that the
//! static binary's C library has for this go byte by byte.
//!
//! Pure.

use std::cmp::Ordering;

/// A one in each byte of a word.
pub(crate) const ONES: u64 = u64::MAX / 0xff;

/// The highest bit of each byte of a word.
pub(crate) const HIGHEST: u64 = ONES << 7;

/// Whether something is true of all bytes, of which eight make a word. Some may be looked at twice.
#[inline]
pub(crate) fn all_words(bytes: &[u8], of_word: impl Fn(u64) -> bool) -> bool {
    let Some(last) = bytes.last_chunk() else {
        return bytes.is_empty() || of_word(short_word(bytes));
    };
    let (words, _) = bytes.as_chunks();
    words.iter().all(|word| of_word(u64::from_ne_bytes(*word)))
        && of_word(u64::from_ne_bytes(*last))
}

/// A word of one byte to seven, and of no other bytes.
#[inline]
fn short_word(bytes: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        return u64::from(u32::from_ne_bytes(*first)) << 32 | u64::from(u32::from_ne_bytes(*last));
    }
    let byte = |index: usize| u64::from(bytes[index]);
    // A byte that is one of the others' as well does no harm.
    (ONES * byte(0)) & !0xffff | byte(bytes.len() / 2) << 8 | byte(bytes.len() - 1)
}

/// How bytes are sorted.
pub(crate) fn compare(bytes: &[u8], other: &[u8]) -> Ordering {
    let ((words, _), (other_words, _)) = (bytes.as_chunks::<16>(), other.as_chunks::<16>());
    let differing = words
        .iter()
        .zip(other_words)
        .find(|(word, other)| u128::from_ne_bytes(**word) != u128::from_ne_bytes(**other));
    if let Some((word, other)) = differing {
        return u128::from_be_bytes(*word).cmp(&u128::from_be_bytes(*other));
    }
    // Both begin with all words of the shorter one. Where what follows is the same but for zeros that are
    // missing, it is shorter.
    let common = words.len().min(other_words.len()) * 16;
    let rest = |bytes: &[u8]| (leading_bytes(&bytes[common..]), bytes.len());
    rest(bytes).cmp(&rest(other))
}

/// Whether bytes are equal.
#[inline]
pub(crate) fn are_equal(bytes: &[u8], other: &[u8]) -> bool {
    if bytes.len() != other.len() {
        return false;
    }
    let (Some(last), Some(other_last)) = (bytes.last_chunk(), other.last_chunk()) else {
        return bytes.is_empty() || short_word(bytes) == short_word(other);
    };
    let (words, other_words) = (bytes.as_chunks().0, other.as_chunks().0);
    let is_equal = |(word, other): (&[u8; 8], &[u8; 8])| {
        u64::from_ne_bytes(*word) == u64::from_ne_bytes(*other)
    };
    words.iter().zip(other_words).all(is_equal) && is_equal((last, other_last))
}

/// The first sixteen bytes as a number that is sorted as they are; what is missing counts as zero.
pub(crate) fn leading_bytes(bytes: &[u8]) -> u128 {
    if let Some(first) = bytes.first_chunk() {
        return u128::from_be_bytes(*first);
    }
    // Where the first and the last of so many bytes overlap, they are the same.
    let overlapping = |first: u64, last: u64, length: usize| {
        u128::from(first) << (8 * (bytes.len() - length)) | u128::from(last)
    };
    let number = if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        overlapping(u64::from_be_bytes(*first), u64::from_be_bytes(*last), 8)
    } else if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let number = |bytes| u64::from(u32::from_be_bytes(bytes));
        overlapping(number(*first), number(*last), 4)
    } else {
        let number = |number, byte: &u8| number << 8 | u128::from(*byte);
        bytes.iter().fold(0, number)
    };
    // All sixteen are missing where there are no bytes.
    number.checked_shl(128 - 8 * u32::try_from(bytes.len()).unwrap_or(16)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{are_equal, compare, leading_bytes};

    #[test]
    fn bytes_are_sorted_as_slices_are() {
        let texts: Vec<Vec<u8>> = (0..40)
            .flat_map(|length| {
                [0, b'a', 0xff].map(|last| [vec![b'a'; length], vec![last]].concat())
            })
            .chain([Vec::new(), b"b".to_vec()])
            .collect();
        for (left, right) in
            texts.iter().flat_map(|left| texts.iter().map(move |right| (left, right)))
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
            (b"\x01\x02\x03", 0x01_0203 << 104),
            (b"\x01\x02\x03\x04", 0x0102_0304 << 96),
            (b"\x01\x02\x03\x04\x05", 0x01_0203_0405 << 88),
            (b"\x01\x02\x03\x04\x05\x06\x07\x08", 0x0102_0304_0506_0708 << 64),
            (b"\x01\x02\x03\x04\x05\x06\x07\x08\x09", 0x01_0203_0405_0607_0809 << 56),
            (&[0xff; 15], u128::MAX << 8),
            (&[0xff; 17], u128::MAX),
        ] {
            assert_eq!(leading_bytes(bytes), number, "{bytes:?}");
        }
    }
}
