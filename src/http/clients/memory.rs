//! Clients in memory: preregistered ones, and those that register until the process ends.

use std::collections::{HashMap, VecDeque};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::{ClientRegistry, RegisteredClient};
use crate::error::Error;
use crate::store::{BoxFuture, StoreError};
use crate::time::Timestamp;

/// How many unused registrations are kept.
const MAX_UNUSED: usize = 1024;

/// A [`ClientRegistry`] in memory.
///
/// It keeps the last 1,024 registrations that were never used, so that registrations cannot fill the memory. A client
/// is used when its first code is issued. A flood of registrations removes the clients whose users are still at the
/// consent page, and those clients have to register again.
///
/// # Security
///
/// Limit the rate of registrations.
#[derive(Debug, Default)]
pub struct MemoryClients(RwLock<Clients>);

#[derive(Debug, Default)]
struct Clients {
    known: HashMap<String, Entry>,
    /// The ids that registered, the oldest first. Some may have been used or removed since.
    registered: VecDeque<String>,
}

#[derive(Debug)]
struct Entry {
    client: RegisteredClient,
    used: bool,
}

impl MemoryClients {
    /// Creates an empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a preregistered client.
    #[must_use]
    pub fn with(self, client: RegisteredClient) -> Self {
        self.write().known.insert(client.id.clone(), Entry { client, used: true });
        self
    }

    /// Removes a client. Returns whether it was there. Revoke its families with
    /// [`TokenIssuer::revoke_client`](crate::TokenIssuer::revoke_client).
    pub fn remove(&self, client_id: &str) -> bool {
        self.write().known.remove(client_id).is_some()
    }

    pub(super) fn get(&self, client_id: &str) -> Option<RegisteredClient> {
        self.read().known.get(client_id).map(|entry| entry.client.clone())
    }

    fn read(&self) -> RwLockReadGuard<'_, Clients> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Clients> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clients {
    fn register(&mut self, client: RegisteredClient) -> Result<(), Error> {
        match self.known.get(&client.id) {
            Some(entry) if entry.client.is_registered_as(&client) => return Ok(()),
            Some(_) => return Err(StoreError::unavailable("the client id is registered with other metadata").into()),
            None => {}
        }
        self.registered.push_back(client.id.clone());
        self.known.insert(client.id.clone(), Entry { client, used: false });
        if self.registered.len() > MAX_UNUSED
            && let Some(oldest) = self.registered.pop_front()
            && self.known.get(&oldest).is_some_and(|entry| !entry.used)
        {
            self.known.remove(&oldest);
        }
        Ok(())
    }
}

impl ClientRegistry for MemoryClients {
    fn find<'a>(&'a self, client_id: &'a str) -> BoxFuture<'a, Result<Option<RegisteredClient>, Error>> {
        let found = self.get(client_id);
        Box::pin(async move { Ok(found) })
    }

    fn register(&self, client: RegisteredClient) -> BoxFuture<'_, Result<Option<Timestamp>, Error>> {
        Box::pin(async move { self.write().register(client).map(|()| None) })
    }

    fn used<'a>(&'a self, client: &'a RegisteredClient) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            // Read first, because after its first use the entry does not change again.
            if self.read().known.get(&client.id).is_some_and(|entry| !entry.used)
                && let Some(entry) = self.write().known.get_mut(&client.id)
            {
                entry.used = true;
            }
            Ok(())
        })
    }
}
