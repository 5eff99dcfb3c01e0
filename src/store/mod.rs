//! The storage contract, and the stores of this crate.

#[cfg(any(feature = "postgres", feature = "redb"))]
mod batch;
#[cfg(feature = "conformance")]
pub mod conformance;
mod contract;
mod dynamic;
mod memory;
mod pages;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redb")]
mod redb;
#[cfg(feature = "redis")]
mod redis;

pub use self::contract::{Commit, Cursor, Page, Record, Select, StoreError, TokenStore};
pub use self::dynamic::{BoxFuture, DynTokenStore};
pub use self::memory::MemoryStore;
pub(crate) use self::pages::{Pages, purge_all};
#[cfg(feature = "postgres")]
pub use self::postgres::{PostgresError, PostgresStore};
#[cfg(feature = "redb")]
pub use self::redb::{RedbOpenError, RedbStore};
#[cfg(feature = "redis")]
pub use self::redis::{RedisConnectError, RedisStore};
