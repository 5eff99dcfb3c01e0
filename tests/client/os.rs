//! The operating system's credential store, of which a mock stands in.

use std::sync::Arc;

use keyring_core::api::CredentialStoreApi;
use keyring_core::{Error, mock};
use mcp_token_lifecycle::client::{CredentialStorage, OsStorage, StorageError, TokenManager, TokenManagerError};
use mcp_token_lifecycle::vault::Revocation;

use super::script::*;

struct Os {
    lab: Lab,
    store: Arc<mock::Store>,
}

impl Os {
    fn new(script: Script) -> Self {
        Self { lab: Lab::new(script), store: mock::Store::new().unwrap() }
    }

    fn storage(&self) -> OsStorage {
        let entry = self.store.build("my-client", "alice", None).unwrap();
        OsStorage::open(entry, self.lab.folder.path().join("lock")).unwrap()
    }

    fn credentials(&self) -> TokenManager {
        self.lab.credentials_in(self.storage())
    }

    fn fail_next(&self, error: Error) {
        let entry = self.store.build("my-client", "alice", None).unwrap();
        entry.as_any().downcast_ref::<mock::Cred>().unwrap().set_error(error);
    }
}

#[tokio::test]
async fn os_storage_keeps_login_in_entry_and_lock_file_empty() {
    let os = Os::new(Script::new([successor(1)]));
    assert!(matches!(os.credentials().access_token().await, Err(TokenManagerError::NoCredentials)));
    os.lab.log_in(&os.credentials()).await;
    os.lab.pass(3600);
    assert_eq!(token(&os.credentials()).await, "access-1");
    let files: Vec<_> = os.lab.folder.path().read_dir().unwrap().map(|entry| entry.unwrap()).collect();
    assert_eq!(files.len(), 1);
    assert_eq!(files[0].metadata().unwrap().len(), 0, "the lock file stays empty");
    os.lab.script.on_revoke(Ok(Revocation::Done));
    os.credentials().forget().await.unwrap();
    assert!(matches!(os.credentials().access_token().await, Err(TokenManagerError::NoCredentials)));
}

#[tokio::test]
async fn os_storage_users_share_one_refresh() {
    let os = Os::new(Script::new([successor(1)]).gated());
    let (first, second) = (os.credentials(), os.credentials());
    os.lab.log_in(&first).await;
    os.lab.pass(3600);
    let both = [first, second].map(|credentials| tokio::spawn(async move { token(&credentials).await }));
    os.lab.script.asked().await;
    os.lab.script.open();
    for served in both {
        assert_eq!(served.await.unwrap(), "access-1");
    }
    assert_eq!(os.lab.script.presented(), ["refresh-0"]);
}

#[tokio::test]
async fn os_storage_error_shows_no_stored_secret() {
    let os = Os::new(Script::new([]));
    os.lab.log_in(&os.credentials()).await;
    let secret = || b"access-0".to_vec();
    let source = String::from_utf8([secret(), vec![0xff]].concat()).unwrap_err();
    for error in [Error::BadEncoding(secret()), Error::BadDataFormat(secret(), source.into())] {
        os.fail_next(error);
        let Err(error) = os.credentials().access_token().await else { panic!("served") };
        assert!(matches!(error, TokenManagerError::Storage(StorageError::Other(_))), "{error:?}");
        let bytes = format!("{:?}", secret());
        let shown = format!("{error:?} {error} {:?}", os.storage());
        assert!(!shown.contains("access-0") && !shown.contains(bytes.trim_matches(['[', ']'])), "{shown}");
    }
    assert_eq!(token(&os.credentials()).await, "access-0");
}

#[test]
fn deleting_what_is_not_there_is_a_success() {
    let os = Os::new(Script::new([]));
    os.storage().write(b"content").unwrap();
    os.storage().delete().unwrap();
    os.storage().delete().unwrap();
    assert!(os.storage().read().unwrap().is_none());
}
