//! Keys: master keys, the keyring of a deployment, and the keys of access tokens.

pub(crate) mod access;
pub(crate) mod entry;
mod error;
mod id;
mod keyring;
mod master;
mod subkeys;

pub use self::access::AccessKeys;
pub use self::error::KeyringError;
pub use self::id::KeyId;
pub use self::keyring::Keyring;
pub use self::master::MasterKey;
pub(crate) use self::subkeys::KeySet;
