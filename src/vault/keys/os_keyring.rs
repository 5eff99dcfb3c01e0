//! Master keys in the credential store of the operating system.

use std::error::Error as StdError;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use keyring_core::{CredentialPersistence, CredentialStore, Entry, get_default_store};
use zeroize::Zeroizing;

use super::wrapper::{DataKey, KeyWrapper, WrapError, WrappedKey};
use crate::crypto::equal;
use crate::crypto::random::EntropyError;
use crate::keys::entry::entries;
use crate::keys::{KeyId, Keyring, KeyringError, MasterKey};
use crate::store::BoxFuture;

/// A [`Keyring`] that is kept in the macOS Keychain, the Windows Credential Manager or the Secret Service: one entry, in the
/// format of [`Keyring::parse`].
///
/// Which store that is, the application decides, once, at start-up. Without it, or while it is locked, every call here is an
/// error: there is no other place that keys are looked for or written to.
///
/// ```no_run
/// # mod apple_native_keyring_store { pub mod keychain { pub use keyring_core::mock::Store; } }
/// # mod windows_native_keyring_store { pub use keyring_core::mock::Store; }
/// # mod zbus_secret_service_keyring_store { pub use keyring_core::mock::Store; }
/// use mcp_token_lifecycle::vault::OsKeyring;
///
/// #[cfg(target_os = "macos")]
/// keyring_core::set_default_store(apple_native_keyring_store::keychain::Store::new()?);
/// #[cfg(windows)]
/// keyring_core::set_default_store(windows_native_keyring_store::Store::new()?);
/// #[cfg(target_os = "linux")]
/// keyring_core::set_default_store(zbus_secret_service_keyring_store::Store::new()?);
///
/// // Once, by whoever installs it: OsKeyring::create("com.example.server", "master keys", KeyId::new(20261125))
/// let keyring = OsKeyring::open("com.example.server", "master keys")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Opening, and whatever else has a result of [`OsKeyringError`], blocks: the operating system may ask the user first. Wrapping
/// and unwrapping use the keys as they were read last, and do not block.
///
/// # Security
///
/// The store protects the keys from other users and from whoever copies the disk. It does not protect them from other programs of
/// the same user, except on macOS, nor while they are in use here. These stores have no compare-and-swap: create, rotate and drop
/// in one process at a time, because when two rotate at once the key of one is lost.
pub struct OsKeyring {
    /// Locked for as long as the entry is being changed.
    place: Mutex<Place>,
    keyring: RwLock<Arc<Keyring>>,
}

impl OsKeyring {
    /// The keyring of this name that the application `service` has in the store.
    ///
    /// # Errors
    ///
    /// [`OsKeyringError::NotFound`] if there is none: it is not made.
    pub fn open(service: &str, name: &str) -> Result<Self, OsKeyringError> {
        let place = Place::find(service, name)?;
        let keyring = Keyring::parse(&place.read()?)?;
        Ok(Self::new(place, keyring))
    }

    /// A new keyring of one new key, which goes by `id`.
    ///
    /// # Errors
    ///
    /// [`OsKeyringError::AlreadyThere`] if there is one of this name.
    pub fn create(service: &str, name: &str, id: KeyId) -> Result<Self, OsKeyringError> {
        let place = Place::find(service, name)?;
        match place.read() {
            Err(OsKeyringError::NotFound { .. }) => {}
            Ok(_) => return Err(OsKeyringError::AlreadyThere { service: service.to_owned(), name: name.to_owned() }),
            Err(error) => return Err(error),
        }
        let mut text = room_beside("");
        push(&mut text, id, &MasterKey::generate()?);
        let keyring = Keyring::parse(&text)?;
        place.write(&text)?;
        Ok(Self::new(place, keyring))
    }

    fn new(place: Place, keyring: Keyring) -> Self {
        Self { place: Mutex::new(place), keyring: RwLock::new(Arc::new(keyring)) }
    }

    /// Add a new key, which goes by `id`, and wrap with it from now on; the keys so far still unwrap.
    ///
    /// Other processes find it with [`reload`](Self::reload), and until then cannot unwrap what is wrapped with it. When
    /// `CredentialVault::rewrap` is through, the old keys can be [dropped](Self::drop_retired).
    ///
    /// # Errors
    ///
    /// [`KeyringError::DuplicateId`], and nothing has changed.
    pub fn rotate(&self, id: KeyId) -> Result<(), OsKeyringError> {
        self.change(|stored, text| {
            push(text, id, &MasterKey::generate()?);
            text.push_str(stored);
            Ok(())
        })
    }

    /// Remove a retired key: what is still wrapped with it is lost for good, in every backup too.
    ///
    /// # Errors
    ///
    /// [`OsKeyringError::Primary`] if it is the key that is wrapped with, and nothing has changed.
    pub fn drop_retired(&self, retired: KeyId) -> Result<(), OsKeyringError> {
        self.change(|stored, text| {
            for entry in entries(stored) {
                let (id, key) = entry?;
                if id != retired {
                    push(text, id, &key);
                } else if text.is_empty() {
                    return Err(OsKeyringError::Primary(id));
                }
            }
            Ok(())
        })
    }

    /// Read the keys anew, after another process has changed them.
    pub fn reload(&self) -> Result<(), OsKeyringError> {
        let keyring = Keyring::parse(&self.place().read()?)?;
        self.replace(keyring);
        Ok(())
    }

    /// Store the text that `write` makes of the stored one, and use its keys.
    fn change(
        &self,
        write: impl FnOnce(&str, &mut String) -> Result<(), OsKeyringError>,
    ) -> Result<(), OsKeyringError> {
        let place = self.place();
        let stored = place.read()?;
        let mut text = room_beside(&stored);
        write(&stored, &mut text)?;
        let keyring = Keyring::parse(&text)?;
        place.write(&text)?;
        self.replace(keyring);
        Ok(())
    }

    fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn replace(&self, keyring: Keyring) {
        *self.keyring.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keyring);
    }

    fn current(&self) -> Arc<Keyring> {
        self.keyring.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl KeyWrapper for OsKeyring {
    fn primary(&self) -> BoxFuture<'_, Result<String, WrapError>> {
        Box::pin(async { KeyWrapper::primary(&self.current()).await })
    }

    fn wrap<'a>(&'a self, key: &'a DataKey, context: &'a [u8]) -> BoxFuture<'a, Result<WrappedKey, WrapError>> {
        Box::pin(async move { self.current().wrap(key, context).await })
    }

    fn unwrap<'a>(&'a self, wrapped: &'a WrappedKey, context: &'a [u8]) -> BoxFuture<'a, Result<DataKey, WrapError>> {
        Box::pin(async move { self.current().unwrap(wrapped, context).await })
    }
}

impl fmt::Debug for OsKeyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place: _, keyring: _ } = self;
        f.debug_tuple("OsKeyring").field(&self.current()).finish()
    }
}

/// One entry of the store.
struct Place {
    store: Arc<CredentialStore>,
    entry: Entry,
    service: String,
    name: String,
}

impl Place {
    fn find(service: &str, name: &str) -> Result<Self, OsKeyringError> {
        let store = get_default_store().ok_or(OsKeyringError::NoStore)?;
        let entry = Entry::new_in_store(&store, service, name).map_err(refusal)?;
        Ok(Self { store, entry, service: service.to_owned(), name: name.to_owned() })
    }

    fn read(&self) -> Result<Zeroizing<String>, OsKeyringError> {
        let bytes = self.entry.get_secret().map_err(|error| match error {
            keyring_core::Error::NoEntry => {
                OsKeyringError::NotFound { service: self.service.clone(), name: self.name.clone() }
            }
            other => refusal(other),
        })?;
        Ok(Zeroizing::new(String::from_utf8(bytes).map_err(|_| KeyringError::Malformed { entry: 1 })?))
    }

    /// A key that may not be there tomorrow must not be used today.
    fn write(&self, text: &str) -> Result<(), OsKeyringError> {
        use CredentialPersistence::{EntryOnly, ProcessOnly, UntilLogout, UntilReboot};
        if let EntryOnly | ProcessOnly | UntilLogout | UntilReboot = self.store.persistence() {
            return Err(OsKeyringError::Forgetful);
        }
        self.entry.set_secret(text.as_bytes()).map_err(refusal)?;
        let kept = self.read().is_ok_and(|kept| equal(kept.as_bytes(), text.as_bytes()));
        if kept { Ok(()) } else { Err(OsKeyringError::NotKept) }
    }
}

/// Room for what is stored, a line end, and an entry more (ten digits, 44 characters of Base64, and two): a text that grows
/// leaves copies of the keys behind.
fn room_beside(stored: &str) -> Zeroizing<String> {
    Zeroizing::new(String::with_capacity(stored.len() + 57))
}

fn push(text: &mut String, id: KeyId, key: &MasterKey) {
    [&id.to_string(), ":", &key.to_base64(), "\n"].into_iter().for_each(|part| text.push_str(part));
}

/// Why there is no keyring from the operating system's store, or why it was not changed. No variant carries key material.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OsKeyringError {
    /// The application has registered no store.
    #[error("no credential store is registered: call keyring_core::set_default_store at start-up")]
    NoStore,
    /// The store is locked, or does not let this program in.
    #[error("the credential store is locked, or refuses access")]
    Locked(#[source] Box<dyn StdError + Send + Sync>),
    /// There is no such entry.
    #[error("the credential store has no keyring {name:?} of {service:?}")]
    #[non_exhaustive]
    NotFound {
        /// The application.
        service: String,
        /// The name of the keyring.
        name: String,
    },
    /// There is an entry already, whose keys may be in use.
    #[error("the credential store already has a keyring {name:?} of {service:?}")]
    #[non_exhaustive]
    AlreadyThere {
        /// The application.
        service: String,
        /// The name of the keyring.
        name: String,
    },
    /// The store keeps entries until the process ends, the user logs out or the machine is restarted, and no longer.
    #[error("the credential store does not keep its entries for good")]
    Forgetful,
    /// What was written is not what is there now.
    #[error("the credential store did not keep what was written to it")]
    NotKept,
    /// The primary key was to be dropped.
    #[error("key {0} is the primary key, which cannot be dropped")]
    Primary(KeyId),
    /// The entry is no keyring.
    #[error("the entry is not a keyring")]
    Keyring(#[from] KeyringError),
    /// There is no randomness for a new key.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The store fails for another reason.
    #[error("the credential store failed")]
    Store(#[source] Box<dyn StdError + Send + Sync>),
}

fn refusal(error: keyring_core::Error) -> OsKeyringError {
    use keyring_core::Error::{NoDefaultStore, NoStorageAccess};
    match error {
        NoDefaultStore => OsKeyringError::NoStore,
        NoStorageAccess(source) => OsKeyringError::Locked(source),
        other => OsKeyringError::Store(without_content(other)),
    }
}

/// What of `error` does not come from the entry.
pub(crate) fn without_content(error: keyring_core::Error) -> Box<dyn StdError + Send + Sync> {
    use keyring_core::Error::{
        BadStoreFormat, Invalid, NoDefaultStore, NoEntry, NoStorageAccess, NotSupportedByStore, PlatformFailure,
        TooLong,
    };
    match error {
        PlatformFailure(source) | NoStorageAccess(source) => source,
        BadStoreFormat(_) | Invalid(..) | NoDefaultStore | NoEntry | NotSupportedByStore(_) | TooLong(..) => {
            error.to_string().into()
        }
        // The others may carry what is in the entry.
        _ => "the entry is malformed, or there is more than one".into(),
    }
}
