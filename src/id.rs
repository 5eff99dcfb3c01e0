//! Identifiers of families and records: 128 bits, opaque and public, shown in hexadecimal.

use std::str::FromStr;

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

/// Parses the 32 lower-case hexadecimal digits that [`FamilyId`] is shown as.
///
/// ```
/// use mcp_token_lifecycle::FamilyId;
///
/// let id = FamilyId::from_bytes([0xab; 16]);
/// assert_eq!(id.to_string().parse(), Ok(id));
/// assert!("AB".parse::<FamilyId>().is_err());
/// ```
impl FromStr for FamilyId {
    type Err = FamilyIdError;

    fn from_str(text: &str) -> Result<Self, FamilyIdError> {
        let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let is_id = text.len() == 32 && text.as_bytes().iter().all(is_digit);
        let number = is_id.then(|| u128::from_str_radix(text, 16).ok()).flatten();
        number.map(|number| Self::from_bytes(number.to_be_bytes())).ok_or(FamilyIdError)
    }
}

/// A text that is not a [`FamilyId`]. It is not repeated, because it may come from a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a family id must have 32 lower-case hexadecimal digits")]
#[non_exhaustive]
pub struct FamilyIdError;

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
