//! Data keys, and the keys that wrap them.

mod data_keys;
mod keyring;
#[cfg(feature = "os-keyring")]
mod os_keyring;
mod wrapper;

pub(crate) use self::data_keys::{DataKeys, Envelope};
#[cfg(feature = "os-keyring")]
pub(crate) use self::os_keyring::without_content;
#[cfg(feature = "os-keyring")]
pub use self::os_keyring::{OsKeyring, OsKeyringError};
pub use self::wrapper::{DataKey, KeyWrapper, WrapError, WrappedKey};
