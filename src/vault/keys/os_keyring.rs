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

/// A [`Keyring`] in the macOS Keychain, the Windows Credential Manager or the Secret Service. It is one entry, in the
/// format of [`Keyring::parse`].
///
/// The application chooses the store once, at start-up. Without a store, or while it is locked, opening, reading and
/// changing the keyring return an error. Keys are never read from or written to another place.
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
/// // Once, at installation: OsKeyring::create("com.example.server", "master keys", KeyId::new(20261125))
/// let keyring = OsKeyring::open("com.example.server", "master keys")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Methods that return [`OsKeyringError`] block: the operating system may ask the user first. Wrapping and unwrapping
/// use the keys that were read last, and do not block.
///
/// # Security
///
/// The store protects the keys from other users and from an attacker who copies the disk. It does not protect them from
/// other programs of the same user, except on macOS, nor while they are in use in this process. These stores have no
/// compare-and-swap: create, rotate and drop keys in one process at a time. If two processes rotate at the same time,
/// the key of one is lost.
pub struct OsKeyring {
    /// Locked while the entry is being changed.
    place: Mutex<Place>,
    keyring: RwLock<Arc<Keyring>>,
}

impl OsKeyring {
    /// Opens the keyring `name` of the application `service`.
    ///
    /// # Errors
    ///
    /// [`OsKeyringError::NotFound`] if there is none; [`create`](Self::create) makes one. [`OsKeyringError::NoStore`],
    /// [`OsKeyringError::Locked`] or [`OsKeyringError::Store`] if the store cannot be read. [`OsKeyringError::Keyring`]
    /// if the entry is not a keyring.
    pub fn open(service: &str, name: &str) -> Result<Self, OsKeyringError> {
        let place = Place::find(service, name)?;
        let keyring = Keyring::parse(&place.read()?)?;
        Ok(Self::new(place, keyring))
    }

    /// Creates a keyring with one new key, which has the id `id`.
    ///
    /// # Errors
    ///
    /// [`OsKeyringError::AlreadyThere`] if there is a keyring of this name. [`OsKeyringError::Forgetful`] or
    /// [`OsKeyringError::NotKept`] if the store does not keep what is written. Also the errors of a store that cannot
    /// be used, and [`OsKeyringError::Entropy`].
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

    /// Adds a new key with the id `id` and makes it the primary key. The previous keys still unwrap.
    ///
    /// Other processes see it after [`reload`](Self::reload); until then they cannot unwrap what it wraps. After
    /// `CredentialVault::rewrap` is done, the old keys can be [dropped](Self::drop_retired).
    ///
    /// # Errors
    ///
    /// [`KeyringError::DuplicateId`] (in [`OsKeyringError::Keyring`]) if a key has this id; nothing changes then. Also
    /// the errors of [`create`](Self::create) except [`OsKeyringError::AlreadyThere`], and
    /// [`OsKeyringError::NotFound`].
    pub fn rotate(&self, id: KeyId) -> Result<(), OsKeyringError> {
        self.change(|stored, text| {
            push(text, id, &MasterKey::generate()?);
            text.push_str(stored);
            Ok(())
        })
    }

    /// Removes a retired key. What is still wrapped with it is lost, in each backup too.
    ///
    /// # Errors
    ///
    /// [`OsKeyringError::Primary`] if it is the primary key; nothing changes then. [`OsKeyringError::Forgetful`] or
    /// [`OsKeyringError::NotKept`] if the store does not keep what is written. Also the errors of [`open`](Self::open).
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

    /// Reads the keys again, after another process has changed them.
    ///
    /// # Errors
    ///
    /// The errors of [`open`](Self::open). The keys that were read before stay in use then.
    pub fn reload(&self) -> Result<(), OsKeyringError> {
        let keyring = Keyring::parse(&self.place().read()?)?;
        self.replace(keyring);
        Ok(())
    }

    /// Writes the text that `write` makes of the stored one, and uses its keys.
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

/// One entry of the credential store.
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

    /// Writes `text`. It refuses a store that does not keep entries, because data wrapped with a lost key is lost too.
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

/// An empty text with room for the stored one, a line end, and one more entry (ten digits, 44 characters of Base64, and
/// two). A text that grows leaves copies of the keys behind.
fn room_beside(stored: &str) -> Zeroizing<String> {
    Zeroizing::new(String::with_capacity(stored.len() + 57))
}

/// Appends an entry to `text`.
fn push(text: &mut String, id: KeyId, key: &MasterKey) {
    [&id.to_string(), ":", &key.to_base64(), "\n"].into_iter().for_each(|part| text.push_str(part));
}

/// Why the keyring was not read from or written to the credential store of the operating system. No variant carries key
/// material.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OsKeyringError {
    /// The application has registered no credential store.
    #[error("no credential store is registered: call keyring_core::set_default_store at start-up")]
    NoStore,
    /// The store is locked, or denies access to this program.
    #[error("the credential store is locked or denies access")]
    Locked(#[source] Box<dyn StdError + Send + Sync>),
    /// The store has no such entry.
    #[error("the credential store has no keyring {name:?} for the application {service:?}")]
    #[non_exhaustive]
    NotFound {
        /// The application.
        service: String,
        /// The name of the keyring.
        name: String,
    },
    /// The store has an entry of this name, whose keys may be in use.
    #[error("the credential store already has a keyring {name:?} for the application {service:?}")]
    #[non_exhaustive]
    AlreadyThere {
        /// The application.
        service: String,
        /// The name of the keyring.
        name: String,
    },
    /// The store keeps entries only until the process ends, the user logs out or the machine restarts.
    #[error("the credential store must keep entries across restarts, got one that does not")]
    Forgetful,
    /// The entry that was read back is missing or differs from what was written.
    #[error("the credential store did not return the entry that was written to it")]
    NotKept,
    /// The key to drop is the primary key.
    #[error("the key to drop must be a retired key, got the primary key {0}")]
    Primary(KeyId),
    /// The entry is not a valid keyring.
    #[error("the entry in the credential store is not a valid keyring")]
    Keyring(#[from] KeyringError),
    /// The random source failed while a key was created.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The store failed for another reason.
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

/// Converts `error` to a source that contains nothing of the entry.
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
        // Other errors may contain the entry.
        _ => "the entry is malformed, or there is more than one".into(),
    }
}
