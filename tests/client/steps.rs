//! A process that dies at each step of a refresh in turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mcp_token_lifecycle::client::{CredentialStorage, StorageError, StorageLock};
use mcp_token_lifecycle::vault::{
    Credential, CredentialStatus, Refreshed, Revocation, TokenSet, UpstreamError, UpstreamProvider,
};
use mcp_token_lifecycle::{Action, BoxFuture};
use zeroize::Zeroizing;

use super::child::Process;
use super::server::{RUNTIME, Server};

/// Ends the process at a certain step.
#[derive(Clone)]
pub struct Doom {
    left: Arc<AtomicUsize>,
}

impl Doom {
    pub fn at(step: usize) -> Self {
        Self { left: Arc::new(AtomicUsize::new(step)) }
    }

    pub fn doomed<T>(&self, inner: T) -> Doomed<T> {
        Doomed { inner, doom: self.clone() }
    }

    fn step(&self) {
        if self.left.fetch_sub(1, Ordering::SeqCst) == 0 {
            std::process::abort();
        }
    }
}

/// Takes a step before and after each thing it does.
pub struct Doomed<T> {
    inner: T,
    doom: Doom,
}

impl<T> Doomed<T> {
    fn between<R>(&self, act: impl FnOnce(&T) -> R) -> R {
        self.doom.step();
        let result = act(&self.inner);
        self.doom.step();
        result
    }
}

impl<S: CredentialStorage> CredentialStorage for Doomed<S> {
    fn try_lock(&self) -> Result<Option<StorageLock>, StorageError> {
        self.between(S::try_lock)
    }

    fn read(&self) -> Result<Option<Zeroizing<Vec<u8>>>, StorageError> {
        self.between(S::read)
    }

    fn write(&self, content: &[u8]) -> Result<(), StorageError> {
        self.between(|storage| storage.write(content))
    }

    fn delete(&self) -> Result<(), StorageError> {
        self.between(S::delete)
    }
}

impl<P: UpstreamProvider> UpstreamProvider for Doomed<P> {
    fn refresh<'a>(&'a self, tokens: &'a TokenSet) -> BoxFuture<'a, Result<Refreshed, UpstreamError>> {
        Box::pin(async {
            self.doom.step();
            let refreshed = self.inner.refresh(tokens).await;
            self.doom.step();
            refreshed
        })
    }

    fn revoke<'a>(&'a self, credential: &'a Credential) -> BoxFuture<'a, Result<Revocation, UpstreamError>> {
        self.inner.revoke(credential)
    }

    fn introspect<'a>(&'a self, credential: &'a Credential) -> BoxFuture<'a, Result<CredentialStatus, UpstreamError>> {
        self.inner.introspect(credential)
    }
}

#[test]
fn process_killed_at_any_step_keeps_the_login() {
    let server = Server::start();
    let mut deaths = 0;
    loop {
        server.pass(1800);
        let mut process = Process::doomed(&server, deaths);
        process.ask(1);
        let said = process.hear();
        let next = RUNTIME.block_on(server.credentials().access_token());
        server.assert_accepts(next.expect("another process goes on").expose());
        if let Some(token) = said {
            server.assert_accepts(&token);
            break;
        }
        assert!(!process.kill().success(), "it has died at its step");
        deaths += 1;
    }
    let (rotations, retries) = (server.count(Action::Rotate), server.count(Action::Retry));
    println!("{deaths} steps, each the last one once: {rotations} rotations, {retries} answers given again");
    // Read, lock, read, write, ask, write: before and after each.
    assert_eq!((deaths, rotations, server.count_reuse()), (12, 13, 0));
    // After the answer, and before the successor is written.
    assert_eq!(retries, 2);
}
