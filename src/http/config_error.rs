//! Errors in the configuration of the HTTP side.

use std::time::Duration;

use crate::grant::Grant;

/// Why a server, a resource or a layer was not created. The text names the setting, its bound and the value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The issuer identifier is invalid (RFC 8414 §2).
    #[error("the issuer must be an https URL, or http on a loopback host, without query and fragment, got {found}")]
    Issuer {
        /// The value that was given, without what may be secret.
        found: String,
    },
    /// The resource identifier is invalid (RFC 9728 §1.2).
    #[error("a resource must be an https URL, or http on a loopback host, without query and fragment, got {found}")]
    Resource {
        /// The value that was given, without what may be secret.
        found: String,
    },
    /// The identifier and the scopes leave no room in a grant for the subject, the client id and the claims, so each
    /// login would fail.
    #[error(
        "identifier and scopes of resource {resource} must have at most {} bytes together, got {bytes} with {count} scopes",
        Grant::MAX_BYTES / 2
    )]
    ResourceTooLong {
        /// The identifier of the resource.
        resource: String,
        /// The length of identifier and scopes together, in bytes.
        bytes: usize,
        /// The number of scopes.
        count: usize,
    },
    /// The URL of a connect server is invalid.
    #[cfg(feature = "vault")]
    #[error("the base must be an https URL, or http on a loopback host, without query and fragment, got {found}")]
    Base {
        /// The value that was given, without what may be secret.
        found: String,
    },
    /// The page that a browser returns to is not on this server.
    #[cfg(feature = "vault")]
    #[error("a return path must begin with one slash and have no other host, got {found}")]
    ReturnPath {
        /// The value that was given, without what may be secret.
        found: String,
    },
    /// A setting that needs a scope has none.
    #[error("{setting} must name at least one scope, got none")]
    NoScope {
        /// The setting.
        setting: String,
    },
    /// A scope contains a character that RFC 6749 §3.3 does not permit.
    #[error("{setting} must be printable ASCII without blanks, quotation marks and backslashes, got {found}")]
    Scope {
        /// The setting.
        setting: String,
        /// The scope.
        found: String,
    },
    /// A setting names `offline_access`, which is not a scope of a resource (OpenID Connect Core §11).
    #[error("{setting} must not name offline_access, which is no scope of a resource")]
    OfflineAccess {
        /// The setting.
        setting: String,
    },
    /// The interval of the live check is shorter than one second.
    #[error("the look interval must be at least 1s, got {found:?}")]
    LookInterval {
        /// The interval that was given.
        found: Duration,
    },
    /// A tool is named twice.
    #[error("tool {tool} must be named once, got it twice")]
    ToolTwice {
        /// The name of the tool.
        tool: String,
    },
}
