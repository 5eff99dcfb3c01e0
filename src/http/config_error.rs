//! What may be wrong with the configuration of the HTTP surface.

use std::time::Duration;

use crate::grant::Grant;

/// Why a server, a resource or a layer was not made. Each names the setting, what it must be, and what it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The issuer identifier is not one (RFC 8414 §2).
    #[error("the issuer must be an https URL, or http on a loopback host, without query and fragment, got {found}")]
    Issuer {
        /// What it is.
        found: String,
    },
    /// The resource identifier is not one (RFC 9728 §1.2).
    #[error("a resource must be an https URL, or http on a loopback host, without query and fragment, got {found}")]
    Resource {
        /// What it is.
        found: String,
    },
    /// Identifier and scopes leave no room in a grant for the subject, the client id and the claims: every login would fail.
    #[error(
        "identifier and scopes of resource {resource} must have at most {} bytes together, got {bytes} with {count} scopes",
        Grant::MAX_BYTES / 2
    )]
    ResourceTooLong {
        /// Its identifier.
        resource: String,
        /// The bytes of both.
        bytes: usize,
        /// How many scopes it has.
        count: usize,
    },
    /// A setting with no scope that needs at least one.
    #[error("{setting} must name at least one scope, got none")]
    NoScope {
        /// Which setting.
        setting: String,
    },
    /// Not a scope: it has a character that RFC 6749 §3.3 does not allow.
    #[error("{setting} must be printable ASCII without blanks, quotation marks and backslashes, got {found}")]
    Scope {
        /// Which setting.
        setting: String,
        /// The scope.
        found: String,
    },
    /// `offline_access`, which is no scope of a resource (OpenID Connect Core §11).
    #[error("{setting} must not name offline_access, which is no scope of a resource")]
    OfflineAccess {
        /// Which setting.
        setting: String,
    },
    /// The live check would be repeated too often.
    #[error("the look interval must be at least 1s, got {found:?}")]
    LookInterval {
        /// The interval.
        found: Duration,
    },
    /// A tool that is named twice.
    #[error("tool {tool} must be named once, got it twice")]
    ToolTwice {
        /// Its name.
        tool: String,
    },
}
