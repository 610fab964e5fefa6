//! Hashes of 128 bits. Bytes are known again by theirs, as no two meet by chance; whoever sends them is
//! trusted not to make two meet.
//!
//! Pure.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use xxhash_rust::xxh3::xxh3_128_with_seed;

/// A hash of some bytes.
pub(crate) type Hash = u128;

/// Values by the hash of what they belong to.
pub(crate) type ByHash<T> = HashMap<Hash, T, BuildHasherDefault<FirstBits>>;

/// The hash of bytes; each seed has hashes of its own.
pub(crate) fn hash(bytes: &[u8], seed: u64) -> Hash {
    xxh3_128_with_seed(bytes, seed)
}

/// What a map takes for the hash of a hash.
#[derive(Default)]
pub(crate) struct FirstBits(u64);

impl Hasher for FirstBits {
    fn write(&mut self, hash: &[u8]) {
        self.0 = hash.first_chunk().map_or(0, |bits| u64::from_ne_bytes(*bits));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
