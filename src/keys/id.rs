//! The numbers that keys go by.

use std::fmt;

/// The number that a key goes by in tokens and records. It is public.
///
/// Ids rise: each new key has a higher id than all before it. Records move from a lower id to a higher one and never back, so a
/// revocation that lists them from the lowest to the highest misses none, with any primary keys of the servers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct KeyId(u32);

impl KeyId {
    /// The key id `id`. A date such as `20261121` rises by itself.
    pub const fn new(id: u32) -> Self {
        Self(id)
    }

    /// The number.
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
