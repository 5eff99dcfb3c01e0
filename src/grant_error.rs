//! What may be wrong with a grant, or a part of it.

use crate::grant::Grant;

/// Why a scope, a resource or a grant was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GrantError {
    /// A scope with a character that RFC 6749 §3.3 does not allow.
    #[error("a scope must be printable ASCII without quotation marks and backslashes, got {character:?}")]
    Scope {
        /// The character: the scope may come from a client, and may be anything.
        character: char,
    },
    /// Not an absolute URI, or one with a fragment or user information.
    #[error("a resource must be an absolute URI without fragment and user information, got {uri}")]
    Resource {
        /// What it is, without its query and user information.
        uri: String,
    },
    /// No subject or no client id.
    #[error("the {part} must not be empty")]
    Empty {
        /// Which of the two.
        part: &'static str,
    },
    /// A control character in the subject or the client id.
    #[error("the {part} must not have control characters")]
    Control {
        /// Which of the two.
        part: &'static str,
    },
    /// A claim with a name that has a meaning of its own.
    #[error("a claim must not have the reserved name {name}")]
    ReservedClaim {
        /// The name.
        name: String,
    },
    /// More than a token can carry.
    #[error(
        "subject, client id, scope, resources and claims must have at most {} bytes together, got {bytes}",
        Grant::MAX_BYTES
    )]
    TooLong {
        /// Its size.
        bytes: usize,
    },
}
