//! Calls that are dropped while the storage is at work.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mcp_token_lifecycle::client::{CredentialStorage, FileStorage, StorageError, StorageLock, TokenManager};
use mcp_token_lifecycle::vault::Revocation;
use zeroize::Zeroizing;

use super::script::*;

/// A file on a disk that is slow: a change begins, says so, and goes on when it is told to.
struct SlowDisk {
    file: FileStorage,
    begun: Sender<()>,
    go_on: Mutex<Receiver<()>>,
}

impl SlowDisk {
    fn wait(&self) {
        self.begun.send(()).unwrap();
        self.go_on.lock().unwrap().recv().unwrap();
    }
}

impl CredentialStorage for SlowDisk {
    fn try_lock(&self) -> Result<Option<StorageLock>, StorageError> {
        self.file.try_lock()
    }

    fn read(&self) -> Result<Option<Zeroizing<Vec<u8>>>, StorageError> {
        self.file.read()
    }

    fn write(&self, content: &[u8]) -> Result<(), StorageError> {
        self.wait();
        self.file.write(content)
    }

    fn delete(&self) -> Result<(), StorageError> {
        self.wait();
        self.file.delete()
    }
}

/// Drop `call` while its change is under way, and see that the lock is kept until it is done.
async fn dropped_during_a_change<F: Future<Output = ()> + Send + 'static>(
    lab: &Lab,
    call: impl FnOnce(Arc<TokenManager>) -> F,
) {
    let ((begun, has_begun), (go_on, may_go_on)) = (channel(), channel());
    let disk = SlowDisk { file: lab.file(), begun, go_on: Mutex::new(may_go_on) };
    let call = tokio::spawn(call(Arc::new(lab.credentials_in(disk))));
    tokio::task::spawn_blocking(move || has_begun.recv().unwrap()).await.unwrap();
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    assert!(lab.file().try_lock().unwrap().is_none(), "the lock is kept");
    go_on.send(()).unwrap();
    while lab.file().try_lock().unwrap().is_none() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn login_dropped_during_write_holds_lock_until_written() {
    let lab = Arc::new(Lab::new(Script::new([])));
    let lab_of_call = lab.clone();
    dropped_during_a_change(&lab, |credentials| async move { lab_of_call.log_in(&credentials).await }).await;
    assert_eq!(token(&lab.credentials()).await, "access-0");
}

#[tokio::test]
async fn forget_dropped_during_delete_holds_lock_until_deleted() {
    let lab = Lab::new(Script::new([]));
    lab.log_in(&lab.credentials()).await;
    lab.script.on_revoke(Ok(Revocation::Done));
    dropped_during_a_change(&lab, |credentials| async move { credentials.forget().await.unwrap() }).await;
    assert!(!lab.path().exists());
}
