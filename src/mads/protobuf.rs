//! Reads protobuf's wire format: the fields of a message that have a length, as slices of the
//! message. All that MADS says is in such fields; others are passed over.
//!
//! Pure. Each list passes through here, whole, so nothing is copied and nothing is allocated. What
//! is cut short is an error: a list that lost its end must not pass for a short list.

use std::fmt;

use crate::snapshot::Text;

/// Why bytes are not a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WireError {
    /// It ends within a field.
    Truncated,
    /// A number has more than 64 bits.
    Varint,
    /// A tag that no field can have, or one of a group, which proto3 has not.
    Tag(u64),
    /// A text is not UTF-8.
    Utf8,
}

impl fmt::Display for WireError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => formatter.write_str("the message ends within a field"),
            Self::Varint => formatter.write_str("a number has more than 64 bits"),
            Self::Tag(tag) => write!(formatter, "no field can have the tag {tag}"),
            Self::Utf8 => formatter.write_str("a text is not UTF-8"),
        }
    }
}

impl std::error::Error for WireError {}

/// A field of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field<'a> {
    /// Its number, and its bytes without their length.
    Bytes(u32, &'a [u8]),
    /// A number, of which nothing is known here.
    Number,
}

/// The fields of a message, in the order of the wire. After an error there are no more.
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) fn of(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    #[inline(always)]
    fn read(&mut self) -> Result<Field<'a>, WireError> {
        // A tag of one byte and a length of one or two, as nearly all fields have them.
        let (tag, length) = match self.rest {
            [tag @ 8..0x80, length @ ..0x80, rest @ ..] if tag & 7 == 2 => {
                self.rest = rest;
                (tag, usize::from(*length))
            }
            [tag @ 8..0x80, low, high @ ..0x80, rest @ ..] if tag & 7 == 2 => {
                self.rest = rest;
                (tag, usize::from(low & 0x7f) | usize::from(*high) << 7)
            }
            _ => return self.read_any(),
        };
        Ok(Field::Bytes(u32::from(tag >> 3), self.take(length)?))
    }

    #[cold]
    fn read_any(&mut self) -> Result<Field<'a>, WireError> {
        let tag = self.varint()?;
        let number = match u32::try_from(tag) {
            Ok(tag) if tag >> 3 != 0 => tag >> 3,
            _ => return Err(WireError::Tag(tag)),
        };
        match tag & 7 {
            0 => self.varint().map(|_| Field::Number),
            1 => self.take(8).map(|_| Field::Number),
            2 => {
                let length = self.varint()?;
                let length = usize::try_from(length).map_err(|_| WireError::Truncated)?;
                Ok(Field::Bytes(number, self.take(length)?))
            }
            5 => self.take(4).map(|_| Field::Number),
            _ => Err(WireError::Tag(tag)),
        }
    }

    #[inline]
    fn take(&mut self, length: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u64, WireError> {
        let mut value = 0;
        for (index, byte) in self.rest.iter().enumerate() {
            // The tenth byte has one bit left.
            if index == 9 && *byte > 1 {
                return Err(WireError::Varint);
            }
            value |= u64::from(byte & 0x7f) << (7 * index);
            if *byte < 0x80 {
                self.rest = &self.rest[index + 1..];
                return Ok(value);
            }
        }
        Err(WireError::Truncated)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, WireError>;

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.read();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

/// The fields 1 and 2, which are all that an `Any` or an entry of a map has; of several the last one.
#[inline]
pub(crate) fn fields_1_and_2(message: &[u8]) -> Result<(&[u8], &[u8]), WireError> {
    let (mut first, mut second): (&[u8], &[u8]) = (&[], &[]);
    for field in Fields::of(message) {
        match field? {
            Field::Bytes(1, bytes) => first = bytes,
            Field::Bytes(2, bytes) => second = bytes,
            _ => {}
        }
    }
    Ok((first, second))
}

/// The text of a field.
#[inline(always)]
pub(crate) fn text(bytes: &[u8]) -> Result<Text<'_>, WireError> {
    Text::new(bytes).map_err(|_| WireError::Utf8)
}

#[cfg(test)]
mod tests {
    use super::{Field, Fields, WireError};

    fn fields(message: &[u8]) -> Result<Vec<Field<'_>>, WireError> {
        Fields::of(message).collect()
    }

    #[test]
    fn fields_with_a_length_are_read_and_numbers_are_passed_over() {
        let message = [
            &[2 << 3 | 2, 3][..],
            b"abc",
            &[3 << 3, 0xff, 0x01],
            &[4 << 3 | 1, 1, 2, 3, 4, 5, 6, 7, 8],
            &[5 << 3 | 5, 1, 2, 3, 4],
            // Field 16, whose tag takes two bytes.
            &[0x82, 0x01, 0],
            &[1 << 3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
        ]
        .concat();
        let expected = [
            Field::Bytes(2, b"abc"),
            Field::Number,
            Field::Number,
            Field::Number,
            Field::Bytes(16, b""),
            Field::Number,
        ];
        assert_eq!(fields(&message).unwrap(), expected);
    }

    #[test]
    fn what_is_no_message_is_an_error() {
        let eleven = [&[1 << 3][..], &[0xff; 9], &[2]].concat();
        let long_tag = [0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        for (message, error) in [
            (&[2 << 3 | 2, 4, b'a', b'b', b'c'][..], WireError::Truncated),
            (&[2 << 3 | 2], WireError::Truncated),
            (&[2 << 3 | 2, 0x80], WireError::Truncated),
            (&[3 << 3, 0x80], WireError::Truncated),
            (&[4 << 3 | 1, 1, 2, 3, 4, 5, 6, 7], WireError::Truncated),
            (&[5 << 3 | 5, 1, 2, 3], WireError::Truncated),
            (&eleven, WireError::Varint),
            (&[2, 0], WireError::Tag(2)),
            (&[1 << 3 | 3], WireError::Tag(11)),
            (&[1 << 3 | 4], WireError::Tag(12)),
            (&[1 << 3 | 6], WireError::Tag(14)),
            (&[1 << 3 | 7], WireError::Tag(15)),
            (&long_tag, WireError::Tag((1 << 36) - 1)),
        ] {
            assert_eq!(fields(message), Err(error), "{message:?}");
        }
    }
}
