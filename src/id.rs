//! Identifiers of families and records: 128 bits, opaque and public, shown in hexadecimal.

macro_rules! id128 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// Creates the identifier from its 16 bytes.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// Returns the 16 bytes of the identifier.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        /// Writes 32 lower-case hexadecimal digits.
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
    /// Identifies a token family by 128 random bits. It is not a secret: logs and audit events contain it.
    FamilyId
}

impl FamilyId {
    /// Returns the key that the record of this family is stored under.
    pub const fn record_key(self) -> RecordKey {
        RecordKey::from_bytes(*self.as_bytes())
    }
}

/// Identifies an issuer in the records of families by a random number that the issuer draws once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct IssuerId(pub(crate) u32);

id128! {
    /// The primary key of a record: 16 bytes that reveal nothing about the record's content.
    RecordKey
}

id128! {
    /// A blind index key: a keyed hash of a subject or client, by which a store groups records without learning the
    /// value.
    IndexKey
}
