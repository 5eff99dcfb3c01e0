//! Clients in memory: those known beforehand, and those that register until the process ends.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use super::{ClientRegistry, RegisteredClient};
use crate::store::{BoxFuture, StoreError};
use crate::time::Timestamp;

/// A [`ClientRegistry`] in memory.
#[derive(Debug, Default)]
pub struct MemoryClients(RwLock<HashMap<String, RegisteredClient>>);

impl MemoryClients {
    /// No clients yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// With this client too.
    #[must_use]
    pub fn with(self, client: RegisteredClient) -> Self {
        self.insert(client);
        self
    }

    /// Forget a client. Revoke its families with [`TokenIssuer::revoke_client`](crate::TokenIssuer::revoke_client).
    pub fn remove(&self, client_id: &str) -> bool {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(client_id).is_some()
    }

    fn insert(&self, client: RegisteredClient) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(client.id.clone(), client);
    }
}

impl ClientRegistry for MemoryClients {
    fn find<'a>(&'a self, client_id: &'a str) -> BoxFuture<'a, Result<Option<RegisteredClient>, StoreError>> {
        let found = self.0.read().unwrap_or_else(PoisonError::into_inner).get(client_id).cloned();
        Box::pin(async move { Ok(found) })
    }

    fn register(&self, client: RegisteredClient) -> BoxFuture<'_, Result<Option<Timestamp>, StoreError>> {
        Box::pin(async move {
            self.insert(client);
            Ok(None)
        })
    }
}
