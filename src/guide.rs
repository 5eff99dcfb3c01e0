//! Guides: pages of `docs/` as modules.

/// Which audit events each endpoint writes.
#[doc = include_str!("../docs/audit.md")]
pub mod audit {}

/// The order to read the audit set in.
#[doc = include_str!("../docs/audit-guide.md")]
pub mod audit_guide {}

/// Keys for the vault in a key management service.
#[doc = include_str!("../docs/key-wrappers.md")]
#[cfg(feature = "vault")]
pub mod key_wrappers {}

/// How to keep a login and tokens that exist already.
#[doc = include_str!("../docs/own-login.md")]
pub mod own_login {}

/// What the crate costs.
#[doc = include_str!("../docs/performance.md")]
pub mod performance {}

/// How far each store carries.
#[doc = include_str!("../docs/scale.md")]
pub mod scale {}

/// What the specifications ask, and the tests that show it.
#[doc = include_str!("../docs/specifications.md")]
pub mod specifications {}

/// Which store to choose, and how to run it.
#[doc = include_str!("../docs/stores.md")]
#[cfg(all(feature = "postgres", feature = "redis"))]
pub mod stores {}

/// Credentials for other services.
#[doc = include_str!("../docs/vault.md")]
#[cfg(all(feature = "http", feature = "vault"))]
pub mod vault {}

/// The programs of the README compile.
#[doc = include_str!("../README.md")]
#[cfg(all(doctest, feature = "http", feature = "redb", feature = "conformance"))]
pub mod readme {}
