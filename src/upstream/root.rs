//! The vault's own secret, and what is derived from it: where a record is, and under which blind index keys.
//!
//! It is made by the first vault that opens an empty store, and lives as long as the store: none of it changes with a key
//! rotation, so a new wrapping touches wrapped keys and nothing else.

use super::credential::Account;
use super::held::{Held, State};
use crate::crypto::{Mac, sha256, subkey};
use crate::family::FamilyId;
use crate::store::{IndexKey, RecordKey};

pub(crate) struct Root {
    locate: Mac,
    index: Mac,
}

impl Root {
    /// Length of the secret.
    pub(crate) const LEN: usize = 32;

    pub(crate) fn derive(secret: &[u8; Self::LEN]) -> Self {
        let mac = |label| Mac::new(&subkey(secret, label));
        Self { locate: mac("upstream locate"), index: mac("upstream index") }
    }

    /// Where the secret is kept: the same place in every store.
    pub(crate) fn place() -> RecordKey {
        RecordKey::from_bytes(first_half(sha256(b"mcp-token-lifecycle upstream root")))
    }

    /// Where the credential of `account` is kept. Every part goes in with its length, so no two accounts are spelled alike.
    pub(crate) fn locate(&self, account: &Account) -> RecordKey {
        let length = |part: &str| (part.len() as u64).to_be_bytes();
        let (subject, service) = (account.subject(), account.service());
        let named = [u8::from(account.name().is_some())];
        let name = account.name().unwrap_or_default().as_bytes();
        let parts = [&length(subject), subject.as_bytes(), &length(service), service.as_bytes(), &named, name];
        RecordKey::from_bytes(first_half(self.locate.tag(&parts)))
    }

    /// The index of all that `subject` has.
    pub(crate) fn subject(&self, subject: &str) -> IndexKey {
        self.index("subject", subject.as_bytes())
    }

    /// The index of what ends with a session.
    pub(crate) fn session(&self, family: FamilyId) -> IndexKey {
        self.index("session", family.as_bytes())
    }

    /// The index of what ends with a client.
    pub(crate) fn client(&self, client_id: &str) -> IndexKey {
        self.index("client", client_id.as_bytes())
    }

    /// The index of what the service has yet to be told of.
    pub(crate) fn pending(&self) -> IndexKey {
        self.index("pending", b"")
    }

    /// The index keys of a record: at most four.
    pub(crate) fn indexes(&self, held: &Held) -> Vec<IndexKey> {
        let pending = matches!(held.state, State::Revoking(_)).then(|| self.pending());
        let session = held.owner.session.map(|family| self.session(family));
        let client = held.owner.client_id.as_deref().map(|client_id| self.client(client_id));
        [Some(self.subject(held.account.subject())), session, client, pending].into_iter().flatten().collect()
    }

    fn index(&self, name: &str, value: &[u8]) -> IndexKey {
        IndexKey::from_bytes(first_half(self.index.tag(&[name.as_bytes(), &[0], value])))
    }
}

fn first_half(hash: [u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&hash[..16]);
    half
}
