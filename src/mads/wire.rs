//! Generated wire types: the xDS envelope and the monitoring assignments of both MADS API versions.
//!
//! The definitions, with the source of each field, are the files in `proto/`.

#![allow(
    clippy::semicolon_if_nothing_returned,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "generated code; proto/ is its documentation"
)]

use bytes::Bytes;
use protobuf::rt::skip_field_for_tag;
use protobuf::{CodedInputStream, Message};

/// Parses a message that is all of `bytes`.
///
/// The library's own entry points know no end but the input's: a part that is announced longer
/// than what is left would be taken as it is, and a list that was cut short for a complete one.
pub(crate) fn parse<M: Message>(bytes: &Bytes) -> protobuf::Result<M> {
    let mut input = CodedInputStream::from_tokio_bytes(bytes);
    input.push_limit(bytes.len() as u64)?;
    let mut message = M::new();
    message.merge_from(&mut input)?;
    Ok(message)
}

/// Calls `take` with each tag of a message that is all of `bytes`; what it does not take is skipped.
///
/// For messages whose parts come by the million: nothing is kept but what `take` keeps.
pub(crate) fn walk(
    bytes: &Bytes,
    mut take: impl FnMut(u32, &mut CodedInputStream<'_>) -> protobuf::Result<bool>,
) -> protobuf::Result<()> {
    let mut input = CodedInputStream::from_tokio_bytes(bytes);
    input.push_limit(bytes.len() as u64)?;
    while let Some(tag) = input.read_raw_tag_or_eof()? {
        if !take(tag, &mut input)? {
            skip_field_for_tag(tag, &mut input)?;
        }
    }
    Ok(())
}

include!(concat!(env!("OUT_DIR"), "/proto/mod.rs"));
