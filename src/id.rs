//! Identifiers of 128 bits: opaque, public, shown in hexadecimal.

macro_rules! id128 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// The identifier of these bytes.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// Its bytes.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        /// 32 lower-case hexadecimal digits.
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}

id128! {
    /// The name of a family: 128 random bits. It is no secret; logs and audit events carry it.
    FamilyId
}

impl FamilyId {
    /// The key that the family's record is stored under.
    pub const fn record_key(self) -> RecordKey {
        RecordKey::from_bytes(*self.as_bytes())
    }
}

/// An issuer, as the records of the families know it: a random number that it draws once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct IssuerId(pub(crate) u32);

id128! {
    /// The name of a record: 16 bytes that say nothing about what is in it.
    RecordKey
}

id128! {
    /// A blind index key: a keyed hash, so that the store can group records by subject or client without learning either.
    IndexKey
}
