//! The ids of keys.

use std::fmt;

/// The id of a key in tokens and records. It is public.
///
/// Ids must rise: each new key must have a higher id than all keys before it. A record moves from a lower id to a
/// higher one and never back. So a revocation that lists records from the lowest id to the highest misses none, even if
/// servers have different primary keys.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct KeyId(u32);

impl KeyId {
    /// Creates the key id `id`. A date such as `20261121` makes ids that rise.
    pub const fn new(id: u32) -> Self {
        Self(id)
    }

    /// Returns the id as a number.
    pub const fn get(self) -> u32 {
        self.0
    }

    pub(crate) const fn to_bytes(self) -> [u8; 4] {
        self.0.to_be_bytes()
    }

    pub(crate) const fn from_bytes(bytes: [u8; 4]) -> Self {
        Self(u32::from_be_bytes(bytes))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
