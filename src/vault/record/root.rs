//! The vault's own secret, and the record keys and blind index keys that derive from it.
//!
//! The first vault that opens an empty store creates the secret, which lives as long as the store. It does not change
//! with a key rotation, so a rewrap changes wrapped keys and nothing else.

use crate::crypto::{Mac, sha256, subkey};
use crate::id::{FamilyId, IndexKey, RecordKey};
use crate::vault::Account;
use crate::vault::slot::state::Slot;

/// Derives record keys and index keys.
pub(crate) struct Root {
    locate: Mac,
    index: Mac,
}

impl Root {
    /// The length of the secret, in bytes.
    pub(crate) const LEN: usize = 32;

    /// Derives the subkeys from the secret.
    pub(crate) fn derive(secret: &[u8; Self::LEN]) -> Self {
        let mac = |label| Mac::new(&subkey(secret, label));
        Self { locate: mac("upstream locate"), index: mac("upstream index") }
    }

    /// The record key of the secret, which is the same in each store.
    pub(crate) fn place() -> RecordKey {
        RecordKey::from_bytes(first_half(sha256(b"mcp-token-lifecycle upstream root")))
    }

    /// The record key of the credential of `account`. Each part is preceded by its length, so that two accounts never
    /// give the same input.
    pub(crate) fn locate(&self, account: &Account) -> RecordKey {
        let length = |part: &str| (part.len() as u64).to_be_bytes();
        let (subject, service) = (account.subject(), account.service());
        let named = [u8::from(account.name().is_some())];
        let name = account.name().unwrap_or_default().as_bytes();
        let parts = [&length(subject)[..], subject.as_bytes(), &length(service), service.as_bytes(), &named, name];
        RecordKey::from_bytes(first_half(self.locate.tag(parts)))
    }

    /// The index of all credentials of `subject`.
    pub(crate) fn subject(&self, subject: &str) -> IndexKey {
        self.index("subject", subject.as_bytes())
    }

    /// The index of the credentials that are bound to a session.
    pub(crate) fn session(&self, family: FamilyId) -> IndexKey {
        self.index("session", family.as_bytes())
    }

    /// The index of the credentials that are bound to a client.
    pub(crate) fn client(&self, client_id: &str) -> IndexKey {
        self.index("client", client_id.as_bytes())
    }

    /// The index of the pending revocations.
    pub(crate) fn pending(&self) -> IndexKey {
        self.index("pending", b"")
    }

    /// The index keys of the slot of `account`: at most four, and none if it is empty. Without a current secret, the
    /// slot is listed under what the newest of those is bound to that wait for their revocation.
    pub(crate) fn indexes(&self, account: &Account, slot: &Slot) -> Vec<IndexKey> {
        let current = slot.current.as_ref().map(|live| &live.held);
        let Some(held) = current.or(slot.ending.last().map(|ending| &ending.held)) else { return Vec::new() };
        let pending = (!slot.ending.is_empty()).then(|| self.pending());
        let session = held.bound_to.session.map(|family| self.session(family));
        let client = held.bound_to.client_id.as_deref().map(|client_id| self.client(client_id));
        [Some(self.subject(account.subject())), session, client, pending].into_iter().flatten().collect()
    }

    fn index(&self, name: &str, value: &[u8]) -> IndexKey {
        IndexKey::from_bytes(first_half(self.index.tag([name.as_bytes(), &[0], value])))
    }
}

fn first_half(hash: [u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&hash[..16]);
    half
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// Spreads a few letters over subject, service and name, in all ways.
    #[test]
    fn no_two_accounts_are_in_one_place() {
        let parts = ["", "a", "b", "ab", "ba", "a\0", "\0", "\u{1}a", "\0\0\0\0\0\0\0\u{1}a", "а"];
        let root = Root::derive(&[1; Root::LEN]);
        let unnamed = parts.iter().flat_map(|subject| parts.map(|service| Account::new(*subject, service)));
        let all: Vec<_> = unnamed
            .flat_map(|account| {
                let named = parts.map(|name| account.clone().named(name));
                std::iter::once(account).chain(named)
            })
            .collect();
        let places: HashSet<_> = all.iter().map(|account| root.locate(account)).collect();
        assert_eq!(places.len(), all.len());
        let elsewhere = Root::derive(&[2; Root::LEN]);
        assert!(all.iter().all(|account| !places.contains(&elsewhere.locate(account))));
    }

    #[test]
    fn no_two_indexes_have_a_key_in_common() {
        let root = Root::derive(&[1; Root::LEN]);
        let same = [7; 16];
        let text = std::str::from_utf8(&same).unwrap();
        let session = root.session(FamilyId::from_bytes(same));
        let keys = [root.subject(text), session, root.client(text), root.pending(), root.subject(""), root.client("")];
        assert_eq!(keys.iter().collect::<HashSet<_>>().len(), keys.len());
    }
}
