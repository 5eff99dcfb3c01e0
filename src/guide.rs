//! Guides: pages of `docs/` as modules.
//!
//! The pages link to files of the repository. A definition above the page takes precedence over the page's own, so the
//! definitions here lead the same links to modules, and to the repository for what is not in the documentation.

/// Which audit events each endpoint writes.
#[doc = include_str!("../docs/audit.md")]
pub mod audit {}

/// The order to read the audit set in.
///
/// [SECURITY.md]: https://github.com/mcp-token-lifecycle/mcp-token-lifecycle/blob/main/SECURITY.md
/// [Stores]: stores
#[doc = include_str!("../docs/audit-guide.md")]
pub mod audit_guide {}

/// Keys for the vault in a key management service.
///
/// [`examples/vault_transit`]: https://github.com/mcp-token-lifecycle/mcp-token-lifecycle/tree/main/examples/vault_transit
#[doc = include_str!("../docs/key-wrappers.md")]
#[cfg(any(not(doctest), feature = "vault"))]
pub mod key_wrappers {}

/// How to keep a login and tokens that exist already.
///
/// [the vault]: vault
#[doc = include_str!("../docs/own-login.md")]
pub mod own_login {}

/// What the crate costs.
///
/// [Stores]: stores
#[doc = include_str!("../docs/performance.md")]
pub mod performance {}

/// How far each store carries.
///
/// [Performance]: performance
/// [Stores]: stores
#[doc = include_str!("../docs/scale.md")]
pub mod scale {}

/// The behaviours that systems with rotating refresh tokens need, and the tests that hold them.
#[doc = include_str!("../docs/scenarios.md")]
pub mod scenarios {}

/// What the specifications ask, and the tests that show it.
#[doc = include_str!("../docs/specifications.md")]
pub mod specifications {}

/// Which store to choose, and how to run it.
///
/// [Scale]: scale
/// [soak-postgres.svg]: https://raw.githubusercontent.com/mcp-token-lifecycle/mcp-token-lifecycle/main/docs/soak-postgres.svg
/// [soak-redis.svg]: https://raw.githubusercontent.com/mcp-token-lifecycle/mcp-token-lifecycle/main/docs/soak-redis.svg
#[doc = include_str!("../docs/stores.md")]
#[cfg(any(not(doctest), all(feature = "postgres", feature = "redis")))]
pub mod stores {}

/// Credentials for other services.
///
/// [Key wrappers]: key_wrappers
/// [`examples/cli_client`]: https://github.com/mcp-token-lifecycle/mcp-token-lifecycle/tree/main/examples/cli_client
/// [`examples/github_proxy`]: https://github.com/mcp-token-lifecycle/mcp-token-lifecycle/tree/main/examples/github_proxy
#[doc = include_str!("../docs/vault.md")]
#[cfg(any(not(doctest), all(feature = "http", feature = "vault")))]
pub mod vault {}

/// The programs of the README compile.
#[doc = include_str!("../README.md")]
#[cfg(all(doctest, feature = "http", feature = "redb", feature = "conformance"))]
pub mod readme {}
