//! Master keys in the operating system's credential store, over a store in memory that says it is durable.

use std::any::Any;
use std::collections::HashMap;
use std::error::Error as StdError;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keyring_core::api::{CredentialApi, CredentialStoreApi};
use keyring_core::{Credential, CredentialPersistence, Entry, Error, mock, set_default_store, unset_default_store};
use mcp_token_lifecycle::vault::{DataKey, KeyWrapper, OsKeyring, OsKeyringError, WrapError, WrappedKey};
use mcp_token_lifecycle::{KeyId, KeyringError};
use pollster::block_on;

/// The mock forgets with the process and says so; this one does not say so. `Deaf` entries do not even keep until then.
#[derive(Debug)]
struct Durable {
    entries: Arc<mock::Store>,
    deaf: bool,
}

impl CredentialStoreApi for Durable {
    fn vendor(&self) -> String {
        self.entries.vendor()
    }

    fn id(&self) -> String {
        self.entries.id()
    }

    fn build(&self, service: &str, user: &str, with: Option<&HashMap<&str, &str>>) -> keyring_core::Result<Entry> {
        if self.deaf { Ok(Entry::new_with_credential(Arc::new(Deaf))) } else { self.entries.build(service, user, with) }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn persistence(&self) -> CredentialPersistence {
        CredentialPersistence::UntilDelete
    }
}

struct Deaf;

impl CredentialApi for Deaf {
    fn set_secret(&self, _: &[u8]) -> keyring_core::Result<()> {
        Ok(())
    }

    fn get_secret(&self) -> keyring_core::Result<Vec<u8>> {
        Err(Error::NoEntry)
    }

    fn delete_credential(&self) -> keyring_core::Result<()> {
        Err(Error::NoEntry)
    }

    fn get_credential(&self) -> keyring_core::Result<Option<Arc<Credential>>> {
        Ok(None)
    }

    fn get_specifiers(&self) -> Option<(String, String)> {
        None
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The store is registered for the whole process, so one test at a time has one.
struct Registered {
    entries: Arc<mock::Store>,
    _alone: MutexGuard<'static, ()>,
}

impl Registered {
    fn with(deaf: bool) -> Self {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let entries = mock::Store::new().unwrap();
        set_default_store(Arc::new(Durable { entries: entries.clone(), deaf }));
        Self { entries, _alone: alone }
    }

    fn new() -> Self {
        Self::with(false)
    }

    fn entry(&self) -> Entry {
        self.entries.build("server", "keys", None).unwrap()
    }

    fn fail_once(&self, error: Error) {
        self.entry().as_any().downcast_ref::<mock::Cred>().unwrap().set_error(error);
    }
}

fn open() -> Result<OsKeyring, OsKeyringError> {
    OsKeyring::open("server", "keys")
}

fn create(id: u32) -> Result<OsKeyring, OsKeyringError> {
    OsKeyring::create("server", "keys", KeyId::new(id))
}

fn wrap(keyring: &OsKeyring) -> WrappedKey {
    block_on(keyring.wrap(&DataKey::from_bytes([9; 32]), b"here")).unwrap()
}

fn unwrap(keyring: &OsKeyring, wrapped: &WrappedKey) -> Result<[u8; 32], WrapError> {
    block_on(keyring.unwrap(wrapped, b"here")).map(|key| *key.as_bytes())
}

#[test]
fn without_a_registered_store_there_is_no_keyring() {
    let _registered = Registered::new();
    unset_default_store();
    assert!(matches!(open(), Err(OsKeyringError::NoStore)));
    assert!(matches!(create(1), Err(OsKeyringError::NoStore)));
}

#[test]
fn a_keyring_is_made_when_asked_for_and_once() {
    let registered = Registered::new();
    assert!(matches!(open(), Err(OsKeyringError::NotFound { .. })));
    assert!(matches!(registered.entry().get_secret(), Err(Error::NoEntry)), "opening made nothing");
    let wrapped = wrap(&create(7).unwrap());
    assert!(matches!(create(8), Err(OsKeyringError::AlreadyThere { .. })));
    assert_eq!(unwrap(&open().unwrap(), &wrapped).unwrap(), [9; 32]);
    assert_eq!(block_on(open().unwrap().primary()).unwrap(), "7");
    let missing = OsKeyring::open("server", "other").unwrap_err();
    assert!(matches!(missing, OsKeyringError::NotFound { .. }));
    assert_eq!(missing.to_string(), r#"the credential store has no keyring "other" for the application "server""#);
}

#[test]
fn a_locked_store_is_neither_absent_nor_written_to() {
    let registered = Registered::new();
    let locked = || Error::NoStorageAccess("the keychain is locked".into());
    registered.fail_once(locked());
    assert!(matches!(create(1), Err(OsKeyringError::Locked(_))));
    assert!(matches!(registered.entry().get_secret(), Err(Error::NoEntry)));
    create(1).unwrap();
    registered.fail_once(locked());
    assert!(matches!(open(), Err(OsKeyringError::Locked(_))));
    open().unwrap();
}

#[test]
fn a_rotation_wraps_with_the_new_key_and_still_unwraps_with_the_old() {
    let _registered = Registered::new();
    let keyring = create(1).unwrap();
    let elsewhere = open().unwrap();
    let old = wrap(&keyring);
    keyring.rotate(KeyId::new(2)).unwrap();
    let new = wrap(&keyring);
    assert_eq!((old.key_id(), new.key_id()), ("1", "2"));
    for keyring in [&keyring, &open().unwrap()] {
        assert!(unwrap(keyring, &old).is_ok() && unwrap(keyring, &new).is_ok());
        assert_eq!(block_on(keyring.primary()).unwrap(), "2");
    }
    assert!(matches!(unwrap(&elsewhere, &new), Err(WrapError::UnknownKey)));
    elsewhere.reload().unwrap();
    assert!(unwrap(&elsewhere, &old).is_ok() && unwrap(&elsewhere, &new).is_ok());
}

#[test]
fn a_retired_key_can_be_dropped_and_the_primary_cannot() {
    let _registered = Registered::new();
    let keyring = create(1).unwrap();
    let old = wrap(&keyring);
    keyring.rotate(KeyId::new(2)).unwrap();
    let new = wrap(&keyring);
    assert!(matches!(keyring.drop_retired(KeyId::new(2)), Err(OsKeyringError::Primary(_))));
    keyring.drop_retired(KeyId::new(1)).unwrap();
    for keyring in [&keyring, &open().unwrap()] {
        assert!(matches!(unwrap(keyring, &old), Err(WrapError::UnknownKey)));
        assert!(unwrap(keyring, &new).is_ok());
    }
}

#[test]
fn a_rotation_that_fails_changes_nothing() {
    let registered = Registered::new();
    let keyring = create(1).unwrap();
    let stored = registered.entry().get_secret().unwrap();
    let duplicate = keyring.rotate(KeyId::new(1));
    assert!(matches!(duplicate, Err(OsKeyringError::Keyring(KeyringError::DuplicateId(_)))));
    registered.fail_once(Error::PlatformFailure("no".into()));
    assert!(matches!(keyring.rotate(KeyId::new(2)), Err(OsKeyringError::Store(_))));
    assert_eq!(registered.entry().get_secret().unwrap(), stored);
    assert_eq!(wrap(&keyring).key_id(), "1");
}

#[test]
fn no_key_is_made_in_a_store_that_forgets() {
    let registered = Registered::new();
    set_default_store(registered.entries.clone());
    assert!(matches!(create(1), Err(OsKeyringError::Forgetful)));
    assert!(matches!(registered.entry().get_secret(), Err(Error::NoEntry)));
}

#[test]
fn a_store_that_does_not_keep_the_key_gives_no_keyring() {
    let _registered = Registered::with(true);
    assert!(matches!(create(1), Err(OsKeyringError::NotKept)));
}

#[test]
fn an_entry_that_is_no_keyring_is_refused_and_not_overwritten() {
    let registered = Registered::new();
    for text in [&b"a password"[..], b"", b"\xff\xfe"] {
        registered.entry().set_secret(text).unwrap();
        assert!(matches!(open(), Err(OsKeyringError::Keyring(_))), "{text:?}");
        assert!(create(1).is_err());
        assert_eq!(registered.entry().get_secret().unwrap(), text);
    }
}

/// These carry the bytes that were found, in their `Debug` or further down.
#[test]
fn no_error_shows_what_is_in_the_entry() {
    let registered = Registered::new();
    let keyring = create(1).unwrap();
    let secret = registered.entry().get_secret().unwrap();
    let source = String::from_utf8([&secret[..], &[0xff]].concat()).unwrap_err();
    let found = format!("{secret:?}");
    let digits = found.trim_matches(['[', ']']);
    assert!(format!("{source:?}").contains(digits), "the search finds what is there");
    for error in [
        Error::BadEncoding(secret.clone()),
        Error::BadDataFormat(secret.clone(), source.into()),
        Error::Ambiguous(vec![registered.entry()]),
    ] {
        registered.fail_once(error);
        let error = keyring.reload().unwrap_err();
        let shown = format!("{error:?} {error} {:?}", error.source());
        assert!(!shown.contains(digits), "{shown}");
    }
    assert!(!format!("{keyring:?}").contains(std::str::from_utf8(&secret).unwrap().trim()));
    assert_eq!(format!("{keyring:?}"), "OsKeyring(Keyring { primary: KeyId(1), retired: [] })");
}
